"""Do the parts give the same answer as the whole? Both run in ONNX Runtime, and every tensor between is compared.

The measure is `max|parts - whole| / max|whole|` for each tensor: relative to the tensor's largest value, because an
element near zero has no meaningful relative error of its own. A placement alone changes no arithmetic; where a cut
stands between two layers that the runtime would have fused, the order of additions may differ by some units in the
last place. Elements that are not finite must be the same on both sides.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from partition_studio.errors import PlanError
from partition_studio.graph.difference import TOLERANCES, difference
from partition_studio.graph.network import Network, value_info
from partition_studio.graph.runtime import Arrays, error_sentence, open_session, run_model, runtime_error_types
from partition_studio.graph.weights import index_of
from partition_studio.partition.draft import Origin
from partition_studio.partition.partition import Partition
from partition_studio.partition.stages import SINK, StageGraph

#: Largest allowed relative difference where layers are divided (`TOLERANCES` holds those of a placement): sums over
#: input channels are added in another order.
SHARD_TOLERANCES = {"float64": 1e-8, "float32": 1e-4, "float16": 2e-2}


class PartsDifferError(PlanError):
    """The parts do not give the whole's answer."""

    code = "parts_differ"
    next_step = "This is a fault of the studio: please report it with the network and the plan."


class PartNotRunnableError(PlanError):
    """ONNX Runtime refuses or fails one of the parts."""

    code = "part_not_runnable"
    next_step = "Move the cuts of that stage, or report it as a fault of the studio with the network and the plan."


@dataclass(frozen=True, slots=True)
class TensorDifference:
    """How one tensor of the parts differs from the whole's.

    `made_by` is its stage; `is_output` of the network; `whole` the whole's tensor, of which it may be a piece.
    `tolerance` is infinite where the plan makes the tensor approximate on purpose.
    """

    tensor: str
    made_by: str
    is_output: bool
    max_abs: float
    max_rel: float
    tolerance: float
    whole: str

    @property
    def ok(self) -> bool:
        """Whether the difference is within the tolerance."""
        return self.max_rel <= self.tolerance


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of one comparison. `per_tensor` is in the order in which the parts make the tensors.

    `max_abs` and `max_rel` are over the network's outputs; `tolerance` is the loosest that was applied to one of them.
    `outputs` are the whole's answers, `part_outputs` those of the parts.
    """

    per_tensor: tuple[TensorDifference, ...]
    outputs: Mapping[str, np.ndarray[Any, Any]]
    part_outputs: Mapping[str, np.ndarray[Any, Any]]

    @property
    def approximate(self) -> bool:
        """Whether an output of the network differs from the whole's on purpose."""
        return any(d.is_output and d.tolerance == float("inf") for d in self.per_tensor)

    @property
    def ok(self) -> bool:
        """Whether every tensor, inner ones included, is within its tolerance."""
        return all(difference.ok for difference in self.per_tensor)

    @property
    def max_abs(self) -> float:
        """Largest absolute difference over the network's outputs."""
        return max((d.max_abs for d in self.per_tensor if d.is_output), default=0.0)

    @property
    def max_rel(self) -> float:
        """Largest relative difference over the network's outputs."""
        return max((d.max_rel for d in self.per_tensor if d.is_output), default=0.0)

    @property
    def tolerance(self) -> float:
        """Largest tolerance over the network's outputs."""
        return max((d.tolerance for d in self.per_tensor if d.is_output), default=0.0)

    @property
    def first_difference(self) -> TensorDifference | None:
        """The first tensor, in the parts' order, beyond its tolerance."""
        return next((d for d in self.per_tensor if not d.ok), None)

    def require_equal(self) -> None:
        """Raise PartsDifferError naming the first tensor that differs."""
        first = self.first_difference
        if first is not None:
            raise PartsDifferError(
                f"The parts do not equal the whole: the tensor {first.tensor!r} of the stage {first.made_by!r} "
                f"differs by {first.max_rel:.2e} of its largest value (allowed: {first.tolerance:.0e}).",
                tensor=first.tensor,
                stage=first.made_by,
            )


