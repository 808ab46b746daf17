"""One frame through every device, replicas included, compared with the whole network's answer."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from time import monotonic
from typing import Any

import numpy as np

from partition_studio.deployment.errors import DevicesDifferError
from partition_studio.deployment.front_door import FrameResult, FrontDoor, NoCreditError
from partition_studio.deployment.run import Tensors
from partition_studio.errors import DeploymentError
from partition_studio.graph.difference import difference
from partition_studio.partition.verify import Verification

PROBE_FRAME_S = 120.0

#: Processors round differently: the devices' answer may differ from that of the parts, run here, by this much of its
#: largest value. To that comes what lossy codecs may make of it (`Verification.device_slack`).
DEVICE_TOLERANCE = {"float16": 2e-2}
DEFAULT_DEVICE_TOLERANCE = 1e-3

#: No more than this is allowed for codecs: an answer of zeros differs by 1.
MOST_SLACK = 0.5

#: Indices of the largest values change places where two values are nearly equal, and so do labels: of whole numbers so
#: many may be others. Of less than a hundred none may.
WHOLE_SHARE = 0.01

#: How often it is looked whether anybody still waits.
_LOOK_S = 0.2


def try_all_devices(
    door: FrontDoor, inputs: Tensors, verification: Verification, check: Callable[[], None]
) -> list[str]:
    """Send a frame through each replica of each group, one after the other, and judge what comes back.

    Returns what the person should know of it. `check` is called meanwhile and raises where nobody waits any more.
    Raises DevicesDifferError, DeploymentError.
    """
    notes = doubts(verification)
    for replicas in door.ways_through_all:
        deadline_s = monotonic() + PROBE_FRAME_S
        future = _submitted(door, inputs, replicas, deadline_s, check)
        while not future.done() and monotonic() < deadline_s:
            check()
            wait([future], timeout=_LOOK_S)
        if not future.done():
            raise DeploymentError(f"No frame came through the devices within {PROBE_FRAME_S:.0f} s")
        notes += judge(future.result().outputs, verification, door.stages_of(replicas))
    door.forget_speeds()
    return notes


def _submitted(
    door: FrontDoor, inputs: Tensors, replicas: Sequence[int], deadline_s: float, check: Callable[[], None]
) -> Future[FrameResult]:
    """Send a frame as soon as there is room. Raises NoCreditError."""
    while True:
        check()
        try:
            return door.submit(inputs, timeout_s=_LOOK_S, replicas=replicas)
        except NoCreditError:
            if monotonic() >= deadline_s:
                raise


def judge(outputs: Tensors, verification: Verification, through: Sequence[str] = ()) -> list[str]:
    """Compare what devices answered with what the parts answered here, by the same codecs. Raises DevicesDifferError.

    `through` names the stages of the replicas that the frame passed. Returns what the person should know of it.
    """
    notes = []
    for name, array in outputs.items():
        expected, slack = verification.part_outputs[name], verification.device_slack
        others = _others(array, expected)
        if 0 < others <= WHOLE_SHARE * expected.size:
            way = f", through {', '.join(through)}" if through else ""
            notes.append(
                f"Of {expected.size} whole numbers of {name!r} the devices give {others} otherwise{way}: as it may be"
                " where values that are nearly equal are compared."
            )
            continue
        tolerance = allowed(expected, slack)
        max_abs, max_rel = difference(array, expected)
        # In proportion to an answer of zeros any difference is infinite.
        worst = max_rel if np.isfinite(max_rel) else max_abs
        if not worst <= tolerance:
            of_codecs = f", with what the codecs of its links may change ({slack:.0e})" if slack else ""
            way = f" for a frame through {', '.join(through)}" if through else ""
            raise DevicesDifferError(
                f"The devices' answer {name!r}{way} differs from the whole network's by {worst:.1e} of its largest"
                f" value (allowed: {tolerance:.0e}{of_codecs})",
                tensor=name,
            )
    return notes


def _others(array: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> int:
    """Return how many whole numbers are others; 0 where they are none, or the shape is another one."""
    is_whole = expected.dtype.kind in "iub" and array.shape == expected.shape and array.dtype == expected.dtype
    return int(np.count_nonzero(array != expected)) if is_whole else 0


def allowed(expected: np.ndarray[Any, Any], slack: float) -> float:
    """Return by how much of its largest value an answer of devices may differ from the parts' answer here.

    A value that another processor rounds differently in its last place may fall into the next step of a codec that
    quantises. What all the steps of a frame together change in an output (`slack`) is known from the proof, and bounds
    what a few of them do; without lossy codecs that is nothing, and whole numbers have to be the same, but for
    `WHOLE_SHARE` of them. Those of 8 bits are mostly quantised values: of them one step is allowed.
    """
    if expected.dtype.kind == "f":
        tolerance = DEVICE_TOLERANCE.get(str(expected.dtype), DEFAULT_DEVICE_TOLERANCE)
        return tolerance + (slack if slack <= MOST_SLACK else MOST_SLACK)
    is_quantised = expected.dtype.itemsize == 1 and expected.dtype.kind in "iu"
    largest = float(np.max(np.abs(expected.astype(np.float64)), initial=0.0))
    return max(1.0 / (largest or 1.0) if is_quantised else 0.0, slack)


def doubts(verification: Verification) -> list[str]:
    """Say what keeps the comparison from telling much."""
    if verification.device_slack <= MOST_SLACK:
        return []
    return [
        "The codecs of this plan may change the answer as much as broken devices would: that the devices' answer to the"
        " test frame was compared with the whole network's says little."
    ]
