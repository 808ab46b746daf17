"""Where to cut a network into stages of given speeds, by time measured.

A stage takes its layers' time and that of what it carries: what comes in and goes out is received, decrypted, encrypted
and sent by the same cores. On a weak device that is a good part of the work.

Candidates are the places in the order of layers where exactly one tensor passes. Pieces between a few of them are
measured alone; dynamic programming over the candidates finds the cuts with the shortest slowest stage (chains-to-chains
partitioning: Bokhari, Partitioning problems in parallel, pipelined, and distributed computing, 1988, section III);
those stages are measured as they are, what was reckoned of their layers is corrected, and so on. Pure save `measure`.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from partition_studio.graph.network import Network

#: Seconds of the layers from one candidate (or the beginning) to another (or the end), in one stage.
Measure = Callable[[int, int], float]

#: Seconds that a device of speed 1 spends on so many bytes that come in, or go out, with one frame.
Carry = Callable[[int], float]


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where each stage ends (layer numbers, without the last), the speed of each one's device, and what they take.

    `seconds` are of a device of speed 1, computing; `carry_s` what it takes besides for the bytes. `bottleneck_s` is of
    the slowest stage on its own device, both together.
    """

    ends: tuple[int, ...]
    speeds: tuple[float, ...]
    seconds: tuple[float, ...]
    carry_s: tuple[float, ...]

    @property
    def bottleneck_s(self) -> float:
        """What the slowest stage takes on its device."""
        both = zip(self.seconds, self.carry_s, self.speeds, strict=True)
        return max((compute_s + carry_s) / speed for compute_s, carry_s, speed in both)


def one_tensor_places(network: Network) -> list[int]:
    """Return the numbers of layers before which exactly one tensor passes, in order."""
    position = {layer.name: number for number, layer in enumerate(network.layers)}
    last_use: dict[str, int] = {}
    for number, layer in enumerate(network.layers):
        for tensor in layer.inputs:
            last_use[tensor] = number
    made = {tensor: -1 for tensor in network.inputs}
    made |= {tensor: position[layer.name] for layer in network.layers for tensor in layer.outputs}
    ends = dict.fromkeys(network.outputs, len(network.layers))
    places = []
    for place in range(1, len(network.layers)):
        passing = [t for t, at in made.items() if at < place <= max(last_use.get(t, -1), ends.get(t, -1))]
        if len(passing) == 1:
            places.append(place)
    return places


def passing_bytes(network: Network, place: int) -> int:
    """Return the bytes of a frame that pass before a layer (its number), or out of the network behind the last."""
    if place == len(network.layers):
        return sum(tensor.size_bytes for tensor in network.outputs.values())
    before, behind = network.layers[:place], network.layers[place:]
    made = {*network.inputs, *(tensor for layer in before for tensor in layer.outputs)}
    read = {tensor for layer in behind for tensor in layer.inputs} | set(network.outputs)
    return sum(network.tensors[tensor].size_bytes for tensor in made & read)


def best_chain(costs: Sequence[float], speeds: Sequence[float], edges: Sequence[float] = ()) -> tuple[int, ...]:
    """Return where to end each part but the last so that the slowest part is fastest.

    `costs` are of the pieces in order, `speeds` of the devices in order; every part has at least one piece, and takes
    what the `edges` before its first and behind its last piece cost as well (nothing, where left out).
    """
    edges = edges or [0.0] * (len(costs) + 1)
    total = np.concatenate([[0.0], np.cumsum(costs)])
    pieces, parts = len(costs), len(speeds)
    best = np.full((parts + 1, pieces + 1), np.inf)
    choice = np.zeros((parts + 1, pieces + 1), dtype=int)
    best[0, 0] = 0.0
    for part in range(1, parts + 1):
        for end in range(part, pieces + 1):
            for begin in range(part - 1, end):
                own = (total[end] - total[begin] + edges[begin] + edges[end]) / speeds[part - 1]
                slowest = max(best[part - 1, begin], own)
                if slowest < best[part, end]:
                    best[part, end], choice[part, end] = slowest, begin
    ends, end = [], pieces
    for part in range(parts, 0, -1):
        end = int(choice[part, end])
        ends.append(end)
    return tuple(reversed(ends[:-1]))


def find_cuts(
    network: Network, speeds: Sequence[float], measure: Measure, carry: Carry, *, pieces: int = 10, rounds: int = 6
) -> Cuts:
    """Return the best cuts found, each device taking one stage, in the best order of their speeds.

    `measure(begin, end)` runs the layers from `begin` up to `end` as one stage on a device of speed 1.
    """
    places = [0, *one_tensor_places(network), len(network.layers)]
    edges = [carry(passing_bytes(network, place)) for place in places]
    weights = [
        sum(layer.macs + 4.0 * layer.activation_bytes for layer in network.layers[begin:end])
        for begin, end in itertools.pairwise(places)
    ]
    count = min(pieces, len(weights))
    coarse = [0, *best_chain(weights, [1.0] * count), len(weights)]
    known: dict[tuple[int, int], float] = {}

    def measured(begin: int, end: int) -> float:
        if (begin, end) not in known:
            known[begin, end] = measure(places[begin], places[end])
        return known[begin, end]

    costs = list(weights)
    for begin, end in itertools.pairwise(coarse):
        _scale(costs, begin, end, measured(begin, end))
    found: list[Cuts] = []
    for _ in range(rounds):
        order, bounds = min(
            ((order, best_chain(costs, order, edges)) for order in sorted(set(itertools.permutations(speeds)))),
            key=lambda option: _slowest(costs, option[1], option[0], edges),
        )
        spans = list(itertools.pairwise([0, *bounds, len(costs)]))
        new = any(span not in known for span in spans)
        seconds = tuple(measured(begin, end) for begin, end in spans)
        carried = tuple(edges[begin] + edges[end] for begin, end in spans)
        found.append(Cuts(tuple(places[b] for b in bounds), order, seconds, carried))
        if not new:
            break
        for (begin, end), second in zip(spans, seconds, strict=True):
            _scale(costs, begin, end, second)
    return min(found, key=lambda cuts: cuts.bottleneck_s)


def _scale(costs: list[float], begin: int, end: int, seconds: float) -> None:
    """Bring what is reckoned of some pieces to what they took together."""
    reckoned = sum(costs[begin:end])
    for piece in range(begin, end):
        costs[piece] = costs[piece] * seconds / reckoned if reckoned > 0 else seconds / (end - begin)


def _slowest(costs: Sequence[float], bounds: Sequence[int], speeds: Sequence[float], edges: Sequence[float]) -> float:
    spans = zip(itertools.pairwise([0, *bounds, len(costs)]), speeds, strict=True)
    return max((sum(costs[begin:end]) + edges[begin] + edges[end]) / speed for (begin, end), speed in spans)
