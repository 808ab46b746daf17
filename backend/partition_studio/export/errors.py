"""What can go wrong with an export."""

from partition_studio.errors import BadInputError, PlanError


class UnknownPlatformError(BadInputError):
    """There are no wheels for such a platform."""

    code = "unknown_platform"
    next_step = "Name platforms like cp311-aarch64, or cp39-x86_64-glibc2.31: Python, processor, and C library."


class NotExportableError(PlanError):
    """A network whose frames cannot be exchanged without numpy."""

    code = "not_exportable"
    next_step = "Cast the network's inputs and outputs to float32, and export it to ONNX again."
