"""Whether a device can hold two plans' stages at the same time."""

from dataclasses import replace

import pytest

from partition_studio.partition.check import RUNTIME_BYTES, DeviceCost, DeviceLimits, crowded_devices
from partition_studio.partition.memory import MemoryBound

MB = 10**6
BOUND = MemoryBound(RUNTIME_BYTES, 60 * MB, 20 * MB, 10 * MB, 10 * MB)
COST = DeviceCost("a", ("a-0",), 1, 1, 1, 1, 1, 1, 1, RUNTIME_BYTES, BOUND)


@pytest.mark.parametrize(("memory_mb", "crowded"), [(200, False), (199, True), (None, False)])
def test_the_runtime_counts_once_and_the_stages_twice(memory_mb: int | None, crowded: bool) -> None:
    memory = None if memory_mb is None else RUNTIME_BYTES + memory_mb * MB
    assert bool(crowded_devices([COST], [COST], {"a": DeviceLimits(memory)})) is crowded


def test_a_device_that_only_one_plan_uses_is_never_crowded() -> None:
    tight = {"a": DeviceLimits(1), "b": DeviceLimits(1)}
    assert crowded_devices([COST], [replace(COST, device="b")], tight) == ()
