"""What a network takes on a device where nobody measured it: multiply-accumulates and bytes under a roofline. Pure.

A kernel takes as long as its arithmetic or its bytes do, whichever is longer (Williams, Waterman and Patterson,
"Roofline", CACM 52(4), 2009), and a little for itself. Typical figures of a kind of board are good for a factor of two
or so; a profile of any other network on the same device brings them to its height (`scaled`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from partition_studio.graph.network import Layer, Network
from partition_studio.partition.memory import AGENT_BYTES
from partition_studio.planner.figures.figures import LinkFigures
from partition_studio.planner.figures.profile import KernelFigures, LayerFigures, Profile, ProfileKey, network_digest
from partition_studio.planner.figures.speeds import CarrySpeed
from partition_studio.planner.spread import MACS_PER_ELEMENT

#: `ProfileKey.provider` of what was estimated.
ESTIMATE = "estimate"

#: What each core beyond the first adds to arithmetic, and to the bandwidth of the memory, which all cores share.
_MORE_CORES, _MORE_BANDWIDTH, _MOST_BANDWIDTH = 0.8, 0.4, 2.0

#: Layers that make no pass over their data, or that the runtime leaves out.
_FREE = frozenset({"Reshape", "Flatten", "Identity", "Dropout", "Squeeze", "Unsqueeze", "Shape"})

#: What the runtime makes part of the kernel before it, when nobody else reads that kernel's output.
_ACTIVATIONS = frozenset({"Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid"})
_FUSED_AFTER = {
    "Conv": _ACTIVATIONS | {"BatchNormalization", "Add"},
    "ConvTranspose": frozenset({"BatchNormalization"}),
    "Gemm": _ACTIVATIONS,
    "MatMul": frozenset({"Add"}),
}

#: No profile says that a device is so many times slower or faster than its kind.
_MOST_FACTOR = 1e4


@dataclass(frozen=True, slots=True)
class Roofline:
    """What a device does at most: `macs_per_s` and `bytes_per_s` with one core; `cores`: those that it has.

    `kernel_s` is what each kernel takes beside its work, `session_s` what each run of a sub-model does.
    """

    macs_per_s: float
    bytes_per_s: float
    kernel_s: float
    session_s: float
    cores: float = 1.0

    def with_cores(self, cores: float) -> "Roofline":
        """Return the roofline of a device like that with so many cores."""
        return replace(self, cores=cores)

    def seconds(self, macs: float, moved_bytes: float, threads: int) -> float:
        """Return the seconds of one kernel by the clock."""
        cores = min(float(threads), self.cores)
        arithmetic = cores if cores <= 1 else 1 + _MORE_CORES * (cores - 1)
        memory = cores if cores <= 1 else min(1 + _MORE_BANDWIDTH * (cores - 1), _MOST_BANDWIDTH)
        work_s = max(macs / (self.macs_per_s * arithmetic), moved_bytes / (self.bytes_per_s * memory))
        return work_s + self.kernel_s / min(cores, 1.0)


#: One core of a desktop or server with 256-bit vectors.
DESKTOP = Roofline(20e9, 8e9, 8e-6, 60e-6)

#: Where nothing is known: the figures of a slow board, so that a plan disappoints nobody.
CAUTIOUS = Roofline(3e9, 2e9, 30e-6, 300e-6)

#: By words of a board's model, the first that fits; each about half of what one core's vector units could do.
_BOARDS: tuple[tuple[str, Roofline], ...] = (
    ("raspberry pi 5", Roofline(9e9, 5e9, 12e-6, 120e-6)),
    ("raspberry pi 4", Roofline(3.5e9, 2.5e9, 25e-6, 250e-6)),
    ("compute module 4", Roofline(3.5e9, 2.5e9, 25e-6, 250e-6)),
    ("raspberry pi", Roofline(1.5e9, 1.2e9, 50e-6, 500e-6)),
    ("orin", Roofline(9e9, 8e9, 12e-6, 120e-6)),
    ("xavier", Roofline(6e9, 6e9, 15e-6, 150e-6)),
    ("jetson nano", Roofline(3e9, 3e9, 25e-6, 250e-6)),
)

#: Seconds of a core of a desktop for one message at one end of a link, and for each of its bytes: CURVE's encryption
#: takes most of it.
_DESKTOP_CARRY = CarrySpeed(0.0002, 0.8e-9)
_MOST_SLOWER = 6.0

#: What a byte costs that passes a network in packets, beside one that passes the loopback in pieces of 64 KiB, where
#: agents measure. By the processor seconds of all threads but those that compute, at four busy ends on virtual boards
#: at 60 Mbit/s, sending and receiving averaged (docs/profiles.md). A device with time to spare wakes up for every few
#: packets and takes more; there it hardly matters.
_NETWORK_BYTES = 2.2

#: What messages cost the studio's machine.
STUDIO_CARRY = _DESKTOP_CARRY

#: Between processes of one machine.
LOOPBACK = LinkFigures(800e6, 0.0001, estimated=True)


def typical_roofline(architecture: str, model: str | None) -> Roofline:
    """Return what boards of a kind do: by the model that a device tells of itself, else by its processor."""
    told = (model or "").lower()
    for words, roofline in _BOARDS:
        if words in told:
            return roofline
    return DESKTOP if architecture.lower() in ("x86_64", "amd64") else CAUTIOUS


def scaled(roofline: Roofline, network: Network, threads: int, kernels_s: float, run_s: float) -> Roofline:
    """Return a roofline as high as a profile tells.

    `kernels_s` is what the kernels of `network` took on the device with `threads`, and `run_s` the whole run.
    """
    expected_s = sum(_seconds(roofline, network, layers, threads) for layers in fused(network))
    if expected_s <= 0 or kernels_s <= 0:
        return roofline
    factor = min(max(kernels_s / expected_s, 1 / _MOST_FACTOR), _MOST_FACTOR)
    return replace(
        roofline,
        macs_per_s=roofline.macs_per_s / factor,
        bytes_per_s=roofline.bytes_per_s / factor,
        kernel_s=roofline.kernel_s * factor,
        session_s=run_s - kernels_s if run_s > kernels_s else roofline.session_s,
    )


def estimated_carry(roofline: Roofline) -> CarrySpeed:
    """Return what messages cost a device, by how much slower than a desktop's its cores compute."""
    slower = min(max(DESKTOP.macs_per_s / roofline.macs_per_s, 1.0), _MOST_SLOWER)
    return CarrySpeed(_DESKTOP_CARRY.message_s * slower, _DESKTOP_CARRY.byte_s * slower)


