"""How fast a flow can be at most because its windows hold so many frames and no more.

A frame has a place in a link's window from when its producer begins it until its consumer does: while it is computed,
sent, carried and received; and the word that the place is free takes the link's latency back. So `w` places let at most
`w` frames pass in that time, however idle everybody is. The same holds around several links: forward over some, back
along the windows of others (a branch that leads around many devices has a place in its window for as long as a frame
takes to pass them all). All such rounds are the cycles of a graph: forward an edge takes time, back it lets `w` frames
begin before. The least time between frames is the largest ratio of time to frames of a cycle (timed event graphs:
Baccelli, Cohen, Olsder and Quadrat, *Synchronization and Linearity*, 1992, chapter 2).

Turns on shared lanes, cores and links are no part of it: what waits for them makes a round longer, never shorter.
"""

from collections.abc import Sequence
from typing import NamedTuple

from partition_studio.partition.stages import SINK, SOURCE
from partition_studio.planner.prediction.flow import Flow, Transfer

#: Of the longest time in the graph, what is only rounding.
_NOTHING = 1e-12

#: Passes over all edges in which times are looked for that keep a pace; nearly all flows take two or three.
_PASSES = 8


class WindowLimit(NamedTuple):
    """The round that limits a flow: seconds between frames, those that a frame takes around, frames on their way.

    `transfer` is the one between two peers that takes longest of it.
    """

    period_s: float
    round_s: float
    frames: float
    transfer: Transfer


class _Edge(NamedTuple):
    """`head` begins a frame at the earliest `seconds` after `tail` began the one that is `frames` before it."""

    tail: int
    head: int
    seconds: float
    frames: float
    transfer: Transfer | None = None


def window_bound_s(flow: Flow) -> float:
    """Return the least seconds between frames that the windows of a flow allow; 0 where they do not limit it."""
    return _longest_round(*_graph(flow), 0.0)[0]


def window_limit(flow: Flow, period_s: float) -> WindowLimit | None:
    """Return what the windows of a flow allow where that is more than so many seconds between frames, else None."""
    nodes, edges = _graph(flow)
    if _is_in_time(nodes, edges, period_s):
        return None
    limit_s, cycle = _longest_round(nodes, edges, period_s)
    crossing = [
        (edge.seconds, edge.transfer)
        for edge in cycle
        if edge.transfer is not None and edge.transfer.source != edge.transfer.target
    ]
    if not crossing:
        return None
    _, transfer = max(crossing, key=lambda pair: pair[0])
    return WindowLimit(limit_s, sum(edge.seconds for edge in cycle), sum(edge.frames for edge in cycle), transfer)


def _is_in_time(nodes: int, edges: Sequence[_Edge], period_s: float) -> bool:
    """Return whether times were found soon at which all may begin a frame each period: then nothing limits them.

    Edges come forward first, in topological order, so one pass settles most flows.
    """
    begin_s = [0.0] * nodes
    slack_s = _NOTHING * period_s
    for _ in range(_PASSES):
        has_changed = False
        for tail, head, seconds, frames, _ in edges:
            there_s = begin_s[tail] + seconds - period_s * frames
            if there_s > begin_s[head] + slack_s:
                begin_s[head], has_changed = there_s, True
        if not has_changed:
            return True
    return False


def _longest_round(nodes: int, edges: Sequence[_Edge], ratio_s: float) -> tuple[float, list[_Edge]]:
    """Return the largest ratio of time to frames that is above `ratio_s`, and its cycle; `ratio_s` where none is."""
    found: list[_Edge] = []
    # Newton's method: from one cycle to a better one, until no cycle takes longer than its frames at that pace.
    while (cycle := _cycle_above(nodes, edges, ratio_s)) is not None:
        better_s = sum(edge.seconds for edge in cycle) / sum(edge.frames for edge in cycle)
        if better_s <= ratio_s:
            break
        ratio_s, found = better_s, cycle
    return ratio_s, found