def verify(
    original: onnx.ModelProto | bytes,
    partition: Partition,
    parts: Mapping[str, bytes],
    frame: Mapping[str, np.ndarray[Any, Any]],
    *,
    threads: int = 1,
    optimise: bool = True,
    on_stage: Callable[[str], None] | None = None,
) -> Verification:
    """Run the whole and the parts on one frame and compare every output and every tensor that crosses a cut.

    `original` is the oracle (`graph.load.original_model`), `parts` the bytes of each stage's sub-model. The outputs
    are compared with a plain run of the whole; the inner tensors with a second run that exposes them, as exposing
    keeps the runtime from fusing over them. A shard's tensor is compared with its piece of the whole's; partial sums,
    and what the original does not have (as within an inlined function), are not compared. Without `optimise`, neither
    side fuses layers, and a placement must be equal to the last bit. `on_stage` is told each stage before it runs.
    """
    graph = partition.graph
    made = run_parts(graph, parts, frame, threads=threads, optimise=optimise, on_stage=on_stage)
    whole = original if isinstance(original, onnx.ModelProto) else onnx.ModelProto.FromString(original)
    expected = run_model(whole, frame, graph.outputs, threads=threads, optimise=optimise)
    makers = {tensor: stage.name for stage in graph.stages for tensor in stage.outputs}
    origins = {name: _origin(partition, name) for name in makers}
    inner = {origin.whole for origin in origins.values() if origin is not None} - set(graph.outputs)
    expected.update(_run_exposed(whole, partition.whole, inner, frame, threads, optimise))
    straight = [name for name in graph.outputs if name not in makers]
    differences = []
    for name in (*makers, *straight):
        origin = origins.get(name, Origin(name, ()))
        if origin is not None and origin.whole in expected:
            differences.append(
                _compare(
                    name,
                    origin,
                    makers.get(name, SINK),
                    made[name],
                    expected[origin.whole],
                    is_output=name in graph.outputs,
                    tolerances=_tolerances(partition, name, optimise),
                )
            )
    return Verification(
        tuple(differences),
        {name: expected[name] for name in graph.outputs},
        {name: made[name] for name in graph.outputs},
    )


def _origin(partition: Partition, tensor: str) -> Origin | None:
    """Return which piece of the whole network's tensors a tensor of the parts equals, if any."""
    if tensor in partition.division.origins:
        return partition.division.origins[tensor]
    return Origin(tensor, ()) if tensor in partition.whole.tensors else None


def _tolerances(partition: Partition, tensor: str, optimise: bool) -> Mapping[str, float]:
    if tensor in partition.division.approximate:
        return dict.fromkeys(SHARD_TOLERANCES, float("inf"))
    if partition.network is not partition.whole:
        return SHARD_TOLERANCES
    return TOLERANCES if optimise else {}


def run_parts(
    graph: StageGraph,
    parts: Mapping[str, bytes],
    frame: Mapping[str, np.ndarray[Any, Any]],
    *,
    threads: int = 1,
    optimise: bool = True,
    on_stage: Callable[[str], None] | None = None,
) -> Arrays:
    """Run the stages one after the other and return every tensor that crosses a cut, the network's inputs included.

    Raises PartNotRunnableError, which names the stage.
    """
    values: Arrays = dict(frame)
    for stage in graph.stages:
        if on_stage is not None:
            on_stage(stage.name)
        feeds = {name: values[name] for name in stage.inputs}
        try:
            values.update(run_model(parts[stage.name], feeds, stage.outputs, threads=threads, optimise=optimise))
        except runtime_error_types() as error:
            raise PartNotRunnableError(
                f"ONNX Runtime cannot run the stage {stage.name!r}: {error_sentence(error)}", stage=stage.name
            ) from error
    return values


def _run_exposed(
    whole: onnx.ModelProto,
    network: Network,
    inner: Iterable[str],
    frame: Mapping[str, np.ndarray[Any, Any]],
    threads: int,
    optimise: bool,
) -> Arrays:
    there = {name for node in whole.graph.node for name in node.output}
    names = sorted(there.intersection(inner))
    if not names:
        return {}
    listed = len(whole.graph.output)
    whole.graph.output.extend(value_info(name, network.tensors[name]) for name in names)
    try:
        session = open_session(whole, threads=threads, optimise=optimise)
    finally:
        del whole.graph.output[listed:]
    return dict(zip(names, session.run(names, dict(frame)), strict=True))


def _compare(
    name: str,
    origin: Origin,
    made_by: str,
    part: np.ndarray[Any, Any],
    whole: np.ndarray[Any, Any],
    *,
    is_output: bool,
    tolerances: Mapping[str, float],
) -> TensorDifference:
    piece = whole[index_of(whole.ndim, origin.ranges)]
    max_abs, max_rel = difference(part, piece)
    return TensorDifference(
        name, made_by, is_output, max_abs, max_rel, tolerances.get(str(whole.dtype), 0.0), origin.whole
    )
