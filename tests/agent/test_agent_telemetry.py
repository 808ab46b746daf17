"""Samples: what the sampler makes of a made-up device, and of this one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.agent.sysfs import tree

from partition_agent.power.thermal import ThermalMeter, names_of, parse_bits
from partition_agent.protocol import Configure, History, MeterSpec, PowerModel, Telemetry
from partition_agent.telemetry import MAX_HISTORY, Sampler

CPU = "sys/devices/system/cpu"


def until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def sampler(root: Path, published: list[Telemetry] | None = None, ring_dir: Path | None = None) -> Sampler:
    published = [] if published is None else published
    return Sampler("incarnation", [0], lambda: ([], [], {}), published.append, root, ring_dir)


# --- samples ---------------------------------------------------------------------------------------------------------


def test_a_device_that_tells_nothing_gives_samples_without_figures(tmp_path: Path) -> None:
    one = sampler(tmp_path).sample()
    assert (one.power, one.thermal, one.cpu_utilisation) == ((), None, None)
    assert (one.memory.pss_bytes, one.memory.uss_bytes, one.memory.gpu_bytes) == (None, None, None)


def test_every_sample_is_numbered_in_its_ring_and_is_kept_there(tmp_path: Path) -> None:
    published: list[Telemetry] = []
    one = sampler(tmp_path / "root", published, tmp_path / "ring")
    one.start()
    until(lambda: len(published) >= 2)
    one.stop()
    chunk = one.history(History(one.ring, 0))
    assert [p.sequence for p in published[:2]] == [1, 2] and {p.ring for p in published} == {one.ring}
    assert list(chunk.samples[: len(published)]) == published
    again = sampler(tmp_path / "root", [], tmp_path / "ring")
    assert again.ring == one.ring and again.sample().sequence == chunk.newest + 1
    again.stop()
    tree(tmp_path / "booted", {"proc/sys/kernel/random/boot_id": "another run of the kernel"})
    later = sampler(tmp_path / "booted", [], tmp_path / "ring")
    first, second = later.sample(), later.sample()
    assert first.sequence - first.skipped == chunk.newest + 2, "numbers that may have been told of are left out"
    assert first.skipped > 0 and second.skipped == 0
    later.stop()


@pytest.mark.parametrize("limit", [-(2**62), 0, 2**62])
def test_no_limit_makes_an_answer_empty_or_endless(tmp_path: Path, limit: int) -> None:
    one = sampler(tmp_path)
    for _ in range(3):
        one.sample()
    samples = one.history(History(one.ring, 0, limit)).samples
    assert len(samples) == (3 if limit > 0 else 1) <= MAX_HISTORY
    assert one.history(History("", -7, 2)).samples == one.history(History(one.ring, 0, 2)).samples


def test_the_model_goes_with_utilisation_times_frequency(tmp_path: Path) -> None:
    idle, busy = "100 0 0 100 0 0 0 0 0 0", "150 0 0 150 0 0 0 0 0 0"
    frequency = {f"{CPU}/cpu0/cpufreq/cpuinfo_max_freq": 2_000_000, f"{CPU}/cpu0/cpufreq/scaling_cur_freq": 1_000_000}
    root = tree(tmp_path, {"proc/stat": f"cpu  0\ncpu0 {idle}", **frequency})
    one = sampler(root)
    one.configure(Configure("d", PowerModel(2.0, 10.0, "calibrated", 0.5)))
    tree(root, {"proc/stat": f"cpu  0\ncpu0 {busy}"})
    (power,) = (told := one.sample()).power
    assert told.cpu_utilisation == 0.5 and told.thermal is not None and told.thermal.frequency_ratio == 0.5
    assert (power.source, power.scope, power.method) == ("calibrated", "model", "estimated")
    assert power.power_w == 2.0 + 8.0 * 0.25 and power.uncertainty == 0.5 / 4.0


def test_what_is_configured_replaces_what_was(tmp_path: Path) -> None:
    one = sampler(tmp_path)
    one.configure(Configure("d", None, MeterSpec("tasmota", "no host at all", 80, "u", "p")))
    assert [(power.source, power.power_w) for power in one.sample().power] == [("tasmota", None)]
    one.configure(Configure("d"))
    assert one.sample().power == ()
    one.stop()


def test_a_sampled_sensor_is_read_ten_times_a_second(tmp_path: Path) -> None:
    rail = "sys/bus/i2c/devices/1-0040"
    files = {f"{rail}/name": "ina3221x", f"{rail}/iio:device0/rail_name_0": "VDD_IN"}
    path = (
        tree(tmp_path, {**files, f"{rail}/iio:device0/in_power0_input": 4000}) / f"{rail}/iio:device0/in_power0_input"
    )
    published: list[Telemetry] = []
    one = sampler(tmp_path, published)
    ended = threading.Event()

    def alternate() -> None:
        # Seen once a second it would be one of the two; the mean is seen only by who looks often.
        while not ended.is_set():
            for value in (b"2000\n", b"6000\n"):
                with open(path, "r+b") as file:
                    file.write(value)
                ended.wait(0.037)

    thread = threading.Thread(target=alternate)
    thread.start()
    one.start()
    until(lambda: len(published) >= 4)
    one.stop()
    ended.set()
    thread.join()
    (power,) = published[3].power
    assert power.power_w is not None and 2.5 < power.power_w < 5.5
    assert power.energy_j is not None and power.scope == "module"


def test_a_sample_of_this_machine_is_whole() -> None:
    one = sampler(Path("/"))
    told = one.sample()
    one.stop()
    assert told.memory.pss_bytes is not None and told.memory.uss_bytes is not None
    assert 0 < told.memory.uss_bytes <= told.memory.pss_bytes <= told.memory.peak_bytes
    assert told.usable_cores > 0 and told.memory.limit_bytes > told.memory.rss_bytes


# --- heat ------------------------------------------------------------------------------------------------------------


def zone(number: int, kind: str, millidegrees: object) -> dict[str, object]:
    base = f"sys/class/thermal/thermal_zone{number}"
    return {f"{base}/type": kind, f"{base}/temp": millidegrees}


def test_the_temperature_is_that_of_the_hottest_processor_zone(tmp_path: Path) -> None:
    zones = {**zone(0, "gpu-thermal", 90_000), **zone(1, "CPU-therm", 51_500), **zone(2, "x86_pkg_temp", 48_000)}
    zones.update({**zone(3, "soc0-thermal", -256_000), **zone(4, "cpu-thermal", "")})
    heat = ThermalMeter([0], tree(tmp_path, zones)).read()
    assert heat is not None and heat.temperature_c == 51.5


def test_without_zones_the_processors_monitor_tells(tmp_path: Path) -> None:
    base = "sys/class/hwmon/hwmon0"
    heat = ThermalMeter([0], tree(tmp_path, {f"{base}/name": "k10temp", f"{base}/temp1_input": 61_000})).read()
    assert heat is not None and heat.temperature_c == 61.0


@pytest.mark.parametrize(
    ("text", "now", "before"),
    [
        ("throttled=0x0", (), ()),
        ("throttled=0x50005", ("under_voltage", "throttled"), ("under_voltage", "throttled")),
        ("80008", ("soft_limit",), ("soft_limit",)),
        ("0x20000", (), ("capped",)),
    ],
)
def test_a_raspberry_pis_bits_tell_of_now_and_of_before(
    text: str, now: tuple[str, ...], before: tuple[str, ...]
) -> None:
    bits = parse_bits(text)
    assert bits is not None and names_of(bits) == (now, before)


@pytest.mark.parametrize("text", ["", "throttled=", "error=1 error_msg=x", "0x123456789", "-1"])
def test_what_is_no_number_of_bits_is_none(text: str) -> None:
    assert parse_bits(text) is None


def test_a_raspberry_pi_is_asked_by_file_or_by_program(tmp_path: Path) -> None:
    model = {"proc/device-tree/model": "Raspberry Pi 4 Model B\0"}
    by_file = tree(tmp_path / "a", {**model, "sys/devices/platform/soc/soc:firmware/get_throttled": "50000"})
    heat = ThermalMeter([0], by_file).read()
    assert heat is not None and heat.throttled_before == ("under_voltage", "throttled")
    by_program = tree(tmp_path / "b", {**model, "usr/bin/vcgencmd": "#!/bin/sh\necho throttled=0x1"})
    (by_program / "usr/bin/vcgencmd").chmod(0o755)
    meter = ThermalMeter([0], by_program)
    until(lambda: (heat := meter.read()) is not None and heat.throttled == ("under_voltage",))
    meter.close()


def test_a_throttle_count_that_grows_is_throttling_now(tmp_path: Path) -> None:
    count = f"{CPU}/cpu1/thermal_throttle/core_throttle_count"
    root = tree(tmp_path, {count: 3, f"{CPU}/cpu0/thermal_throttle/core_throttle_count": 0})
    meter = ThermalMeter([1], root)
    told = []
    for value in (3, 3, 5, 5):
        tree(root, {count: value})
        heat = meter.read()
        assert heat is not None and heat.throttled_before == ("throttled",)
        told.append(heat.throttled)
    assert told == [(), (), ("throttled",), ()]
    other = ThermalMeter([0], root).read()
    assert other is not None and other.throttled_before == (), "of a core that we do not use"


def test_a_processor_that_is_cooled_by_its_frequency_is_throttled(tmp_path: Path) -> None:
    base = "sys/class/thermal/cooling_device0"
    root = tree(tmp_path, {f"{base}/type": "cpufreq-cpu0", f"{base}/cur_state": 0})
    meter = ThermalMeter([0], root)
    cool = meter.read()
    tree(root, {f"{base}/cur_state": 2})
    hot = meter.read()
    assert cool is not None and hot is not None and (cool.throttled, hot.throttled) == ((), ("throttled",))


def test_the_frequency_is_that_of_the_usable_cores_that_work(tmp_path: Path) -> None:
    files = {}
    for core, now in ((0, 500_000), (1, 1_000_000), (2, 2_000_000), (3, 100_000)):
        files[f"{CPU}/cpu{core}/cpufreq/cpuinfo_max_freq"] = 2_000_000
        files[f"{CPU}/cpu{core}/cpufreq/scaling_cur_freq"] = now
    meter = ThermalMeter([0, 1, 2], tree(tmp_path, files))
    ratios = []
    for busy in ({}, {0: 1.0}, {1: 0.5, 2: 0.5}):
        heat = meter.read(busy)
        assert heat is not None
        ratios.append(heat.frequency_ratio)
    assert ratios == pytest.approx([1.75 / 3, 0.25, 0.75], abs=1e-4)
