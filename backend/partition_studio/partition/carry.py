"""Tensors on their way from stage to stage: encoded and decoded as the devices do it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from partition_agent.codecs import decode, encode, header_of
from partition_agent.protocol import LinkCodec
from partition_studio.errors import PlanError
from partition_studio.graph.classes import top_classes
from partition_studio.graph.difference import difference
from partition_studio.graph.runtime import Arrays
from partition_studio.partition.codecs import LOSSLESS, NOTHING, OnCut, Settled
from partition_studio.partition.stages import SINK, StageGraph

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Carried:
    """How a tensor really travelled: the codec that could hold it, and its bytes before and on the wire."""

    codec: str
    size_bytes: int
    wire_bytes: int


class CodecFaultError(PlanError):
    """A codec that must give back every bit did not."""

    code = "codec_fault"
    next_step = "This is a fault of the studio: please report it with the network and the plan, and use another codec."


def carry(name: str, array: Array, codec: LinkCodec) -> tuple[Array, Carried]:
    """Return what arrives of a tensor that is sent with a codec, and how it travelled. Raises CodecFaultError."""
    used, data = encode(array, codec)
    header = header_of(name, array, used, data.nbytes)
    arrived = decode(header, data)
    if used in LOSSLESS and arrived.tobytes() != array.tobytes():
        raise CodecFaultError(f"The codec {used} did not give back the tensor {name!r}.", tensor=name, codec=used)
    return arrived, Carried(used, array.nbytes, data.nbytes)


class Carrier:
    """Brings one frame's tensors to the stages that read them; what has no codec arrives as it is.

    `carried` tells of those that had one, in the order in which they were read.
    """

    def __init__(self, graph: StageGraph, codecs: Settled = NOTHING) -> None:
        #: Where replicas make a tensor, the frame takes the way over the first of them.
        self._ways: dict[tuple[str, str], OnCut] = {}
        for cut in graph.cuts:
            for tensor in cut.tensors:
                self._ways.setdefault((cut.consumer, tensor), (cut.id, tensor))
        self._codecs = codecs
        self.carried: dict[OnCut, Carried] = {}

    def bring(self, reader: str, tensor: str, array: Array) -> Array:
        """Return a tensor as it arrives at a stage, or at SINK."""
        way = self._ways.get((reader, tensor))
        codec = None if way is None else self._codecs.get(way)
        if way is None or codec is None:
            return array
        arrived, self.carried[way] = carry(tensor, array, codec)
        return arrived

    def bring_out(self, outputs: Mapping[str, Array]) -> Arrays:
        """Return outputs of the network as they arrive."""
        return {name: self.bring(SINK, name, array) for name, array in outputs.items()}


@dataclass(frozen=True, slots=True)
class CodecEffect:
    """How much the codecs change the network's outputs, over some frames.

    `max_abs` and `max_rel` (of the largest value of the output) are against the same parts without lossy codecs, over
    all outputs and frames. `same_class` counts the frames whose best class stays; None where no output is a vector of
    classes. `carried` is how the tensors of the first frame travelled.
    """

    max_abs: float
    max_rel: float
    frames: int
    same_class: int | None
    carried: Mapping[OnCut, Carried]


def codec_effect(plain: list[Arrays], coded: list[Arrays], carried: Mapping[OnCut, Carried]) -> CodecEffect:
    """Compare the outputs of some frames without lossy codecs and with them."""
    max_abs = max_rel = 0.0
    classes: list[bool] = []
    for before, after in zip(plain, coded, strict=True):
        for name, whole in before.items():
            changed = difference(after[name], whole)
            max_abs, max_rel = max(max_abs, changed[0]), max(max_rel, changed[1])
        best = best_class(before)
        if best is not None:
            classes.append(best == best_class(after))
    same = sum(classes) if len(classes) == len(plain) else None
    return CodecEffect(max_abs, max_rel, len(plain), same, MappingProxyType(dict(carried)))


def best_class(outputs: Arrays) -> int | None:
    """Return the best class of the first output that is a vector of classes."""
    for array in outputs.values():
        best = top_classes(array, k=1)
        if best is not None:
            return best[0].index
    return None