def _graph(flow: Flow) -> tuple[int, list[_Edge]]:
    """Return how many nodes there are, and the edges between them.

    A node is the beginning of frames at a work (or end). Where a link carries only some of them, those are a node of
    their own: they are frames of the work, and from any frame of the work it is some frames to the next of them.
    """
    nodes = {SOURCE: 0, **{work.name: number for number, work in enumerate(flow.works, 1)}, SINK: len(flow.works) + 1}
    shares = {work.name: work.share for work in flow.works}
    seconds = {work.name: work.seconds for work in flow.works}
    forward, back, parts = [], [], []
    count = len(nodes)
    for transfer in flow.transfers:
        if transfer.share <= 0:
            continue
        ends = []
        for end in (transfer.producer, transfer.consumer):
            node = nodes[end]
            if transfer.share < shares.get(end, 1.0) * (1 - 1e-9):
                parts += [_Edge(node, count, 0.0, 1 / transfer.share), _Edge(count, node, 0.0, 0.0)]
                node, count = count, count + 1
            ends.append(node)
        there_s, back_s = seconds.get(transfer.producer, 0.0) + _travel_s(flow, transfer), _credit_s(flow, transfer)
        forward.append(_Edge(ends[0], ends[1], there_s, 0.0, transfer))
        back.append(_Edge(ends[1], ends[0], back_s, transfer.window / transfer.share, transfer))
    return count, [*forward, *parts, *back]


def _travel_s(flow: Flow, transfer: Transfer) -> float:
    if transfer.source == transfer.target:
        return 0.0
    link = flow.links.of(transfer.source, transfer.target)
    carry_s = (transfer.send_s - transfer.send_beside_s) / min(1.0, flow.cores.get(transfer.source, 1.0))
    carry_s += (transfer.receive_s - transfer.receive_beside_s) / min(1.0, flow.cores.get(transfer.target, 1.0))
    return carry_s + transfer.wire_bytes / link.bytes_per_s + link.latency_s


def _credit_s(flow: Flow, transfer: Transfer) -> float:
    return 0.0 if transfer.source == transfer.target else flow.links.of(transfer.target, transfer.source).latency_s


def _cycle_above(nodes: int, edges: Sequence[_Edge], ratio_s: float) -> list[_Edge] | None:
    """Return a cycle whose ratio of time to frames is above `ratio_s`, if there is one (Bellman and Ford)."""
    weighted = [(edge, edge.seconds - ratio_s * edge.frames) for edge in edges]
    slack = _NOTHING * max((edge.seconds for edge in edges), default=0.0)
    farthest = [0.0] * nodes
    came_by: list[_Edge | None] = [None] * nodes
    for _ in range(nodes):
        has_changed = False
        for edge, weight in weighted:
            there = farthest[edge.tail] + weight
            if there > farthest[edge.head] + slack:
                farthest[edge.head], came_by[edge.head], has_changed = there, edge, True
        if not has_changed:
            return None
        cycle = _cycle_of(came_by)
        if cycle is not None:
            return cycle
    return None


def _cycle_of(came_by: Sequence[_Edge | None]) -> list[_Edge] | None:
    """Return a cycle of the edges by which nodes were reached, if there is one."""
    seen = [-1] * len(came_by)
    for start in range(len(came_by)):
        node = start
        while seen[node] < 0:
            seen[node] = start
            edge = came_by[node]
            if edge is None:
                break
            node = edge.tail
        else:
            if seen[node] == start:
                return _around(came_by, node)
    return None


def _around(came_by: Sequence[_Edge | None], start: int) -> list[_Edge]:
    cycle: list[_Edge] = []
    node = start
    while not cycle or node != start:
        edge = came_by[node]
        if edge is None:
            raise AssertionError("the way back along a cycle ended")
        cycle.append(edge)
        node = edge.tail
    return cycle
