"""What is known of a deployment's way: its state, and the step of each device. No I/O; the clock is given."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from partition_studio.schemas import (
    CutOut,
    DeploymentState,
    DeviceProgressOut,
    DeviceStep,
    DeviceStepOut,
    ProblemOut,
    StageOut,
)

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


#: What a device goes through; the other steps only say where it stands.
WORK: frozenset[DeviceStep] = frozenset({"connect", "check", "install", "push", "load", "verify", "start"})


@dataclass(slots=True)
class _Step:
    """One step of a device, over all times that it was at it."""

    elapsed_s: float = 0.0
    #: When it came to it; None once it left it.
    since_s: float | None = None
    done_bytes: int | None = None
    total_bytes: int | None = None

    def leave(self, now_s: float) -> None:
        if self.since_s is not None:
            self.elapsed_s += now_s - self.since_s
            self.since_s = None


@dataclass(slots=True)
class _Row:
    step: DeviceStep = "waiting"
    detail: str = ""
    begun_s: float | None = None
    ended_s: float | None = None
    problem: ProblemOut | None = None
    steps: dict[DeviceStep, _Step] = field(default_factory=dict)

    @property
    def now(self) -> _Step | None:
        return self.steps.get(self.step)

    def go(self, step: DeviceStep, now_s: float) -> None:
        """Leave the present step for another."""
        if self.now is not None:
            self.now.leave(now_s)
        self.step = step
        if step in WORK:
            # The newest comes last, though a device may come to a step again.
            self.steps[step] = entered = self.steps.pop(step, _Step())
            entered.since_s, entered.done_bytes, entered.total_bytes = now_s, None, None


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
            row, now_s = self._rows[device], self._clock_s()
            if row.step == "failed":
                return
            row.begun_s = row.begun_s if row.begun_s is not None else now_s
            if step != row.step:
                row.go(step, now_s)
            row.detail = detail
            if step == "ready":
                row.ended_s = now_s
        self._on_change()

    def bytes(self, device: str, done_bytes: int, total_bytes: int | None) -> None:
        """Note how much of the present step's data has gone over."""
        with self._lock:
            now = self._rows[device].now
            if now is not None:
                now.done_bytes, now.total_bytes = done_bytes, total_bytes
        self._on_change()

    def fail(self, device: str, problem: ProblemOut) -> None:
        """Note that a device cannot go on."""
        with self._lock:
            row, now_s = self._rows[device], self._clock_s()
            if row.step != "failed":
                row.go("failed", now_s)
                row.detail, row.problem, row.ended_s = problem.message, problem, now_s
        self._on_change()

    def again(self, device: str) -> None:
        """Note that a device that failed is tried again."""
        with self._lock:
            row = self._rows[device]
            if row.step == "failed":
                row.go("waiting", self._clock_s())
                row.detail, row.problem, row.ended_s = "trying again", None, None
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
                    done_bytes=None if row.now is None else row.now.done_bytes,
                    total_bytes=None if row.now is None else row.now.total_bytes,
                    elapsed_s=0.0 if row.begun_s is None else (row.ended_s or now_s) - row.begun_s,
                    problem=row.problem,
                    steps=[
                        DeviceStepOut(
                            step=name,
                            elapsed_s=step.elapsed_s + (0.0 if step.since_s is None else now_s - step.since_s),
                            done_bytes=step.done_bytes,
                            total_bytes=step.total_bytes,
                        )
                        for name, step in row.steps.items()
                    ],
                )
                for device, row in self._rows.items()
            ]
