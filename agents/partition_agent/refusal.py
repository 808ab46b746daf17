"""The answer to a request that is not carried out."""

from typing import Optional

from partition_agent.protocol import Failed


class RefusedError(Exception):
    """A request that is not carried out; `failed` is the answer to it."""

    def __init__(self, code: str, message: str, stage: Optional[str] = None) -> None:
        super().__init__(message)
        self.failed = Failed(code, message, stage)
