"""What stages take of time and memory, as `predict_stage_s` and `stage_need` say it, in a fraction of their time.

Layers are integers (their place in the network), and everything that hangs on one layer or one tensor alone is looked
up once. Only whole layers of the network are known here: no parts of divided ones.
"""

from partition_studio.graph.network import Network
from partition_studio.partition.memory import StageNeed, matrix_weights
from partition_studio.planner.figures.profile import Profile
from partition_studio.planner.prediction.quick_split import MOST_KEPT, Border, Members, Splitter
from partition_studio.planner.prediction.stage_time import (
    LAYOUT_PASSES,
    StageTime,
    elementwise_bytes_per_s,
    has_layout,
    part_s,
    stage_warnings,
)


class StageTimes:
    """The seconds of stages on one device."""

    def __init__(self, profile: Profile, network: Network, layout: "Layout") -> None:
        self._profile = profile
        self._names = [layer.name for layer in network.layers]
        self._layout = layout
        self._unknown = frozenset(i for i, name in enumerate(self._names) if name not in profile.alone_s)
        self._kernels: list[list[int]] = [[] for _ in self._names]
        position = network.position
        for number, kernel in enumerate(profile.kernels):
            for name in kernel.layers:
                if name in position and position[name] not in self._unknown:
                    self._kernels[position[name]].append(number)
        self._bytes_per_s = elementwise_bytes_per_s(profile, network)

    def of(self, members: Members) -> StageTime:
        """Return what a stage of these layers takes."""
        counts: dict[int, int] = {}
        for index in members:
            for kernel in self._kernels[index]:
                counts[kernel] = counts.get(kernel, 0) + 1
        measured_s = cut_s = 0.0
        kernels = self._profile.kernels
        for number in sorted(counts):
            kernel_figures = kernels[number]
            if counts[number] == len(kernel_figures.layers):
                measured_s += kernel_figures.median_s
            else:
                inside = {self._names[index] for index in members if number in self._kernels[index]}
                cut_s += part_s(self._profile, kernel_figures, [n for n in kernel_figures.layers if n in inside])
        moved = self._layout.moved_bytes(members)
        layout_s = LAYOUT_PASSES * moved / self._bytes_per_s if moved else 0.0
        session_s = self._profile.session_s
        seconds = measured_s + cut_s + layout_s + session_s
        unknown = [self._names[index] for index in members if index in self._unknown] if self._unknown else []
        warnings = stage_warnings(unknown, cut_s + layout_s, seconds)
        return StageTime(seconds, measured_s, cut_s, layout_s, session_s, warnings)


class Layout:
    """Which tensors pass between which layers in the runtime's own memory layout."""

    def __init__(self, network: Network, splitter: Splitter) -> None:
        layers, names = network.layers, list(network.tensors)
        self._sizes = splitter.size_bytes
        #: Of each layer: the layer that it reads from in that layout, and the tensor; and those that read from it.
        self._entering: list[list[tuple[int, int]]] = [[] for _ in layers]
        self._leaving: list[list[tuple[int, int]]] = [[] for _ in layers]
        for reader, read in enumerate(splitter.inputs):
            for tensor in read:
                maker = splitter.maker[tensor]
                if maker >= 0 and has_layout(network, layers[maker], layers[reader], names[tensor]):
                    self._entering[reader].append((maker, tensor))
                    self._leaving[maker].append((reader, tensor))

    def moved_bytes(self, members: Members) -> int:
        """Return the bytes of tensors that enter or leave a stage in that layout, each counted once in each way."""
        inside = set(members)
        entering, leaving = set(), set()
        for index in members:
            for maker, tensor in self._entering[index]:
                if maker not in inside:
                    entering.add(tensor)
            for reader, tensor in self._leaving[index]:
                if reader not in inside:
                    leaving.add(tensor)
        return sum(self._sizes[tensor] for tensor in entering) + sum(self._sizes[tensor] for tensor in leaving)


class StageNeeds:
    """The memory of stages, on whatever device."""

    def __init__(self, network: Network, splitter: Splitter) -> None:
        self._splitter = splitter
        self._found: dict[Members, StageNeed] = {}
        sizes = network.weight_sizes
        number = {name: index for index, name in enumerate(sizes)}
        self._weight_bytes = list(sizes.values())
        self._weights = [tuple(number[name] for name in layer.weights) for layer in network.layers]
        self._matrices = [tuple(number[name] for name in matrix_weights(layer)) for layer in network.layers]

    def of(self, members: Members) -> StageNeed:
        """Return what a stage of these layers needs."""
        found = self._found.get(members)
        if found is None:
            if len(self._found) >= MOST_KEPT:
                self._found.clear()
            found = self._found[members] = self._need(members)
        return found

    def _need(self, members: Members) -> StageNeed:
        sizes = self._weight_bytes
        weights = {weight for index in members for weight in self._weights[index]}
        packed = packing = 0
        for weight in dict.fromkeys(weight for index in members for weight in self._matrices[index]):
            packing = max(packing, packed + 2 * sizes[weight])
            packed += sizes[weight]
        return StageNeed(
            weight_bytes=sum(sizes[weight] for weight in weights),
            matrix_bytes=packed,
            packing_bytes=packing,
            live_bytes=self._live_bytes(members, self._splitter.border(members)),
            layers=len(members),
        )

    def _live_bytes(self, members: Members, border: Border) -> int:
        """Return the most bytes of activations alive at once (see `partition.memory.peak_activation_bytes`)."""
        sizes, inputs_of, outputs_of = self._splitter.size_bytes, self._splitter.inputs, self._splitter.outputs
        last: dict[int, int] = {}
        for index in members:
            for tensor in inputs_of[index]:
                last[tensor] = index
        for tensor in border.outputs:
            last[tensor] = len(inputs_of)
        alive = peak = sum(sizes[tensor] for tensor in border.inputs)
        for index in members:
            for tensor in outputs_of[index]:
                alive += sizes[tensor]
            peak = max(peak, alive)
            for tensor in inputs_of[index]:
                if last[tensor] == index:
                    alive -= sizes[tensor]
            for tensor in outputs_of[index]:
                # Nobody reads it.
                if tensor not in last:
                    alive -= sizes[tensor]
        return peak
