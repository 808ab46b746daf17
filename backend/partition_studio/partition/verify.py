"""Do the parts give the same answer as the whole? Both run in ONNX Runtime, and every tensor between is compared.

The measure is that of `graph.difference`: the largest difference of a tensor in proportion to the largest value of
the whole's tensor. What may differ, and how much:

- A placement alone changes no arithmetic: without the runtime's optimisation it is equal to the last bit. With it,
  layers that the runtime would have fused stand on both sides of a cut, and additions come in another order.
- Exact shards add sums in another order.
- Behind a layer that quantises, a difference in the last place may become a step of the quantisation; and a product
  with dequantised weights is quantised by the runtime where it optimises. Networks with such layers are therefore
  judged without its optimisation, where a placement is equal to the last bit; how far the optimised parts are from
  the optimised whole is told beside it.
- What a plan makes approximate on purpose may differ by any amount; it must still be of the right type and finite.

Codecs without loss must change nothing, and are judged with the rest. Lossy ones are put in afterwards: the plan must
be right without them, and what they change in the outputs is told, whatever it is.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx

from partition_studio.errors import PlanError
from partition_studio.graph.difference import TOLERANCES, difference
from partition_studio.graph.network import Network, value_info
from partition_studio.graph.runtime import Arrays, open_session, run_model, runtime_error_types
from partition_studio.graph.weights import index_of
from partition_studio.partition.carry import Carrier, CodecEffect, codec_effect
from partition_studio.partition.codecs import NOTHING, Settled, is_lossy, without_lossy
from partition_studio.partition.draft import Origin
from partition_studio.partition.partition import Partition
from partition_studio.partition.run_stages import Part as Part
from partition_studio.partition.run_stages import PartNotRunnableError as PartNotRunnableError
from partition_studio.partition.run_stages import run_stages_on as run_stages_on
from partition_studio.partition.stages import SINK

Array = np.ndarray[Any, Any]

#: Largest allowed relative difference where layers are divided (`TOLERANCES` holds those of a placement): sums over
#: input channels are added in another order.
SHARD_TOLERANCES = {"float64": 1e-8, "float32": 1e-4, "float16": 2e-2}

#: The same behind quantising layers: some steps, in proportion to the range of 8 bits, or to the largest value.
STEPS_TOLERANCES = {"int8": 0.05, "uint8": 0.05, "float16": 0.2, "float32": 0.2, "float64": 0.2}

_EIGHT_BITS = {"int8": 127, "uint8": 255}


class PartsDifferError(PlanError):
    """The parts do not give the whole's answer."""

    code = "parts_differ"
    next_step = "This is a fault of the studio: please report it with the network and the plan."


@dataclass(frozen=True, slots=True)
class TensorDifference:
    """How one tensor of the parts differs from the whole's.

    `made_by` is its stage; `is_output` of the network; `whole` the whole's tensor, of which it may be a piece.
    `max_abs` is infinite where shape, element type or an element that is not finite differs. `tolerance` is infinite
    where the plan makes the tensor approximate on purpose.
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
        return math.isfinite(self.max_abs) and self.max_rel <= self.tolerance

    @property
    def approximate(self) -> bool:
        """Whether the plan makes this tensor approximate."""
        return math.isinf(self.tolerance)


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of one comparison. `per_tensor` is in the order in which the parts make the tensors.

    `max_abs` and `max_rel` are over the network's outputs; `tolerance` is the loosest that was applied to one of them.
    `outputs` are the whole's answers, `part_outputs` those of the parts, both as they are run on devices, codecs
    included. `optimised_max_rel` is by how much those differ where the network was judged without the runtime's
    optimisation. `codec_effect` is what the codecs do, where there are any.
    """

    per_tensor: tuple[TensorDifference, ...]
    outputs: Mapping[str, Array]
    part_outputs: Mapping[str, Array]
    optimised_max_rel: float | None = None
    codec_effect: CodecEffect | None = None

    @property
    def approximate(self) -> bool:
        """Whether an output of the network differs from the whole's on purpose: by shards or by codecs."""
        return self.device_slack > 0.0 or any(d.is_output and d.approximate for d in self.per_tensor)

    @property
    def device_slack(self) -> float:
        """By how much more, of the largest value, devices may differ from `part_outputs` than without lossy codecs.

        A value that another processor rounds differently may fall into the next step of a codec; what all steps
        together change is the bound of what a few of them do.
        """
        return 0.0 if self.codec_effect is None else self.codec_effect.max_rel

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
            raise PartsDifferError(_sentence(first), tensor=first.tensor, stage=first.made_by)


def _sentence(first: TensorDifference) -> str:
    where = f"The parts do not equal the whole: the tensor {first.tensor!r} of the stage {first.made_by!r}"
    if math.isinf(first.max_abs):
        return f"{where} has another shape or element type, or elements that are not finite on one side only."
    allowed = f"allowed: {first.tolerance:.0e}" if first.tolerance else "it must be equal to the last bit"
    return f"{where} differs by {first.max_rel:.2e} of its largest value ({allowed})."


