"""One search as the studio keeps it: what its process has told until now."""

import threading
import time
from dataclasses import dataclass, field
from typing import assert_never

import msgspec

from partition_studio.errors import StudioError
from partition_studio.planner.errors import NoPlanError
from partition_studio.planner.search.text import share_text, value_text
from partition_studio.schemas import AnswerOut, BaselineOut, ObstacleOut, SearchOut
from partition_studio.searches.message import BASELINES, FRONT, Failure, Found, Kind

_STOPPED = "The search was stopped"

CUT_SHORT = f"{_STOPPED} amid a step: this is the best that was found until then, and what was proved of it."


@dataclass(slots=True)
class SearchState:
    """A search as far as it is. Thread-safe but for `begun_s` and `ended_s`, which its own job sets."""

    model_id: str
    kind: Kind
    notes: tuple[str, ...]
    begun_s: float = field(default_factory=time.monotonic)
    ended_s: float | None = None
    found: int = 0
    answer: AnswerOut | None = None
    front: list[AnswerOut] = field(default_factory=list)
    baselines: list[BaselineOut] = field(default_factory=list)
    obstacles: list[ObstacleOut] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def newest(self) -> AnswerOut | None:
        """The best answer, or the newest point of a front."""
        return self.answer if self.kind == "best" else self.front[-1] if self.front else None

    @property
    def progress(self) -> str:
        """How far it is, in the objective's unit."""
        with self.lock:
            if self.kind == "pareto":
                count = len(self.front)
                return f"{count} point{'' if count == 1 else 's'}" if count else "looking for the first point"
            if self.answer is None:
                return "looking for a first plan"
            return progress_text(self.answer)

    def out(self, job: str) -> SearchOut:
        """Describe it."""
        with self.lock:
            return SearchOut(
                job=job,
                model_id=self.model_id,
                kind=self.kind,
                answer=self.answer,
                front=list(self.front),
                baselines=list(self.baselines),
                obstacles=list(self.obstacles),
                elapsed_s=(self.ended_s or time.monotonic()) - self.begun_s,
            )

    def take(self, found: Found) -> bool:
        """Take what was found; say whether it is an answer or a point. Raises StudioError: what went wrong there."""
        data = bytes(found.document)
        with self.lock:
            match found.what:
                case "baselines":
                    self.baselines = BASELINES.validate_json(data)
                    return False
                case "answer":
                    self.answer = self._noted(AnswerOut.model_validate_json(data))
                case "point":
                    self.front = [*self.front, self._noted(AnswerOut.model_validate_json(data))]
                case "front":
                    self.front = [self._noted(point) for point in FRONT.validate_json(data)]
                    return True
                case "failure":
                    self._fail(msgspec.json.decode(data, type=Failure).error())
                case _ as never:
                    assert_never(never)
            self.found += 1
            return True

    def settle(self, answer: AnswerOut) -> None:
        """Take what became of the best answer after the search."""
        with self.lock:
            self.answer = answer
            self.found += 1

    def cut_short(self) -> None:
        """Take what was told until now for the result of a search that was ended amid something."""
        with self.lock:
            # It may have said so itself, and not ended yet.
            is_said = self.answer is not None and any(note.startswith(_STOPPED) for note in self.answer.notes)
            if self.answer is not None and not self.answer.proved and not is_said:
                self.answer = self.answer.model_copy(update={"notes": [*self.answer.notes, CUT_SHORT]})
            self.front = sorted(self.front, key=lambda point: -point.value)

    def _fail(self, error: StudioError) -> None:
        if isinstance(error, NoPlanError):
            self.obstacles = [ObstacleOut.model_validate(obstacle) for obstacle in error.obstacles]
        raise error

    def _noted(self, answer: AnswerOut) -> AnswerOut:
        return answer.model_copy(update={"notes": [*answer.notes, *self.notes]})


def progress_text(answer: AnswerOut) -> str:
    """Say how good an answer is."""
    value, bound = value_text(answer.objective, answer.value), value_text(answer.objective, answer.bound)
    return f"{value}, bound {bound}, " + ("proved" if answer.proved else f"gap {share_text(answer.gap)}")
