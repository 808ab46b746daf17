"""Every source of power figures on made-up /sys trees."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.agent.sysfs import Ticking, as_nobody, tree, vanish

import partition_agent
from partition_agent.power import battery, hwmon, ina2xx, ina238, jetson, rapl
from partition_agent.power.account import Account
from partition_agent.power.admin import open_rapl
from partition_agent.power.describe import describe
from partition_agent.power.reader import Finding, PowerReader

RAPL = "sys/class/powercap/intel-rapl:0"
RANGE_UJ = 2_000_000_000


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own are private."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def rapl_tree(root: Path, zone: str = RAPL, name: str = "package-0") -> Path:
    files: dict[str, object] = {f"{zone}/name": name, f"{zone}/energy_uj": 7, f"{zone}/max_energy_range_uj": RANGE_UJ}
    part = {f"{zone}:0/name": "core", f"{zone}:0/energy_uj": 5, f"{zone}:0/max_energy_range_uj": 9}
    return tree(root, {**files, **part})


def only(findings: list[Finding]) -> tuple[Finding, PowerReader]:
    """The one source that was found, and its reader."""
    assert len(findings) == 1, findings
    assert findings[0].reader is not None, findings[0]
    return findings[0], findings[0].reader


def unusable(findings: list[Finding]) -> Finding:
    assert len(findings) == 1 and findings[0].reader is None, findings
    return findings[0]


# --- RAPL ------------------------------------------------------------------------------------------------------------


def test_a_rapl_counter_counts_on_when_it_wraps(tmp_path: Path) -> None:
    root = rapl_tree(tmp_path)
    with Ticking(root / RAPL / "energy_uj"):
        finding, reader = only(rapl.find(root, probe_s=2.0))
    assert (finding.source, finding.scope, finding.method) == ("rapl", "package", "counter")
    energies = []
    for value in (1_999_000_000, 1_999_900_000, 1_000_400_000, 400_000):
        (root / RAPL / "energy_uj").write_text(str(value))
        reading = reader.read(None)
        assert reading is not None and reading.power_w is None and reading.energy_j is not None
        energies.append(reading.energy_j)
    assert energies == pytest.approx([0.0, 0.9, 1001.4, 2001.4])
    vanish(root / RAPL / "energy_uj")
    assert reader.read(None) is None


def test_a_rapl_counter_that_never_moves_is_absent(tmp_path: Path) -> None:
    assert "never moves" in unusable(rapl.find(rapl_tree(tmp_path), probe_s=0.05)).detail
    assert rapl.find(tmp_path / "empty") == []


def test_a_rapl_counter_that_begins_again_after_a_suspension_is_a_gap_and_no_wrap(tmp_path: Path) -> None:
    (rapl_tree(tmp_path) / RAPL / "max_energy_range_uj").write_text("262143328850")
    with Ticking(tmp_path / RAPL / "energy_uj"):
        _, reader = only(rapl.find(tmp_path, probe_s=2.0))
    account = Account(0.0)
    for second, joules in enumerate((200_000, 200_010, 5, 15, 25)):
        (tmp_path / RAPL / "energy_uj").write_text(str(joules * 10**6))
        account.take(reader, reader.read(None), float(second))
    figure = account.figure(reader, 4.0)
    assert figure.energy_j == pytest.approx(30)
    assert figure.coverage == pytest.approx(3 / 4)


def test_a_rapl_counter_without_its_range_is_absent(tmp_path: Path) -> None:
    (rapl_tree(tmp_path) / RAPL / "max_energy_range_uj").unlink()
    assert "cannot be read" in unusable(rapl.find(tmp_path, probe_s=0.05)).detail


def test_the_packages_are_added_and_the_platform_is_a_scope_of_its_own(tmp_path: Path) -> None:
    zones = [f"sys/class/powercap/intel-rapl:{number}" for number in range(3)]
    for number, name in enumerate(("package-0", "package-1", "psys")):
        rapl_tree(tmp_path, zones[number], name)
    rapl_tree(tmp_path, "sys/class/powercap/intel-rapl-mmio:0")
    with Ticking(*(tmp_path / zone / "energy_uj" for zone in zones)):
        findings = rapl.find(tmp_path, probe_s=2.0)
    assert [(finding.source, finding.scope) for finding in findings] == [("rapl-psys", "board"), ("rapl", "package")]
    energies = []
    for value in (1_000_000_000, 1_003_000_000):
        for zone in zones:
            (tmp_path / zone / "energy_uj").write_text(str(value))
        for finding in findings:
            assert finding.reader is not None
            reading = finding.reader.read(None)
            assert reading is not None
            energies.append(reading.energy_j)
    assert energies == [0.0, 0.0, 3.0, 6.0]


@pytest.mark.parametrize("systemd", [True, False])
@pytest.mark.parametrize("closed", ["energy_uj", "max_energy_range_uj"])
def test_a_closed_rapl_counter_shows_the_step_that_would_open_it(open_path: Path, closed: str, systemd: bool) -> None:
    root = rapl_tree(open_path)
    if systemd:
        (root / "run/systemd/system").mkdir(parents=True)
    (root / RAPL / closed).chmod(0o400 if os.geteuid() == 0 else 0)
    with as_nobody():
        finding = unusable(rapl.find(root))
    assert finding.admin_command is not None and finding.admin_exposes is not None
    assert "energy_uj" in finding.admin_command and "max_energy_range_uj" in finding.admin_command
    assert "0440" in finding.admin_command and "0444" not in finding.admin_command
    assert ("tmpfiles.d" in finding.admin_command) == systemd
    assert "CVE-2020-8694" in finding.admin_exposes
    assert ("until the next boot" in finding.admin_exposes) != systemd


def test_the_step_for_rapl_writes_what_tmpfiles_reads(tmp_path: Path) -> None:
    root = rapl_tree(tmp_path)
    (root / "run/systemd/system").mkdir(parents=True)
    command, _ = open_rapl(root)
    # What would be run as root, run here on a file of ours.
    ours = command.replace("/etc/tmpfiles.d/", f"{tmp_path}/").replace("sudo ", "").replace("systemd-tmpfiles", "true")
    subprocess.run(["/bin/sh", "-c", ours], check=True)
    lines = (tmp_path / "partition-studio-rapl.conf").read_text().splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["z", f"/sys/class/powercap/intel-rapl:*/{name}", "0440"] for name in ("energy_uj", "max_energy_range_uj")
    ]


# --- Jetson ----------------------------------------------------------------------------------------------------------

CHIP = "sys/bus/i2c/devices/1-0040"


def hwmon_rails(rails: list[tuple[str, int, int]], chip: str = CHIP) -> dict[str, object]:
    files: dict[str, object] = {f"{chip}/name": "ina3221"}
    for number, (label, voltage_mv, current_ma) in enumerate(rails, start=1):
        files[f"{chip}/hwmon/hwmon4/in{number}_label"] = label
        files[f"{chip}/hwmon/hwmon4/in{number}_input"] = voltage_mv
        files[f"{chip}/hwmon/hwmon4/curr{number}_input"] = current_ma
    files[f"{chip}/hwmon/hwmon4/in7_label"] = "sum of shunt voltages"
    files[f"{chip}/hwmon/hwmon4/in7_input"] = 99
    files[f"{chip}/hwmon/hwmon4/curr7_input"] = 99
    return files


def test_the_total_rail_of_a_jetson_is_not_added_to_wherever_it_stands(tmp_path: Path) -> None:
    rails = [("VDD_SOC", 5000, 300), ("VDD_CPU_GPU_CV", 5000, 400), ("VDD_IN", 5000, 1200)]
    finding, reader = only(jetson.find(tree(tmp_path, hwmon_rails(rails))))
    assert (finding.source, finding.scope, finding.method) == ("ina3221", "module", "sampled")
    reading = reader.read(None)
    assert reading is not None and reading.power_w == pytest.approx(6.0)


def test_an_agx_sums_the_rails_of_both_chips_and_its_input_rail_is_not_all(tmp_path: Path) -> None:
    tree(tmp_path, hwmon_rails([("VDD_GPU_SOC", 20000, 500), ("VDD_CPU_CV", 20000, 100), ("VIN_SYS_5V0", 5000, 1000)]))
    other = hwmon_rails(
        [("NC", 20000, 9999), ("VDDQ_VDD2_1V8AO", 5000, 200), ("NC", 0, 0)], "sys/bus/i2c/devices/1-0041"
    )
    finding, reader = only(jetson.find(tree(tmp_path, other)))
    assert finding.scope == "rails" and "VIN_SYS_5V0" in finding.detail
    reading = reader.read(None)
    assert reading is not None and reading.power_w == pytest.approx(10 + 2 + 5 + 1)


def test_a_jetson_of_jetpack_4_is_read_in_milliwatts(tmp_path: Path) -> None:
    files: dict[str, object] = {f"{CHIP}/name": "ina3221x"}
    for number, (label, power_mw) in enumerate([("POM_5V_GPU", 1500), ("POM_5V_IN", 4500), ("NC", 9999)]):
        files[f"{CHIP}/iio:device1/rail_name_{number}"] = label
        files[f"{CHIP}/iio:device1/in_power{number}_input"] = power_mw
    finding, reader = only(jetson.find(tree(tmp_path, files)))
    assert finding.scope == "module"
    reading = reader.read(None)
    assert reading is not None and reading.power_w == pytest.approx(4.5)


def test_a_sum_without_one_of_its_rails_is_none(tmp_path: Path) -> None:
    tree(tmp_path, hwmon_rails([("GPU", 5000, 1000), ("CPU", 5000, 1000)]))
    _, reader = only(jetson.find(tmp_path))
    vanish(tmp_path / CHIP / "hwmon/hwmon4/curr2_input")
    assert reader.read(None) is None


def test_a_jetson_whose_rails_cannot_be_read_is_absent(tmp_path: Path) -> None:
    files = {f"{CHIP}/name": "ina3221x", f"{CHIP}/iio:device0/rail_name_0": "POM_5V_IN"}
    assert "cannot be read" in unusable(jetson.find(tree(tmp_path, files))).detail


def test_the_input_of_a_thor_is_the_board(tmp_path: Path) -> None:
    files = {"sys/class/hwmon/hwmon2/name": "ina238", "sys/class/hwmon/hwmon2/power1_input": 42_500_000}
    assert ina238.find(tree(tmp_path, files)) == [], "elsewhere such a chip may measure anything"
    tree(tmp_path, {"proc/device-tree/model": "NVIDIA Jetson AGX Thor Developer Kit\0"})
    finding, reader = only(ina238.find(tmp_path))
    assert (finding.source, finding.scope) == ("ina238", "board")
    assert reader.read(None) == (42.5, None, None)
    assert hwmon.find(tmp_path) == [], "it is not listed twice"


# --- INA219 and relatives --------------------------------------------------------------------------------------------

INA = "sys/class/hwmon/hwmon1"


def ina_files(name: str = "ina219", more: Mapping[str, object] | None = None) -> dict[str, object]:
    files = {f"{INA}/name": name, f"{INA}/in1_input": 5000, f"{INA}/curr1_input": 3000}
    return {**files, **{f"{INA}/{file}": value for file, value in (more or {}).items()}}


@pytest.mark.parametrize("driver", ina2xx.DRIVERS)
def test_an_ina_needs_the_value_of_its_shunt(tmp_path: Path, driver: str) -> None:
    root = tree(tmp_path, ina_files(driver, {"power1_input": 15_000_000}))
    assert "needs the value of its shunt" in unusable(ina2xx.find(root)).detail
    assert hwmon.find(root) == [], "nobody takes its unscaled figure for one"
    finding, _ = only(ina2xx.find(root, 0.1))
    assert (finding.source, finding.scope, finding.method) == (driver, "board", "sampled")


@pytest.mark.parametrize(("driver_uohm", "power_w"), [(None, 1.5), (10_000, 1.5), (100_000, 15.0), (200_000, 30.0)])
def test_the_current_is_scaled_from_the_drivers_shunt_to_the_declared(
    tmp_path: Path, driver_uohm: int | None, power_w: float
) -> None:
    more: dict[str, object] = {} if driver_uohm is None else {"shunt_resistor": driver_uohm}
    _, reader = only(ina2xx.find(tree(tmp_path, ina_files(more=more)), 0.1))
    reading = reader.read(None)
    assert reading is not None and reading.power_w == pytest.approx(power_w)


@pytest.mark.parametrize("shunt_ohm", [0.0, -0.1, float("nan"), float("inf")])
def test_a_shunt_that_is_none_is_as_good_as_not_declared(tmp_path: Path, shunt_ohm: float) -> None:
    assert "needs the value" in unusable(ina2xx.find(tree(tmp_path, ina_files()), shunt_ohm)).detail


# --- hwmon -----------------------------------------------------------------------------------------------------------

MONITOR = "sys/class/hwmon/hwmon3"


def test_hwmon_prefers_energy_to_average_to_moment(tmp_path: Path) -> None:
    root = tree(tmp_path, {f"{MONITOR}/name": "ltc2947", f"{MONITOR}/power1_input": 3_500_000})
    finding, reader = only(hwmon.find(root))
    assert (finding.source, finding.scope, finding.method) == ("hwmon:ltc2947", "rails", "sampled")
    assert reader.read(None) == (3.5, None, None)
    tree(tmp_path, {f"{MONITOR}/power1_average": 4_000_000})
    assert only(hwmon.find(root))[1].read(None) == (4.0, None, None)
    tree(tmp_path, {f"{MONITOR}/energy1_input": 2_000_000, f"{MONITOR}/energy1_label": "VBUS"})
    with Ticking(root / MONITOR / "energy1_input"):
        finding, reader = only(hwmon.find(root, probe_s=2.0))
    assert finding.method == "counter"
    tree(tmp_path, {f"{MONITOR}/energy1_input": 2_000_000})
    assert reader.read(None) == (None, 2.0, None)


def test_hwmon_that_shows_nothing_or_does_not_move_is_absent(tmp_path: Path) -> None:
    root = tree(tmp_path, {f"{MONITOR}/name": "cpu_thermal", f"{MONITOR}/temp1_input": 40_000})
    assert hwmon.find(root) == []
    assert "shows no power" in unusable(hwmon.find(tree(tmp_path, {f"{MONITOR}/power1_input": 0}))).detail
    tree(tmp_path, {f"{MONITOR}/energy1_input": 5})
    assert "never moves" in unusable(hwmon.find(root, probe_s=0.05)).detail


@pytest.mark.parametrize(
    ("driver", "scope"),
    [("fam15h_power", "package"), ("amdgpu", "gpu"), ("power_meter", "board"), ("tps546d24", "rails")],
)
def test_what_a_monitor_covers_is_told_by_its_driver(tmp_path: Path, driver: str, scope: str) -> None:
    root = tree(tmp_path, {f"{MONITOR}/name": driver, f"{MONITOR}/power1_average": 4_000_000})
    assert only(hwmon.find(root))[0].scope == scope


@pytest.mark.parametrize("driver", ["BAT0", "ucsi_source_psy_USBC000:001", "nvme", "ina3221", "macsmc_battery"])
def test_batteries_negotiated_supplies_drives_and_what_others_read_are_no_monitors(tmp_path: Path, driver: str) -> None:
    (tmp_path / "sys/class/power_supply/macsmc-battery").mkdir(parents=True)
    root = tree(tmp_path, {f"{MONITOR}/name": driver, f"{MONITOR}/power1_input": 4_000_000})
    assert hwmon.find(root) == []


def test_channels_of_one_monitor_are_not_added(tmp_path: Path) -> None:
    files: dict[str, object] = {f"{MONITOR}/name": "pmbus"}
    for number, label in ((1, "pin"), (2, "pout1")):
        files.update({f"{MONITOR}/power{number}_input": number * 1_000_000, f"{MONITOR}/power{number}_label": label})
    findings = hwmon.find(tree(tmp_path, files))
    assert [finding.source for finding in findings] == ["hwmon:pmbus:pin", "hwmon:pmbus:pout1"]


def test_a_closed_monitor_shows_the_step_that_would_open_it(open_path: Path) -> None:
    root = tree(open_path, {f"{MONITOR}/name": "xgene", f"{MONITOR}/power1_input": 1_000_000})
    (root / MONITOR / "power1_input").chmod(0o400 if os.geteuid() == 0 else 0)
    with as_nobody():
        finding = unusable(hwmon.find(root))
    assert finding.admin_command is not None and "power1_input" in finding.admin_command


# --- battery ---------------------------------------------------------------------------------------------------------

BATTERY = "sys/class/power_supply/BAT0"


@pytest.mark.parametrize("current_ua", [-820_000, 820_000])
def test_a_battery_tells_what_it_gives_whatever_sign_its_driver_uses(tmp_path: Path, current_ua: int) -> None:
    files = {f"{BATTERY}/type": "Battery", f"{BATTERY}/status": "Discharging", f"{BATTERY}/voltage_now": 10_000_000}
    root = tree(tmp_path, {**files, f"{BATTERY}/current_now": current_ua})
    finding, reader = only(battery.find(root))
    assert (finding.scope, finding.method) == ("battery", "sampled")
    reading = reader.read(None)
    assert reading is not None and reading.power_w == pytest.approx(8.2)
    tree(root, {f"{BATTERY}/power_now": 7_000_000})
    assert only(battery.find(root))[1].read(None) == (7.0, None, None)


@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging", "Unknown"])
def test_a_battery_on_mains_tells_nothing(tmp_path: Path, status: str) -> None:
    files = {f"{BATTERY}/type": "Battery", f"{BATTERY}/status": status, f"{BATTERY}/power_now": 7_000_000}
    finding, reader = only(battery.find(tree(tmp_path, files)))
    assert reader.read(None) is None and "on mains" in finding.detail


def test_the_battery_of_a_mouse_and_a_mains_adapter_are_no_batteries_of_the_device(tmp_path: Path) -> None:
    files = {f"{BATTERY}/type": "Battery", f"{BATTERY}/scope": "Device", f"{BATTERY}/power_now": 7_000_000}
    adapter = {"sys/class/power_supply/AC/type": "Mains", "sys/class/power_supply/AC/power_now": 1}
    assert battery.find(tree(tmp_path, {**files, **adapter})) == []


def test_of_two_batteries_the_one_that_is_discharged_counts(tmp_path: Path) -> None:
    files: dict[str, object] = {}
    for name, status in (("BAT0", "Full"), ("BAT1", "Discharging")):
        base = f"sys/class/power_supply/{name}"
        files.update({f"{base}/type": "Battery", f"{base}/status": status, f"{base}/power_now": 7_000_000})
    assert only(battery.find(tree(tmp_path, files)))[1].read(None) == (7.0, None, None)


# --- the list --------------------------------------------------------------------------------------------------------


def test_a_device_without_sources_lists_none(tmp_path: Path) -> None:
    assert describe(tmp_path) == []


def test_every_source_is_listed_with_what_it_is_and_whether_it_can_be_used(tmp_path: Path) -> None:
    rapl_tree(tmp_path)
    tree(tmp_path, {**hwmon_rails([("VDD_IN", 5000, 1200)]), **ina_files()})
    listed = describe(tmp_path)
    assert [(entry["source"], entry["scope"], entry["usable"]) for entry in listed] == [
        ("ina3221", "module", True),
        ("rapl", "package", False),
        ("ina219", "board", False),
    ]
    keys = ["source", "scope", "method", "usable", "detail", "admin_command", "admin_exposes"]
    assert all(list(entry) == keys for entry in listed)


def test_the_list_needs_nothing_but_the_standard_library_and_three_files(tmp_path: Path) -> None:
    """It is sent to devices where nothing is installed yet."""
    source, target = Path(partition_agent.__file__).parent, tmp_path / "partition_agent"
    shutil.copytree(source / "power", target / "power", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "system.py"):
        shutil.copy(source / name, target)
    tree(tmp_path / "root", hwmon_rails([("VDD_IN", 5000, 1200)]))
    code = "import sys, pathlib; from partition_agent.power.describe import describe; "
    code += "print(describe(pathlib.Path(sys.argv[1]))[0]['source'])"
    # Isolated and without site-packages.
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"]
    done = subprocess.run([*command, str(tmp_path / "root")], stdout=subprocess.PIPE, check=True)
    assert done.stdout.decode().strip() == "ina3221"
