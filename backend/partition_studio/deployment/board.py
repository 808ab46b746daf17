"""What is known of a deployment's way: its state, and the step of each device. No I/O; the clock is given."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from partition_studio.schemas import CutOut, DeviceProgressOut, DeviceStep, ProblemOut, StageOut

DeploymentState = Literal["deploying", "running", "stopping", "stopped", "failed", "cancelled"]

#: From each state, the ones that may follow.
TRANSITIONS: Mapping[DeploymentState, frozenset[DeploymentState]] = {
    "deploying": frozenset({"running", "failed", "cancelled"}),
    "running": frozenset({"stopping", "failed"}),
    "stopping": frozenset({"stopped"}),
    "stopped": frozenset(),
    "failed": frozenset({"stopping"}),
    "cancelled": frozenset(),
}


class InvalidTransitionError(RuntimeError):
    """A fault of ours: a deployment cannot go from one state to the other."""

    def __init__(self, start: DeploymentState, finish: DeploymentState) -> None:
        super().__init__(f"a deployment that is {start} cannot become {finish}")


@dataclass(slots=True)
class _Row:
    step: DeviceStep = "waiting"
    detail: str = ""
    done_bytes: int | None = None
    total_bytes: int | None = None
    begun_s: float | None = None
    ended_s: float | None = None
    problem: ProblemOut | None = None


class Board:
    """State and progress of one deployment. Thread-safe; `on_change` is called after every change, without the lock."""

    def __init__(self, devices: Sequence[str], clock_s: Callable[[], float], on_change: Callable[[], None]) -> None:
        self._clock_s = clock_s
        self._on_change = on_change
        self._lock = threading.Lock()
        self._begun_s = clock_s()
        self._rows = {device: _Row() for device in devices}
        self._state: DeploymentState = "deploying"
        self._problem: ProblemOut | None = None
        self._deploy_s: float | None = None
        self._stages: list[StageOut] = []
        self._cuts: list[CutOut] = []
        self._notes: dict[str, None] = {}

    @property
    def state(self) -> DeploymentState:
        """The deployment's state."""
        with self._lock:
            return self._state

    @property
    def problem(self) -> ProblemOut | None:
        """Why it failed."""
        with self._lock:
            return self._problem

    @property
    def deploy_s(self) -> float | None:
        """Seconds from the request until frames could run."""
        with self._lock:
            return self._deploy_s

    @property
    def stages(self) -> list[StageOut]:
        """Its stages, as far as is known of them."""
        with self._lock:
            return self._stages

    @property
    def cuts(self) -> list[CutOut]:
        """Its cuts, as far as is known of them."""
        with self._lock:
            return self._cuts

    @property
    def notes(self) -> list[str]:
        """What the person should know of it, each sentence once."""
        with self._lock:
            return list(self._notes)

    def describe(self, stages: list[StageOut] | None = None, cuts: list[CutOut] | None = None) -> None:
        """Note what is known of its stages or its cuts now."""
        with self._lock:
            self._stages = self._stages if stages is None else stages
            self._cuts = self._cuts if cuts is None else cuts
        self._on_change()

    def note(self, sentences: Iterable[str]) -> None:
        """Note what the person should know."""
        with self._lock:
            self._notes |= dict.fromkeys(sentences)
        self._on_change()

    def become(self, state: DeploymentState, problem: ProblemOut | None = None) -> None:
        """Change the state. Raises InvalidTransitionError."""
        with self._lock:
            if state not in TRANSITIONS[self._state]:
                raise InvalidTransitionError(self._state, state)
            self._state = state
            if problem is not None:
                self._problem = problem
            if state == "running":
                self._deploy_s = self._clock_s() - self._begun_s
        self._on_change()

    def step(self, device: str, step: DeviceStep, detail: str = "") -> None:
        """Note that a device is at a step."""
        with self._lock:
            row = self._rows[device]
            if row.step == "failed":
                return
            row.begun_s = row.begun_s if row.begun_s is not None else self._clock_s()
            if step != row.step:
                row.done_bytes = row.total_bytes = None
            row.step, row.detail = step, detail
            if step == "ready":
                row.ended_s = self._clock_s()
        self._on_change()

    def bytes(self, device: str, done_bytes: int, total_bytes: int | None) -> None:
        """Note how much of the present step's data has gone over."""
        with self._lock:
            self._rows[device].done_bytes, self._rows[device].total_bytes = done_bytes, total_bytes
        self._on_change()

    def fail(self, device: str, problem: ProblemOut) -> None:
        """Note that a device cannot go on."""
        with self._lock:
            row = self._rows[device]
            if row.step != "failed":
                row.step, row.detail, row.problem = "failed", problem.message, problem
                row.ended_s = self._clock_s()
        self._on_change()

    def rows(self) -> list[DeviceProgressOut]:
        """Return the progress of each device, in the order of the plan."""
        with self._lock:
            now_s = self._clock_s()
            return [
                DeviceProgressOut(
                    device=device,
                    step=row.step,
                    detail=row.detail,
                    done_bytes=row.done_bytes,
                    total_bytes=row.total_bytes,
                    elapsed_s=0.0 if row.begun_s is None else (row.ended_s or now_s) - row.begun_s,
                    problem=row.problem,
                )
                for device, row in self._rows.items()
            ]
