"""Memory and cores: of the process, of what bounds it, and of a stage."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.agent.sysfs import tree

from partition_agent import system
from partition_agent.loading.model_file import ModelFileError, read_model_memory


def test_the_memory_limit_is_the_least_of_the_machine_and_every_cgroup_around(tmp_path: Path) -> None:
    root = tree(tmp_path, {"proc/meminfo": "MemTotal:  8000 kB", "proc/self/cgroup": "0::/a/b"})
    assert system.memory_limit_bytes(root) == 8000 * 1024
    tree(root, {"sys/fs/cgroup/a/memory.max": 4_000_000, "sys/fs/cgroup/a/b/memory.max": "max"})
    assert system.memory_limit_bytes(root) == 4_000_000


def test_a_version_one_limit_counts_and_its_no_limit_does_not(tmp_path: Path) -> None:
    root = tree(tmp_path, {"proc/meminfo": "MemTotal:  8000 kB", "proc/self/cgroup": "4:memory:/job\n0::/"})
    tree(root, {"sys/fs/cgroup/memory/memory.limit_in_bytes": 9223372036854771712})
    assert system.memory_limit_bytes(root) == 8000 * 1024
    tree(root, {"sys/fs/cgroup/memory/job/memory.limit_in_bytes": 1_000_000})
    assert system.memory_limit_bytes(root) == 1_000_000


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"proc/self/cgroup": "0::/x", "sys/fs/cgroup/x/cpu.max": "150000 100000"}, 1.5),
        ({"proc/self/cgroup": "0::/x", "sys/fs/cgroup/x/cpu.max": "max 100000"}, 4.0),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "900000 100000"}, 4.0),
        (
            {
                "proc/self/cgroup": "3:cpu,cpuacct:/",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": 50000,
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": 100000,
            },
            0.5,
        ),
        ({}, 4.0),
    ],
)
def test_usable_cores_are_the_affinity_or_less_by_quota(tmp_path: Path, files: dict[str, object], cores: float) -> None:
    assert system.usable_cores([0, 1, 2, 3], tree(tmp_path, files)) == cores


def test_utilisation_is_that_of_the_cores_we_may_use(tmp_path: Path) -> None:
    idle, busy = "100 0 0 100 0 0 0 0 0 0", "150 0 0 150 0 0 0 0 0 0"
    root = tree(tmp_path, {"proc/stat": f"cpu  0\ncpu0 {idle}\ncpu1 {idle}\n"})
    meter = system.CpuMeter([1], root)
    tree(root, {"proc/stat": f"cpu  0\ncpu0 9000 0 0 100 0 0 0 0 0 0\ncpu1 {busy}\n"})
    assert meter.utilisation(1.0) == 0.5
    assert meter.utilisation(2.0) is None, "no time has passed"


def test_utilisation_under_a_quota_is_the_share_of_the_quota(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/x",
        "sys/fs/cgroup/x/cpu.max": "50000 100000",
        "sys/fs/cgroup/x/cpu.stat": "usage_usec 0",
    }
    root = tree(tmp_path, files)
    meter = system.CpuMeter([0, 1], root)
    meter.utilisation(100.0)
    tree(root, {"sys/fs/cgroup/x/cpu.stat": "usage_usec 1000000"})
    assert meter.utilisation(104.0) == pytest.approx(0.5)


def test_pss_and_uss_are_none_where_the_kernel_does_not_say(tmp_path: Path) -> None:
    root = tree(tmp_path, {"proc/self/status": "VmHWM:  300 kB\nVmRSS:  200 kB"})
    assert system.process_memory(root) == (None, None, 200 * 1024, 300 * 1024)
    assert system.anonymous_bytes(root) is None
    rollup = "Rss:  200 kB\nPss:  150 kB\nPrivate_Clean:  30 kB\nPrivate_Dirty:  70 kB\nShared_Clean:  9 kB"
    tree(root, {"proc/self/smaps_rollup": rollup})
    assert system.process_memory(root) == (150 * 1024, 100 * 1024, 200 * 1024, 300 * 1024)


def test_what_is_expensive_to_ask_is_asked_more_rarely(tmp_path: Path) -> None:
    files = {"proc/self/status": "VmHWM:  300 kB\nVmRSS:  200 kB", "proc/self/smaps_rollup": "Pss:  150 kB"}
    meter = system.MemoryMeter(tree(tmp_path, files))
    meter.read(0.0)
    tree(tmp_path, {"proc/self/status": "VmHWM:  400 kB\nVmRSS:  250 kB", "proc/self/smaps_rollup": "Pss:  170 kB"})
    soon = meter.read(0.0)
    assert soon == (150 * 1024, None, 250 * 1024, 400 * 1024), "what is cheap is always new"
    later = meter.read(3600.0)
    assert later.pss_bytes == 170 * 1024


@pytest.mark.parametrize(
    ("files", "peak"),
    [
        ({"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/memory.peak": 123}, 123),
        ({"proc/self/cgroup": "4:memory:/a", "sys/fs/cgroup/memory/a/memory.max_usage_in_bytes": 456}, 456),
        ({"proc/self/cgroup": "0::/a"}, None),
    ],
)
def test_the_peak_of_the_control_group_is_told_where_it_is_known(
    tmp_path: Path, files: dict[str, object], peak: int | None
) -> None:
    assert system.cgroup_peak_bytes(tree(tmp_path, files)) == peak


def test_on_a_tegra_the_gpu_shares_the_memory(tmp_path: Path) -> None:
    assert not system.gpu_shares_memory(tmp_path)
    compatible = {"proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234\0"}
    assert system.gpu_shares_memory(tree(tmp_path, compatible))


# --- a sub-model's file ----------------------------------------------------------------------------------------------


def field(number: int, content: bytes | int) -> bytes:
    """A field of a protobuf: a number, or something with a length."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def value(name: str, *shape: int, kind: int = 1) -> bytes:
    dimensions = b"".join(field(1, field(1, extent) if extent else field(2, b"N")) for extent in shape)
    return field(1, name.encode()) + field(2, field(1, field(1, kind) + field(2, dimensions)))