def over_network(carry: CarrySpeed) -> CarrySpeed:
    """Return what messages cost a device that others reach over a network, by what they cost over its loopback.

    What packets add is done while the next ones are on their way.
    """
    byte_s = carry.byte_s * _NETWORK_BYTES
    return CarrySpeed(carry.message_s, byte_s, byte_s - carry.byte_s)


def estimate_profile(network: Network, device: str, roofline: Roofline, threads: int) -> Profile:
    """Return the profile that a network may have on a device; its key's provider is `ESTIMATE`."""
    layers = tuple(
        LayerFigures(
            layer.name,
            _seconds(roofline, network, (layer,), threads),
            0.0,
            0,
            layer.weight_bytes,
            sum(kind.size_bytes for kind in layer.output_types),
        )
        for layer in network.layers
    )
    kernels = tuple(
        KernelFigures(tuple(layer.name for layer in run), _seconds(roofline, network, run, threads), 0.0, 0)
        for run in fused(network)
    )
    session_s = roofline.session_s / min(roofline.cores, 1.0)
    held_bytes = AGENT_BYTES + network.weight_bytes
    return Profile(
        key=ProfileKey(network_digest(network), device, "", threads, ESTIMATE),
        layers=layers,
        kernels=kernels,
        run_s=session_s + sum(kernel.median_s for kernel in kernels),
        run_spread_s=0.0,
        runs=0,
        session_s=session_s,
        load_s=network.weight_bytes / roofline.bytes_per_s,
        weight_bytes=network.weight_bytes,
        peak_bytes=held_bytes,
        load_peak_bytes=held_bytes + network.weight_bytes,
        power=None,
        temperature_c=None,
        throttled=(),
        warnings=("nothing of it was measured: it is estimated by multiply-accumulates and bytes",),
        pieces=1,
        duration_s=0.0,
    )


def fused(network: Network) -> list[tuple[Layer, ...]]:
    """Return the kernels that the runtime may make of a network, in topological order: each layer is in one of them."""
    taken: set[str] = set()
    kernels = []
    for layer in network.layers:
        if layer.name in taken:
            continue
        run = [layer, *_followers(network, layer, taken)]
        taken.update(one.name for one in run)
        kernels.append(tuple(run))
    return kernels


def _followers(network: Network, head: Layer, taken: set[str]) -> Iterator[Layer]:
    """Yield the layers that are fused into a kernel after its head: each kind once, up to an activation."""
    left = set(_FUSED_AFTER.get(head.op_type, ()))
    last = head
    while left and len(last.outputs) == 1 and last.outputs[0] not in network.outputs:
        readers = network.consumers[last.outputs[0]]
        if len(readers) != 1 or readers[0].op_type not in left or readers[0].name in taken:
            return
        last = readers[0]
        yield last
        if last.op_type in _ACTIVATIONS:
            return
        left.discard(last.op_type)


def _seconds(roofline: Roofline, network: Network, kernel: Sequence[Layer], threads: int) -> float:
    """Return what a kernel takes: what its layers pass to each other stays in the processor's caches."""
    if all(layer.op_type in _FREE for layer in kernel):
        return roofline.kernel_s
    made = {tensor for layer in kernel for tensor in layer.outputs}
    members = {layer.name for layer in kernel}
    read = {tensor for layer in kernel for tensor in layer.inputs} - made
    written = {
        tensor
        for tensor in made
        if tensor in network.outputs or any(reader.name not in members for reader in network.consumers[tensor])
    }
    moved = sum(network.tensors[tensor].size_bytes for tensor in read | written)
    moved += sum(layer.weight_bytes for layer in kernel)
    macs = sum(
        layer.macs + MACS_PER_ELEMENT.get(layer.op_type, 0) * sum(kind.elements for kind in layer.output_types)
        for layer in kernel
    )
    return roofline.seconds(macs, moved, threads)
