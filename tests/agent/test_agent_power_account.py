"""Energy and coverage of one source, and of all the sources of a device."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.agent.sysfs import tree

from partition_agent.power.account import Account
from partition_agent.power.meter import PowerMeter
from partition_agent.power.model import ModelSpec, make
from partition_agent.power.plug import PlugSpec
from partition_agent.power.reader import Finding, PowerReader, Reading, found


class Scripted(PowerReader):
    """Says what it is told to."""

    def __init__(self, method: str = "sampled", source: str = "scripted", scope: str = "board") -> None:
        self.method, self.source, self.scope = method, source, scope
        if method == "counter":
            self.interval_s, self.max_gap_s = 1.0, float("inf")
        self.says: Reading | None = None
        self.asked = 0
        self.closed = False

    def read(self, utilisation: float | None) -> Reading | None:
        self.asked += 1
        return self.says

    def close(self) -> None:
        self.closed = True


SAMPLED, COUNTER = Scripted(), Scripted("counter")


def fed(reader: PowerReader, readings: list[tuple[float, float | None]]) -> Account:
    """An account since 0 s that took readings: at which time, and watts or (of a counter) joules."""
    account = Account(0.0)
    for at_s, value in readings:
        one = Reading(None, value) if reader.method == "counter" else Reading(value)
        account.take(reader, None if value is None else one, at_s)
    return account


def test_energy_of_sampled_power_is_the_trapezoid_on_the_real_times() -> None:
    account = fed(SAMPLED, [(0.0, 2.0), (0.5, 4.0), (0.6, 4.0)])
    figure = account.figure(SAMPLED, 0.6)
    assert figure.energy_j == pytest.approx(1.5 + 0.4)
    assert figure.power_w == pytest.approx(1.9 / 0.6)
    assert figure.coverage == pytest.approx(1.0)


def test_power_is_the_mean_since_the_figure_before() -> None:
    account = fed(SAMPLED, [(0.0, 2.0), (1.0, 2.0)])
    account.figure(SAMPLED, 1.0)
    account.take(SAMPLED, Reading(6.0), 2.0)
    assert account.figure(SAMPLED, 2.0).power_w == pytest.approx(4.0)
    assert account.figure(SAMPLED, 2.0).power_w == 6.0, "without time in between it is that of the moment"


def test_a_failed_reading_adds_no_energy_and_lowers_the_coverage() -> None:
    account = fed(SAMPLED, [(0.0, 2.0), (1.0, 2.0), (2.0, None), (3.0, 2.0), (4.0, 2.0)])
    figure = account.figure(SAMPLED, 4.0)
    assert figure.energy_j == pytest.approx(4.0)
    assert figure.coverage == pytest.approx(0.5)


def test_a_pause_of_the_process_is_a_gap() -> None:
    account = fed(SAMPLED, [(0.0, 2.0), (1.0, 2.0), (61.0, 2.0), (62.0, 2.0)])
    figure = account.figure(SAMPLED, 62.0)
    assert figure.energy_j == pytest.approx(4.0)
    assert figure.coverage == pytest.approx(2 / 62)


def test_a_source_that_does_not_answer_now_has_no_power_and_keeps_its_energy() -> None:
    account = fed(SAMPLED, [(0.0, 2.0), (1.0, 2.0), (2.0, None)])
    figure = account.figure(SAMPLED, 2.0)
    assert (figure.power_w, figure.energy_j) == (None, 2.0)
    account = fed(SAMPLED, [(0.0, 2.0), (1.0, 2.0)])
    assert account.figure(SAMPLED, 9.0).power_w is None, "nor one that was not asked for long"


def test_a_source_that_never_answered_has_no_energy_rather_than_0() -> None:
    account = fed(SAMPLED, [(0.0, None), (1.0, None)])
    assert account.figure(SAMPLED, 1.0) == (None, None, 0.0)


def test_power_of_a_counter_is_its_rate_and_it_covers_a_gap_by_itself() -> None:
    account = fed(COUNTER, [(0.0, 5.0), (2.0, 8.0), (3.0, None), (60.0, 66.0)])
    figure = account.figure(COUNTER, 60.0)
    assert figure.energy_j == pytest.approx(61.0)
    assert figure.power_w == pytest.approx(1.0)
    assert figure.coverage == pytest.approx(1.0)


def test_one_reading_of_a_counter_says_no_power() -> None:
    assert fed(COUNTER, [(0.0, 5.0)]).figure(COUNTER, 0.0).power_w is None


def test_a_counter_that_was_set_back_or_jumps_beyond_reason_is_a_gap() -> None:
    account = fed(COUNTER, [(0.0, 500.0), (1.0, 510.0), (2.0, 3.0), (3.0, 13.0), (4.0, 1e12), (5.0, 1e12 + 10)])
    figure = account.figure(COUNTER, 5.0)
    assert figure.energy_j == pytest.approx(30.0)
    assert figure.coverage == pytest.approx(3 / 5)


def test_a_counter_that_stopped_is_absent_not_0() -> None:
    account = fed(COUNTER, [(float(second), 10.0 + min(second, 5)) for second in range(30)])
    figure = account.figure(COUNTER, 29.0)
    assert figure.power_w is None and figure.energy_j == pytest.approx(5.0)
    assert figure.coverage < 0.6
    account.take(COUNTER, Reading(None, 20.0), 30.0)
    assert account.figure(COUNTER, 30.0).power_w == pytest.approx(5.0)


def test_the_same_reading_twice_is_one() -> None:
    account = Account(0.0)
    for at_s, now_s in ((0.0, 0.1), (0.0, 0.2), (1.0, 1.1), (1.0, 1.2)):
        account.take(SAMPLED, Reading(3.0, None, at_s), now_s)
    assert account.figure(SAMPLED, 1.2).energy_j == pytest.approx(3.0)


def test_an_estimate_is_the_mean_of_the_time_that_passed() -> None:
    model = make(ModelSpec(2.0, 6.0))
    assert model is not None
    account = Account(0.0)
    for at_s, utilisation in ((0.0, 0.0), (1.0, 1.0), (2.0, 0.5)):
        account.take(model, model.read(utilisation), at_s)
    assert account.figure(model, 2.0) == (4.0, 10.0, 1.0)


# --- the model -------------------------------------------------------------------------------------------------------


def test_the_band_of_a_model_is_its_residual_or_a_broad_one() -> None:
    declared, fitted = make(ModelSpec(2.0, 6.0)), make(ModelSpec(2.0, 6.0, "calibrated", 0.2))
    assert declared is not None and fitted is not None
    assert declared.source == "declared" and declared.uncertainty(4.0) == 0.30
    assert fitted.source == "calibrated" and fitted.uncertainty(4.0) == pytest.approx(0.05)
    assert fitted.uncertainty(None) is None
    assert declared.read(None) is None


@pytest.mark.parametrize(
    "spec",
    [
        None,
        ModelSpec(6.0, 2.0),
        ModelSpec(-1.0, 2.0),
        ModelSpec(float("nan"), 2.0),
        ModelSpec(1.0, float("inf")),
        ModelSpec(1.0, 2.0, "calibrated", float("nan")),
    ],
)
def test_figures_that_make_no_model_are_none(spec: ModelSpec | None) -> None:
    assert make(spec) is None


# --- all the sources -------------------------------------------------------------------------------------------------


def meter_of(root: Path, *readers: Scripted) -> PowerMeter:
    def find(root: Path, shunt_ohm: float | None) -> list[Finding]:
        return [found(reader, "") for reader in readers]

    meter = PowerMeter(0.0, root, find)
    meter.open()
    return meter


def test_the_widest_scope_that_tells_something_comes_first_and_nothing_is_added(tmp_path: Path) -> None:
    scopes = ["gpu", "battery", "package", "module", "board"]
    readers = [Scripted(source=scope, scope=scope) for scope in scopes]
    meter = meter_of(tmp_path, *readers)
    meter.configure(ModelSpec(1.0, 3.0), None, None)
    for number, reader in enumerate(readers):
        reader.says = Reading(float(number + 1))
    meter.update(1.0, 0.5)
    figures = [(figure.scope, figure.power_w) for figure in meter.figures(1.0)]
    assert figures == [("board", 5), ("module", 4), ("package", 3), ("gpu", 1), ("battery", 2), ("model", 2)]
    readers[-1].says = None
    meter.update(2.0, 0.5)
    assert [figure.scope for figure in meter.figures(2.0)] == [*(s for s, _ in figures[1:]), "board"]


def test_without_sources_and_declaration_there_is_no_figure(tmp_path: Path) -> None:
    meter = PowerMeter(0.0, tmp_path)
    meter.open()
    meter.update(1.0, 0.5)
    assert meter.figures(1.0) == []
    meter.configure(ModelSpec(1.0, 3.0), None, None)
    meter.update(2.0, 0.5)
    assert [figure.power_w for figure in meter.figures(2.0)] == [2.0]
    meter.configure(None, None, None)
    assert meter.figures(3.0) == []


def test_a_source_that_never_told_anything_is_left_out(tmp_path: Path) -> None:
    meter = meter_of(tmp_path, Scripted())
    meter.update(1.0)
    assert meter.figures(1.0) == []


def test_energy_goes_on_when_a_model_is_declared_anew(tmp_path: Path) -> None:
    meter = meter_of(tmp_path)
    meter.configure(ModelSpec(1.0, 3.0), None, None)
    meter.update(0.0, 0.0)
    meter.update(1.0, 0.0)
    meter.configure(ModelSpec(2.0, 3.0), None, None)
    meter.update(2.0, 0.0)
    assert [figure.energy_j for figure in meter.figures(2.0)] == [3.0]


def test_counters_are_read_once_a_second_and_sensors_ten_times(tmp_path: Path) -> None:
    counter, sensor = Scripted("counter", "a", "package"), Scripted("sampled", "b", "module")
    counter.says, sensor.says = Reading(None, 1.0), Reading(1.0)
    meter = meter_of(tmp_path, counter, sensor)
    assert meter.interval_s == 0.1
    for tick in range(50):
        meter.update(tick / 10)
    assert (counter.asked, sensor.asked) == (5, 50)
    meter.close()
    assert counter.closed and sensor.closed


def test_a_device_with_counters_alone_is_left_in_peace(tmp_path: Path) -> None:
    assert meter_of(tmp_path, Scripted("counter")).interval_s == 1.0


def test_a_shunt_that_is_declared_while_the_agent_runs_opens_its_sensor(tmp_path: Path) -> None:
    base = "sys/class/hwmon/hwmon1"
    files = {f"{base}/name": "ina226", f"{base}/in1_input": 5000, f"{base}/curr1_input": 1000}
    meter = PowerMeter(0.0, tree(tmp_path, files))
    meter.configure(None, None, 0.01)
    meter.open()
    meter.update(1.0)
    assert [(figure.source, figure.power_w) for figure in meter.figures(1.0)] == [("ina226", 5.0)]
    meter.configure(None, None, 0.02)
    meter.update(2.0)
    assert [figure.power_w for figure in meter.figures(2.0)] == [pytest.approx(3.75)], "the mean over the change"
    meter.configure(None, None, None)
    assert meter.figures(3.0) == []
    meter.close()


def test_a_source_that_was_opened_meanwhile_is_found_when_the_studio_says_something(tmp_path: Path) -> None:
    old, new = Scripted("counter", "old", "package"), Scripted("sampled", "new", "board")
    again = Scripted("counter", "old", "package")
    readers = [[old], [again, new]]

    def find(root: Path, shunt_ohm: float | None) -> list[Finding]:
        return [found(reader, "") for reader in readers.pop(0)]

    meter = PowerMeter(0.0, tmp_path, find)
    assert meter.wants_open
    meter.open()
    assert not meter.wants_open
    meter.configure(None, None, None)
    assert meter.wants_open
    meter.open()
    new.says = old.says = Reading(1.0, 1.0)
    meter.update(1.0)
    assert {figure.source for figure in meter.figures(1.0)} == {"old", "new"}
    assert again.closed and not old.closed


def test_a_plug_that_does_not_answer_is_shown_without_figures(tmp_path: Path) -> None:
    meter = PowerMeter(0.0, tmp_path)
    meter.open()
    meter.configure(None, PlugSpec("shelly", "no host at all"), None)
    meter.update(1.0)
    assert [figure[:5] for figure in meter.figures(1.0)] == [(None, None, "shelly", "wall", "counter")]
    meter.close()


def test_an_account_says_how_long_and_until_when_its_energy_tells() -> None:
    account = fed(SAMPLED, [(0.0, 2.0), (1.0, 2.0), (2.0, None), (3.0, 2.0), (4.0, 2.0), (5.0, None)])
    assert (account.covered_s, account.told_s) == (2.0, 4.0)
    assert (fed(SAMPLED, []).covered_s, fed(SAMPLED, []).told_s) == (0.0, None)


def test_a_figure_tells_its_covered_time(tmp_path: Path) -> None:
    reader = Scripted()
    reader.says = Reading(5.0)
    meter = meter_of(tmp_path, reader)
    for second in (1.0, 2.0):
        meter.update(second)
    (figure,) = meter.figures(2.0)
    assert (figure.covered_s, figure.told_s, figure.energy_j) == (1.0, 2.0, 5.0)
