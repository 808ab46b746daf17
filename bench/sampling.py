"""What the agent's sampling costs: CPU time of its sampler, at ten readings a second.

    python -m bench.sampling [--seconds 10] [--json FILE]

The sensors are a made-up /sys tree (RAPL counters that move, a hwmon sensor, processor frequencies, thermal zones);
/proc and the control groups are the real ones. Each case is a process of its own, in which only the sampler works: it
reads, keeps its ring on the disk and encodes each sample as the agent does that sends it. The promise is below 2 % of
one core.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from partition_agent.protocol import StageSample, Telemetry
from partition_agent.telemetry import Sampler

LIMIT = 0.02
WARM_UP_S = 2.0
RAPL = "sys/class/powercap/intel-rapl:"
SENSOR = "sys/class/hwmon/hwmon0"


@dataclass(frozen=True, slots=True)
class Case:
    """What is sampled, and how large the process is (bytes beyond the agent's own)."""

    name: str
    sensor: bool
    ballast_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds per second of wall time, and what came of it."""

    case: str
    cpu_share: float
    samples: int
    sources: tuple[str, ...]


CASES = (
    Case("counters alone, once a second", sensor=False),
    Case("counters and a sensor, ten times a second", sensor=True),
    Case("the same in a process of 1 GiB", sensor=True, ballast_bytes=1 << 30),
)


def _write(root: Path, files: dict[str, object]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")


def make_root(root: Path, case: Case) -> None:
    """Make the tree of a machine with two packages, four cores of cpufreq and six thermal zones."""
    files: dict[str, object] = {}
    for zone in range(2):
        files |= {f"{RAPL}{zone}/name": f"package-{zone}", f"{RAPL}{zone}/max_energy_range_uj": 1 << 38}
        files[f"{RAPL}{zone}/energy_uj"] = 10**10
    for core in os.sched_getaffinity(0):
        frequency = f"sys/devices/system/cpu/cpu{core}/cpufreq"
        files |= {f"{frequency}/cpuinfo_max_freq": 2_000_000, f"{frequency}/scaling_cur_freq": 1_500_000}
        files[f"sys/devices/system/cpu/cpu{core}/thermal_throttle/core_throttle_count"] = 0
    for zone in range(6):
        thermal = f"sys/class/thermal/thermal_zone{zone}"
        files |= {f"{thermal}/type": "cpu-thermal", f"{thermal}/temp": 50_000}
    if case.sensor:
        files |= {f"{SENSOR}/name": "ltc2947", f"{SENSOR}/power1_input": 4_000_000}
    _write(root, files)
    (root / "proc").symlink_to("/proc")
    (root / "sys/fs").mkdir(parents=True)
    (root / "sys/fs/cgroup").symlink_to("/sys/fs/cgroup")


def _tick(root: Path) -> None:
    """Let the counters count; in a process of its own, until it is ended."""
    value = 10**10
    while True:
        value += 50_000
        for zone in range(2):
            with open(root / f"{RAPL}{zone}/energy_uj", "r+b") as file:
                file.write(str(value).encode())
        time.sleep(0.05)


def _sample(root: Path, case: Case, seconds: float, answer: Connection) -> None:
    """Run a sampler and send what it cost; in a process of its own."""
    ballast = bytearray(case.ballast_bytes)
    ballast[::4096] = b"\1" * len(ballast[::4096])
    stages = [StageSample("deployment", 1, f"stage-{number}", 1000, 0, 12.5, 1.5, 2) for number in range(4)]
    sent: list[int] = []
    sources: set[str] = set()

    def publish(sample: Telemetry) -> None:
        sent.append(len(msgspec.json.encode(sample)))
        sources.update(power.source for power in sample.power)

    affinity = sorted(os.sched_getaffinity(0))
    sampler = Sampler("bench", affinity, lambda: (stages, [], {}), publish, root, root / "ring")
    sampler.start()
    time.sleep(WARM_UP_S)
    sent.clear()
    wall_s, cpu_s = time.monotonic(), time.process_time()
    time.sleep(seconds)
    share = (time.process_time() - cpu_s) / (time.monotonic() - wall_s)
    count = len(sent)
    sampler.stop()
    answer.send((share, count, tuple(sorted(sources))))


def measure(case: Case, seconds: float) -> Cost:
    """Return what sampling costs in one case."""
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_root(root, case)
        ticker = spawn.Process(target=_tick, args=(root,), daemon=True)
        ticker.start()
        ours, theirs = spawn.Pipe()
        sampling = spawn.Process(target=_sample, args=(root, case, seconds, theirs))
        sampling.start()
        theirs.close()
        share, samples, sources = ours.recv()
        sampling.join()
        ticker.kill()
        ticker.join()
    return Cost(case.name, share, samples, sources)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What the agent's sampling costs.")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    costs = [measure(case, options.seconds) for case in CASES]
    print(f"{'sampling':45} {'of one core':>12} {'samples':>8}  sources")
    for cost in costs:
        print(f"{cost.case:45} {cost.cpu_share:12.2%} {cost.samples:8d}  {', '.join(cost.sources)}")
    print(f"the promise: less than {LIMIT:.0%}")
    if options.json:
        options.json.write_text(json.dumps([asdict(cost) for cost in costs], indent=1))


if __name__ == "__main__":
    main()
