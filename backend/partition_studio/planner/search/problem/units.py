"""Groups layers into units: what runtimes run as one kernel, as far as it can be told to stay in one stage.

A group is *even* when every layer outside that one of its layers reads from comes before all of its first layers. Then
all its layers have one level wherever the others lie (see `partition.stages`), so that it is never torn apart; and
groups that are all even cannot wait for each other in a circle: going around one, each layer would come before itself.
"""

from collections.abc import Iterable, Mapping, Sequence

from partition_studio.graph.dtypes import TRAVELLING
from partition_studio.graph.network import Network
from partition_studio.planner.figures.profile import Profile


def units_of(network: Network, profiles: Iterable[Profile], devices: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Return units in topological order, each with its layers in theirs.

    `devices` has the layers whose device is settled: where a kernel has several, each of its layers is a unit.
    """
    order = _Order(network)
    units: list[list[int]] = []
    for group in _fused(network, profiles):
        settled = {devices[network.layers[place].name] for place in group if network.layers[place].name in devices}
        units += [[place] for place in group] if len(settled) > 1 else order.even_parts(group)
    # What an even unit reads was made before its first layer, so first layers are in topological order.
    return [tuple(network.layers[place].name for place in unit) for unit in sorted(units, key=lambda unit: unit[0])]


def _fused(network: Network, profiles: Iterable[Profile]) -> list[list[int]]:
    """Return the layers, by place, that some device runs together, directly or through others."""
    parent = list(range(len(network.layers)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    def join(places: Sequence[int]) -> None:
        for place in places[1:]:
            parent[root(place)] = root(places[0])

    for profile in profiles:
        for kernel in profile.kernels:
            join([network.position[name] for name in kernel.layers if name in network.position])
    for name, readers in network.consumers.items():
        if network.tensors[name].dtype not in TRAVELLING and name in network.producers:
            join([network.position[network.producers[name].name], *(network.position[r.name] for r in readers)])
    groups: dict[int, list[int]] = {}
    for place in range(len(network.layers)):
        groups.setdefault(root(place), []).append(place)
    return list(groups.values())


class _Order:
    """Which layers come before which. Sets of layers are the bits of integers."""

    def __init__(self, network: Network) -> None:
        self._makers: list[list[int]] = []
        self._ancestors: list[int] = []
        for layer in network.layers:
            makers = [network.position[maker.name] for maker in network.predecessors(layer)]
            before = 0
            for maker in makers:
                before |= self._ancestors[maker] | 1 << maker
            self._makers.append(makers)
            self._ancestors.append(before)

    def even_parts(self, group: Sequence[int]) -> list[list[int]]:
        """Return a group cut into connected even parts, each as large as going through it in order makes it."""
        part_of: dict[int, list[int]] = {}
        for place in sorted(group):
            near = {id(part_of[m]): part_of[m] for m in self._makers[place] if m in part_of}
            together = sorted(layer for part in near.values() for layer in part)
            choices = [together, *sorted(near.values(), key=lambda part: -part[-1])]
            part = next(([*c, place] for c in choices if c and self._is_even([*c, place])), [place])
            part_of.update(dict.fromkeys(part, part))
        return list({id(part): part for part in part_of.values()}.values())

    def _is_even(self, part: Sequence[int]) -> bool:
        inside, outside = set(part), 0
        firsts = []
        for place in part:
            makers = self._makers[place]
            if not inside.intersection(makers):
                firsts.append(place)
            for maker in makers:
                if maker not in inside:
                    outside |= 1 << maker
        return all(outside & ~self._ancestors[first] == 0 for first in firsts)
