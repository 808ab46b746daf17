"""What is known of one device that reports: its clock, its newest figures, its energy. Pure; the caller's lock."""

from collections import deque
from dataclasses import dataclass

import msgspec

from partition_agent.protocol import PowerSample, Telemetry
from partition_studio.schemas import DeviceLiveOut, EnergyOut
from partition_studio.telemetry.clock import DeviceClock
from partition_studio.telemetry.energy import IDLE_CORES, MAX_GAP_S, EnergyWindow, IdleWatch, Series
from partition_studio.telemetry.figures import device_live, energy_of, width_of
from partition_studio.telemetry.history import frames_between, frames_out

#: The live figure of energy is over this much, and over no less than `MIN_WINDOW_S`.
LIVE_WINDOW_S = 10.0
MIN_WINDOW_S = 1.0

#: A device that says more than `RATE_PER_S` for long says what nobody asked for.
RATE_PER_S = 4.0
BURST = 120.0

#: A source that told its power so long ago is still the one that is shown: a plug is not reached for a moment.
FORGIVEN_S = 10.0

#: A step of a device's clock below this is none: samples come once a second.
MIN_STEP_S = 1e-3

#: Sources of one device, over all its configurations since it reports.
MAX_SERIES = 16

#: Sources whose figures are the person's model itself.
MODEL_SOURCES = frozenset({"declared", "calibrated"})


@dataclass(frozen=True, slots=True)
class _Count:
    at_s: float
    frames: int


