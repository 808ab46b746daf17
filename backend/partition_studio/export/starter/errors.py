"""What the person is told when it does not go on."""


class StartError(Exception):
    """Something that the person must know; `next_step` says what to do about it, `code` is stable."""

    def __init__(self, message: str, next_step: str, code: str = "failed") -> None:
        super().__init__(message)
        self.message, self.next_step, self.code = message, next_step, code


class UsageError(StartError):
    """The person gave something that cannot be used."""


class InterruptedRunError(StartError):
    """The person ended it, or another host did."""
