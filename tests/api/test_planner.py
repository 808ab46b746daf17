"""The planner over REST: predictions, searches, and a clear answer to what cannot be."""

from collections.abc import Iterator

import pytest

from partition_studio.errors import BadInputError, NotFoundError, StudioError
from partition_studio.partition.plan import CodecChoice, Plan
from partition_studio.planner.figures.estimate import STUDIO_CARRY, over_network
from partition_studio.planner.figures.figures import CarrySpeed
from partition_studio.planner.figures.profile import Profile
from partition_studio.schemas import BaselineOut, PlanPredictionOut, PredictIn, PredictionOut
from tests.core.networks import relu_chain
from tests.planner_studio import (
    BUSY_W,
    IDLE_W,
    Conditions,
    add_devices,
    add_links,
    add_model,
    add_profile,
    change_device,
    limit_memory,
)
from tests.studio import RunningStudio

DEVICES = ("a", "b", "c")

#: Each is for one test.
OTHERS = ("new", "newer", "slow", "threads", "runtime", "form", "right", "carries", "broken", "negative")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    """One studio for all: each test has networks of its own, or devices of which nothing else is known."""
    with RunningStudio(tmp_path_factory.mktemp("planner") / "studio") as running:
        add_devices(running.services, [*DEVICES, *OTHERS])
        yield running


@pytest.fixture(scope="module")
def digits(studio: RunningStudio) -> str:
    """A CNN with a profile on each of the three devices, and measured links."""
    model_id = studio.services.models.add_example("digits").id
    for device in DEVICES:
        add_profile(studio.services, model_id, device)
    peers = ("studio", *DEVICES)
    add_links(studio.services, {(one, other): 50e6 for one in peers for other in peers if one != other})
    return model_id


@pytest.fixture(scope="module")
def chain(studio: RunningStudio) -> str:
    """A network that was profiled nowhere."""
    return add_model(studio.services, relu_chain(4, (1, 8, 16, 16)))


def spread(studio: RunningStudio, model_id: str, *devices: str) -> Plan:
    return studio.services.plans.spread(model_id, list(devices))


def predict(studio: RunningStudio, model_id: str, plan: Plan, **asked: object) -> PlanPredictionOut:
    request = PredictIn.model_validate({"plan": plan, **asked})
    return studio.client.post(f"/api/models/{model_id}/predictions", PlanPredictionOut, request)


def prediction(studio: RunningStudio, model_id: str, *devices: str) -> PredictionOut:
    return predict(studio, model_id, spread(studio, model_id, *devices)).prediction


def refused(studio: RunningStudio, model_id: str, plan: Plan) -> StudioError:
    with pytest.raises(StudioError) as found:
        predict(studio, model_id, plan)
    return found.value


# --- predictions ------------------------------------------------------------------------------------------------------


def test_a_plan_is_predicted_from_what_was_measured(studio: RunningStudio, digits: str) -> None:
    found = prediction(studio, digits, *DEVICES)
    assert found.throughput_per_s == pytest.approx(1 / found.period_s)
    assert found.latency_s > found.period_s
    assert found.bottleneck.utilisation == pytest.approx(1)
    assert found.resources[0] == found.bottleneck
    assert [device.device for device in found.devices] == list(DEVICES)
    for device in found.devices:
        assert device.busy_s == pytest.approx(device.compute_s + device.carry_s + device.coding_s)
        assert device.energy_j == pytest.approx(
            IDLE_W * found.period_s + (BUSY_W - IDLE_W) * device.busy_s * 1.0, rel=1e-6
        )
        assert "compute" not in device.estimated
    assert {(link.source, link.target) for link in found.links} == {
        ("studio", "a"),
        ("a", "b"),
        ("b", "c"),
        ("c", "studio"),
    }
    assert not any(link.estimated for link in found.links)
    assert not [warning for warning in found.warnings if "not profiled" in warning or "link" in warning]


def test_a_single_device_takes_what_its_profile_says(studio: RunningStudio, digits: str) -> None:
    profile = studio.services.profiles.newest("a")
    assert isinstance(profile, Profile)
    found = prediction(studio, digits, "a")
    assert [stage.seconds for stage in found.stages] == [pytest.approx(profile.run_s)]


def test_a_gantt_chart_agrees_with_the_prediction(studio: RunningStudio, digits: str) -> None:
    found = predict(studio, digits, spread(studio, digits, *DEVICES), gantt=40)
    assert found.gantt is not None
    assert found.gantt.throughput_per_s == pytest.approx(found.prediction.throughput_per_s, rel=0.01)
    assert {bar.frame for bar in found.gantt.bars} == set(range(40))
    assert found.gantt.fill_s > 0


def test_the_next_move_is_a_whole_plan_that_is_as_fast_as_it_says(studio: RunningStudio, digits: str) -> None:
    whole = spread(studio, digits, "a")
    found = predict(studio, digits, whole, next_move=True)
    move = found.next_move
    assert move is not None and move.gain > 1
    again = predict(studio, digits, move.plan).prediction
    assert again.throughput_per_s == pytest.approx(move.throughput_per_s)
    assert move.gain == pytest.approx(again.throughput_per_s / found.prediction.throughput_per_s)


def test_a_plan_that_does_not_fit_is_predicted_and_shows_it(studio: RunningStudio, digits: str) -> None:
    check = studio.services.devices.row("b").check
    limit_memory(studio.services, "b", 20_000_000)
    try:
        device = next(one for one in prediction(studio, digits, "b").devices if one.device == "b")
        assert device.memory_limit_bytes == 20_000_000 < device.memory_bytes
    finally:
        change_device(studio.services, "b", check=check)


