"""A removed plan can be brought back, with its id and its address; nobody else gets them meanwhile."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from partition_studio.errors import StudioError
from partition_studio.partition.plan import Plan
from partition_studio.schemas import ModelSummaryOut, PlanIn, SavedPlanOut
from partition_studio.services.plans import PlanService
from partition_studio.store.tables import PlanRow
from tests.studio import RunningStudio


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with RunningStudio(tmp_path_factory.mktemp("studio")) as running:
        running.services.models.add_example("digits")
        yield running


@pytest.fixture
def plans(shared: RunningStudio) -> PlanService:
    service = shared.services.plans
    for saved in service.all(model_id(shared)):
        service.remove(saved.id)
    return service


def model_id(studio: RunningStudio) -> str:
    return studio.services.models.all()[0].id


def save(studio: RunningStudio, name: str) -> SavedPlanOut:
    model = studio.services.models.all()[0]
    network = {"sha256": model.digest, "name": model.name, "simplified": model.simplified, "dims": model.dims}
    plan = Plan.model_validate({"version": 2, "network": network, "placement": {}})
    return studio.services.plans.create(model.id, PlanIn(name=name, plan=plan))


def test_a_removed_plan_is_gone_everywhere_until_it_is_restored(shared: RunningStudio, plans: PlanService) -> None:
    kept, removed = save(shared, "kept"), save(shared, "removed")
    plans.remove(removed.id)
    assert [plan.id for plan in plans.all(model_id(shared))] == [kept.id]
    assert shared.client.get("/api/models", list[ModelSummaryOut])[0].plan_count == 1
    request = PlanIn(name="again", plan=removed.plan, revision=removed.revision)
    for act in (
        lambda: plans.get(removed.id),
        lambda: plans.update(removed.id, request),
        lambda: plans.remove(removed.id),
    ):
        with pytest.raises(StudioError, match=f"no saved plan {removed.id}"):
            act()
    assert shared.client.post(f"/api/plans/{removed.id}/restore", SavedPlanOut) == removed
    assert plans.get(removed.id) == removed
    assert plans.restore(removed.id) == removed
    with pytest.raises(StudioError, match="no saved plan 999999"):
        plans.restore(999_999)


def test_the_id_of_a_removed_plan_is_not_given_to_another(shared: RunningStudio, plans: PlanService) -> None:
    removed = save(shared, "removed")
    plans.remove(removed.id)
    assert save(shared, "another").id > removed.id


def test_a_removed_plan_goes_for_good_after_a_while_and_the_newest_id_stays_taken(
    shared: RunningStudio, plans: PlanService
) -> None:
    old, newest = save(shared, "old"), save(shared, "newest")
    for saved in (old, newest):
        plans.remove(saved.id)
    with shared.services._database.session() as session, session.begin():
        for saved in (old, newest):
            row = session.get(PlanRow, saved.id)
            assert row is not None
            assert row.removed_at is not None
            row.removed_at -= timedelta(days=31)
    another = save(shared, "another")
    plans.remove(another.id)
    with pytest.raises(StudioError, match=f"no saved plan {old.id}"):
        plans.restore(old.id)
    assert save(shared, "the next").id > another.id
