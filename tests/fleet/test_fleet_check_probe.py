"""The probe reads what a process gets, not what the machine has; and names the parts that a kernel shows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from partition_studio.fleet.on_device import probe_accelerators, probe_hardware, probe_script, probe_system


def make(root: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


V2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
MEMINFO = "MemTotal:       4000 kB\nMemFree: 1 kB\nMemAvailable:   3000 kB\n"


def test_cgroup_v2_limits_hold_at_every_level(tmp_path: Path) -> None:
    root = make(
        tmp_path,
        {
            "/proc/self/cgroup": "0::/outer/inner\n",
            "/proc/self/mountinfo": V2_MOUNT,
            "/proc/meminfo": MEMINFO,
            "/sys/fs/cgroup/outer/cpu.max": "50000 100000\n",
            "/sys/fs/cgroup/outer/inner/cpu.max": "max 100000\n",
            "/sys/fs/cgroup/outer/memory.max": "1024000\n",
            "/sys/fs/cgroup/outer/memory.current": "600000\n",
            "/sys/fs/cgroup/outer/memory.stat": "anon 1\ninactive_file 100000\n",
            "/sys/fs/cgroup/outer/inner/memory.max": "max\n",
        },
    )
    assert probe_system.cores(root) == {
        "cores": 0.5,
        "affinity_cores": len(os.sched_getaffinity(0)),
        "quota_cores": 0.5,
    }
    assert probe_system.memory(root) == {
        "memory_total_bytes": 1024000,
        "memory_available_bytes": 524000,
        "memory_physical_bytes": 4096000,
        "memory_cgroup_bytes": 1024000,
    }


def test_cgroup_v1_limits_hold_in_a_container(tmp_path: Path) -> None:
    mount = (
        "31 23 0:27 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "32 23 0:28 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    )
    root = make(
        tmp_path,
        {
            "/proc/self/cgroup": "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n",
            "/proc/self/mountinfo": mount,
            "/proc/meminfo": MEMINFO,
            "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "25000\n",
            "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "2048000\n",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes": "48000\n",
        },
    )
    assert probe_system.cores(root)["cores"] == 0.25
    memory = probe_system.memory(root)
    assert (memory["memory_total_bytes"], memory["memory_available_bytes"]) == (2048000, 2000000)


@pytest.mark.parametrize(
    ("cgroup", "mounts", "folders", "known"),
    [
        ("0::/\n", "", [], True),
        ("0::/outer\n", "", [], False),
        ("0::/outer\n", V2_MOUNT, [], False),
        ("0::/outer\n", V2_MOUNT, ["/sys/fs/cgroup/outer"], True),
        ("5:cpu,cpuacct:/docker/a\n4:memory:/\n0::/\n", "", [], False),
        # Below version 1 of both controllers, what version 2 says of this group limits neither.
        ("5:cpu,cpuacct:/\n4:memory:/\n0::/outer\n", "", [], True),
    ],
)
def test_a_group_that_cannot_be_looked_into_is_not_said_to_have_no_limit(
    tmp_path: Path, cgroup: str, mounts: str, folders: list[str], known: bool
) -> None:
    root = make(tmp_path, {"/proc/self/cgroup": cgroup, "/proc/self/mountinfo": mounts, "/proc/meminfo": MEMINFO})
    for folder in folders:
        (tmp_path / folder.lstrip("/")).mkdir(parents=True)
    assert probe_system.limits_known(root) is known


def test_without_limits_the_affinity_and_the_whole_memory_count(tmp_path: Path) -> None:
    root = make(
        tmp_path,
        {
            "/proc/self/cgroup": "5:cpu,cpuacct:/\n4:memory:/\n0::/\n",
            "/proc/self/mountinfo": V2_MOUNT + "32 23 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
            "/proc/meminfo": MEMINFO,
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert probe_system.cpu_quota(root) is None
    memory = probe_system.memory(root)
    assert (memory["memory_total_bytes"], memory["memory_available_bytes"]) == (4096000, 3072000)
    assert memory["memory_cgroup_bytes"] is None


def test_the_probe_reads_the_affinity_not_the_number_of_processors(tmp_path: Path) -> None:
    script = Path(probe_script.__file__)
    pinned = (
        "import os, runpy; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]);"
        f"runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    said = subprocess.run([sys.executable, "-c", pinned, str(tmp_path), str(tmp_path)], capture_output=True, check=True)
    assert b'"cores": 1.0' in said.stdout


def test_addresses_of_both_families_are_told_without_those_that_lead_nowhere(tmp_path: Path) -> None:
    trie = "\n".join(
        f"           |-- {address}\n              /32 host LOCAL"
        for address in ("127.0.0.1", "192.0.2.7", "169.254.3.4")
    )
    root = make(
        tmp_path,
        {
            "/proc/net/fib_trie": trie + "\n           |-- 192.0.2.0\n              /24 link UNICAST\n",
            "/proc/net/if_inet6": (
                "00000000000000000000000000000001 01 80 10 80       lo\n"
                "fe800000000000000000000000000001 02 40 20 80     eth0\n"
                "20010db8000000000000000000000042 02 40 00 80     eth0\n"
            ),
        },
    )
    assert probe_system.addresses(root) == ["192.0.2.7", "2001:db8::42"]


def test_the_firmware_of_a_raspberry_pi_tells_of_under_voltage_and_throttling(tmp_path: Path) -> None:
    root = make(tmp_path, {"/sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n"})
    found = probe_hardware.thermal(root)
    assert found["throttled"] == ["throttled", "under_voltage"]
    assert found["throttled_before"] == ["throttled", "under_voltage"]


def test_heat_is_the_hottest_zone_that_can_be_believed_and_frequency_a_share_of_the_highest(tmp_path: Path) -> None:
    root = make(
        tmp_path,
        {
            "/sys/class/thermal/thermal_zone0/temp": "61200\n",
            "/sys/class/thermal/thermal_zone1/temp": "-274000\n",
            "/sys/class/thermal/thermal_zone2/temp": "55000\n",
            "/sys/class/thermal/cooling_device0/type": "thermal-cpufreq-0\n",
            "/sys/class/thermal/cooling_device0/cur_state": "2\n",
            "/sys/class/thermal/cooling_device1/type": "pwm-fan\n",
            "/sys/class/thermal/cooling_device1/cur_state": "3\n",
            "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "600000\n",
            "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1500000\n",
        },
    )
    assert probe_hardware.thermal(root) == {
        "temperature_c": 61.2,
        "throttled": ["throttled"],
        "throttled_before": [],
        "frequency_ratio": 0.4,
    }


def test_a_fan_that_turns_is_no_throttling(tmp_path: Path) -> None:
    root = make(
        tmp_path,
        {
            "/sys/class/thermal/cooling_device0/type": "pwm-fan\n",
            "/sys/class/thermal/cooling_device0/cur_state": "3\n",
        },
    )
    assert probe_hardware.thermal(root)["throttled"] == []


@pytest.mark.parametrize(
    ("text", "vendor", "flag"),
    [
        ("processor : 0\nvendor_id : GenuineIntel\nflags : fpu sse2 avx2\n", "GenuineIntel", "avx2"),
        ("processor : 0\nFeatures : fp asimd crc32\nCPU implementer : 0x41\n", "0x41", "asimd"),
    ],
)
def test_flags_of_the_processor_are_found_under_the_name_of_either_family(
    tmp_path: Path, text: str, vendor: str, flag: str
) -> None:
    found = probe_hardware.cpu(make(tmp_path, {"/proc/cpuinfo": text}))
    assert found["vendor"] == vendor
    assert flag in found["flags"]


@pytest.mark.parametrize(
    ("files", "kind", "word"),
    [
        (
            {"/etc/nv_tegra_release": "# R35 (release), REVISION: 4.1\n", "/dev/nvmap": ""},
            "jetson",
            "L4T 35.4.1",
        ),
        (
            {
                "/proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu\n",
                "/proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t NVIDIA RTX A2000\n",
            },
            "nvidia",
            "550.54.14",
        ),
        (
            {
                "/sys/class/drm/card0/device/vendor": "0x8086\n",
                "/sys/class/drm/card0/device/uevent": "DRIVER=i915\n",
                "/sys/class/drm/card0-HDMI-A-1/status": "connected\n",
                "/dev/dri/renderD128": "",
            },
            "intel_gpu",
            "i915",
        ),
        ({"/dev/apex_0": ""}, "coral", "/dev/apex_0"),
        (
            {"/sys/bus/usb/devices/1-1/idVendor": "18d1\n", "/sys/bus/usb/devices/1-1/idProduct": "9302\n"},
            "coral",
            "USB",
        ),
        ({"/dev/hailo0": ""}, "hailo", "/dev/hailo0"),
        ({"/sys/class/devfreq/fdab0000.npu/load": "0"}, "rockchip_npu", "npu"),
        ({"/sys/class/accel/accel0/device/uevent": "DRIVER=intel_vpu\n"}, "intel_npu", "accel0"),
    ],
)
def test_each_accelerator_is_known_by_what_the_kernel_shows_of_it(
    tmp_path: Path, files: dict[str, str], kind: str, word: str
) -> None:
    (found,) = probe_accelerators.accelerators(make(tmp_path, files))
    assert found["kind"] == kind
    assert word in found["detail"]


def test_a_machine_without_accelerators_has_none(tmp_path: Path) -> None:
    root = make(tmp_path, {"/sys/class/drm/card0/device/vendor": "0x1234\n"})
    assert probe_accelerators.accelerators(root) == []


def test_power_sources_are_those_that_the_agents_own_readers_find(tmp_path: Path) -> None:
    monitor = "/sys/bus/i2c/devices/1-0040"
    root = make(
        tmp_path,
        {
            f"{monitor}/name": "ina3221\n",
            f"{monitor}/hwmon/hwmon3/in1_label": "VDD_IN\n",
            f"{monitor}/hwmon/hwmon3/in1_input": "5000\n",
            f"{monitor}/hwmon/hwmon3/curr1_input": "1200\n",
        },
    )
    sources = probe_script.power(root)
    assert sources is not None
    (found,) = (source for source in sources if source["source"] == "ina3221")
    assert (found["scope"], found["method"], found["usable"]) == ("module", "sampled", True)