class ReportingDevice:
    """One device, as far as its samples tell."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.live: DeviceLiveOut | None = None
        self.clock: DeviceClock | None = None
        #: What the model says that the device takes when idle; None without a model.
        self.model_idle_w: float | None = None
        self._last: Telemetry | None = None
        self._energy: dict[Series, EnergyWindow] = {}
        self._idle: dict[Series, IdleWatch] = {}
        self._frames = 0
        self._counts: deque[_Count] = deque(maxlen=64)
        self._allowance, self._heard_s = BURST, 0.0

    def may_speak(self, now_s: float) -> bool:
        """Whether a sample may be taken, or the device has said too much of late."""
        self._allowance = min(BURST, self._allowance + max(now_s - self._heard_s, 0.0) * RATE_PER_S)
        self._heard_s = now_s
        if self._allowance < 1.0:
            return False
        self._allowance -= 1.0
        return True

    def take(self, sample: Telemetry, now_s: float, *, busy: bool) -> float:
        """Take a cleaned sample that came at `now_s`; return when it was taken, in the studio's time.

        `busy` says that a job of ours keeps the device from being idle.
        """
        last = self._last
        if self.clock is None or self.clock.incarnation != sample.incarnation:
            self.clock = DeviceClock(sample.incarnation)
            self._counts.clear()
            self._energy.clear()
            self._idle.clear()
            last = None
        at_s = self.clock.arrived(sample.monotonic_s, sample.unix_s, now_s)
        if last is not None and sample.monotonic_s - last.monotonic_s < MIN_STEP_S:
            # What came late, or is made up, tells nothing of now.
            return at_s
        if last is not None:
            self._frames += frames_between(frames_out(last), frames_out(sample))
            span_s = sample.monotonic_s - last.monotonic_s
            busy = busy or (sample.cpu_s - last.cpu_s) / span_s > IDLE_CORES
        self._counts.append(_Count(sample.monotonic_s, self._frames))
        for power in sample.power:
            self._take_power(sample, power, busy=busy)
        self._bound({_series(sample, power) for power in sample.power})
        self.live = device_live(self.device, self._last, self._widest_first(sample), self._live_energy(sample))
        self._last = sample
        return at_s

    def heard_until(self, at_s: float) -> bool:
        """Whether power is known up to a moment of the studio's time; True where no power is told at all."""
        if self._last is None or self.clock is None:
            return True
        power = self._shown(self._last)
        if power is None:
            return True
        newest_s = self._energy[_series(self._last, power)].newest_s
        # One that is silent is not waited for longer than the sample that says so.
        known_s = self._last.monotonic_s if power.power_w is None or newest_s is None else newest_s
        return known_s >= self.clock.monotonic(at_s)

    def energy(self, begin_s: float, end_s: float, frames: int) -> EnergyOut | None:
        """Return the energy between two moments of the studio's time; None where too little is known to say."""
        if self.clock is None:
            return None
        return self._energy_of(self.clock.monotonic(begin_s), self.clock.monotonic(end_s), frames, self._last)

    def _take_power(self, sample: Telemetry, power: PowerSample, *, busy: bool) -> None:
        series = _series(sample, power)
        at_s = sample.monotonic_s if power.told_s is None else min(power.told_s, sample.monotonic_s)
        self._energy.setdefault(series, EnergyWindow()).add(
            series, at_s, power.power_w, power.energy_j, power.covered_s
        )
        idle = self._idle.setdefault(series, IdleWatch())
        idle.add(series, sample.monotonic_s, power.power_w, self._frames, busy=busy)

    def _bound(self, told: set[Series]) -> None:
        """Forget sources that are told of no more when there are too many."""
        if len(self._energy) > MAX_SERIES:
            for series in set(self._energy) - told:
                del self._energy[series], self._idle[series]

    def _shown(self, sample: Telemetry) -> PowerSample | None:
        """Return the widest source that told its power of late; without any, the first."""
        told = [
            power
            for power in sample.power
            if (window := self._energy.get(_series(sample, power))) is not None
            and window.told_s >= sample.monotonic_s - FORGIVEN_S
        ]
        return min(told, key=lambda power: width_of(power.scope), default=sample.power[0] if sample.power else None)

    def _widest_first(self, sample: Telemetry) -> Telemetry:
        """Return the sample with the source first that is shown: for a moment without power, rather than another."""
        shown = self._shown(sample)
        if shown is None:
            return sample
        others = tuple(power for power in sample.power if power is not shown)
        return msgspec.structs.replace(sample, power=(shown, *others))

    def _live_begin(self, from_s: float) -> _Count | None:
        """Return where the live window begins: at `from_s`, or at the first frame after a rest as long as the window.

        What the device took while it waited for the first frame of a run is none of its frames' energy. A pipeline that
        is slower than the window never rests.
        """
        counts = list(self._counts)
        begin = next((place for place, count in enumerate(counts) if count.at_s >= from_s), None)
        if begin is None:
            return None
        before = counts[begin].frames
        last_still = max(place for place, count in enumerate(counts) if count.frames == before)
        if last_still in (begin, len(counts) - 1):
            return counts[begin]
        rest_s = counts[last_still].at_s - counts[min(p for p, c in enumerate(counts) if c.frames == before)].at_s
        is_first = all(count.frames == before for count in counts[:last_still])
        return counts[last_still] if is_first or rest_s >= LIVE_WINDOW_S else counts[begin]

    def _live_energy(self, sample: Telemetry) -> EnergyOut | None:
        begin = self._live_begin(sample.monotonic_s - LIVE_WINDOW_S - 0.5)
        power = self._shown(sample)
        if begin is None or power is None:
            return None
        # What a source that is asked seldom told last is a moment old.
        newest_s = self._energy[_series(sample, power)].newest_s
        late_s = 0.0 if newest_s is None or power.power_w is None else sample.monotonic_s - newest_s
        late_s = late_s if late_s <= MAX_GAP_S else 0.0
        return self._energy_of(begin.at_s - late_s, sample.monotonic_s - late_s, self._frames - begin.frames, sample)

    def _energy_of(self, begin_s: float, end_s: float, frames: int, sample: Telemetry | None) -> EnergyOut | None:
        power = None if sample is None else self._shown(sample)
        if sample is None or power is None or end_s - begin_s < MIN_WINDOW_S:
            return None
        series = _series(sample, power)
        spent = self._energy[series].spent(begin_s, end_s)
        if spent is None:
            return None
        is_model = power.source in MODEL_SOURCES and power.method == "estimated"
        idle_w = self.model_idle_w if is_model else self._idle[series].idle_w
        return energy_of(spent, power, frames=frames, idle_w=idle_w)


def _series(sample: Telemetry, power: PowerSample) -> Series:
    return Series(sample.incarnation, power.source, power.scope, power.method)
