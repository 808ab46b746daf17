"""A problem as a model of CP-SAT whose costs are never above those that `evaluate` reckons: where things lie.

What decides is `x[device, unit]`. All else follows from it, and is bounded from below only: minimising does the rest.

- *stages* of a device: those that hold a joint are counted exactly (see `series`): one for each joint there, less one
  for each neighbouring pair of joints that are in the same stage. Units that lie between two joints of other devices
  make one more stage at least.
- *tensors*: one that is read on a device where it was not made is received there once at least, and sent once for
  each such device.
- *messages*: each stage that reads anything receives one from another device or the studio; each stage with a joint
  sends one, be it to the studio: the first unit behind a joint that lies elsewhere, before or at the next joint, has
  all that it reads from the joint's stage, or from stages that it feeds.
"""

from collections.abc import Iterable
from itertools import pairwise

from ortools.sat.python import cp_model

from partition_studio.planner.search.problem.problem import STUDIO, Floats, Problem, Tensor
from partition_studio.planner.search.problem.series import Series, series_of, twins_of

#: A variable with what one of it costs, in seconds, bytes or messages.
Term = tuple[cp_model.IntVar, float]
Terms = list[Term]

#: Of devices times pairs of joints: above it, runs are looked at from some joints only.
MOST_WINDOWS = 400_000

#: A device and a unit, a tensor, a joint.
Pair = tuple[int, int]