def verify(
    original: onnx.ModelProto | bytes,
    partition: Partition,
    parts: Mapping[str, Part],
    frame: Mapping[str, Array],
    *,
    codecs: Settled = NOTHING,
    samples: Sequence[Mapping[str, Array]] = (),
    threads: int = 1,
    optimise: bool = True,
    on_stage: Callable[[str], None] | None = None,
) -> Verification:
    """Run the whole and the parts on one frame and compare every output and every tensor that crosses a cut.

    `original` is the oracle (`graph.load.original_model`), `parts` the sub-model of each stage. The outputs
    are compared with a plain run of the whole; the inner tensors with a second run that exposes them, as exposing
    keeps the runtime from fusing over them. A shard's tensor is compared with its piece of the whole's; partial sums,
    and what the original does not have (as within an inlined function), are not compared. Without `optimise`, neither
    side fuses layers, and a placement must be equal to the last bit. `on_stage` is told each stage before it runs.
    One session is open at a time, and a tensor is kept until its last reader ran. What `codecs` change is measured on
    the frame and on `samples`.
    """
    whole = original if isinstance(original, onnx.ModelProto) else onnx.ModelProto.FromString(original)
    frames = [frame, *samples] if is_lossy(codecs) else [frame]
    trial = _Trial(partition, parts, codecs, frames, threads, on_stage)
    if not optimise or not quantises(partition.network):
        return _compare_all(whole, trial, optimise)
    proof = _compare_all(whole, replace(trial, codecs=without_lossy(codecs), frames=[frame]), False)
    as_run = _compare_all(whole, trial, True)
    return replace(
        proof,
        outputs=as_run.outputs,
        part_outputs=as_run.part_outputs,
        optimised_max_rel=as_run.max_rel,
        codec_effect=as_run.codec_effect,
    )


@dataclass(frozen=True, slots=True)
class _Trial:
    """What is put to the proof; the first of `frames` is compared with the whole."""

    partition: Partition
    parts: Mapping[str, Part]
    codecs: Settled
    frames: list[Mapping[str, Array]]
    threads: int
    on_stage: Callable[[str], None] | None


def is_divided(partition: Partition) -> bool:
    """Say whether a plan divides layers, not only places them."""
    return partition.network is not partition.whole


def quantises(network: Network) -> bool:
    """Say whether a network quantises, or the runtime does so where it optimises: products with dequantised weights."""
    dequantised: set[str] = set()
    for node in network.nodes:
        is_weight = any(name in network.weight_nodes for name in node.output)
        if is_weight and (node.op_type == "DequantizeLinear" or dequantised.intersection(node.input)):
            dequantised.update(node.output)
    products = (layer for layer in network.layers if layer.op_type in ("MatMul", "Gemm"))
    fused = any(dequantised.intersection(network.nodes_by_layer[layer.name].input) for layer in products)
    return fused or bool(stepped_tensors(network))


def stepped_tensors(network: Network) -> frozenset[str]:
    """Return the tensors that quantising layers make, and those made of them."""
    stepped: set[str] = set()
    for layer in network.layers:
        rounds = layer.op_type in ("QuantizeLinear", "DynamicQuantizeLinear") or layer.op_type.startswith("QLinear")
        if rounds or stepped.intersection(layer.inputs):
            stepped.update(layer.outputs)
    return frozenset(stepped)


def _compare_all(whole: onnx.ModelProto, trial: _Trial, optimise: bool) -> Verification:
    partition, frame, graph = trial.partition, trial.frames[0], trial.partition.graph
    origins = {name: _origin(partition, name) for stage in graph.stages for name in stage.outputs}
    wanted = {origin.whole for origin in origins.values() if origin is not None}
    expected = _run_whole(whole, partition.whole, wanted, frame, trial.threads, optimise)
    tolerances = _Tolerances(partition, optimise)
    differences = []
    carriers, frames = _carriers(trial)
    answers: list[Arrays] = [{name: one[name] for name in graph.outputs if name in one} for one in frames]
    running = run_stages_on(
        graph,
        trial.parts,
        frames,
        carriers=carriers,
        threads=trial.threads,
        optimise=optimise,
        on_stage=trial.on_stage,
    )
    for stage, made in running:
        for answer, outputs in zip(answers, made, strict=True):
            answer.update((name, array) for name, array in outputs.items() if name in partition.network.outputs)
        for name in stage.outputs:
            origin = origins[name]
            if origin is not None and origin.whole in expected:
                differences.append(
                    _compare(name, origin, stage.name, made[0][name], expected[origin.whole], tolerances)
                )
    answers = [carrier.bring_out(answer) for carrier, answer in zip(carriers, answers, strict=True)]
    plain, coded = answers[: len(trial.frames)], answers[-len(trial.frames) :]
    for name in graph.outputs:
        if name in frame:
            differences.append(_compare(name, Origin(name, ()), SINK, plain[0][name], expected[name], tolerances))
    effect = codec_effect(plain, coded, carriers[-len(trial.frames)].carried) if trial.codecs else None
    constants = partition.network.constant_outputs
    given = coded[0]
    if constants:
        # Folded without optimisation, so they are compared with the same.
        expected.update(run_model(whole, frame, list(constants), threads=trial.threads, optimise=False))
        given.update((name, weight.array()) for name, weight in constants.items())
        differences += [_compare(n, Origin(n, ()), SINK, given[n], expected[n], tolerances) for n in constants]
    names = [*graph.outputs, *constants]
    return Verification(
        tuple(differences),
        {name: expected[name] for name in names},
        {name: given[name] for name in names},
        codec_effect=effect,
    )


