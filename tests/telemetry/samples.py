"""Samples for tests."""

import msgspec

from partition_agent.protocol import MemorySample, PowerSample, StageSample, Telemetry

SAMPLE = Telemetry(
    incarnation="i",
    sequence=1,
    monotonic_s=0.0,
    unix_s=0.0,
    cpu_s=0.0,
    usable_cores=2.0,
    cpu_utilisation=0.5,
    memory=MemorySample(90, 80, 100, 110, 1000),
    power=(),
    thermal=None,
    stages=(),
    links=(),
    dropped={},
    ring="ring",
)


def sample(
    second: int, *, frames: int = 0, watts: float | None = None, source: str = "rapl", **more: object
) -> Telemetry:
    """One sample a second, of a stage that has done `frames`, on a source that counts energy."""
    power = () if watts is None else (PowerSample(watts, watts * second, source, "board", "counter", 0.05),)
    stage = StageSample("d", 1, "s", frames, 0, frames * 0.01, 0.0, 0)
    values = {"sequence": second + 1, "monotonic_s": float(second), "unix_s": float(second), "cpu_s": 0.0}
    return msgspec.structs.replace(SAMPLE, **{**values, "power": power, "stages": (stage,), **more})
