"""Long tasks: profile, links, calibration."""

from datetime import datetime
from typing import Literal

from partition_studio.schemas.base import ProblemOut, Schema

JobKind = Literal["profile", "links", "calibration", "codecs", "search"]

JobUnit = Literal["steps", "bytes", "seconds"]


class JobOut(Schema):
    """A long task. While it runs, `done` of `total` (None: not known) tells how far it is, counted in `unit`."""

    id: str
    kind: JobKind
    title: str
    devices: list[str]
    model_id: str | None
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    step: str
    done: int
    total: int | None
    unit: JobUnit = "steps"
    started_at: datetime
    ended_at: datetime | None
    problem: ProblemOut | None
    warnings: list[str]