def _carriers(trial: _Trial) -> tuple[list[Carrier], list[Mapping[str, Array]]]:
    """Return the frames as they are to be run, and how each one's tensors travel.

    Every frame is run without lossy codecs; then, where there are some, every frame with them.
    """
    rounds = [without_lossy(trial.codecs), *([trial.codecs] if is_lossy(trial.codecs) else [])]
    carriers = [Carrier(trial.partition.graph, codecs) for codecs in rounds for _ in trial.frames]
    return carriers, trial.frames * len(rounds)


def _origin(partition: Partition, tensor: str) -> Origin | None:
    """Return which piece of the whole network's tensors a tensor of the parts equals, if any."""
    if tensor in partition.division.origins:
        return partition.division.origins[tensor]
    return Origin(tensor, ()) if tensor in partition.whole.tensors else None


class _Tolerances:
    """How much each tensor of a partition may differ."""

    def __init__(self, partition: Partition, optimise: bool) -> None:
        self.outputs = frozenset([*partition.graph.outputs, *partition.network.constant_outputs])
        self._approximate = partition.division.approximate
        divided = is_divided(partition)
        self._by_dtype = SHARD_TOLERANCES if divided else TOLERANCES if optimise else {}
        if any(kind.dtype == "float16" for kind in partition.network.tensors.values()):
            # Processors compute float16 in float32 and round where a tensor leaves the runtime, so at every cut; what
            # is made of such tensors, in whatever type, has no more digits than they have.
            rounded = SHARD_TOLERANCES if divided else TOLERANCES
            self._by_dtype = {name: max(rounded["float16"], most) for name, most in rounded.items()}
        self._stepped = stepped_tensors(partition.network) if divided else frozenset()

    def of(self, tensor: str, dtype: str) -> float:
        """Return the largest relative difference that is allowed."""
        if tensor in self._approximate:
            return math.inf
        if tensor in self._stepped:
            return STEPS_TOLERANCES.get(dtype, 0.0)
        return self._by_dtype.get(dtype, 0.0)


def _run_whole(
    whole: onnx.ModelProto,
    network: Network,
    wanted: Iterable[str],
    frame: Mapping[str, Array],
    threads: int,
    optimise: bool,
) -> Arrays:
    """Return the outputs of the original, and those of its inner tensors that are wanted."""
    there = {name for node in whole.graph.node for name in node.output}
    outputs = list(network.outputs)
    inner = sorted(there.intersection(wanted).difference(outputs))
    if optimise:
        try:
            expected = run_model(whole, frame, outputs, threads=threads)
            if inner:
                expected.update(_run_exposed(whole, network, inner, frame, threads, optimise))
            return expected
        except runtime_error_types():
            # The runtime's optimisation can fail on a network that runs: where it is wrong about a pool's size.
            pass
    # Nothing is fused, so that exposing a tensor changes nothing.
    return _run_exposed(whole, network, [*outputs, *inner], frame, threads, False)


def _run_exposed(
    whole: onnx.ModelProto,
    network: Network,
    names: Collection[str],
    frame: Mapping[str, Array],
    threads: int,
    optimise: bool,
) -> Arrays:
    listed = len(whole.graph.output)
    inner = [name for name in names if name not in network.outputs]
    whole.graph.output.extend(value_info(name, network.tensors[name]) for name in inner)
    try:
        session = open_session(whole, threads=threads, optimise=optimise)
    finally:
        del whole.graph.output[listed:]
    return dict(zip(names, session.run(list(names), dict(frame)), strict=True))


def _compare(
    name: str, origin: Origin, made_by: str, part: Array, whole: Array, tolerances: _Tolerances
) -> TensorDifference:
    max_abs, max_rel = difference(part, whole[index_of(whole.ndim, origin.ranges)])
    if 0.0 < max_abs < math.inf:
        # A piece is measured by the whole tensor: one that is dark by chance has no meaningful scale of its own.
        scale = _EIGHT_BITS.get(str(whole.dtype)) or _largest(whole)
        max_rel = max_abs / scale if scale else math.inf
    tolerance = tolerances.of(name, str(whole.dtype))
    return TensorDifference(name, made_by, name in tolerances.outputs, max_abs, max_rel, tolerance, origin.whole)


def _largest(array: Array) -> float:
    """Return the largest absolute value among the finite ones."""
    return float(np.abs(array[np.isfinite(array)].astype(np.float64)).max(initial=0.0))
