"""What the API and the command line both call."""

from partition_studio.services.root import Services

__all__ = ["Services"]
