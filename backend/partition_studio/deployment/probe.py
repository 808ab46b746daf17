"""One frame through all devices, compared with the whole network's answer."""

from collections.abc import Callable
from concurrent.futures import wait
from time import monotonic

import numpy as np

from partition_studio.deployment.errors import DevicesDifferError
from partition_studio.deployment.front_door import FrontDoor
from partition_studio.deployment.run import Tensors
from partition_studio.errors import DeploymentError
from partition_studio.partition.verify import Verification

PROBE_FRAME_S = 120.0

#: Processors round differently: the devices' answer may differ from that of the parts, run here, by this much of its
#: largest value. To that comes what lossy codecs may make of it (`Verification.device_slack`).
DEVICE_TOLERANCE = {"float16": 2e-2}
DEFAULT_DEVICE_TOLERANCE = 1e-3


def try_one_frame(door: FrontDoor, inputs: Tensors, verification: Verification, check: Callable[[], None]) -> None:
    """Send a frame and judge what comes back. `check` is called meanwhile and raises where nobody waits any more.

    Raises DevicesDifferError, DeploymentError.
    """
    future = door.submit(inputs, timeout_s=PROBE_FRAME_S)
    deadline_s = monotonic() + PROBE_FRAME_S
    while not future.done() and monotonic() < deadline_s:
        check()
        wait([future], timeout=0.2)
    if not future.done():
        raise DeploymentError(f"No frame came through the devices within {PROBE_FRAME_S:.0f} s")
    judge(future.result().outputs, verification)


def judge(outputs: Tensors, verification: Verification) -> None:
    """Compare what devices answered with what the parts answered here, by the same codecs. Raises DevicesDifferError.

    A value that another processor rounds differently in its last place may fall into the next step of a codec that
    quantises. What all the steps of a frame together change in an output is known from the proof, and bounds what a
    few of them do; without lossy codecs that is nothing.
    """
    for name, array in outputs.items():
        expected = verification.part_outputs[name]
        slack = verification.device_slack
        tolerance = DEVICE_TOLERANCE.get(str(expected.dtype), DEFAULT_DEVICE_TOLERANCE) + slack
        scale = float(np.max(np.abs(expected.astype(np.float64)), initial=0.0)) or 1.0
        worst = float(np.max(np.abs(array.astype(np.float64) - expected.astype(np.float64)), initial=0.0)) / scale
        if not worst <= tolerance:
            of_codecs = f", of which {slack:.0e} for the codecs of its links" if slack else ""
            raise DevicesDifferError(
                f"The devices' answer {name!r} differs from the whole network's by {worst:.1e} of its largest value"
                f" (allowed: {tolerance:.0e}{of_codecs})",
                tensor=name,
            )
