"""Links as the planner takes them: measured ones, those of one machine, and interfaces that several share."""

from datetime import UTC, datetime
from typing import Literal

from partition_studio.planner.figures.estimate import LOOPBACK
from partition_studio.planner.figures.figures import LinkTable
from partition_studio.schemas import LinkProfileOut
from partition_studio.services.figures import link_table

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def link(
    source: str,
    target: str,
    bytes_per_s: float,
    *,
    rtt_s: float | None = 0.004,
    method: Literal["measured", "traffic"] = "measured",
) -> LinkProfileOut:
    return LinkProfileOut(
        source=source,
        target=target,
        bytes_per_s=bytes_per_s,
        rtt_s=rtt_s,
        rtt_min_s=None if rtt_s is None else rtt_s / 2,
        method=method,
        measured_at=NOW,
    )


def test_a_measured_link_has_half_of_its_shortest_round_trip() -> None:
    table = link_table(["a", "b"], set(), [link("a", "b", 1e6)])
    assert (table.of("a", "b").bytes_per_s, table.of("a", "b").latency_s) == (1e6, 0.001)
    assert not table.of("a", "b").estimated


def test_what_was_not_measured_is_estimated_and_faster_within_one_machine() -> None:
    table = link_table(["a", "b", "far"], {"a", "b"}, [])
    assert table.of("a", "b") == table.of("studio", "a") == LOOPBACK
    assert table.of("a", "far") == table.default
    assert LOOPBACK.estimated and table.default.estimated


def test_traffic_is_a_lower_bound_and_makes_an_estimate_no_slower() -> None:
    default = LinkTable({}).default.bytes_per_s
    slow = link_table(["a"], set(), [link("studio", "a", default / 10, rtt_s=None, method="traffic")])
    assert slow.of("studio", "a") == slow.default
    fast = link_table(["a"], set(), [link("studio", "a", default * 10, rtt_s=None, method="traffic")])
    assert fast.of("studio", "a").bytes_per_s == default * 10 and fast.of("studio", "a").estimated


def test_links_of_other_devices_do_not_count() -> None:
    assert link_table(["a"], set(), [link("a", "gone", 5.0), link("gone", "a", 5.0)]).links == {}


def test_several_links_of_a_device_share_an_interface_as_fast_as_the_fastest() -> None:
    measured = [link("a", "b", 10e6), link("a", "studio", 12e6), link("studio", "a", 11e6), link("b", "a", 9e6)]
    table = link_table(["a", "b"], set(), measured)
    assert table.interfaces["a"] == 12e6
    # Of these only one link each is known: nothing says what else they could carry.
    assert "b" not in table.interfaces


def test_what_runs_on_the_studios_machine_shares_no_interface() -> None:
    peers = ("studio", "a", "b", "far")
    measured = [link(one, other, 10e6) for one in peers for other in peers if one != other]
    table = link_table(["a", "b", "far"], {"a", "b"}, measured)
    assert set(table.interfaces) == {"far"}
