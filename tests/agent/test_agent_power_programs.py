"""Sources that are a program or a library: a Raspberry Pi's firmware, NVIDIA's NVML. Both are made up here."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.agent.sysfs import tree

from partition_agent.power import nvml, pi5
from partition_agent.power.polled import PolledReader
from partition_agent.power.reader import Reading
from partition_agent.system import ROOT

RAILS = """ 3V7_WL_SW_A current(0)=0.05000000A
   3V3_SYS_A current(1)=0.10000000A
   1V8_SYS_A current(2)=0.20000000A
  DDR_VDD2_A current(3)=0.01000000A
  DDR_VDDQ_A current(4)=0.00000000A
   1V1_SYS_A current(5)=0.30000000A
  VDD_CORE_A current(7)=2.00000000A
  3V7_WL_SW_V volt(8)=3.70000000V
    3V3_SYS_V volt(9)=3.30000000V
   1V8_SYS_V volt(10)=1.80000000V
  DDR_VDD2_V volt(11)=1.10000000V
  DDR_VDDQ_V volt(12)=0.60000000V
   1V1_SYS_V volt(13)=1.10000000V
  VDD_CORE_V volt(15)=0.80000000V
     EXT5V_V volt(24)=5.15400000V
      BATT_V volt(25)=0.00000000V
"""
RAILS_W = 0.185 + 0.33 + 0.36 + 0.011 + 0.0 + 0.33 + 1.6


def wait_for(answer: Callable[[], Reading | None]) -> Reading:
    deadline_s = time.monotonic() + 10
    while True:
        reading = answer()
        if reading is not None:
            return reading
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def board(root: Path, model: str, says: str | None = RAILS, status: int = 0) -> Path:
    """A board with a `vcgencmd` that says something."""
    tree(root, {"proc/device-tree/model": f"{model}\0"})
    if says is not None:
        tree(root, {"says": says, "usr/bin/vcgencmd": f"#!/bin/sh\ncat {root}/says\nexit {status}"})
        (root / "usr/bin/vcgencmd").chmod(0o755)
    return root


def test_a_pi_5_tells_its_rails_corrected_for_what_they_leave_out(tmp_path: Path) -> None:
    findings = pi5.find(board(tmp_path, "Raspberry Pi 5 Model B Rev 1.0"))
    assert len(findings) == 1
    finding, reader = findings[0], findings[0].reader
    assert reader is not None
    assert (finding.source, finding.scope, finding.method) == ("pi5-pmic", "board", "sampled")
    assert reader.uncertainty(3.0) == 0.10
    reading = wait_for(lambda: reader.read(None))
    reader.close()
    assert reading.power_w == pytest.approx(RAILS_W * 1.1451 + 0.5879)
    assert reading.at_s is not None and reading.at_s <= time.monotonic()


@pytest.mark.parametrize(
    "says",
    ["", "error=1 error_msg=Command not registered", "VDD_CORE_A current(7)=2.0A\nVDD_CORE_V volt(15)=0.8V", "\0\xff"],
)
def test_what_is_no_table_of_rails_is_no_figure(tmp_path: Path, says: str) -> None:
    assert pi5.rails_w(says) is None
    finding = pi5.find(board(tmp_path, "Raspberry Pi 5 Model B", says))[0]
    assert finding.reader is None and finding.admin_command is None


def test_a_rail_without_its_voltage_does_not_count() -> None:
    assert pi5.rails_w(RAILS + " OTHER_A current(30)=9.0A") == pytest.approx(RAILS_W)
    assert pi5.rails_w(RAILS.replace("2.00000000A", "NaN")) == pytest.approx(RAILS_W - 1.6)
    assert pi5.rails_w(RAILS.replace("2.00000000A", "99999.0A")) is None


def test_a_closed_firmware_shows_the_group_that_would_open_it(tmp_path: Path) -> None:
    says = "Can't open device file: /dev/vcio\nTry creating a device file with: sudo mknod /dev/vcio c 100 0"
    finding = pi5.find(board(tmp_path, "Raspberry Pi 5 Model B", says, status=255))[0]
    assert finding.reader is None
    assert finding.admin_command is not None and finding.admin_command.startswith("sudo usermod -aG video ")
    assert finding.admin_exposes is not None


def test_a_pi_4_has_no_sensor_and_another_board_is_not_told_of(tmp_path: Path) -> None:
    finding = pi5.find(board(tmp_path / "4", "Raspberry Pi 4 Model B Rev 1.5"))[0]
    assert finding.reader is None and "no power sensor" in finding.detail
    assert "not installed" in pi5.find(board(tmp_path / "5", "Raspberry Pi 5 Model B", None))[0].detail
    assert pi5.find(tmp_path / "other") == []


def test_a_program_that_hangs_holds_up_nobody(tmp_path: Path) -> None:
    (tmp_path / "hang").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "hang").chmod(0o755)
    reader: PolledReader = pi5.Pi5(str(tmp_path / "hang"))
    begin_s = time.monotonic()
    assert reader.read(None) is None
    assert time.monotonic() - begin_s < 1.0
    reader.close()


# --- NVML ------------------------------------------------------------------------------------------------------------


class FakeNvml:
    """NVML's functions, with the conventions of a C library: numbers out by pointers, 0 is success."""

    def __init__(self, energies_mj: list[int], powers_mw: list[int], init: int = 0) -> None:
        self.energies_mj, self.powers_mw, self.init = energies_mj, powers_mw, init
        self.open = 0
        self.processes = [(os.getpid(), 300), (1, 700), (os.getpid(), 2**64 - 1)]

    def nvmlInit_v2(self) -> int:  # noqa: N802 - the library's names
        self.open += self.init == 0
        return self.init

    def nvmlShutdown(self) -> int:  # noqa: N802
        self.open -= 1
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:  # noqa: N802
        count._obj.value = max(len(self.energies_mj), len(self.powers_mw))
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: int, gpu: Any) -> int:  # noqa: N802
        gpu._obj.value = index + 1
        return 0

    def _tell(self, values: list[int], gpu: ctypes.c_void_p, value: Any) -> int:
        index = (gpu.value or 0) - 1
        if index >= len(values):
            return 3
        value._obj.value = values[index]
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu: ctypes.c_void_p, value: Any) -> int:  # noqa: N802
        return self._tell(self.energies_mj, gpu, value)

    def nvmlDeviceGetPowerUsage(self, gpu: ctypes.c_void_p, value: Any) -> int:  # noqa: N802
        return self._tell(self.powers_mw, gpu, value)

    def nvmlDeviceGetComputeRunningProcesses_v3(self, gpu: object, count: Any, found: Any) -> int:  # noqa: N802
        for index, (pid, used) in enumerate(self.processes):
            found[index].pid, found[index].used_bytes = pid, used
        count._obj.value = len(self.processes)
        return 0