def test_baselines_are_predicted_as_if_someone_had_made_their_plans(studio: RunningStudio, digits: str) -> None:
    single, everywhere = studio.client.get(f"/api/models/{digits}/baselines", list[BaselineOut])
    assert len(set(single.plan.placement.values())) == 1
    assert len(everywhere.prediction.devices) > 1
    for baseline in (single, everywhere):
        same = predict(studio, digits, baseline.plan).prediction
        assert baseline.prediction.throughput_per_s == pytest.approx(same.throughput_per_s)


def test_an_unfinished_plan_and_unknown_devices_are_refused_by_name(studio: RunningStudio, digits: str) -> None:
    plan = spread(studio, digits, "a")
    first = next(iter(plan.placement))
    lacking = plan.model_copy(update={"placement": {k: v for k, v in plan.placement.items() if k != first}})
    error = refused(studio, digits, lacking)
    assert isinstance(error, BadInputError) and error.code == "invalid_plan" and first in error.message
    error = refused(studio, digits, plan.model_copy(update={"placement": {**plan.placement, first: "nobody"}}))
    assert isinstance(error, NotFoundError) and error.code == "device_not_found" and "nobody" in error.message


def test_codecs_that_are_not_chosen_yet_are_told(studio: RunningStudio, digits: str) -> None:
    plan = spread(studio, digits, "a", "b")
    found = predict(studio, digits, plan.model_copy(update={"codecs": [CodecChoice(codec="auto")]}))
    assert any("auto" in warning for warning in found.prediction.warnings)


# --- where nothing was measured ---------------------------------------------------------------------------------------


def test_without_a_profile_times_are_estimated_and_profiling_is_suggested(studio: RunningStudio, chain: str) -> None:
    found = prediction(studio, chain, "new", "newer")
    assert found.estimated and found.throughput_per_s > 0
    assert all({"compute", "carry"} <= set(device.estimated) for device in found.devices)
    told = next(warning for warning in found.warnings if "not profiled" in warning)
    assert told.startswith("new, newer: ") and "device profile" in told
    assert any("device links" in warning for warning in found.warnings)


def test_a_device_is_estimated_by_its_profiles_of_other_networks(
    studio: RunningStudio, digits: str, chain: str
) -> None:
    before = prediction(studio, chain, "slow").stages[0].seconds
    add_profile(studio.services, digits, "slow", speed=0.01)
    after = prediction(studio, chain, "slow")
    assert after.stages[0].seconds > 10 * before
    assert any("profiles of other networks" in warning for warning in after.warnings)


@pytest.mark.parametrize(
    ("device", "conditions", "why"),
    [
        ("threads", Conditions(threads=4), "4 threads"),
        ("runtime", Conditions(runtime="1.2.3"), "ONNX Runtime 1.2.3"),
        ("form", Conditions(digest="0" * 64), "another form of this network"),
    ],
)
def test_a_stale_profile_is_not_used_and_said(
    studio: RunningStudio, chain: str, device: str, conditions: Conditions, why: str
) -> None:
    add_profile(studio.services, chain, device, conditions=conditions)
    found = prediction(studio, chain, device)
    assert "compute" in found.devices[0].estimated
    told = next(warning for warning in found.warnings if why in warning)
    assert told.startswith(f"{device}: ") and "not used" in told and "again" in told


def test_a_newer_profile_of_other_conditions_does_not_hide_the_one_that_holds(
    studio: RunningStudio, chain: str
) -> None:
    right = add_profile(studio.services, chain, "right")
    for number, other in enumerate((Conditions(runtime="1.2.3"), Conditions(threads=4)), 2):
        add_profile(studio.services, chain, "right", speed=0.1 / number, conditions=other)
    found = prediction(studio, chain, "right")
    assert "compute" not in found.devices[0].estimated
    assert [stage.seconds for stage in found.stages] == [pytest.approx(right.run_s)]


def test_carrying_costs_the_studio_what_it_costs_a_device_that_was_profiled_on_its_machine(
    studio: RunningStudio, chain: str
) -> None:
    figures = studio.services.planner._figures
    assert figures.of(chain, ["new"]).figures.studio == STUDIO_CARRY
    measured = CarrySpeed(3e-4, 2e-9)
    add_profile(studio.services, chain, "carries", carry=measured)
    try:
        assert figures.of(chain, ["new"]).figures.studio == measured
        # Others are reached over a network.
        change_device(studio.services, "newer", address="ssh://pi@192.0.2.1")
        assert figures.of(chain, ["new", "newer"]).figures.studio == over_network(measured)
        studio.services.profiles.forget("carries")
        assert figures.of(chain, ["new"]).figures.studio == STUDIO_CARRY
    finally:
        change_device(studio.services, "newer", address="local:")
        studio.services.profiles.forget("carries")


def test_a_link_without_bandwidth_is_refused_by_name(studio: RunningStudio, chain: str) -> None:
    add_links(studio.services, {("studio", "broken"): 0.0})
    error = refused(studio, chain, spread(studio, chain, "broken"))
    assert isinstance(error, BadInputError) and error.code == "bad_figures"
    assert "'studio' to 'broken'" in error.message and "0" in error.message


def test_a_negative_time_of_a_profile_is_refused_by_name(studio: RunningStudio, chain: str) -> None:
    add_profile(studio.services, chain, "negative", session_s=-1.0)
    error = refused(studio, chain, spread(studio, chain, "negative"))
    assert error.code == "bad_figures" and "'negative'" in error.message


def test_a_model_that_is_not_there_is_not_found(studio: RunningStudio, digits: str) -> None:
    assert refused(studio, "nothing", spread(studio, digits, "a")).code == "model_not_found"
