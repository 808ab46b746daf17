"""Where the benchmark cuts networks: against trying everything."""

import itertools
from collections.abc import Sequence

from bench.pipeline.figures import Bar, slope
from bench.pipeline.harness.carry import CarryCost
from bench.pipeline.harness.cuts import best_chain, find_cuts, one_tensor_places, passing_bytes
from bench.pipeline.harness.plans import chain_plan
from bench.synthetic import mobilenet_v2
from hypothesis import given
from hypothesis import strategies as st

from partition_studio.graph.network import Network
from partition_studio.partition.partition import partition
from tests.core.networks import load, relu_chain


def slowest(
    costs: Sequence[float], bounds: Sequence[int], speeds: Sequence[float], edges: Sequence[float] = ()
) -> float:
    edges = edges or [0.0] * (len(costs) + 1)
    spans = zip(itertools.pairwise([0, *bounds, len(costs)]), speeds, strict=True)
    return max((sum(costs[begin:end]) + edges[begin] + edges[end]) / speed for (begin, end), speed in spans)


@given(
    costs=st.lists(st.floats(0.1, 10.0), min_size=4, max_size=8),
    speeds=st.lists(st.sampled_from([0.25, 0.5, 1.0]), min_size=1, max_size=4),
    edges=st.lists(st.floats(0.0, 10.0), min_size=9, max_size=9),
)
def test_the_best_chain_is_that_of_trying_all(costs: list[float], speeds: list[float], edges: list[float]) -> None:
    edges = edges[: len(costs) + 1]
    found = best_chain(costs, speeds, edges)
    everything = itertools.combinations(range(1, len(costs)), len(speeds) - 1)
    best = min(slowest(costs, bounds, speeds, edges) for bounds in everything)
    assert slowest(costs, found, speeds, edges) <= best * (1 + 1e-9)


def crossing(network: Network, place: int) -> int:
    graph = partition(network, chain_plan(network, (place,), ["a", "b"])).graph
    return sum(len(cut.tensors) for cut in graph.cuts if cut.producer != "source" and cut.consumer != "sink")


def test_places_with_one_tensor_are_those_of_the_partition() -> None:
    network = load(mobilenet_v2(side=32))
    found = one_tensor_places(network)
    sample = range(1, len(network.layers), 3)
    assert [place for place in sample if crossing(network, place) == 1] == [p for p in found if p in sample]
    assert 0 < len(found) < len(network.layers) - 1


def test_cuts_are_found_by_what_is_measured_and_not_by_multiplications() -> None:
    network = load(relu_chain(12))
    seconds = [0.001 * (1 + 9 * (number < 3)) for number in range(len(network.layers))]
    carry = CarryCost(1e-4, 1e-6)
    cuts = find_cuts(network, [1.0, 1.0, 0.5], lambda begin, end: sum(seconds[begin:end]), carry, pieces=4, rounds=10)
    places = one_tensor_places(network)
    edges = [carry(passing_bytes(network, place)) for place in range(len(network.layers) + 1)]
    best = min(
        slowest(seconds, bounds, order, edges)
        for bounds in itertools.combinations(places, 2)
        for order in set(itertools.permutations([1.0, 1.0, 0.5]))
    )
    assert cuts.bottleneck_s <= best * (1 + 1e-9)
    assert sorted(cuts.speeds) == [0.5, 1.0, 1.0]


def test_what_passes_a_place_is_what_the_partition_says() -> None:
    network = load(mobilenet_v2(side=32))
    for place in (3, len(network.layers) // 2, len(network.layers) - 1):
        graph = partition(network, chain_plan(network, (place,), ["a", "b"])).graph
        crossing = [cut for cut in graph.cuts if cut.producer != "source" and cut.consumer != "sink"]
        assert passing_bytes(network, place) == sum(graph.cut_bytes(cut) for cut in crossing)
    assert passing_bytes(network, 0) == network.inputs["x"].size_bytes


def test_the_cost_of_carrying_is_a_line_that_never_pays() -> None:
    cost = CarryCost.through((1000, 0.002), (3000, 0.004))
    assert abs(cost(5000) - 0.006) < 1e-12
    assert CarryCost.through((1000, 0.002), (3000, 0.001)) == CarryCost(0.002, 0.0)


def test_a_bar_is_met_by_its_median() -> None:
    assert Bar("c", "n", "u", (0.9, 0.97, 0.98), 0.96).met
    assert not Bar("c", "n", "u", (0.9, 0.95, 0.98), 0.96).met
    assert not Bar("c", "n", "u", (1.0, 1.2, 1.3), 1.15, "at most").met


def test_growth_is_the_slope_of_a_line() -> None:
    assert slope([0.0, 1.0, 2.0], [5.0, 7.0, 9.0]) == 2.0
    assert slope([3.0], [1.0]) == 0.0
