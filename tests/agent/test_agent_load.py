"""A load keeps a share of the cores busy, is seen by the samples, and ends when it should, whoever ends."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest
from tests.agent.rig import AgentProcess, wait_until

from partition_agent.load.maker import LoadMaker, mean_power, mean_utilisation, shares
from partition_agent.protocol import (
    CancelJob,
    Configure,
    Done,
    Failed,
    JobProgress,
    Load,
    Loaded,
    MemorySample,
    PowerModel,
    PowerSample,
    Reply,
    Result,
    Telemetry,
    ThermalSample,
)
from partition_agent.refusal import RefusedError

SAMPLE = Telemetry(
    incarnation="i",
    sequence=1,
    monotonic_s=0.0,
    unix_s=0.0,
    cpu_s=0.0,
    usable_cores=1.0,
    cpu_utilisation=None,
    memory=MemorySample(0, 0, 0, 0, 0),
    power=(),
    thermal=None,
    stages=(),
    links=(),
    dropped={},
)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    """One for all tests that do not end it."""
    folder = tmp_path_factory.mktemp("load") / "agent"
    with AgentProcess(folder, "--cpus", str(min(os.sched_getaffinity(0)))) as running:
        yield running


@pytest.fixture
def own_agent(tmp_path: Path) -> Iterator[AgentProcess]:
    with AgentProcess(tmp_path / "agent", "--cpus", str(min(os.sched_getaffinity(0)))) as running:
        yield running


def burning(agent: AgentProcess) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(agent.process.pid).children()
        return [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    return []


def test_a_full_load_is_seen_and_told_and_leaves_nothing(agent: AgentProcess) -> None:
    agent.control.call(Configure("a", PowerModel(1.0, 5.0)))
    loaded = agent.control.call(Load("full", 1.0, 2.0))
    assert isinstance(loaded, Loaded), loaded
    # Others may be busy on that core too: it is full all the same.
    assert loaded.utilisation is not None
    assert loaded.utilisation > 0.6
    (power,) = loaded.power
    assert (power.scope, power.method) == ("model", "estimated")
    assert power.power_w is not None
    assert power.power_w > 1 + 4 * 0.5
    told = [event for event in agent.control.events if isinstance(event, JobProgress)]
    assert {event.total for event in told if event.job == "full"} == {100}
    assert not burning(agent)


def test_an_idle_load_starts_nothing(agent: AgentProcess) -> None:
    number = agent.control.post(Load("j", 0.0, 1.0))
    agent.control.telemetry()
    assert not burning(agent)
    assert isinstance(agent.control.reply(number), Loaded)


def answers(agent: AgentProcess, *numbers: int) -> list[Result]:
    """The answers to several calls that are under way, in whatever order they come."""
    found: dict[int, Result] = {}
    while set(numbers) - set(found):
        message = agent.control.next()
        if isinstance(message, Reply):
            found[message.id] = message.result
    return [found[number] for number in numbers]


def test_a_load_ends_at_once_when_it_is_cancelled_and_by_its_own_name_only(agent: AgentProcess) -> None:
    load = agent.control.post(Load("cancelled", 0.5, 500.0))
    wait_until(lambda: bool(burning(agent)), "the load")
    (refused,) = answers(agent, agent.control.post(Load("k", 0.5, 1.0)))
    assert isinstance(refused, Failed)
    assert refused.code == "busy"
    answers(agent, agent.control.post(CancelJob("k")))
    assert burning(agent)
    cancelled, ended = answers(agent, agent.control.post(CancelJob("cancelled")), load)
    assert cancelled == Done()
    assert isinstance(ended, Failed)
    assert ended.code == "cancelled"
    assert not burning(agent)


@pytest.mark.parametrize("level", [-0.1, 1.1, 1e300])
def test_a_load_that_cannot_be_is_refused(agent: AgentProcess, level: float) -> None:
    refused = agent.control.call(Load("j", level, 1.0))
    assert isinstance(refused, Failed)
    assert refused.code == "bad_load"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_load_ends_with_its_agent_however_that_ends(own_agent: AgentProcess, number: signal.Signals) -> None:
    agent = own_agent
    agent.control.post(Load("j", 0.5, 500.0))
    wait_until(lambda: bool(burning(agent)), "the load")
    children = burning(agent)
    os.kill(agent.process.pid, number)
    agent.process.wait(30)
    wait_until(lambda: not any(alive(child) for child in children), "the end of the load")


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("level", "usable", "expected"),
    [
        (0.0, 4.0, []),
        (0.5, 4.0, [(0, 0.5), (1, 0.5), (2, 0.5), (3, 0.5)]),
        (1.0, 0.5, [(0, 0.5)]),
        (1.0, 1.5, [(0, 0.75), (1, 0.75)]),
        (1.0, 9.0, [(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0)]),
    ],
)
def test_the_load_is_spread_over_what_a_quota_allows(
    level: float, usable: float, expected: list[tuple[int, float]]
) -> None:
    assert shares(level, range(4), usable) == expected


def seen(second: float, joules: float | None, watts: float | None, **more: object) -> Telemetry:
    power = PowerSample(watts, joules, "shelly", "wall", "counter", 0.01)
    return msgspec.structs.replace(SAMPLE, monotonic_s=second, power=(power,), **more)


def test_mean_power_is_by_the_meters_own_energy() -> None:
    (power,) = mean_power([seen(10, 100, 3.0), seen(11, 105, 99.0), seen(14, 120, None)])
    assert (power.power_w, power.source, power.scope, power.method) == (5, "shelly", "wall", "counter")


def test_mean_power_without_a_counter_is_that_of_the_readings_after_the_first() -> None:
    (power,) = mean_power([seen(10, None, 90.0), seen(11, None, 4.0), seen(12, None, 6.0)])
    assert power.power_w == 5
    (absent,) = mean_power([seen(10, None, None), seen(11, None, None)])
    assert absent.power_w is None
    assert mean_power([]) == ()


def test_utilisation_counts_the_frequency_as_the_power_model_does() -> None:
    slow = ThermalSample(None, (), (), 0.5)
    samples = [seen(10, None, None), seen(11, None, None, cpu_utilisation=0.8, thermal=slow)]
    assert mean_utilisation(samples) == pytest.approx(0.4)
    assert mean_utilisation([*samples, seen(12, None, None, cpu_utilisation=0.8)]) == pytest.approx(0.6)
    assert mean_utilisation(samples[:1]) is None


@pytest.mark.parametrize("method", ["sampled", "estimated", "counter"])
def test_mean_power_of_a_source_with_gaps_is_over_the_time_of_which_its_energy_tells(method: str) -> None:
    def reading(second: float, joules: float, covered_s: float) -> Telemetry:
        power = PowerSample(10.0, joules, "ina3221", "board", method, None, 1.0, covered_s, second)
        return msgspec.structs.replace(SAMPLE, monotonic_s=second, power=(power,))

    (power,) = mean_power([reading(10, 100, 40), reading(12, 104, 40.4), reading(14, 108, 40.8)])
    assert power.power_w == pytest.approx(10)
    assert power.coverage == pytest.approx(0.2)


@pytest.mark.parametrize("ends", ["cancelled", "closed"])
def test_no_load_begins_after_its_cancel_or_the_agents_end(ends: str) -> None:
    maker = LoadMaker([0], lambda _event: None)
    if ends == "cancelled":
        maker.cancel("j")
    else:
        maker.close()
    for _ in range(2):
        with pytest.raises(RefusedError, match="was cancelled") as refused:
            maker.load(Load("j", 0.5, 500.0))
        assert refused.value.failed.code == "cancelled"
