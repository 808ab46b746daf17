"""What a source and sink knows of its frames: credit, ways, losses, order. Pure."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partition_agent.gate.dealer import Dealer
from partition_agent.gate.gate import OVERTAKEN, End, Gate
from partition_agent.protocol import SINK, SOURCE, STUDIO_PEER, FrameRoute, LinkSpec, TensorSpec

X = (TensorSpec("x", "float32", (1,)),)
VALUE = {"x": np.zeros(1, np.float32)}


def feed(device: str, window: int = 2, routes: tuple[tuple[int, int], ...] = ()) -> LinkSpec:
    return LinkSpec(f"in {device}", SOURCE, f"s@{device}", STUDIO_PEER, device, X, window, routes=routes)


def drain(device: str, window: int = 2, routes: tuple[tuple[int, int], ...] = ()) -> LinkSpec:
    return LinkSpec(f"out {device}", f"s@{device}", SINK, device, STUDIO_PEER, X, window, routes=routes)


def opened(gate: Gate, *links: LinkSpec) -> Gate:
    for link in links:
        if link.producer == SOURCE:
            gate.credited(link.id, link.window, 0)
        else:
            gate.opened(link.id)
    return gate


def of(links: list[LinkSpec], replicas: tuple[int, ...] = ()) -> Gate:
    return opened(Gate(links, replicas), *links)


def came(gate: Gate, link: LinkSpec, frame: int, reason: str = "") -> list[End]:
    ends, _ = gate.arrived(gate.claim(link.id), frame, None if reason else VALUE, reason, 0.0)
    return ends


def told(ends: list[End]) -> list[tuple[int, str]]:
    return [(end.frame, end.lost) for end in ends]


def pair() -> tuple[list[LinkSpec], LinkSpec, LinkSpec]:
    """Return the links of two replicas, and those that lead from them to the sink."""
    exits = [drain(device, 10, ((0, index),)) for index, device in enumerate("ab")]
    feeds = [feed(device, 2, ((0, index),)) for index, device in enumerate("ab")]
    return [*feeds, *exits], exits[0], exits[1]


def test_a_frame_goes_in_only_where_every_link_on_its_way_has_credit() -> None:
    links = [feed("a", 2), feed("b", 3), drain("a")]
    gate = of(links)
    assert [gate.deal(frame, 0.0) is not None for frame in (10, 11, 12)] == [True, True, False]
    gate.credited("in b", 1, None)
    assert gate.deal(12, 0.0) is None
    gate.credited("in a", 1, None)
    dealt = gate.deal(12, 0.0)
    assert dealt is not None
    assert [link.id for link in dealt.links] == ["in a", "in b"]


def test_credit_beyond_the_window_is_not_taken() -> None:
    gate = of([feed("a", 2), drain("a")])
    gate.credited("in a", 2, None)
    assert [gate.deal(frame, 0.0) is not None for frame in (0, 1, 2)] == [True, True, False]


def test_the_first_frame_has_nobody_before_it_and_each_other_one_the_last() -> None:
    gate = of([feed("a", 3), drain("a")])
    routes = [dealt.route for frame in (700, 701, 900) if (dealt := gate.deal(frame, 0.0)) is not None]
    assert [route.previous for route in routes] == [-1, 700, 701]


def test_frame_numbers_must_rise() -> None:
    gate = of([feed("a"), drain("a")])
    gate.deal(5, 0.0)
    with pytest.raises(ValueError, match="5"):
        gate.deal(5, 0.0)


def test_a_dealt_frame_names_its_replica_and_the_one_before_it_there() -> None:
    links, *_ = pair()
    gate = of(links, (2,))
    routes: list[FrameRoute] = []
    for frame in range(4):
        dealt = gate.deal(frame, 0.0)
        assert dealt is not None
        routes.append(dealt.route)
        replica = dealt.route.replicas[0]
        assert [link.routes for link in dealt.links] == [((0, replica),)]
    assert [route.replicas for route in routes] == [(0,), (1,), (0,), (1,)]
    assert [route.previous_there for route in routes] == [(-1,), (-1,), (0,), (1,)]


def test_results_leave_in_the_order_of_their_frames() -> None:
    links, a, b = pair()
    gate = of(links, (2,))
    for frame in range(4):
        gate.deal(frame, 0.0)
    assert told(came(gate, b, 1)) == []
    assert told(came(gate, b, 3)) == []
    assert told(came(gate, a, 0)) == [(0, ""), (1, "")]
    assert told(came(gate, a, 2)) == [(2, ""), (3, "")]


def test_what_waits_for_its_turn_keeps_its_place_in_the_window() -> None:
    links, a, b = pair()
    gate = of(links, (2,))
    gate.deal(0, 0.0)
    gate.deal(1, 0.0)
    assert gate.arrived(gate.claim(b.id), 1, VALUE, "", 0.0) == ([], [])
    ends = came(gate, a, 0)
    assert [gate.due(end.claims) for end in ends] == [{a.id: 1}, {b.id: 1}]


def test_a_link_that_was_opened_anew_owes_nothing_for_what_came_before() -> None:
    links = [feed("a"), drain("a")]
    gate = of(links)
    gate.deal(0, 0.0)
    (end,) = came(gate, links[1], 0)
    assert gate.opened("out a") == 2
    assert gate.due(end.claims) == {}


def test_a_frame_that_was_overtaken_on_its_link_is_lost() -> None:
    links = [feed("a", 3), drain("a", 3)]
    gate = of(links)
    for frame in range(3):
        gate.deal(frame, 0.0)
    assert told(came(gate, links[1], 2)) == [(0, OVERTAKEN), (1, OVERTAKEN), (2, "")]


def test_a_frame_of_another_replica_is_not_overtaken() -> None:
    links, a, b = pair()
    gate = of(links, (2,))
    for frame in range(4):
        gate.deal(frame, 0.0)
    assert told(came(gate, b, 3)) == []
    assert told(came(gate, a, 0)) == [(0, ""), (1, OVERTAKEN)]
    assert told(came(gate, a, 2)) == [(2, ""), (3, "")]


def test_a_loss_on_one_link_is_told_though_another_still_owes_its_part() -> None:
    links = [feed("a"), drain("a"), drain("b")]
    gate = of(links)
    gate.deal(0, 0.0)
    assert told(came(gate, links[1], 0, "a: out of memory")) == [(0, "a: out of memory")]
    claim = gate.claim("out b")
    assert gate.arrived(claim, 0, VALUE, "", 0.0) == ([], [claim])
    assert gate.totals.unexpected == 0


def test_what_comes_twice_or_of_nobody_is_unexpected_and_gives_its_place_back() -> None:
    links = [feed("a"), drain("a")]
    gate = of(links)
    gate.deal(0, 0.0)
    came(gate, links[1], 0)
    claim = gate.claim("out a")
    assert gate.arrived(claim, 0, VALUE, "", 0.0) == ([], [claim])
    assert gate.arrived(claim, 17, None, "gone", 0.0) == ([], [claim])
    # A loss of what came is told after every broken connection.
    assert gate.totals.unexpected == 1


def test_giving_up_loses_each_frame_once() -> None:
    links = [feed("a", 3), drain("a", 3), drain("b", 3)]
    gate = of(links)
    for frame in range(3):
        gate.deal(frame, 0.0)
    assert told(came(gate, links[1], 0, "first")) == [(0, "first")]
    assert told(gate.lose_all("a is gone")) == [(1, "a is gone"), (2, "a is gone")]
    assert gate.lose_all("again") == []
    assert (gate.totals.lost, gate.totals.in_flight) == (3, 0)


@given(st.data())
def test_every_frame_ends_once_and_in_order_whatever_is_lost_on_the_way(data: st.DataObject) -> None:
    """Links to two replicas and two ends at each; each link brings, loses or forgets a frame, in order of frames."""
    feeds = [feed(device, 50, ((0, index),)) for index, device in enumerate("ab")]
    exits = [
        LinkSpec(f"{part}{index}", "s", SINK, device, STUDIO_PEER, X, 50, routes=((0, index),))
        for index, device in enumerate("ab")
        for part in "xy"
    ]
    gate = of([*feeds, *exits], (2,))
    count = data.draw(st.integers(1, 12))
    coming: dict[str, list[tuple[int, str]]] = {link.id: [] for link in exits}
    for frame in range(count):
        dealt = gate.deal(frame, 0.0)
        assert dealt is not None
        for link in exits:
            fate = data.draw(st.sampled_from(["comes", "comes", "comes", "lost", "forgotten"]))
            if link.routes == ((0, dealt.route.replicas[0]),) and fate != "forgotten":
                coming[link.id].append((frame, fate))
    left: list[End] = []
    granted = dict.fromkeys(coming, 0)
    messages = {link: len(queue) for link, queue in coming.items()}
    while any(coming.values()):
        name = data.draw(st.sampled_from([name for name, queue in coming.items() if queue]))
        frame, fate = coming[name].pop(0)
        tensors = VALUE if fate == "comes" else None
        ends, unclaimed = gate.arrived(gate.claim(name), frame, tensors, "lost there", 0.0)
        left += ends
        for other, places in gate.due([*unclaimed, *(claim for end in ends for claim in end.claims)]).items():
            granted[other] += places
    left += (rest := gate.lose_all("the end"))
    for name, places in gate.due([claim for end in rest for claim in end.claims]).items():
        granted[name] += places
    assert [end.frame for end in left] == list(range(count))
    assert granted == messages
    assert all((end.outputs is None) == bool(end.lost) for end in left)
    totals = gate.totals
    assert (totals.submitted, totals.delivered + totals.lost, totals.in_flight) == (count, count, 0)


def test_replicas_behind_and_before_other_stages_are_dealt_to_by_what_their_devices_measured() -> None:
    links = [feed("a", 400), drain("d", 400)]
    gate = of(links, (2,))
    (dealer,) = gate.dealers
    assert dealer.is_told
    for index, service_s in enumerate((1.0, 3.0)):
        dealer.tell(index, service_s)
    for frame in range(400):
        assert gate.deal(frame, 0.0) is not None
    assert dealer.dealt == [pytest.approx(300, abs=3), pytest.approx(100, abs=3)]


def test_what_the_door_sees_itself_counts_for_more_than_what_it_is_told() -> None:
    links, *_ = pair()
    (dealer,) = of(links, (2,)).dealers
    assert not dealer.is_told
    dealer.tell(0, 5.0)
    assert dealer.speeds == [None, None]


def measured(dealer: Dealer, index: int, service_s: float) -> None:
    """Let a replica deliver three frames, the last one at `service_s`."""
    for number in (-2, -1, 0):
        dealer.deal(index, number * service_s)
        dealer.settled(index, number * service_s, (number + 1) * service_s, is_lost=False)
        dealer.left(index)


def test_a_slow_replica_gets_frames_while_the_fast_one_is_not_there() -> None:
    links, *_ = pair()
    dealer = of(links, (2,)).dealers[0]
    for index, service_s in enumerate((1.0, 30.0)):
        measured(dealer, index, service_s)
    assert dealer.choose([0, 1], 40.0) == 0
    dealer.deal(0, 40.0)
    assert dealer.choose([1], 40.1) is None
    dealer.settled(0, 40.0, 41.0, is_lost=True)
    assert dealer.choose([1], 41.0) == 1


def test_a_slow_replica_gets_frames_when_the_fast_one_stands_still() -> None:
    links, *_ = pair()
    dealer = of(links, (2,)).dealers[0]
    for index, service_s in enumerate((1.0, 30.0)):
        measured(dealer, index, service_s)
    dealer.deal(0, 40.0)
    assert dealer.choose([1], 41.0) is None
    assert dealer.choose([1], 45.0) == 1
