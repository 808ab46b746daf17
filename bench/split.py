"""Speed and memory of splitting, as ratios to what else there is, beside the targets.

    python -m bench.split [--only NAME ...] [--rounds 3] [--huge] [--json FILE]

- `baseline`: eight stages against eight calls of `onnx.utils.extract_model` on the same cuts, both from file to files.
- `memory`: the most memory that loading and splitting take, in a process of its own, above what it had after its
  imports, in proportion to the size of the network.
- `seconds`: eight stages with and without verification, from the file and from the network once loaded.
- `growth`: chains with skips of 1,000, 3,000 and 10,000 nodes.
- `weights`: the weights of all sub-models against those of the whole.
- `--huge`: a network of 3 GB with external data, made in a temporary folder.

Nothing runs in parallel; every process has the machine to itself, as far as others leave it.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import onnx
import onnx.utils

from bench.synthetic import skip_chain, write_external, write_huge
from partition_studio.graph.examples import build_example
from partition_studio.graph.frames import random_frame
from partition_studio.graph.load import load_network, original_model
from partition_studio.graph.network import Network
from partition_studio.partition.check import require_valid
from partition_studio.partition.extract import Contents, submodels, write_submodels
from partition_studio.partition.partition import Partition
from partition_studio.partition.plan import NetworkRef, Plan
from partition_studio.partition.stages import SINK, SOURCE
from partition_studio.partition.verify import verify
from partition_studio.partition.weigh import weight_bytes_in

STAGES = 8
GROWTH_NODES = (1_000, 3_000, 10_000)
HUGE_BYTES = 3_000_000_000
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `value` is what the target is for; lower is better; None: no target."""

    group: str
    what: str
    measured: str
    value: float
    target: float | None

    @property
    def met(self) -> str:
        """Whether the target is met, for people."""
        return "" if self.target is None else "yes" if self.value <= self.target else "NO"


def single_cuts(network: Network) -> list[int]:
    """Return the places, as numbers of layers before them, where exactly one tensor passes."""
    last_use: dict[str, int] = dict.fromkeys(network.outputs, len(network.layers))
    for index, layer in enumerate(network.layers):
        for tensor in layer.inputs:
            last_use[tensor] = max(last_use.get(tensor, 0), index)
    alive = set(network.inputs)
    cuts = []
    for index, layer in enumerate(network.layers[:-1]):
        alive.update(layer.outputs)
        alive = {tensor for tensor in alive if last_use.get(tensor, -1) > index}
        if len(alive) == 1:
            cuts.append(index + 1)
    return cuts