def node(kind: str, inputs: str, outputs: str) -> bytes:
    fields = [field(1, name.encode()) for name in inputs.split()] + [
        field(2, name.encode()) for name in outputs.split()
    ]
    return field(1, b"".join(fields) + field(4, kind.encode()))


def weight(name: str, *shape: int, kind: int = 1) -> bytes:
    return field(5, b"".join(field(1, extent) for extent in shape) + field(2, kind) + field(8, name.encode()))


def model(tmp_path: Path, *parts: bytes) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(field(1, 8) + field(7, b"".join(parts)) + field(8, field(2, 17)))
    return path


def test_weights_are_counted_by_shape_and_type_once_for_each_name(tmp_path: Path) -> None:
    path = model(tmp_path, weight("a", 10, 3), weight("b", 5, kind=10), weight("c", 3, kind=22), weight("a", 10, 3))
    assert read_model_memory(path).weight_bytes == 120 + 10 + 2


def test_the_largest_set_alive_is_at_the_widest_place_of_the_graph(tmp_path: Path) -> None:
    # x (4) -> a (400); a -> b (40); a, b -> c (40): while b and c are made, a is still alive.
    path = model(
        tmp_path,
        weight("w", 1000),
        field(11, value("x", 1)),
        field(11, value("w", 1000)),
        node("Conv", "x w", "a"),
        node("Relu", "a", "b"),
        node("Add", "a b", "c"),
        *(field(13, part) for part in (value("a", 100), value("b", 10))),
        field(12, value("c", 10)),
    )
    assert read_model_memory(path) == (4000, 400 + 40 + 40)


def test_an_output_stays_alive_and_a_branch_that_ended_does_not(tmp_path: Path) -> None:
    path = model(
        tmp_path,
        field(11, value("x", 100)),
        node("Relu", "x", "early"),
        node("Relu", "x", "a"),
        node("Pool", "a", "late"),
        field(13, value("a", 50)),
        field(12, value("early", 10)),
        field(12, value("late", 1)),
    )
    assert read_model_memory(path).activation_bytes == 4 * (100 + 10 + 50)


def test_constants_are_no_activations_and_an_unknown_shape_makes_the_sum_unknown(tmp_path: Path) -> None:
    parts = [field(11, value("x", 10)), node("Constant", "", "k"), node("Mul", "x k", "y")]
    assert read_model_memory(model(tmp_path, *parts, field(12, value("y", 10)))).activation_bytes == 80
    assert read_model_memory(model(tmp_path, *parts, field(12, value("y", 0)))).activation_bytes is None
    assert read_model_memory(model(tmp_path, *parts)).activation_bytes is None


@pytest.mark.parametrize("data", [b"", b"\x08\x08", b"\x3a\xff\x01", b"<html>", b"\xff" * 40, b"\x3a\x02\x0a\x50"])
def test_what_is_no_model_is_an_error_of_its_own(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(data)
    with pytest.raises(ModelFileError):
        read_model_memory(tmp_path / "model.onnx")
