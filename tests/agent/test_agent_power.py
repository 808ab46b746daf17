"""Power sources and system figures on made-up /sys and /proc trees."""

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from partition_agent import system
from partition_agent.power import declared, hwmon, jetson, rapl, selection


def tree(root: Path, files: Mapping[str, object]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


RAPL = "sys/class/powercap/intel-rapl:0"


def rapl_tree(root: Path, energy_uj: int) -> Path:
    files = {f"{RAPL}/name": "package-0", f"{RAPL}/energy_uj": energy_uj, f"{RAPL}/max_energy_range_uj": 1_000_000}
    part = {f"{RAPL}:0/name": "core", f"{RAPL}:0/energy_uj": 5, f"{RAPL}:0/max_energy_range_uj": 9}
    return tree(root, {**files, **part})


class Ticking:
    """Moves a counter file while a probe looks at it."""

    def __init__(self, path: Path) -> None:
        self.path, self.stop = path, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        while not self.stop.wait(0.001):
            # Renamed into place: a reader never sees half a number.
            temporary = self.path.with_name("new")
            temporary.write_text(str(int(self.path.read_text()) + 1))
            temporary.replace(self.path)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()


def test_a_rapl_counter_counts_on_when_it_wraps(tmp_path: Path) -> None:
    root = rapl_tree(tmp_path, 100)
    with Ticking(root / RAPL / "energy_uj"):
        reader = rapl.probe(root, probe_s=2.0)
    assert reader is not None and (reader.source, reader.scope, reader.method) == ("rapl", "package", "counter")
    energies = []
    for value in (999_000, 999_900, 400):
        (root / RAPL / "energy_uj").write_text(str(value))
        reading = reader.read(None)
        assert reading is not None and reading.energy_j is not None
        energies.append(reading.energy_j)
    assert energies == pytest.approx([0.0, 0.0009, 0.0014])
    (root / RAPL / "energy_uj").unlink()
    assert reader.read(None) is None


def test_a_rapl_counter_that_never_moves_or_is_not_there_is_absent(tmp_path: Path) -> None:
    assert rapl.probe(rapl_tree(tmp_path / "still", 7), probe_s=0.05) is None
    assert rapl.probe(tmp_path / "empty") is None
    unreadable = rapl_tree(tmp_path / "unreadable", 7)
    (unreadable / RAPL / "energy_uj").unlink()
    (unreadable / RAPL / "energy_uj").mkdir()
    assert rapl.probe(unreadable, probe_s=0.05) is None


def test_hwmon_prefers_energy_to_average_to_moment(tmp_path: Path) -> None:
    files: dict[str, object] = {
        "sys/class/hwmon/hwmon3/name": "ina226",
        "sys/class/hwmon/hwmon3/power1_input": 3_500_000,
    }
    reader = hwmon.probe(tree(tmp_path, files))
    assert reader is not None and reader.method == "sampled" and reader.source == "hwmon:ina226"
    assert reader.read(None) == (3.5, None)
    reader = hwmon.probe(tree(tmp_path, {"sys/class/hwmon/hwmon5/power1_average": 4_000_000}))
    assert reader is not None and reader.read(None) == (4.0, None)
    more = {"sys/class/hwmon/hwmon7/energy1_input": 2_000_000, "sys/class/hwmon/hwmon7/energy1_label": "board"}
    reader = hwmon.probe(tree(tmp_path, more))
    assert reader is not None and (reader.method, reader.scope) == ("counter", "board")
    assert reader.read(None) == (None, 2.0)


def test_hwmon_without_power_or_with_zero_is_absent(tmp_path: Path) -> None:
    files = {"sys/class/hwmon/hwmon0/name": "cpu_thermal", "sys/class/hwmon/hwmon0/temp1_input": 40_000}
    assert hwmon.probe(tree(tmp_path, files)) is None
    assert hwmon.probe(tree(tmp_path, {"sys/class/hwmon/hwmon1/power1_input": 0})) is None


def test_the_total_rail_of_a_jetson_is_not_added_to(tmp_path: Path) -> None:
    base = "sys/bus/i2c/devices/1-0040"
    files: dict[str, object] = {f"{base}/name": "ina3221"}
    for number, (label, voltage_mv, current_ma) in enumerate(
        [("VDD_IN", 5000, 1200), ("VDD_CPU_GPU_CV", 5000, 400), ("VDD_SOC", 5000, 300)], start=1
    ):
        files[f"{base}/hwmon/hwmon4/in{number}_label"] = label
        files[f"{base}/hwmon/hwmon4/in{number}_input"] = voltage_mv
        files[f"{base}/hwmon/hwmon4/curr{number}_input"] = current_ma
    files[f"{base}/hwmon/hwmon4/in7_label"] = "sum of shunt voltages"
    files[f"{base}/hwmon/hwmon4/in7_input"] = 99
    reader = jetson.probe(tree(tmp_path, files))
    assert reader is not None and (reader.source, reader.scope) == ("ina3221", "module")
    reading = reader.read(None)
    assert reading is not None and reading.power_w == pytest.approx(6.0)


def test_a_jetson_without_a_total_sums_its_rails_and_skips_those_not_connected(tmp_path: Path) -> None:
    base = "sys/bus/i2c/devices/1-0041"
    files: dict[str, object] = {f"{base}/name": "ina3221x"}
    for number, (label, power_mw) in enumerate([("GPU", 1500), ("CPU", 2500), ("NC", 9999)]):
        files[f"{base}/iio:device1/rail_name_{number}"] = label
        files[f"{base}/iio:device1/in_power{number}_input"] = power_mw
    reader = jetson.probe(tree(tmp_path, files))
    assert reader is not None and reader.scope == "rails"
    reading = reader.read(None)
    assert reading is not None and reading.power_w == pytest.approx(4.0)


def test_a_jetson_whose_rails_cannot_be_read_is_absent(tmp_path: Path) -> None:
    base = "sys/bus/i2c/devices/1-0040"
    files = {f"{base}/name": "ina3221x", f"{base}/iio:device0/rail_name_0": "POM_5V_IN"}
    assert jetson.probe(tree(tmp_path, files)) is None


def test_an_estimate_goes_with_the_utilisation_and_is_marked(tmp_path: Path) -> None:
    reader = declared.probe(2.0, 6.0)
    assert reader is not None and reader.method == "estimated"
    assert reader.read(0.25) == (3.0, None)
    assert reader.read(None) is None
    assert declared.probe(2.0, None) is None
    assert declared.probe(6.0, 2.0) is None
    assert declared.probe(float("nan"), 2.0) is None


def test_without_sensor_and_declaration_there_is_no_figure(tmp_path: Path) -> None:
    meter = selection.PowerMeter(tmp_path)
    assert meter.update(1.0, 0.5) is None
    meter.declare(1.0, 3.0)
    assert meter.update(2.0, 0.5) is not None
    meter.declare(None, None)
    assert meter.update(3.0, 0.5) is None


def test_energy_is_the_trapezoid_of_sampled_power_and_a_declaration_does_not_beat_a_sensor(tmp_path: Path) -> None:
    root = tree(tmp_path, {"sys/class/hwmon/hwmon0/power1_input": 2_000_000})
    meter = selection.PowerMeter(root)
    meter.declare(50.0, 100.0)
    assert meter.is_sampled
    first = meter.update(10.0, 1.0)
    tree(root, {"sys/class/hwmon/hwmon0/power1_input": 4_000_000})
    second = meter.update(12.0, 1.0)
    assert first is not None and second is not None
    assert (first.energy_j, second.energy_j) == (0.0, 6.0)
    assert (second.power_w, second.method) == (4.0, "sampled")


def test_power_of_a_counter_is_its_rate(tmp_path: Path) -> None:
    root = tree(tmp_path, {"sys/class/hwmon/hwmon0/energy1_input": 5_000_000})
    meter = selection.PowerMeter(root)
    assert meter.update(0.0, None) is None, "one reading of a counter says no power"
    tree(root, {"sys/class/hwmon/hwmon0/energy1_input": 8_000_000})
    sample = meter.update(2.0, None)
    assert sample is not None and (sample.power_w, sample.energy_j, sample.method) == (1.5, 3.0, "counter")


# --- cores and memory ------------------------------------------------------------------------------------------------


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


def test_pss_is_none_where_the_kernel_does_not_say(tmp_path: Path) -> None:
    root = tree(tmp_path, {"proc/self/status": "VmHWM:  300 kB\nVmRSS:  200 kB"})
    assert system.process_memory(root) == (None, 200 * 1024, 300 * 1024)
    tree(root, {"proc/self/smaps_rollup": "Rss:  200 kB\nPss:  150 kB"})
    assert system.process_memory(root).pss_bytes == 150 * 1024