class Placed:
    """The variables of a placement, and the linear sums that costs are made of.

    `x` lacks what is not allowed. `stages`, `received`, `sent` (messages) are sums by device; `entering` and `leaving`
    are variables by device and tensor: whether it is received there, and how many devices (and the studio) it is sent
    to from there.
    """

    def __init__(self, problem: Problem, *, max_devices: int | None) -> None:
        self.problem = problem
        self.series: Series = series_of(problem)
        self.model = cp_model.CpModel()
        self.devices = range(len(problem.devices))
        self.x: dict[Pair, cp_model.IntVar] = {}
        self.used = [self.model.new_bool_var(f"used{d}") for d in self.devices]
        self._place(max_devices)
        self._break_symmetry()
        self.same: dict[Pair, cp_model.IntVar] = {}
        self.stages: list[Terms] = [self._stages_on(d) for d in self.devices]
        self.entering: dict[Pair, cp_model.IntVar] = {}
        self.leaves: dict[Pair, cp_model.IntVar] = {}
        self.leaving: dict[Pair, cp_model.IntVar] = {}
        for index, tensor in enumerate(problem.tensors):
            self._move(index, tensor)
        for place in range(1, len(self.series.joints)):
            self._cross(place)
        self.received: list[Terms] = [self._received_by(d) for d in self.devices]
        self.sent: list[Terms] = [self._sent_by(d) for d in self.devices]

    def assignment_of(self, value: "cp_model.CpSolverSolutionCallback | cp_model.CpSolver") -> tuple[int, ...]:
        """Return the device of each unit in a solution."""
        found = [0] * len(self.problem.units)
        for (device, unit), variable in self.x.items():
            if value.value(variable):
                found[unit] = device
        return tuple(found)

    def _place(self, max_devices: int | None) -> None:
        units = range(len(self.problem.units))
        for unit in units:
            here = [device for device in self.devices if self.problem.allowed[device, unit]]
            for device in here:
                self.x[device, unit] = self.model.new_bool_var(f"x{device},{unit}")
            self.model.add_exactly_one(self.x[device, unit] for device in here)
        for device in self.devices:
            on_it = [self.x[device, unit] for unit in units if (device, unit) in self.x]
            for variable in on_it:
                self.model.add_implication(variable, self.used[device])
            self.model.add_bool_or([*on_it, self.used[device].negated()])
        if max_devices is not None and max_devices < len(self.used):
            self.model.add(sum(self.used) <= max_devices)

    def _break_symmetry(self) -> None:
        """Of devices that may take each other's places, the earlier one gets the earlier first unit."""
        for group in twins_of(self.problem):
            for one, other in pairwise(group):
                earlier: list[cp_model.IntVar] = []
                for unit in range(len(self.problem.units)):
                    if (other, unit) in self.x:
                        self.model.add_bool_or([*earlier, self.x[other, unit].negated()])
                        earlier.append(self.x[one, unit])

    def _stages_on(self, device: int) -> Terms:
        joints, between = self.series.joints, self.series.between
        terms: Terms = [(self.x[device, joint], 1) for joint in joints if (device, joint) in self.x]
        for place in range(1, len(joints)):
            members = (joints[place - 1], *between[place], joints[place])
            if all((device, unit) in self.x for unit in members):
                same = self.same[device, place] = self.model.new_bool_var(f"same{device},{place}")
                for unit in members:
                    self.model.add_implication(same, self.x[device, unit])
                self.model.add_bool_or([same, *(self.x[device, unit].negated() for unit in members)])
                terms.append((same, -1))
        for place, units in enumerate(between):
            inside = [self.x[device, unit] for unit in units if (device, unit) in self.x]
            if not inside:
                continue
            apart = self.model.new_bool_var(f"apart{device},{place}")
            bounds = [
                self.x[device, unit] for unit in joints[max(place - 1, 0) : place + 1] if (device, unit) in self.x
            ]
            for variable in inside:
                self.model.add_bool_or([variable.negated(), *bounds, apart])
            terms.append((apart, 1))
        return terms

    def end_runs(self, most_s: Floats) -> None:
        """Say that a device leaves off before a run of joints becomes longer than `most_s` (of computing, by device).

        Whole numbers say so themselves; a linear program that gives each device a part of every unit does not. From a
        joint on, one of the next neighbours is not in its stage; and of those before, likewise.
        """
        stride = 1 + len(self.devices) * len(self.series.joints) ** 2 // MOST_WINDOWS
        for device in self.devices:
            seconds = self.problem.compute_s[device]
            own = [float(seconds[joint]) for joint in self.series.joints]
            between = [float(seconds[list(units)].sum()) for units in self.series.between]
            for first in range(0, len(own), stride):
                joint = self.series.joints[first]
                for step in (1, -1):
                    window = _window(own, between, first, step, float(most_s[device]))
                    if window is not None and (device, joint) in self.x:
                        self._end_run(device, joint, window, step)

    def _end_run(self, device: int, joint: int, window: list[int], step: int) -> None:
        """`window` are places: each stands for the neighbours before it and at it."""
        joints = self.series.joints
        terms: Terms = []
        for place in window:
            stays = joints[place - 1] if step == 1 else joints[place]
            if (device, stays) in self.x:
                terms.append((self.x[device, stays], 1))
            if (device, place) in self.same:
                terms.append((self.same[device, place], -1))
        self.model.add(sum_of(terms, 1) >= self.x[device, joint])

    def _move(self, index: int, tensor: Tensor) -> None:
        for device in self.devices:
            readers = [self.x[device, unit] for unit in tensor.consumers if (device, unit) in self.x]
            if readers:
                self._enter(index, tensor, device, readers)
        if tensor.producer == STUDIO:
            return
        for device in self.devices:
            if (device, tensor.producer) in self.x:
                self._leave(index, tensor, device)

    def _enter(self, index: int, tensor: Tensor, device: int, readers: list[cp_model.IntVar]) -> None:
        made_here = self.x.get((device, tensor.producer)) if tensor.producer != STUDIO else None
        enters = self.entering[device, index] = self.model.new_bool_var(f"enter{device},{index}")
        for reader in readers:
            self.model.add_bool_or([reader.negated(), enters, *([] if made_here is None else [made_here])])

    def _leave(self, index: int, tensor: Tensor, device: int) -> None:
        """Set up whether a tensor leaves its stage for other devices, and for how many of them."""
        made = self.x[device, tensor.producer]
        others = [
            self.entering[other, index] for other in self.devices if other != device and (other, index) in self.entering
        ]
        if not others:
            return
        leaves = self.leaves[device, index] = self.model.new_bool_var(f"leave{device},{index}")
        for unit in tensor.consumers:
            here = self.x.get((device, unit))
            self.model.add_bool_or([made.negated(), leaves, *([] if here is None else [here])])
        most = min(len(tensor.consumers), len(others))
        if most == 1:
            self.leaving[device, index] = leaves
            return
        copies = self.leaving[device, index] = self.model.new_int_var(0, most, f"copies{device},{index}")
        self.model.add(copies >= leaves)
        # Where it is made here, no other device makes it: all that receive it have it from here.
        self.model.add(copies >= sum(others) - most * made.negated())

    def _cross(self, place: int) -> None:
        """Say what leaves and enters a device that has one of two neighbouring joints and not all up to the other.

        It follows for whole numbers; linear programs see it only so.
        """
        one, other = self.series.joints[place - 1], self.series.joints[place]
        made, read = {one, *self.series.between[place]}, {other, *self.series.between[place]}
        moved = [
            number
            for number, tensor in enumerate(self.problem.tensors)
            if tensor.producer in made and read.intersection(tensor.consumers)
        ]
        for device in self.devices:
            same = self.same.get((device, place), 0)
            for joint, moves in ((one, self.leaves), (other, self.entering)):
                here = [moves[device, number] for number in moved if (device, number) in moves]
                if (device, joint) not in self.x or len(here) < len(moved):
                    continue
                if self.series.between[place]:
                    self.model.add(sum(here) >= self.x[device, joint] - same)
                else:
                    # Between neighbours without anything between them, all that passes does.
                    for variable in here:
                        self.model.add(variable >= self.x[device, joint] - same)

    def _received_by(self, device: int) -> Terms:
        """Return a lower bound of the messages that a device receives: one for each stage that reads anything."""
        reading = {unit for tensor in self.problem.tensors for unit in tensor.consumers}
        idle = [unit for unit in range(len(self.problem.units)) if unit not in reading]
        return [*self.stages[device], *((self.x[device, unit], -1.0) for unit in idle if (device, unit) in self.x)]

    def _sent_by(self, device: int) -> Terms:
        """Return a lower bound of the messages that a device sends, those to the studio among them."""
        joints = self.series.joints
        terms: Terms = []
        for place, joint in enumerate(joints[:-1]):
            if (device, joint) in self.x:
                terms.append((self.x[device, joint], 1))
            if (device, place + 1) in self.same:
                terms.append((self.same[device, place + 1], -1))
        makers = {tensor.producer for tensor in self.problem.tensors if tensor.is_output} - {STUDIO}
        # Only the last joint's own result: other results may go with messages that are counted already.
        if joints and joints[-1] in makers and (device, joints[-1]) in self.x:
            terms.append((self.x[device, joints[-1]], 1))
        return terms


def _window(own: list[float], between: list[float], first: int, step: int, most_s: float) -> list[int] | None:
    """Return the places that a run from a joint on, or back, cannot have all; None where it can reach the end."""
    window: list[int] = []
    taken_s, place = own[first], first + 1 if step == 1 else first
    while 1 <= place < len(own):
        window.append(place)
        taken_s += between[place] + own[place if step == 1 else place - 1]
        if taken_s > most_s:
            return window
        place += step
    return None


def sum_of(terms: Iterable[Term], per: float) -> cp_model.LinearExpr:
    """Return a sum in whole units of `per`, each of its coefficients rounded down."""
    together: dict[int, tuple[cp_model.IntVar, float]] = {}
    for variable, cost in terms:
        _, known = together.get(variable.index, (variable, 0.0))
        together[variable.index] = (variable, known + cost)
    pairs = [(variable, int(cost / per // 1)) for variable, cost in together.values()]
    return cp_model.LinearExpr.weighted_sum([v for v, _ in pairs], [c for _, c in pairs])
