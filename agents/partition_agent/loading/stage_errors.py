"""Why stages cannot be loaded."""


class StageError(Exception):
    """A stage cannot be loaded. `code` is stable; the message names the stage and is for the person."""

    def __init__(self, code: str, stage: str, message: str) -> None:
        super().__init__(message)
        self.code, self.stage, self.message = code, stage, message


class CancelledError(Exception):
    """The deployment was ended while it was prepared."""


def first_line(error: BaseException) -> str:
    """Return what a library's error says, short enough for a person."""
    lines = str(error).strip().splitlines()
    return lines[0][:400] if lines else type(error).__name__


def out_of_memory(stage: str) -> StageError:
    """Return the error of a stage for which the device has not enough memory."""
    return StageError(
        "out_of_memory",
        stage,
        f"the device ran out of memory while it loaded the stage {stage!r}: put less on it, or end what else runs",
    )


def is_out_of_memory(text: str) -> bool:
    """Return whether a text of ONNX Runtime or Python tells that memory ran out."""
    return any(sign in text for sign in ("bad_alloc", "Failed to allocate memory", "MemoryError", "Cannot allocate"))
