"""Every error that a person may meet, as one family.

    StudioError
    ├── BadInputError         the person gave something that cannot be used: fix it and try again
    │   ├── NetworkError      ... the ONNX file
    │   ├── PlanError         ... the plan
    │   └── FrameInputError   ... an image or tensor to run
    ├── NotFoundError         no model, plan, device, deployment or run of that name
    ├── ConflictError         the request does not fit what is there now: look, then decide
    ├── NotAllowedError       no valid token, a foreign origin or host
    ├── DeviceError           a device cannot be reached, refuses, or cannot do what is asked
    ├── DeploymentError       a deployment or run failed, and the error says where
    └── StudioUnavailableError  the studio itself cannot start or be reached

Leaves live beside the code that raises them and set `code`, which is part of the API and never reworded, and
`next_step`, which says what to do. Only `api/problems.py` maps the family to HTTP, and only `cli/output.py` to exit
codes.
"""

from collections.abc import Mapping


class StudioError(Exception):
    """Base of every error that a person may meet.

    Attributes:
        code: stable name for programs.
        next_step: what the person can do about it; one sentence.
        details: facts for programs (layer, device, file, fingerprints ...); JSON values only, never a secret.
    """

    code = "studio_error"
    next_step = "This is a fault of the studio: please report it together with the studio's log."

    def __init__(self, message: str, *, next_step: str | None = None, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, object] = details
        if next_step is not None:
            self.next_step = next_step


class BadInputError(StudioError):
    """The person gave something that cannot be used."""

    code = "bad_input"
    next_step = "Correct the input and try again."


class NetworkError(BadInputError):
    """The ONNX file cannot be taken."""

    code = "bad_network"
    next_step = "Export the network to ONNX again, or choose another file."


class PlanError(BadInputError):
    """The plan cannot be applied."""

    code = "bad_plan"
    next_step = "Correct the plan and check it again."


class FrameInputError(BadInputError):
    """An image or tensor does not fit the network's inputs."""

    code = "bad_frame_input"
    next_step = "Give an input of the shape and dtype that the network takes (see `partition-studio model show`)."


class NotFoundError(StudioError):
    """Nothing of that name is there."""

    code = "not_found"
    next_step = "List what is there, and use one of those names."


class ConflictError(StudioError):
    """The request does not fit what is there now."""

    code = "conflict"
    next_step = "Look at the present state, then try again."


class NotAllowedError(StudioError):
    """The caller did not show that he may do this."""

    code = "not_allowed"
    next_step = "Open the address that `partition-studio serve` printed, or pass the studio's token."


class DeviceError(StudioError):
    """A device cannot be reached, refuses, or cannot do what is asked."""

    code = "device_error"
    next_step = "Check the device (`partition-studio device check NAME`) and try again."


class DeploymentError(StudioError):
    """A deployment or a run failed."""

    code = "deployment_failed"
    next_step = "Look at the device's log (`partition-studio logs NAME`), then deploy again."


class StudioUnavailableError(StudioError):
    """The studio cannot start, or cannot be reached."""

    code = "studio_unavailable"
    next_step = "Start it with `partition-studio serve`, or give its address with --url."
