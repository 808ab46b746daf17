"""A question as numbers: units of layers, devices, what each costs each. All searches work on this, and none on ONNX.

A *unit* is a connected group of layers that no search takes apart: what the runtimes of all devices run as one kernel,
as far as all of it lies in one stage wherever the others lie. Units are in topological order. An *assignment* gives
each unit a device: an array of `len(units)` integers.

What an assignment costs, as `evaluate` reckons it (and `predict` for the same plan, within 1 %):

- Its *stages* are those that `partition.stages.build_stages` makes.
- A stage on d takes `session_s[d]`, the `compute_s[d, u]` of its units, and `layout_byte_s[d]` for each byte of tensors
  in the runtime's own layout (`Tensor.is_laid_out`) that enter or leave it. Where a kernel had to be torn into several
  units, those without its heaviest layer take more in a stage without that (`Torn`).
- Its processor time is that times `min(threads, cores)`.
- A tensor made on one peer and read on others is sent once for each *stage* that reads it elsewhere. All tensors from
  one stage to another make one message: `message_s` and `byte_s` of processor time at both ends, bytes / bandwidth on
  the link. The studio (index -1) makes the network's inputs and reads its outputs.
- Resources, period and latency are those of `planner.flow` and `planner.throughput` (the studio has no cores there, but
  an interface); energy of a device per frame is `idle_w * period + active_w * busy processor seconds`, and nothing for
  one that gets nothing; memory is `partition.memory.memory_bound`.

What `detail` adds to that (torn kernels, shared weights, which activations live together) only adds costs: a search
that leaves it out reckons with too little at most, so its bound holds, and `evaluate` has the last word.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

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

    `consumers` are units, in order; `is_output`: the studio reads it. `is_laid_out`: all consumers take it in the
    runtime's own layout; where only some do, those are `laid_out_for`. One that does not `travel` (its type cannot
    leave a stage) must have all its consumers in its own stage.
    """

    name: str
    size_bytes: int
    producer: int
    consumers: tuple[int, ...]
    is_output: bool
    is_laid_out: bool
    laid_out_for: tuple[int, ...] = ()
    travels: bool = True

    @property
    def in_layout(self) -> tuple[int, ...]:
        """The consumers that take it in the runtime's own layout."""
        return self.consumers if self.is_laid_out else self.laid_out_for


@dataclass(frozen=True, slots=True)
class Torn:
    """A kernel of one device that lies in several units: in a stage without `head`, `unit` takes `extra_s` more."""

    device: int
    head: int
    unit: int
    extra_s: float


@dataclass(frozen=True, slots=True)
class SharedWeight:
    """A weight that several units read; it is in none of `weight_bytes`, and once in each stage with any of them."""

    size_bytes: int
    is_matrix: bool
    units: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One layer, for what is alive at once: its unit, and the activations that it reads and makes, by number."""

    unit: int
    reads: tuple[int, ...]
    makes: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Detail:
    """What only `evaluate` and `bounds` need; see the module.

    `steps` has all layers in topological order, `activation_bytes` the size of each activation, `output_activations`
    those that the studio reads; without steps the `live_bytes` of a stage's units stand for it. `packing_bytes` (U,)
    is the most that there is of each unit's matrices while they are packed; without it, twice what they are.
    `divided_s` (D, U) is what a unit takes at least in all where its layers are divided in any way (for `bounds`).
    """

    torn: tuple[Torn, ...] = ()
    shared: tuple[SharedWeight, ...] = ()
    steps: tuple[Step, ...] = ()
    activation_bytes: tuple[int, ...] = ()
    output_activations: frozenset[int] = frozenset()
    packing_bytes: tuple[int, ...] = ()
    divided_s: Floats | None = None


@dataclass(frozen=True, eq=False)
class Problem:
    """See the module. D devices, U units; arrays over peers have D + 1 entries, the studio's last.

    Attributes:
        units: the layers of each unit.
        devices: names, in the order of the question; those that it leaves out are not among them.
        compute_s: (D, U) seconds by the clock.
        session_s, layout_byte_s, cores, threads: (D,).
        message_s, byte_s: (D + 1,) processor seconds; `beside_byte_s` is the part of `byte_s` that makes no frame late.
        tensors: those that pass between units, and the network's inputs and outputs.
        link_bytes_per_s, link_latency_s: (D + 1, D + 1) from row to column; the diagonal is unused.
        interface_bytes_per_s: (D + 1,) infinite where none is shared.
        weight_bytes, matrix_bytes, live_bytes, layers: (U,) of each unit, for memory; `live_bytes` is the largest set
            of activations that is alive at once when the unit alone is a stage: never more than in a larger one.
        memory_bytes: (D,) the limit; a very large number where there is none.
        idle_w, active_w: (D,) NaN where not known.
        allowed: (D, U) whether a unit may lie on a device: pins, privacy.
        objective, limits: of the question.
        detail: what only `evaluate` needs.
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
    detail: Detail = field(default=Detail())
    beside_byte_s: Floats | None = None

    @cached_property
    def reads(self) -> tuple[tuple[int, ...], ...]:
        """The tensors that each unit reads from outside it, by number."""
        found: list[list[int]] = [[] for _ in self.units]
        for number, tensor in enumerate(self.tensors):
            for unit in tensor.consumers:
                found[unit].append(number)
        return tuple(map(tuple, found))

    @cached_property
    def way_byte_s(self) -> Floats:
        """(D + 1,) processor seconds of a byte that a frame waits for."""
        return self.byte_s if self.beside_byte_s is None else self.byte_s - self.beside_byte_s

    @cached_property
    def cpu_per_s(self) -> Floats:
        """(D,) processor seconds in a second of computing."""
        return np.minimum(self.threads, self.cores)

    @property
    def needs_power(self) -> bool:
        """Whether the question speaks of energy."""
        limits = self.limits
        asked = limits.max_energy_j is not None or limits.max_total_energy_j is not None
        return asked or self.objective in ("max_energy", "total_energy")


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
