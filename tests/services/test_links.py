"""What traffic tells of a link, and which figure of several is shown."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from partition_agent.protocol import STUDIO_PEER, LinkSample, MemorySample, Telemetry
from partition_studio.fleet.links.measure import StudioEnd
from partition_studio.fleet.links.traffic import KEPT_S, TrafficWatch, Way
from partition_studio.services.links import pair_of
from partition_studio.store.database import Database, open_in
from partition_studio.store.links import Figure, LinkStore

FEED, BETWEEN, RESULT = Way(STUDIO_PEER, "a"), Way("a", "b"), Way("b", STUDIO_PEER)
WAYS = {"d": {"in": FEED, "a>b": BETWEEN, "a>b2": BETWEEN, "out": RESULT}}


def sample(second: float, *links: LinkSample, incarnation: str = "x") -> Telemetry:
    memory = MemorySample(pss_bytes=None, uss_bytes=None, rss_bytes=0, peak_bytes=0, limit_bytes=0)
    return Telemetry(
        incarnation=incarnation,
        sequence=int(second),
        monotonic_s=second,
        unix_s=second,
        cpu_s=0.0,
        usable_cores=1.0,
        cpu_utilisation=None,
        memory=memory,
        power=(),
        thermal=None,
        stages=(),
        links=links,
        dropped={},
    )


def link(name: str, *, sent: int = 0, received: int = 0, deployment: str = "d") -> LinkSample:
    # Tensors are larger than what passes when a codec shrinks them.
    return LinkSample(deployment, 1, name, 1, 3 * sent, 1, 3 * received, sent, received)


def test_a_rate_counts_when_it_lasted_and_at_the_consumers_end() -> None:
    watch = TrafficWatch()
    assert watch.seen("b", sample(0, link("a>b", received=0)), WAYS) == {}
    assert watch.seen("b", sample(1, link("a>b", received=500)), WAYS) == {}
    assert watch.seen("b", sample(2, link("a>b", received=900)), WAYS) == {BETWEEN: 400.0}
    # More is news, less is not.
    assert watch.seen("b", sample(3, link("a>b", received=1200)), WAYS) == {}
    assert watch.seen("b", sample(4, link("a>b", received=5200)), WAYS) == {}
    assert watch.seen("b", sample(5, link("a>b", received=9200)), WAYS) == {BETWEEN: 4000.0}
    assert watch.bound(BETWEEN) == 4000.0
    # What a producer puts into its queue is not on the other side yet.
    for second in range(4):
        assert watch.seen("a", sample(second, link("a>b", sent=second * 10**9)), WAYS) == {}


def test_links_of_one_direction_count_together_and_the_studios_by_its_devices() -> None:
    watch = TrafficWatch()
    for second in range(3):
        found = watch.seen(
            "b",
            sample(
                second,
                link("a>b", received=second * 100),
                link("a>b2", received=second * 50),
                link("out", sent=second * 7),
                link("elsewhere", received=second * 10**6),
                link("a>b", received=second * 10**6, deployment="unknown"),
            ),
            WAYS,
        )
    assert found == {BETWEEN: 150.0, RESULT: 7.0}
    for second in range(3):
        found = watch.seen("a", sample(second, link("in", received=second * 30)), WAYS)
    assert found == {FEED: 30.0}


@pytest.mark.parametrize("seconds", [(0, 6, 12), (0, 0.1, 0.2), (2, 1, 0)])
def test_samples_that_are_not_about_a_second_apart_tell_nothing(seconds: tuple[float, ...]) -> None:
    watch = TrafficWatch()
    for number, second in enumerate(seconds):
        assert watch.seen("b", sample(second, link("a>b", received=number * 1000)), WAYS) == {}


def test_an_agent_that_was_started_again_counts_from_nothing() -> None:
    watch = TrafficWatch()
    for second in range(3):
        watch.seen("b", sample(second, link("a>b", received=10**9 + second * 100)), WAYS)
    assert watch.bound(BETWEEN) == 100.0
    for second in range(3, 6):
        assert watch.seen("b", sample(second, link("a>b", received=second), incarnation="y"), WAYS) == {}


def test_an_old_bound_gives_way_to_a_lower_one() -> None:
    watch = TrafficWatch()
    for second in range(3):
        watch.seen("b", sample(second, link("a>b", received=second * 1000)), WAYS)
    later = 10 + KEPT_S
    for second in range(3):
        found = watch.seen("b", sample(later + second, link("a>b", received=10**6 + second * 10)), WAYS)
    assert found == {BETWEEN: 10.0}


class End(StudioEnd):
    """An end under another name; nothing is measured with it here."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


@dataclass(frozen=True)
class Device:
    is_local: bool
    data_host: str

    @property
    def studio_host(self) -> str:
        return self.data_host


BOARD, OTHER, HERE = Device(False, "127.0.0.2"), Device(False, "127.0.0.3"), Device(True, "127.0.0.1")


@pytest.mark.parametrize(
    ("one", "other", "caller", "host"),
    [
        # The studio listens nowhere; it and what runs on its machine connect to the boards.
        ((STUDIO_PEER, HERE), ("a", BOARD), STUDIO_PEER, "127.0.0.2"),
        (("a", BOARD), (STUDIO_PEER, HERE), STUDIO_PEER, "127.0.0.2"),
        ((STUDIO_PEER, HERE), ("a", HERE), STUDIO_PEER, "127.0.0.1"),
        (("a", HERE), ("b", BOARD), "a", "127.0.0.2"),
        (("a", BOARD), ("b", HERE), "b", "127.0.0.2"),
        (("a", HERE), ("b", HERE), "a", "127.0.0.1"),
        (("a", BOARD), ("b", OTHER), "a", "127.0.0.3"),
    ],
)
def test_who_connects_to_whom_and_where(
    one: tuple[str, Device], other: tuple[str, Device], caller: str, host: str
) -> None:
    devices = {name: device for name, device in (one, other) if name != STUDIO_PEER}
    pair = pair_of(End(one[0]), End(other[0]), devices)
    assert (pair.caller.name, pair.host) == (caller, host)
    assert {pair.caller.name, pair.listener.name} == {one[0], other[0]}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_in(tmp_path)
    yield database
    database.close()


def test_the_newest_measured_figure_is_shown_and_a_bound_only_where_it_is_more(database: Database) -> None:
    store = LinkStore(database)
    way = Way("a", "b")

    def shown() -> tuple[str, float, float | None]:
        (out,) = store.best()
        return out.method, out.bytes_per_s, out.rtt_s

    store.keep(way, "traffic", Figure(50.0, None, None))
    assert shown() == ("traffic", 50.0, None)
    store.keep(way, "measured", Figure(20.0, 0.01, 0.01))
    assert shown() == ("measured", 20.0, 0.01)
    store.keep(way, "background", Figure(30.0, 0.02, 0.01))
    assert shown() == ("background", 30.0, 0.02)
    store.keep(way, "traffic", Figure(29.0, None, None))
    assert shown() == ("background", 30.0, 0.02)
    store.keep(way, "traffic", Figure(31.0, None, None))
    assert shown() == ("traffic", 31.0, 0.02)
    store.keep(way, "measured", Figure(25.0, 0.03, 0.01))
    assert shown() == ("measured", 25.0, 0.03)
    store.keep(Way("b", "a"), "measured", Figure(1.0, None, None))
    assert [(out.source, out.target) for out in store.best()] == [("a", "b"), ("b", "a")]