def plan_of_stages(network: Network, count: int = STAGES) -> Plan:
    """Return a plan of contiguous stages with about as many layers each, cut where one tensor passes if possible."""
    layers = len(network.layers)
    cuts = single_cuts(network)
    if len(cuts) < count - 1:
        cuts = list(range(1, layers))
    chosen: list[int] = []
    for number in range(1, count):
        # Each leaves enough places for the cuts that follow.
        first = cuts.index(chosen[-1]) + 1 if chosen else 0
        free = cuts[first : len(cuts) - (count - 1 - number)]
        chosen.append(min(free, key=lambda cut: abs(cut - number * layers / count)))
    placement = {
        layer.name: f"stage{sum(cut <= index for cut in chosen)}" for index, layer in enumerate(network.layers)
    }
    return Plan(network=NetworkRef.of(network), placement=placement)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds by the clock, and of processor time: on a machine that others use, the second says more."""

    wall_s: float
    cpu_s: float

    def __str__(self) -> str:
        return f"{self.wall_s:.2f} s ({self.cpu_s:.2f} s of processor)"


def timed(rounds: int, work: Callable[..., object], *arguments: object) -> Timing:
    """Return the fastest of some rounds."""
    found = []
    for _ in range(rounds):
        begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
        work(*arguments)
        found.append(Timing(time.perf_counter() - begin_s, time.process_time() - begin_cpu_s))
    return min(found, key=lambda timing: timing.wall_s)


def split(network: Network | Path, plan: Plan, out: Path) -> Partition:
    """Write the sub-models of a plan, as the command does; from a network, or the file of one."""
    _, partition = require_valid(load_network(network) if isinstance(network, Path) else network, plan)
    write_submodels(partition.network, partition.graph, out)
    return partition


def split_verified(network: Network | Path, plan: Plan, out: Path, path: Path) -> None:
    """Verify against the file `path` on a random frame, then write, as the command does."""
    loaded = load_network(network) if isinstance(network, Path) else network
    _, partition = require_valid(loaded, plan)
    contents = Contents(submodels(partition.network, partition.graph))
    result = verify(original_model(path), partition, contents, random_frame(loaded.inputs, 1))
    result.require_equal()
    write_submodels(partition.network, partition.graph, out)


def extract_all(path: Path, partition: Partition, out: Path) -> None:
    """Do the same by `onnx.utils.extract_model`, a call for each stage."""
    out.mkdir(exist_ok=True)
    for stage in partition.graph.stages:
        onnx.utils.extract_model(str(path), str(out / f"{stage.name}.onnx"), list(stage.inputs), list(stage.outputs))


def baseline_rows(folder: Path, rounds: int) -> Iterator[Row]:
    """Compare with eight calls of `extract_model`."""
    for name in ("resnet-50", "densenet-121", "vgg-19"):
        path = example_file(folder, name)
        plan = plan_of_stages(load_network(path))
        partition = split(path, plan, folder / "ours")
        inner = [cut for cut in partition.graph.cuts if cut.producer != SOURCE and cut.consumer != SINK]
        crossing = {tensor for cut in inner for tensor in cut.tensors}
        network = load_network(path)
        theirs = timed(1, extract_all, path, partition, folder / "theirs")
        for where, given in (("loaded", network), ("from its file", path)):
            ours = timed(rounds, split, given, plan, folder / "ours")
            measured = f"{ours} against {theirs}, {len(partition.graph.stages)} stages, {len(crossing)} tensors between"
            what = f"{name}, {where}: ours / extract_model"
            yield Row("baseline", f"{what}, time", measured, ours.wall_s / theirs.wall_s, 0.1)
            yield Row("baseline", f"{what}, processor time", "as above", ours.cpu_s / theirs.cpu_s, 0.1)


def seconds_rows(folder: Path, rounds: int) -> Iterator[Row]:
    """Measure eight stages with and without verification."""
    for name in ("resnet-50", "densenet-121"):
        path, out = example_file(folder, name), folder / "ours"
        network = load_network(path)
        plan = plan_of_stages(network)
        for where, given in (("from its file", path), ("loaded", network)):
            plain = timed(rounds, split, given, plan, out)
            proven = timed(rounds, split_verified, given, plan, out, path)
            yield Row("seconds", f"{name}, {where}, not verified, seconds", str(plain), plain.wall_s, 0.5)
            yield Row("seconds", f"{name}, {where}, verified, seconds", str(proven), proven.wall_s, 5.0)


def growth_rows(folder: Path, rounds: int) -> Iterator[Row]:
    """Measure networks of more and more nodes."""
    seconds = []
    for nodes in GROWTH_NODES:
        path = folder / f"chain-{nodes}.onnx"
        path.write_bytes(skip_chain(nodes).SerializeToString())
        plan = plan_of_stages(load_network(path))
        load = timed(rounds, load_network, path)
        plain = timed(rounds, split, path, plan, folder / "ours")
        proven = timed(1, split_verified, path, plan, folder / "ours", path)
        seconds.append(plain.cpu_s)
        measured = f"{plain}, of that {load} to load; {proven} verified"
        target = 10.0 if nodes == GROWTH_NODES[-1] else None
        yield Row("growth", f"{nodes:,} nodes, from the file, seconds", measured, plain.wall_s, target)
    for first, last in ((0, 2), (1, 2)):
        exponent = math.log(seconds[last] / seconds[first]) / math.log(GROWTH_NODES[last] / GROWTH_NODES[first])
        what = f"exponent of growth of processor time, {GROWTH_NODES[first]:,} to {GROWTH_NODES[last]:,} nodes"
        yield Row("growth", what, f"{exponent:.2f}", exponent, 1.2)


def weights_rows(folder: Path, _rounds: int) -> Iterator[Row]:
    """Weigh what the files hold."""
    for name in ("resnet-50", "densenet-121", "vgg-19"):
        network = load_network(example_file(folder, name))
        _, partition = require_valid(network, plan_of_stages(network))
        files = write_submodels(partition.network, partition.graph, folder / "ours")
        ratio = sum(weight_bytes_in(file) for file in files.values()) / network.weight_bytes
        yield Row("weights", f"{name}: all parts / the whole", f"{ratio:.6f}", ratio, 1.0)


def memory_rows(folder: Path, _rounds: int) -> Iterator[Row]:
    """Measure the most memory, with weights in the file and beside it."""
    for name in ("resnet-50", "vgg-19"):
        path = example_file(folder, name)
        yield _memory_row("memory", f"{name}, weights inside", path, 1.3)
        beside = folder / f"{name}-external" / f"{name}.onnx"
        write_external(path, beside)
        yield _memory_row("memory", f"{name}, external data", beside, 0.3)


def huge_rows(folder: Path, _rounds: int) -> Iterator[Row]:
    """Measure a network that no single ONNX file can hold."""
    path = write_huge(folder / "huge", HUGE_BYTES)
    peak_bytes, total_bytes, seconds = _peak(path, folder / "ours")
    size_bytes = _size_bytes(path)
    measured = (
        f"{peak_bytes / MIB:.0f} MiB above the imports, {total_bytes / MIB:.0f} MiB in all, for {size_bytes / 1e9:.2f} "
        f"GB in {seconds:.1f} s"
    )
    yield Row("huge", "load and split, memory in all, GB", measured, total_bytes / 1e9, 1.0)


def _memory_row(group: str, what: str, path: Path, target: float) -> Row:
    peak_bytes, total_bytes, seconds = _peak(path, path.parent / "parts")
    size_bytes = _size_bytes(path)
    measured = (
        f"{peak_bytes / MIB:.0f} MiB for {size_bytes / MIB:.0f} MiB ({total_bytes / MIB:.0f} MiB with what the imports "
        f"take), {seconds:.2f} s"
    )
    return Row(group, f"{what}: peak / size", measured, peak_bytes / size_bytes, target)


def _size_bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.parent.glob(path.name + "*"))


def _peak(path: Path, out: Path) -> tuple[int, int, float]:
    """Return the peak above the imports and in all (bytes), and the seconds, of a process that only splits."""
    command = [sys.executable, "-m", "bench.split", "--child", str(path), str(out)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    peak, total, seconds = json.loads(done.stdout)
    return int(peak), int(total), float(seconds)


def child(path: Path, out: Path) -> None:
    """Load and split; print the peak above the imports, the peak in all, and the seconds."""
    # What the process had at its peak so far is forgotten: what counts begins here.
    Path("/proc/self/clear_refs").write_text("5")
    before_bytes = _status_bytes("VmRSS")
    begin_s = time.perf_counter()
    network = load_network(path)
    split(network, plan_of_stages(network), out)
    seconds = time.perf_counter() - begin_s
    most_bytes = _status_bytes("VmHWM")
    print(json.dumps([most_bytes - before_bytes, most_bytes, seconds]))


def _status_bytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def example_file(folder: Path, name: str) -> Path:
    """Return an example network as a file."""
    path = folder / f"{name}.onnx"
    if not path.exists():
        path.write_bytes(build_example(name))
    return path


GROUPS: dict[str, Callable[[Path, int], Iterator[Row]]] = {
    "baseline": baseline_rows,
    "memory": memory_rows,
    "seconds": seconds_rows,
    "growth": growth_rows,
    "weights": weights_rows,
    "huge": huge_rows,
}


def show(rows: Sequence[Row]) -> None:
    """Print the table as Markdown."""
    print("| what | measured | value | target | met |\n|---|---|---|---|---|")
    for row in rows:
        target = "" if row.target is None else f"<= {row.target:g}"
        print(f"| {row.what} | {row.measured} | {row.value:.3f} | {target} | {row.met} |")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(GROUPS), default=[name for name in GROUPS if name != "huge"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--huge", action="store_true", help="also measure a network of 3 GB")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        child(*options.child)
        return
    rows: list[Row] = []
    for group in [*options.only, *(["huge"] if options.huge and "huge" not in options.only else [])]:
        with tempfile.TemporaryDirectory(prefix="bench-split-") as folder:
            for row in GROUPS[group](Path(folder), options.rounds):
                print(f"{group}: {row.what}: {row.measured}", file=sys.stderr, flush=True)
                rows.append(row)
    show(rows)
    print(f"\nload average {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores")
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
