"""How a search inside others ends where it was told to stop."""


class StoppedError(Exception):
    """The search was told to stop; raised and caught inside."""
