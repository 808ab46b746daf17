"""What a device's amounts take, in seconds: of its time, and of its links."""

from dataclasses import dataclass

import numpy as np

from partition_studio.planner.search.packing.walk import Amount
from partition_studio.planner.search.problem.problem import STUDIO, Floats, Integers, Problem

#: What a byte takes where there is no link.
_NEVER_S = 1e30


@dataclass(frozen=True, eq=False)
class Rates:
    """Of one device: seconds for one of each amount (see `Amount`), where they add up, and where each stands alone.

    `compute_s` (U,), infinite where a unit may not lie there; `time_s` (9,) on top of it; `in_s`, `out_s` per byte of
    everything that comes or goes; `alone_s` (9,) per byte of what uses one link.
    """

    compute_s: Floats
    time_s: Floats
    in_s: float
    out_s: float
    alone_s: Floats

    def least_s(self, units: Integers, amounts: Floats, largest: Floats) -> float:
        """Return the shortest period for some units with what they add; `largest` has the largest of each amount."""
        time_s = float(self.compute_s[units].sum() + self.time_s @ amounts)
        moved_s = max(self.in_s * amounts[Amount.IN_BYTES], self.out_s * amounts[Amount.OUT_BYTES])
        return max(time_s, float(moved_s), float((largest * self.alone_s).max()))


def rates_of(problem: Problem, device: int) -> Rates:
    """Return the rates of a device."""
    cores = float(problem.cores[device])
    # Where computing does not take all cores, the lane is busy longer than they are.
    carrying = 1 / cores if problem.cpu_per_s[device] >= cores else 0.0
    byte_s = float(problem.byte_s[device]) * carrying
    time_s = np.zeros(len(Amount))
    time_s[Amount.STAGES] = problem.session_s[device]
    time_s[Amount.MESSAGES] = float(problem.message_s[device]) * carrying
    time_s[[Amount.IN_BYTES, Amount.OUT_BYTES]] = byte_s
    time_s[Amount.LAYOUT_BYTES] = problem.layout_byte_s[device]
    others = [other for other in range(len(problem.devices)) if other != device]
    into, out = problem.link_bytes_per_s[:, device], problem.link_bytes_per_s[device]
    alone_s = np.zeros(len(Amount))
    for amount, speeds in ((Amount.LARGEST_IN, into[others]), (Amount.LARGEST_OUT, out[others])):
        alone_s[amount] = 1 / float(speeds.max()) if others else _NEVER_S
    alone_s[Amount.STUDIO_IN], alone_s[Amount.STUDIO_OUT] = 1 / float(into[STUDIO]), 1 / float(out[STUDIO])
    interface = float(problem.interface_bytes_per_s[device])
    ends = [*others, STUDIO]
    return Rates(
        compute_s=np.where(problem.allowed[device], problem.compute_s[device], np.inf),
        time_s=time_s,
        in_s=1 / min(interface, float(into[ends].sum())),
        out_s=1 / min(interface, float(out[ends].sum())),
        alone_s=alone_s,
    )
