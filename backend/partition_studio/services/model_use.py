"""What hangs on a network: its saved plans, its runs, a deployment."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute

from partition_studio.store.database import Database
from partition_studio.store.tables import PlanRow, RunRow


@dataclass(frozen=True, slots=True)
class Use:
    """By whom one network is used."""

    plan_count: int
    run_count: int
    deployment_id: str | None


class ModelUse:
    """Counts what hangs on networks."""

    def __init__(self, database: Database, deployment_of: Callable[[str], str | None]) -> None:
        """`deployment_of` tells which active deployment runs a network."""
        self._database = database
        self.deployment_of = deployment_of

    def of(self, model_ids: list[str]) -> dict[str, Use]:
        """Return the use of some networks."""
        plans = self._counts(PlanRow.model_id, model_ids, PlanRow.removed_at.is_(None))
        runs = self._counts(RunRow.model_id, model_ids)
        return {one: Use(plans.get(one, 0), runs.get(one, 0), self.deployment_of(one)) for one in model_ids}

    def _counts(
        self,
        column: InstrumentedAttribute[str] | InstrumentedAttribute[str | None],
        model_ids: list[str],
        *only: ColumnElement[bool],
    ) -> dict[str, int]:
        query = select(column, func.count()).where(column.in_(model_ids), *only).group_by(column)
        with self._database.session() as session:
            return {str(model_id): count for model_id, count in session.execute(query)}
