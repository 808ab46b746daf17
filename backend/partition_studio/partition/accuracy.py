"""How much a plan changes what a network recognises: the whole and the parts on the same labelled frames."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import onnx

from partition_studio.errors import FrameInputError
from partition_studio.graph.classes import top_classes
from partition_studio.graph.runtime import Arrays, open_session
from partition_studio.partition.carry import Carrier
from partition_studio.partition.codecs import NOTHING, Settled
from partition_studio.partition.labelled import LabelledSet
from partition_studio.partition.partition import Partition
from partition_studio.partition.run_stages import Part, run_stages_on
from partition_studio.partition.stages import StageGraph

#: Tensors of the frames that go through the stages together take no more than about this.
BATCH_BYTES = 256 * 2**20


class NoClassesError(FrameInputError):
    """The network's outputs are no classes, or fewer than the labels name."""

    code = "no_classes"
    next_step = "Measure accuracy with a network whose output is one score for each class of the labelled set."


@dataclass(frozen=True, slots=True)
class AccuracyChange:
    """Share of the frames, 0 to 1, whose best class is the right one: of the whole network and of the parts.

    `flipped` is how many of the `frames` the parts call otherwise than the whole, be it right or wrong.
    """

    whole: float
    parts: float
    frames: int
    flipped: int

    @property
    def change(self) -> float:
        """How much the accuracy rises; below 0 where the parts are worse."""
        return self.parts - self.whole


def accuracy_change(
    original: onnx.ModelProto | bytes,
    partition: Partition,
    parts: Mapping[str, Part],
    labelled: LabelledSet,
    *,
    codecs: Settled = NOTHING,
    threads: int = 1,
) -> AccuracyChange:
    """Run the whole and the parts, with their codecs, on every labelled frame and count who is right.

    The class is that of the first output that is a vector of classes. One session is open at a time. Raises
    NoClassesError, PartNotRunnableError and what `labelled` raises.
    """
    labels = labelled.labels
    whole = _classes_of_whole(original, partition.graph, labelled, threads)
    called = _classes_of_parts(partition.graph, parts, labelled, codecs, threads)
    return AccuracyChange(
        whole=_share(whole, labels),
        parts=_share(called, labels),
        frames=len(labels),
        flipped=sum(a != b for a, b in zip(whole, called, strict=True)),
    )


def _share(called: Sequence[int], labels: Sequence[int]) -> float:
    return sum(a == b for a, b in zip(called, labels, strict=True)) / len(labels)


def _classes_of_whole(
    original: onnx.ModelProto | bytes, graph: StageGraph, labelled: LabelledSet, threads: int
) -> list[int]:
    session = open_session(original, threads=threads)
    names = list(graph.outputs)
    highest = max(labelled.labels)
    return [
        _class(dict(zip(names, session.run(names, labelled.frame(index)), strict=True)), names, highest)
        for index in range(len(labelled.labels))
    ]


def _classes_of_parts(
    graph: StageGraph, parts: Mapping[str, Part], labelled: LabelledSet, codecs: Settled, threads: int
) -> list[int]:
    highest = max(labelled.labels)
    called: list[int] = []
    for batch in _batches(graph, len(labelled.labels)):
        frames = [labelled.frame(index) for index in batch]
        answers: list[Arrays] = [{name: frame[name] for name in graph.outputs if name in frame} for frame in frames]
        carriers = [Carrier(graph, codecs) for _ in frames]
        for stage, made in run_stages_on(graph, parts, frames, carriers=carriers, threads=threads):
            kept = [name for name in stage.outputs if name in graph.outputs]
            for answer, values in zip(answers, made, strict=True):
                answer.update((name, values[name]) for name in kept)
        arrived = [carrier.bring_out(answer) for carrier, answer in zip(carriers, answers, strict=True)]
        called.extend(_class(answer, graph.outputs, highest) for answer in arrived)
    return called


def _batches(graph: StageGraph, count: int) -> Iterator[range]:
    frame_bytes = sum(kind.size_bytes for kind in graph.tensors.values())
    size = max(1, BATCH_BYTES // max(1, frame_bytes))
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


def _class(answer: Arrays, names: Sequence[str], highest: int) -> int:
    for name in names:
        best = top_classes(answer[name], k=1)
        if best is not None:
            if highest >= answer[name].size:
                raise NoClassesError(
                    f"The labels go up to {highest}; the output {name!r} has {answer[name].size} classes.", tensor=name
                )
            return best[0].index
    raise NoClassesError("No output of the network is a vector of classes.")
