"""Regions of a network: where data forks, and where all of it comes together again.

A region is a fork and the join that every path from the fork meets first, so that nothing enters or leaves between
them (single entry, single exit). Dominators of a directed acyclic graph are found in one pass in topological order
(after Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm"), with jump pointers for common ancestors: time
grows as n log n.
"""

from dataclasses import dataclass, field

from partition_studio.graph.network import Network


class Tree:
    """A tree that grows by leaves, and tells the last common ancestor of two nodes in logarithmic time."""

    def __init__(self, size: int, root: int) -> None:
        """Make room for the nodes 0 to `size` - 1; only `root` is in the tree."""
        self.parent = [root] * size
        self.depth = [0] * size
        self._jump = [root] * size

    def add(self, node: int, parent: int) -> None:
        """Hang a node under one that is in the tree."""
        self.parent[node] = parent
        self.depth[node] = self.depth[parent] + 1
        near, far = self._jump[parent], self._jump[self._jump[parent]]
        even = self.depth[parent] - self.depth[near] == self.depth[near] - self.depth[far]
        self._jump[node] = far if even else parent

    def meet(self, a: int, b: int) -> int:
        """Return the last common ancestor of two nodes."""
        if self.depth[a] < self.depth[b]:
            a, b = b, a
        while self.depth[a] > self.depth[b]:
            a = self._jump[a] if self.depth[self._jump[a]] >= self.depth[b] else self.parent[a]
        while a != b:
            far_a, far_b = self._jump[a], self._jump[b]
            a, b = (self.parent[a], self.parent[b]) if far_a == far_b else (far_a, far_b)
        return a

    def above(self, a: int, b: int) -> bool:
        """Say whether `a` is `b` or one of its ancestors."""
        return self.meet(a, b) == a


@dataclass(slots=True)
class Region:
    """What lies between a fork and its join.

    Attributes:
        fork, join: layers by position; the join belongs to the region, the fork does not.
        layers: positions of those that are in no region within this one, the join included.
        within: the regions directly inside.
        size, macs: number and multiply-accumulates of all its layers, those of inner regions included.
    """

    fork: int
    join: int
    layers: list[int] = field(default_factory=list)
    within: list["Region"] = field(default_factory=list)
    size: int = 0
    macs: int = 0

    def all_layers(self) -> list[int]:
        """Return the positions of all its layers, in topological order."""
        found: list[int] = []
        pending = [self]
        while pending:
            region = pending.pop()
            found += region.layers
            pending += region.within
        return sorted(found)


class Flow:
    """Who feeds whom, by the layers' positions. `source` and `sink` stand for the outside."""

    def __init__(self, network: Network) -> None:
        """Look at a network, and find what every path to, and from, each layer goes through."""
        count = len(network.layers)
        self.source, self.sink = count, count + 1
        self._macs = [layer.macs for layer in network.layers]
        self.feeds: list[list[int]] = [[] for _ in range(count + 2)]
        self.fed_by: list[list[int]] = [[] for _ in range(count + 2)]
        outputs = set(network.outputs)
        for index, layer in enumerate(network.layers):
            makers = [network.producers[t].name for t in layer.inputs if t in network.producers]
            sources = dict.fromkeys(network.position[name] for name in makers)
            if len(makers) < len(layer.inputs) or not makers:
                sources[self.source] = None
            for source in sources:
                self.feeds[source].append(index)
                self.fed_by[index].append(source)
        for index, layer in enumerate(network.layers):
            if not self.feeds[index] or outputs.intersection(layer.outputs):
                self.feeds[index].append(self.sink)
                self.fed_by[self.sink].append(index)
        self.before = Tree(count + 2, self.source)
        for index in (*range(count), self.sink):
            self.before.add(index, _meet_all(self.before, self.fed_by[index], self.source))
        self.after = Tree(count + 2, self.sink)
        for index in (*range(count - 1, -1, -1), self.source):
            self.after.add(index, _meet_all(self.after, self.feeds[index], self.sink))

    def regions(self) -> Region:
        """Return a region that stands for everything, with all others in it."""
        of_join: dict[int, Region] = {}
        for join in range(self.source):
            fork = self.before.parent[join]
            if len(self.feeds[fork]) > 1 and self.after.parent[fork] == join:
                of_join[join] = self._fill(Region(fork, join), of_join)
        return self._fill(Region(self.source, self.sink), of_join)

    def _fill(self, region: Region, of_join: dict[int, Region]) -> Region:
        """Walk back from the join to the fork; an inner region is one step."""
        if region.join != self.sink:
            region.layers.append(region.join)
        pending, seen = list(self.fed_by[region.join]), {region.fork}
        while pending:
            index = pending.pop()
            if index in seen:
                continue
            seen.add(index)
            inner = of_join.get(index)
            if inner is not None:
                region.within.append(inner)
                pending.append(inner.fork)
            else:
                region.layers.append(index)
                pending += self.fed_by[index]
        region.size = len(region.layers) + sum(inner.size for inner in region.within)
        region.macs = sum(self._macs[index] for index in region.layers) + sum(inner.macs for inner in region.within)
        return region

    def between(self, first: int, last: int) -> list[int] | None:
        """Return the layers after `first` up to `last`, in order; None where data goes past either of them."""
        if not (self.before.above(first, last) and self.after.above(last, first)):
            return None
        pending, seen = [last], {first}
        while pending:
            index = pending.pop()
            if index not in seen:
                seen.add(index)
                pending += self.fed_by[index]
        return sorted(seen - {first})


def _meet_all(tree: Tree, nodes: list[int], root: int) -> int:
    if not nodes:
        return root
    common = nodes[0]
    for node in nodes[1:]:
        common = tree.meet(common, node)
    return common
