"""What the agent of a device takes of memory at most, by plan and before anything is sent: a sum whose terms are known.

Every queue of an agent is bounded, so its memory is too. The terms, and where their factors come from (resident memory
of agents and of the process that optimises, measured by `bench.memory` with ONNX Runtime 1.19 and 1.31 on x86 over the
nine architectures; a table of prediction and measurement is in `docs/memory.md`):

- *agent*: Python, the agent, NumPy, ZeroMQ and ONNX Runtime with one small stage: `AGENT_BYTES`.
- *weights*: once. A large sub-model is mapped from the disk; where the runtime packs a matrix anew, it lets go of the
  page mapping of the original.
- *activations*: the arena of a session grows by doubling, so it holds at most `ARENA_FACTOR` times what is alive at
  once, and never less than `ARENA_BYTES`; it keeps that, so those of all stages add up. With micro-batches, as many
  times more.
- *graph*: `LAYER_BYTES` for each layer of a stage: nodes, kernels, names.
- *receive*: the window of each link that ends here, in frames, times its bytes: what a producer may send unasked; and
  what decoding takes beside that.
- *send*: the window of each link that begins here, likewise: what a slow consumer has not taken; and what encoding
  takes. A frame that was computed with others is a part of all their arrays: those that went keep their place until
  it goes, too.
- *load*: how far loading goes above the sum of all these. Stages are loaded one after the other. A sub-model of at
  least `AHEAD_FROM_BYTES` of weights is first optimised in a process of its own (`CHILD_BYTES`), which maps the
  weights, fuses and re-orders those of convolutions (`CONVOLUTION_COPIES` in all) and does not copy matrices; then the
  agent maps the result and packs one matrix after the other, holding each twice for a moment. A smaller one is loaded
  in the agent, with the file's weights on the heap meanwhile (`PLAIN_COPIES` in all, and `PLAIN_BYTES`).

A frame in a link travels encoded or as it is; what a codec makes is never longer, so raw bytes bound both. One frame
at a time is encoded, and one decoded: there its tensors are held both ways, and one of them a third time
(`CODEC_SCRATCH`): packers fill a buffer before they know how long the result is, the others go block by block.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from partition_studio.graph.network import Layer, Network
from partition_studio.partition.stages import Stage

MIB = 2**20

AGENT_BYTES = 75 * MIB
ARENA_FACTOR = 2.0
ARENA_BYTES = 4 * MIB
LAYER_BYTES = 16 * 1024

#: As the agent decides (`partition_agent.stages`).
AHEAD_FROM_BYTES = 16 * MIB
CHILD_BYTES = 80 * MIB
CONVOLUTION_COPIES = 2.75
PLAIN_COPIES = 3.0
PLAIN_BYTES = 12 * MIB

#: Of what a tensor takes, how much more than itself and its result a codec takes while it works; and that of any size.
CODEC_SCRATCH = 1.25
CODEC_BYTES = 8 * MIB

_MATRIX_KINDS = frozenset(("Gemm", "MatMul"))


@dataclass(frozen=True, slots=True)
class StageNeed:
    """What of a stage takes memory: bytes of its weights, and of those that are matrices.

    `packing_bytes` is the most that there is of matrices while they are packed in the order of the layers. `live_bytes`
    are its largest set of activations alive at once, for one frame.
    """

    weight_bytes: int
    matrix_bytes: int
    packing_bytes: int
    live_bytes: int
    layers: int

    def held_bytes(self, batch: int = 1) -> int:
        """Return what the stage holds once it is loaded and has run."""
        arena = ARENA_FACTOR * self.live_bytes * batch + ARENA_BYTES
        return self.weight_bytes + int(arena) + self.layers * LAYER_BYTES

    def load_peak_bytes(self, batch: int = 1) -> int:
        """Return the most that there is of it while it is loaded, on top of what is loaded already."""
        if self.weight_bytes < AHEAD_FROM_BYTES:
            plain = int(PLAIN_COPIES * self.weight_bytes) + PLAIN_BYTES + self.layers * LAYER_BYTES
            return max(plain, self.held_bytes(batch))
        convolutions = self.weight_bytes - self.matrix_bytes
        child = CHILD_BYTES + int(CONVOLUTION_COPIES * convolutions) + self.matrix_bytes + self.layers * LAYER_BYTES
        # Matrices are packed before anything runs: neither activations nor other weights are in memory then.
        return max(child, self.packing_bytes + self.layers * LAYER_BYTES, self.held_bytes(batch))


@dataclass(frozen=True, slots=True)
class LinkNeed:
    """What of a link takes memory at one end: bytes of a frame, how many frames may wait, and which are encoded.

    `coded_bytes` are those of all tensors of a frame that do not travel as they are, `largest_bytes` of the largest of
    them. `batch` frames at once may come from one computation at this end.
    """

    frame_bytes: int
    window: int
    coded_bytes: int = 0
    largest_bytes: int = 0
    batch: int = 1


def link_bytes(links: Sequence[LinkNeed]) -> int:
    """Return the most that the frames of all links that end, or of all that begin, on a device take there."""
    waiting = sum(link.frame_bytes * (link.window + link.batch - 1) for link in links)
    coding = max((link.coded_bytes + CODEC_SCRATCH * link.largest_bytes for link in links), default=0)
    return waiting + (int(coding) + CODEC_BYTES if coding else 0)


@dataclass(frozen=True, slots=True)
class MemoryBound:
    """The most that an agent takes, in parts; see the module. `stage_bytes` are weights, activations and graphs."""

    agent_bytes: int
    stage_bytes: int
    load_bytes: int
    receive_bytes: int
    send_bytes: int

    @property
    def bound_bytes(self) -> int:
        """All of it."""
        return self.agent_bytes + self.stage_bytes + self.load_bytes + self.receive_bytes + self.send_bytes


def memory_bound(stages: Iterable[StageNeed], receive_bytes: int, send_bytes: int, batch: int = 1) -> MemoryBound:
    """Return the bound of an agent that loads `stages` in this order.

    `receive_bytes` and `send_bytes` are those of its links (see `link_bytes`).
    """
    held = peak = 0
    for stage in stages:
        peak = max(peak, held + stage.load_peak_bytes(batch))
        held += stage.held_bytes(batch)
    running = held + receive_bytes + send_bytes
    return MemoryBound(AGENT_BYTES, held, max(peak - running, 0), receive_bytes, send_bytes)


def stage_need(network: Network, stage: Stage) -> StageNeed:
    """Return what of a stage takes memory."""
    layers = [network.layer(name) for name in stage.layers]
    sizes = {name: network.weight_sizes[name] for layer in layers for name in layer.weights}
    # A matrix that several layers read is packed once.
    names = dict.fromkeys(name for layer in layers for name in matrix_weights(layer))
    packed = packing = 0
    for name in names:
        packing = max(packing, packed + 2 * sizes[name])
        packed += sizes[name]
    return StageNeed(
        weight_bytes=sum(sizes.values()),
        matrix_bytes=packed,
        packing_bytes=packing,
        live_bytes=peak_activation_bytes(network, stage),
        layers=len(layers),
    )


def matrix_weights(layer: Layer) -> tuple[str, ...]:
    """Return the weights of a layer that the runtime packs as matrices."""
    return layer.weights if layer.op_type in _MATRIX_KINDS else ()


def peak_activation_bytes(network: Network, stage: Stage) -> int:
    """Return the most bytes of activations alive at once when the stage's layers run in order.

    The stage's inputs live until their last reader, its outputs to the end. The runtime may do better by computing in
    place, and needs scratch memory besides; this is an estimate.
    """
    layers = [network.layer(name) for name in stage.layers]
    last_use: dict[str, int] = {}
    for index, layer in enumerate(layers):
        last_use.update(dict.fromkeys(layer.outputs, index))
        last_use.update(dict.fromkeys(layer.inputs, index))
    last_use.update(dict.fromkeys(stage.outputs, len(layers)))
    size = network.tensor_sizes
    dying: list[int] = [0] * (len(layers) + 1)
    for tensor, index in last_use.items():
        dying[index] += size[tensor]
    alive = peak = sum(size[tensor] for tensor in stage.inputs)
    for index, layer in enumerate(layers):
        alive += sum(size[tensor] for tensor in layer.outputs)
        peak = max(peak, alive)
        alive -= dying[index]
    return peak
