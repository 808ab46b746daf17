"""Calibration of a device's power model: the device at some levels, watts beside each, a line through them."""

from collections.abc import Callable, Mapping, Sequence

from partition_agent.protocol import End, JobProgress, Load, Loaded, PowerSample
from partition_studio.errors import BadInputError, DeviceError
from partition_studio.fleet.errors import BadAnswerError
from partition_studio.fleet.session.cancelling import cancelling
from partition_studio.fleet.session.session import DeviceSession
from partition_studio.planner.figures.power_model import PowerFit, PowerPoint, fit_power
from partition_studio.schemas import CalibrationPointOut
from partition_studio.services.jobs import Job

MAX_LEVELS = 20

#: What a device as a whole takes, the widest first. Other scopes leave too much of it out.
WHOLE_DEVICE = ("wall", "board", "module")

#: How long it is looked for a source of watts before the levels begin.
LOOK_S = 2.0

#: More than this beyond the level that was asked for is somebody else's.
OTHERS = 0.15

#: How much longer than asked a load may take to answer.
SPARE_S = 30.0


class CalibrationError(BadInputError):
    """The levels or watts cannot be used."""

    code = "bad_calibration"
    next_step = "Give levels from 0 to 1, at least two of them, such as 0, 0.25, 0.5, 0.75 and 1."


class NoPowerSourceError(DeviceError):
    """Nothing measures what the whole device takes."""

    code = "no_power_source"
    next_step = (
        "Give the address of its plug (`partition-studio device power NAME --meter`), or read a meter yourself and "
        "type the watts of each level (`partition-studio device calibrate NAME --ask`)."
    )


def requested_levels(levels: Sequence[float]) -> list[float]:
    """Return the levels in order. Raises CalibrationError."""
    distinct = sorted(set(levels))
    if not 2 <= len(distinct) <= MAX_LEVELS or not all(0 <= level <= 1 for level in distinct):
        raise CalibrationError(f"{list(levels)[:MAX_LEVELS]} are no levels of a calibration")
    return distinct


def typed_watts(watts: Mapping[str, float]) -> dict[float, float]:
    """Return typed watts by level. Raises CalibrationError."""
    typed: dict[float, float] = {}
    for text, power_w in list(watts.items())[: MAX_LEVELS + 1]:
        try:
            typed[float(text)] = power_w
        except ValueError:
            raise CalibrationError(f"{text[:40]!r} is no level") from None
    return {level: typed[level] for level in requested_levels(list(typed))}


class Calibration:
    """One calibration, as the work of a job."""

    def __init__(self, device: str, session: DeviceSession, job: Job) -> None:
        self._device, self._session, self._job = device, session, job

    def measure(self, levels: Sequence[float], seconds: float) -> tuple[PowerFit, list[CalibrationPointOut]]:
        """Run the levels and return the line through the watts that the device's own meter or sensor saw.

        Raises NoPowerSourceError, PowerFitError, DeviceError.
        """
        seen: list[tuple[float, Loaded]] = []
        with _Held(self._session, self._job):
            self._job.step("looking for a source of watts", 0, round(len(levels) * seconds), "seconds")
            if not _of_whole_device(self._load(0.0, LOOK_S, lambda _now: None)):
                raise NoPowerSourceError(
                    f"{self._device} has no meter, and no sensor that covers the whole device", device=self._device
                )
            for number, level in enumerate(levels):
                seen.append((level, self._load(level, seconds, self._tells(level, number, len(levels), seconds))))
        source = _common_source([loaded for _, loaded in seen])
        if source is None:
            raise NoPowerSourceError(f"No source on {self._device} told the watts of every level", device=self._device)
        points = []
        for level, loaded in seen:
            power = _of_whole_device(loaded)[source]
            points.append(
                CalibrationPointOut(
                    level=level,
                    utilisation=level if loaded.utilisation is None else min(max(loaded.utilisation, 0.0), 1.0),
                    power_w=power.power_w or 0.0,
                    source=f"{source[0]} ({source[1]})",
                    assumed=loaded.utilisation is None,
                )
            )
        return fit_power([PowerPoint(point.utilisation, point.power_w) for point in points]), points

    def hold(self, level: float, seconds: float) -> float | None:
        """Keep the device at a level; return the utilisation that was seen."""
        with _Held(self._session, self._job):
            return self._load(level, seconds, self._tells(level, 0, 1, seconds)).utilisation

    def _tells(self, level: float, number: int, count: int, seconds: float) -> Callable[[float], None]:
        total = round(count * seconds)

        def tell(now: float) -> None:
            done = min(round((number + now) * seconds), total)
            self._job.step(f"at {level:.0%} of its cores", done, total, "seconds")

        return tell

    def _load(self, level: float, seconds: float, tell: Callable[[float], None]) -> Loaded:
        self._job.stop_if_cancelled()
        tell(0.0)

        def progress(event: JobProgress) -> None:
            if event.total > 0:
                tell(min(max(event.done / event.total, 0.0), 1.0))

        with (
            self._session.listening(self._job.id, progress),
            cancelling(self._session, self._job.id, self._job.cancelled),
        ):
            loaded = self._session.call(Load(self._job.id, level, seconds), seconds + SPARE_S)
        self._job.stop_if_cancelled()
        if not isinstance(loaded, Loaded):
            raise BadAnswerError(f"{self._device}: the agent does not say what it saw under load")
        if loaded.utilisation is not None and loaded.utilisation > level + OTHERS:
            self._job.warn(
                f"{self._device} was busy to {loaded.utilisation:.0%} where {level:.0%} was asked for: something else "
                "runs there, and what it takes is in the watts"
            )
        return loaded


class _Held:
    """The device's agent runs meanwhile."""

    def __init__(self, session: DeviceSession, job: Job) -> None:
        self._session, self._job = session, job

    def __enter__(self) -> None:
        job = self._job
        self._session.hold_agent(job.id, lambda _step, text: job.step(text), lambda _progress: None, job.cancelled)

    def __exit__(self, *_: object) -> None:
        self._session.release_agent(self._job.id, End(deployment=self._job.id))


Source = tuple[str, str]


def _of_whole_device(loaded: Loaded) -> dict[Source, PowerSample]:
    """Return what was measured of the whole device, by source and scope."""
    return {
        (sample.source[:40], sample.scope): sample
        for sample in loaded.power
        if sample.scope in WHOLE_DEVICE and sample.method != "estimated" and sample.power_w is not None
    }


def _common_source(loads: Sequence[Loaded]) -> Source | None:
    """Return the source with the widest scope that told of every level: watts of different sources make no line."""
    common = set(_of_whole_device(loads[0]))
    for loaded in loads[1:]:
        common &= set(_of_whole_device(loaded))
    return min(common, key=lambda source: (WHOLE_DEVICE.index(source[1]), source[0]), default=None)