def test_the_energy_counters_of_all_gpus_are_one_source(tmp_path: Path) -> None:
    library = FakeNvml([5_000, 7_000], [100_000, 100_000])
    finding = nvml.find(tmp_path, lambda: library)[0]
    assert (finding.source, finding.scope, finding.method) == ("nvml", "gpu", "counter")
    assert finding.reader is not None and finding.reader.read(None) == (None, 12.0, None)
    library.energies_mj = [6_000]
    assert finding.reader.read(None) is None, "a sum without one of them is too low"
    finding.reader.close()
    assert library.open == 0


def test_a_gpu_without_a_counter_is_sampled(tmp_path: Path) -> None:
    finding = nvml.find(tmp_path, lambda: FakeNvml([], [45_000]))[0]
    assert finding.method == "sampled"
    assert finding.reader is not None and finding.reader.read(None) == (45.0, None, None)


def test_a_library_that_opens_and_knows_no_power_is_not_used(tmp_path: Path) -> None:
    """So it is on a Jetson."""

    class Jetson(FakeNvml):
        def nvmlDeviceGetCount_v2(self, count: Any) -> int:  # noqa: N802
            count._obj.value = 1
            return 0

    library = Jetson([], [])
    finding = nvml.find(tmp_path, lambda: library)[0]
    assert finding.reader is None and library.open == 0


def test_without_the_library_or_a_gpu_there_is_no_source(tmp_path: Path) -> None:
    def missing() -> Any:
        return ctypes.CDLL("libno-such-library.so.1")

    assert nvml.find(tmp_path, missing) == []
    assert nvml.find(tmp_path, lambda: FakeNvml([], [], init=9)) == []
    assert nvml.find(tmp_path, lambda: FakeNvml([], [])) == []
    assert nvml.find(tmp_path, lambda: object()) == [], "a library of that name that is another"
    assert nvml.find(tmp_path) == [], "a made-up tree does not see this machine's GPU"


def test_the_memory_of_a_gpu_is_that_of_this_process(tmp_path: Path) -> None:
    findings = nvml.find(tmp_path, lambda: FakeNvml([1], [1]))
    library = nvml.gpu_library(findings)
    assert library is not None and library.process_bytes() == 300
    library.close()


def test_the_real_library_answers_or_is_absent() -> None:
    for finding in nvml.find(ROOT):
        if finding.reader is not None:
            reading = finding.reader.read(None)
            assert reading is not None and (reading.energy_j or reading.power_w or 0) > 0
            finding.reader.close()


C_LIBRARY = """
typedef struct { unsigned pid; unsigned long long used; unsigned gpu, compute; } process;
static int gpus[2];
int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **gpu) { *gpu = &gpus[index]; return index > 1; }
int nvmlDeviceGetTotalEnergyConsumption(void *gpu, unsigned long long *mj) {
  if (gpu != &gpus[0] && gpu != &gpus[1]) return 2;
  *mj = gpu == &gpus[1] ? 5000000000000ULL : 1500ULL;
  return 0;
}
int nvmlDeviceGetPowerUsage(void *gpu, unsigned *mw) { *mw = 1; return 0; }
int nvmlDeviceGetComputeRunningProcesses_v3(void *gpu, unsigned *count, process *found) {
  if (*count < 2) return 7;
  *count = gpu == &gpus[1] ? 2 : 0;
  found[0].pid = 1; found[0].used = 9;
  found[1].pid = PID; found[1].used = 6000000000ULL;
  return 0;
}
"""


def test_a_library_in_c_is_called_as_it_wants_to_be(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    source, library = tmp_path / "nvml.c", tmp_path / "nvml.so"
    source.write_text(C_LIBRARY.replace("PID", str(os.getpid())))
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    findings = nvml.find(tmp_path, lambda: ctypes.CDLL(str(library)))
    reader, opened = findings[0].reader, nvml.gpu_library(findings)
    assert reader is not None and opened is not None
    assert reader.read(None) == (None, 5_000_000_001.5, None)
    assert opened.process_bytes() == 6_000_000_000
    reader.close()
