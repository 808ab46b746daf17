"""Splits a placed network into stages as `partition.stages.build_stages` does, in a fraction of its time.

Layers and tensors are integers, everything about the network is looked up once, and what a set of layers reads and
makes is remembered: while a person drags a box most stages stay as they are.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from partition_studio.graph.dtypes import TRAVELLING
from partition_studio.graph.network import Network
from partition_studio.partition.stages import SINK, SOURCE, Cut, Stage, StageGraph

#: Layers of a stage, by number, in topological order.
Members = tuple[int, ...]

#: The two ends of a pipeline among numbers of stages.
FROM_STUDIO, TO_STUDIO = -1, -2

#: A cut: its two stages.
Ends = tuple[int, int]

#: So much is remembered at most; more is only met by searches, which begin anew then.
MOST_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Border:
    """Tensors, by number, that enter and leave a stage: `inputs` in order of first use, `outputs` of making."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """Stages in topological order, and the tensors of each cut, in the order of `build_stages`."""

    stages: tuple[Members, ...]
    cuts: dict[Ends, list[int]]


class Splitter:
    """All placements of one network."""

    def __init__(self, network: Network) -> None:
        names = list(network.tensors)
        number = {name: index for index, name in enumerate(names)}
        position = network.position
        self.size_bytes = [network.tensors[name].size_bytes for name in names]
        self.inputs = [tuple(number[t] for t in layer.inputs) for layer in network.layers]
        self.outputs = [tuple(number[t] for t in layer.outputs) for layer in network.layers]
        self.readers = [tuple(position[r.name] for r in network.consumers[name]) for name in names]
        self.is_result = [name in network.outputs for name in names]
        self.maker = [position[network.producers[n].name] if n in network.producers else -1 for n in names]
        self._results = [number[name] for name in network.outputs]
        self._travels = [network.tensors[name].dtype in TRAVELLING for name in names]
        self._makers = [tuple(dict.fromkeys(self.maker[t] for t in read if self.maker[t] >= 0)) for read in self.inputs]
        #: The only layer that one reads from, where it reads nothing else.
        self._only = [
            makers[0] if len(makers) == 1 and all(self.maker[t] >= 0 for t in read) else -1
            for makers, read in zip(self._makers, self.inputs, strict=True)
        ]
        self._borders: dict[Members, Border] = {}
        self._windows: dict[tuple[tuple[Ends, ...], tuple[str, ...]], list[int]] = {}

    def split(self, places: Sequence[str]) -> Split | None:
        """Return the stages and cuts of a placement (each layer's place). None: a cut cannot be (`CutTypeError`)."""
        group_of, stages = self._in_order(*self._groups(places))
        cuts: dict[Ends, list[int]] = {}
        for stage, members in enumerate(stages):
            for tensor in self.border(members).inputs:
                maker = self.maker[tensor]
                if not self._travels[tensor]:
                    return None
                ends = (group_of[maker] if maker >= 0 else FROM_STUDIO, stage)
                cuts.setdefault(ends, []).append(tensor)
        for tensor in self._results:
            maker = self.maker[tensor]
            if not self._travels[tensor]:
                return None
            cuts.setdefault((group_of[maker] if maker >= 0 else FROM_STUDIO, TO_STUDIO), []).append(tensor)
        return Split(tuple(stages), cuts)

    def border(self, members: Members) -> Border:
        """Return what enters and leaves a stage."""
        found = self._borders.get(members)
        if found is None:
            if len(self._borders) >= MOST_KEPT:
                self._borders.clear()
            found = self._borders[members] = self._border(members)
        return found

    def windows(self, ends: tuple[Ends, ...], devices: tuple[str, ...]) -> list[int]:
        """Return the windows of cuts between stages on these devices (see `StageGraph.window`)."""
        key = ends, devices
        found = self._windows.get(key)
        if found is None:
            if len(self._windows) >= MOST_KEPT:
                self._windows.clear()
            names = {FROM_STUDIO: SOURCE, TO_STUDIO: SINK, **{index: str(index) for index in range(len(devices))}}
            stages = tuple(Stage(str(index), device, (), (), ()) for index, device in enumerate(devices))
            cuts = tuple(Cut(names[producer], names[consumer], ()) for producer, consumer in ends)
            graph = StageGraph(stages, cuts, {}, (), ())
            found = self._windows[key] = [graph.window(cut) for cut in cuts]
        return found

    def _border(self, members: Members) -> Border:
        inside = set(members)
        inputs = dict.fromkeys(t for index in members for t in self.inputs[index] if self.maker[t] not in inside)
        outputs = [
            t
            for index in members
            for t in self.outputs[index]
            if self.is_result[t] or not inside.issuperset(self.readers[t])
        ]
        return Border(tuple(inputs), tuple(outputs))

    def _groups(self, places: Sequence[str]) -> tuple[list[int], list[list[int]]]:
        """Return each layer's group, and the groups' layers, in the order of their first ones."""
        count = len(places)
        levels, group_of = [0] * count, [0] * count
        parent: list[int] = []
        first_reader: dict[tuple[int, str, int], int] = {}
        only, makers_of, inputs_of, maker_of = self._only, self._makers, self.inputs, self.maker
        for index, place in enumerate(places):
            maker = only[index]
            if maker >= 0 and places[maker] == place:
                levels[index], group_of[index] = levels[maker], group_of[maker]
                continue
            level = 0
            for maker in makers_of[index]:
                level = max(level, levels[maker] + (places[maker] != place))
            levels[index] = level
            group = -1
            for tensor in inputs_of[index]:
                maker = maker_of[tensor]
                if maker >= 0 and places[maker] == place and levels[maker] == level:
                    other = _root(parent, group_of[maker])
                else:
                    known = first_reader.get((tensor, place, level))
                    if known is None:
                        continue
                    other = _root(parent, group_of[known])
                if group >= 0 and other != group:
                    group, other = min(group, other), max(group, other)
                    parent[other] = group
                group = other if group < 0 else group
            if group < 0:
                group = len(parent)
                parent.append(group)
            group_of[index] = group
            for tensor in inputs_of[index]:
                first_reader.setdefault((tensor, place, level), index)
        return self._gathered(group_of, parent)

    def _gathered(self, group_of: list[int], parent: list[int]) -> tuple[list[int], list[list[int]]]:
        # The root of a group is its smallest number, and numbers are given in the order of first layers.
        place_of: dict[int, int] = {}
        roots = [_root(parent, group) for group in range(len(parent))]
        for root in roots:
            place_of.setdefault(root, len(place_of))
        final = [place_of[root] for root in roots]
        groups: list[list[int]] = [[] for _ in place_of]
        for index, group in enumerate(group_of):
            group_of[index] = group = final[group]
            groups[group].append(index)
        return group_of, groups

    def _in_order(self, group_of: list[int], groups: list[list[int]]) -> tuple[list[int], list[Members]]:
        """Return each layer's stage and the stages: in topological order, by their first layer among the ready."""
        edges: set[Ends] = set()
        is_sorted = True
        for group, makers in zip(group_of, self._makers, strict=True):
            for maker in makers:
                before = group_of[maker]
                if before != group:
                    edges.add((before, group))
                    is_sorted = is_sorted and before < group
        if is_sorted:
            return group_of, [tuple(members) for members in groups]
        waiting: list[set[int]] = [set() for _ in groups]
        followers: list[list[int]] = [[] for _ in groups]
        for before, after in edges:
            waiting[after].add(before)
            followers[before].append(after)
        ready = [group for group, makers_left in enumerate(waiting) if not makers_left]
        order: list[int] = []
        while ready:
            group = heapq.heappop(ready)
            order.append(group)
            for after in followers[group]:
                waiting[after].discard(group)
                if not waiting[after]:
                    heapq.heappush(ready, after)
        rank = {group: stage for stage, group in enumerate(order)}
        return [rank[group] for group in group_of], [tuple(groups[group]) for group in order]


def _root(parent: list[int], group: int) -> int:
    while parent[group] != group:
        parent[group] = parent[parent[group]]
        group = parent[group]
    return group
