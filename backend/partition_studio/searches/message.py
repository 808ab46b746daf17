"""What travels between the studio and the process that searches: the task once, then one line for each thing found."""

import dataclasses
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Literal

import msgspec
from pydantic import TypeAdapter

from partition_studio.errors import BadInputError, ConflictError, NotFoundError, StudioError
from partition_studio.graph.network import Network, NetworkForm
from partition_studio.planner.errors import NoPlanError, Obstacle
from partition_studio.planner.figures.figures import Figures
from partition_studio.planner.search.answer import Answer
from partition_studio.planner.search.baselines import Baseline
from partition_studio.planner.search.question import Limits, Objective, Question
from partition_studio.schemas import AnswerOut, BaselineOut
from partition_studio.searches.out import answer_out, baseline_out

BASELINES = TypeAdapter(list[BaselineOut])
FRONT = TypeAdapter(list[AnswerOut])

Kind = Literal["best", "pareto"]


class Task(msgspec.Struct, frozen=True):
    """One search: the file and form of the network, and the question about it.

    `most` points of a front; `seconds` is the longest that it may take; `weight_bytes` are the network's.
    """

    kind: Kind
    path: str
    weight_bytes: int
    simplified: bool
    dims: tuple[tuple[str, int], ...]
    figures: Figures
    devices: tuple[str, ...]
    objective: Objective
    limits: Limits
    seconds: float
    most: int

    @classmethod
    def of(cls, kind: Kind, path: Path, question: Question, seconds: float, most: int = 0) -> "Task":
        """Return the task of a question about the network in a file."""
        form = question.network.form
        return cls(
            kind,
            str(path),
            question.network.weight_bytes,
            form.simplified,
            form.dims,
            question.figures,
            question.devices,
            question.objective,
            question.limits,
            seconds,
            most,
        )

    @property
    def form(self) -> NetworkForm:
        """How the file is loaded."""
        return NetworkForm(self.simplified, self.dims)

    def question(self, network: Network) -> Question:
        """Return the question about a network that was loaded."""
        return Question(network, self.figures, self.devices, self.objective, self.limits)


def encode_task(task: Task) -> bytes:
    """Return a task as bytes."""
    return msgspec.msgpack.encode(task, enc_hook=_plain)


def decode_task(data: bytes) -> Task:
    """Return the task of `encode_task`."""
    return msgspec.msgpack.decode(data, type=Task)


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set):
        return list(value)
    raise TypeError(f"{type(value).__name__} does not travel")


class Failure(msgspec.Struct, frozen=True):
    """An error of our family, told by the process that searched."""

    code: str
    message: str
    next_step: str
    family: Literal["input", "missing", "conflict", "other"]
    details: dict[str, Any]
    obstacles: list[dict[str, Any]]

    @classmethod
    def of(cls, error: StudioError) -> "Failure":
        """Describe an error."""
        obstacles = error.obstacles if isinstance(error, NoPlanError) else ()
        return cls(
            error.code,
            error.message,
            error.next_step,
            _family(error),
            dict(error.details),
            [dataclasses.asdict(obstacle) for obstacle in obstacles],
        )

    def error(self) -> StudioError:
        """Return the error again."""
        if self.code == NoPlanError.code:
            return NoPlanError(self.message, tuple(Obstacle(**one) for one in self.obstacles))
        families: dict[str, type[StudioError]] = {
            "input": BadInputError,
            "missing": NotFoundError,
            "conflict": ConflictError,
        }
        error = families.get(self.family, StudioError)(self.message, next_step=self.next_step, **self.details)
        error.code = self.code
        return error


def _family(error: StudioError) -> Literal["input", "missing", "conflict", "other"]:
    if isinstance(error, BadInputError):
        return "input"
    if isinstance(error, NotFoundError):
        return "missing"
    return "conflict" if isinstance(error, ConflictError) else "other"


class Found(msgspec.Struct, frozen=True):
    """One line that the process tells: `what` it is, and the thing itself as JSON.

    `answer` and `point` (AnswerOut) as they come, `baselines` before them; `front` is the whole front at the end;
    `failure` (Failure) ends it, too.
    """

    what: Literal["baselines", "answer", "point", "front", "failure"]
    document: msgspec.Raw


def answer_line(what: Literal["answer", "point"], answer: Answer) -> bytes:
    """Return the line of an answer, or of a point of a front."""
    return _line(what, answer_out(answer).model_dump_json().encode())


def baselines_line(found: Sequence[Baseline]) -> bytes:
    """Return the line of the baselines."""
    return _line("baselines", BASELINES.dump_json([baseline_out(one) for one in found]))


def front_line(front: Sequence[Answer]) -> bytes:
    """Return the line of a whole front."""
    return _line("front", FRONT.dump_json([answer_out(point) for point in front]))


def failure_line(failure: Failure) -> bytes:
    """Return the line of an error."""
    return _line("failure", msgspec.json.encode(failure, enc_hook=str))


def decode_line(line: bytes) -> Found:
    """Return what a line tells."""
    return msgspec.json.decode(line, type=Found)


def _line(what: str, document: bytes) -> bytes:
    return b'{"what":"' + what.encode() + b'","document":' + document + b"}\n"
