"""A question as numbers: units of layers, devices, what each costs each. All searches work on this, and none on ONNX.

A *unit* is a run of layers that no search takes apart: what the runtimes of all devices run as one kernel. Units are in
topological order. An *assignment* gives each unit a device: an array of `len(units)` integers.

What an assignment costs, as `evaluate` reckons it (and `predict` for the same plan, within 1 %):

- Its *stages* are those that `partition.stages.build_stages` makes.
- A stage on d takes `session_s[d]`, the `compute_s[d, u]` of its units, and `layout_byte_s[d]` for each byte of tensors
  in the runtime's own layout (`Tensor.is_laid_out`) that enter or leave it.
- A tensor made on one peer and read on others is sent once for each *stage* that reads it elsewhere. All tensors from
  one stage to another make one message: `message_s` and `byte_s` of processor time at both ends, bytes / bandwidth on
  the link. The studio (index -1) makes the network's inputs and reads its outputs.
- Resources, period and latency are those of `planner.flow`; energy of a device per frame is
  `idle_w * period + active_w * busy processor seconds`; memory is `partition.memory.memory_bound`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partition_studio.planner.search.question import Limits, Objective

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: The studio among devices, in arrays whose last row or column is the studio's.
STUDIO = -1


@dataclass(frozen=True, slots=True)
class Tensor:
    """An activation that passes from one unit to others. `producer` STUDIO: an input of the network.

    `consumers` are units, in order; `is_output`: the studio reads it.
    """

    name: str
    size_bytes: int
    producer: int
    consumers: tuple[int, ...]
    is_output: bool
    is_laid_out: bool


@dataclass(frozen=True, eq=False)
class Problem:
    """See the module. D devices, U units; arrays over peers have D + 1 entries, the studio's last.

    Attributes:
        units: the layers of each unit.
        devices: names, in the order of the question.
        compute_s: (D, U) seconds by the clock.
        session_s, layout_byte_s, cores, threads: (D,).
        message_s, byte_s: (D + 1,) processor seconds.
        tensors: those that pass between units, and the network's inputs and outputs.
        link_bytes_per_s, link_latency_s: (D + 1, D + 1) from row to column; the diagonal is unused.
        interface_bytes_per_s: (D + 1,) infinite where none is shared.
        weight_bytes, matrix_bytes, live_bytes, layers: (U,) of each unit, for memory; `live_bytes` is the largest set
            of activations that is alive at once in the whole network while the unit runs.
        memory_bytes: (D,) the limit; a very large number where there is none.
        idle_w, active_w: (D,) NaN where not known.
        allowed: (D, U) whether a unit may lie on a device: pins, exclusions, privacy.
        objective, limits: of the question.
    """

    units: tuple[tuple[str, ...], ...]
    devices: tuple[str, ...]
    compute_s: Floats
    session_s: Floats
    layout_byte_s: Floats
    cores: Floats
    threads: Integers
    message_s: Floats
    byte_s: Floats
    tensors: tuple[Tensor, ...]
    link_bytes_per_s: Floats
    link_latency_s: Floats
    interface_bytes_per_s: Floats
    weight_bytes: Integers
    matrix_bytes: Integers
    live_bytes: Integers
    layers: Integers
    memory_bytes: Integers
    idle_w: Floats
    active_w: Floats
    allowed: NDArray[np.bool_]
    objective: Objective
    limits: Limits


@dataclass(frozen=True, slots=True)
class Costs:
    """What an assignment costs. `energy_j` and `memory_bytes` by device; energy NaN where power is not known."""

    period_s: float
    latency_s: float
    energy_j: tuple[float, ...]
    memory_bytes: tuple[int, ...]

    def value(self, objective: Objective) -> float:
        """Return the figure that an objective speaks of, in its unit."""
        match objective:
            case "throughput":
                return 1 / self.period_s
            case "latency":
                return self.latency_s
            case "max_energy":
                return max(self.energy_j)
            case "total_energy":
                return sum(self.energy_j)
            case "max_memory":
                return float(max(self.memory_bytes))


def placement_of(problem: Problem, assignment: Sequence[int] | Integers) -> dict[str, str]:
    """Return each layer's device."""
    return {
        layer: problem.devices[device] for unit, device in zip(problem.units, assignment, strict=True) for layer in unit
    }
