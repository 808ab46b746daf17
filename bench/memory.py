"""The size of agents: idle, with the runtime, with a network whole or in four stages; beside what was predicted.

    python -m bench.memory [--only NAME ...] [--json FILE]

Each row is a real agent of its own, which has loaded one small network first: that is the agent's base; it is ended
before the next is loaded. `held` is what it holds more (PSS, MiB) once the network is loaded and has run once; the bar
is 1.25 times its weights and live activations. `peak` is the most that the agent and the process that optimises held
together (resident, sampled; what both map counts twice), `anonymous` the part of that which the kernel cannot take
back: weights mapped from the disk are the rest. `predicted` is the bound that a plan's report shows. Start to ready is
the agent's CPU time until it answers, twice, as half a core needs it.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import msgspec
from websockets.sync.client import connect

from partition_agent.protocol import (
    SINK,
    SOURCE,
    STUDIO_PEER,
    AgentState,
    Call,
    End,
    FromAgent,
    LinkSpec,
    Prepare,
    Prepared,
    Reply,
    Request,
    Result,
    StageSpec,
    TensorSpec,
)
from partition_studio.graph.examples import EXAMPLES, build_example
from partition_studio.graph.load import load_network
from partition_studio.graph.network import Network
from partition_studio.partition.memory import memory_bound, stage_need
from partition_studio.partition.partition import Partition
from partition_studio.partition.partition import partition as divided
from partition_studio.partition.plan import NetworkRef, Plan
from partition_studio.partition.stages import Stage
from partition_studio.partition.submodel import submodel

MIB = 2**20
IDLE_MIB, RUNTIME_MIB, START_S, HELD, SHARE = 30.0, 75.0, 1.5, 1.25, 0.35
_SAMPLE_S = 0.004
_DEADLINE_S = 300.0


@dataclass(frozen=True, slots=True)
class Row:
    """What one network, or stage of one, takes; bytes. `base_bytes` is the agent's, with the runtime."""

    name: str
    weight_bytes: int
    live_bytes: int
    base_bytes: int
    held_bytes: int
    peak_bytes: int
    anonymous_peak_bytes: int
    predicted_bytes: int
    load_s: float
    notes: tuple[str, ...]

    @property
    def ratio(self) -> float:
        """What it holds as a share of its weights and live activations."""
        return self.held_bytes / (self.weight_bytes + self.live_bytes)


def memory_of(pid: int) -> dict[str, int]:
    """Return the memory figures of a process in bytes; empty when it is gone."""
    figures: dict[str, int] = {}
    for name in ("status", "smaps_rollup"):
        try:
            lines = Path(f"/proc/{pid}/{name}").read_text().splitlines()
        except OSError:
            return {}
        for line in lines:
            fields = line.split()
            if len(fields) == 3 and fields[2] == "kB":
                figures[fields[0].rstrip(":")] = int(fields[1]) * 1024
    return figures


class Peak:
    """The most that a process and its children held at any moment that was looked at."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self.resident = self.anonymous = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_SAMPLE_S):
            held = [_status(pid) for pid in (self._pid, *_children(self._pid))]
            self.resident = max(self.resident, sum(resident for resident, _ in held))
            self.anonymous = max(self.anonymous, sum(anonymous for _, anonymous in held))


def _status(pid: int) -> tuple[int, int]:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0, 0
    found = {
        line.split()[0]: int(line.split()[1]) * 1024
        for line in text.splitlines()
        if line.startswith(("VmRSS", "RssAnon"))
    }
    return found.get("VmRSS:", 0), found.get("RssAnon:", 0)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    except OSError:
        return found
    return found


class Agent:
    """A real agent in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "agent"
        with (folder / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "partition_agent", "--data-dir", str(self.data)], stdout=log, stderr=log
            )
        state = self.data / "agent.json"
        until_s = time.monotonic() + _DEADLINE_S
        while not state.exists():
            if time.monotonic() > until_s or self.process.poll() is not None:
                raise RuntimeError((folder / "agent.log").read_text())
            time.sleep(0.005)
        self.start_cpu_s = self.cpu_s()
        self._state = msgspec.json.decode(state.read_bytes(), type=AgentState)
        self._open = ExitStack()
        self._socket = self._open.enter_context(
            connect(
                f"ws://127.0.0.1:{self._state.control_port}/",
                additional_headers={"Authorization": f"Bearer {self._state.token}"},
                compression=None,
                proxy=None,
                max_size=None,
            )
        )
        self._calls = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self.process.terminate()
        self.process.wait(_DEADLINE_S)

    def cpu_s(self) -> float:
        """Return the CPU time of the process so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def figures(self) -> dict[str, int]:
        """Return its memory, once a sample or two have been taken."""
        time.sleep(2.2)
        return memory_of(self.process.pid)

    def load(self, name: str, data: bytes, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Prepared:
        """Load a sub-model as a deployment of its own."""
        digest = hashlib.sha256(data).hexdigest()
        (self.data / "models" / f"{digest}.onnx").write_bytes(data)
        links = (
            LinkSpec("in", SOURCE, "s", STUDIO_PEER, "d", inputs),
            LinkSpec("out", "s", SINK, "d", STUDIO_PEER, outputs),
        )
        stage = StageSpec("s", digest, inputs, outputs, threads=1)
        answer = self._call(Prepare(name, 1, "d", "127.0.0.1", (stage,), links))
        if not isinstance(answer, Prepared):
            raise RuntimeError(str(answer))
        return answer

    def end(self, name: str) -> None:
        """End a deployment."""
        self._call(End(name))

    def _call(self, request: Request) -> Result:
        self._calls += 1
        self._socket.send(msgspec.json.encode(Call(self._calls, request)).decode())
        while True:
            message: FromAgent = msgspec.json.decode(self._socket.recv(_DEADLINE_S), type=FromAgent)
            if isinstance(message, Reply):
                return message.result


def _specs(network: Network, names: Sequence[str]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(name, network.tensors[name].dtype, network.tensors[name].shape) for name in names)


def _data(network: Network, parted: Partition, stage: Stage, folder: Path) -> bytes:
    file = folder / "part.onnx"
    with file.open("wb") as stream:
        submodel(parted.network, stage, parted.graph).write_to(stream)
    return file.read_bytes()


def _network(name: str, folder: Path) -> Network:
    file = folder / f"{name}.onnx"
    file.write_bytes(build_example(name))
    return load_network(file)


def measure(title: str, network: Network, parted: Partition, stage: Stage, base: Network) -> Row:
    """Return what an agent takes for one stage."""
    need = stage_need(network, stage)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data = _data(network, parted, stage, folder)
        with Agent(folder) as agent:
            _load_base(agent, base, folder)
            before = agent.figures()
            agent.end("base")
            with Peak(agent.process.pid) as peak:
                prepared = agent.load("it", data, _specs(network, stage.inputs), _specs(network, stage.outputs))
            del data
            after = agent.figures()
    # No frames are sent: nothing waits at its links.
    bound = memory_bound([need], 0, 0)
    return Row(
        title,
        need.weight_bytes,
        need.live_bytes,
        before["Pss"],
        after["Pss"] - before["Pss"],
        max(peak.resident, after["VmRSS"]),
        max(peak.anonymous, after["RssAnon"]),
        bound.bound_bytes,
        next(iter(prepared.load_s.values())),
        prepared.notes,
    )


def _load_base(agent: Agent, base: Network, folder: Path) -> None:
    parted = divided(base, Plan(network=NetworkRef.of(base), placement={layer.name: "d" for layer in base.layers}))
    (stage,) = parted.graph.stages
    agent.load("base", _data(base, parted, stage, folder), _specs(base, stage.inputs), _specs(base, stage.outputs))


def whole(network: Network) -> Plan:
    """Return the plan of everything on one device."""
    return Plan(network=NetworkRef.of(network), placement={layer.name: "d" for layer in network.layers})


def in_runs(network: Network, count: int, cost: Sequence[float]) -> Plan:
    """Return the plan of `count` runs of layers whose dearest is as cheap as can be; `cost` is of each layer."""
    low, high = max(cost), sum(cost)
    for _ in range(60):
        cap = (low + high) / 2
        if len(_runs(cost, cap)) <= count:
            high = cap
        else:
            low = cap
    starts = _runs(cost, high)
    placement = {
        layer.name: f"d{sum(1 for start in starts if start <= index) - 1}" for index, layer in enumerate(network.layers)
    }
    return Plan(network=NetworkRef.of(network), placement=placement)


def _runs(cost: Sequence[float], cap: float) -> list[int]:
    starts, held = [0], 0.0
    for index, value in enumerate(cost):
        if held + value > cap and index:
            starts.append(index)
            held = 0.0
        held += value
    return starts


def four_stages(network: Network) -> Iterator[tuple[str, Plan]]:
    """Yield ResNet-50 in four, balanced in memory and balanced in work."""
    yield "memory", in_runs(network, 4, [layer.weight_bytes + 1.0 for layer in network.layers])
    yield "work", in_runs(network, 4, [layer.macs + 1.0 for layer in network.layers])


def heading() -> None:
    """Print what the columns are."""
    print(f"{'MiB':24}{'weights':>9}{'live':>7}{'base':>7}{'held':>8}{'ratio':>7}{'bar':>6}", end="")
    print(f"{'peak':>8}{'anonymous':>11}{'predicted':>11}{'load s':>8}", flush=True)


def told(row: Row) -> Row:
    """Print a row with the bar beside it, and return it."""
    mark = "" if row.ratio <= HELD else "  above the bar"
    mark += "" if row.peak_bytes <= row.predicted_bytes else "  above what was predicted"
    print(
        f"{row.name:24}{row.weight_bytes / MIB:9.1f}{row.live_bytes / MIB:7.1f}{row.base_bytes / MIB:7.1f}"
        f"{row.held_bytes / MIB:8.1f}{row.ratio:7.2f}{HELD:6.2f}{row.peak_bytes / MIB:8.1f}"
        f"{row.anonymous_peak_bytes / MIB:11.1f}{row.predicted_bytes / MIB:11.1f}{row.load_s:8.2f}{mark}"
    )
    for note in row.notes:
        print(f"    {note}")
    sys.stdout.flush()
    return row


def size_of_agent(base: Network) -> dict[str, float]:
    """Print, beside the bars, what an idle agent takes, one with the runtime loaded, and the start."""
    with tempfile.TemporaryDirectory() as temporary, Agent(Path(temporary)) as agent:
        idle = agent.figures()
        _load_base(agent, base, Path(temporary))
        loaded = agent.figures()
        start_s = 2 * agent.start_cpu_s
    rows = (
        ("idle, PSS", idle["Pss"] / MIB, IDLE_MIB, "MiB"),
        ("idle, resident (alone on a device)", idle["Rss"] / MIB, IDLE_MIB, "MiB"),
        ("with ONNX Runtime, PSS", loaded["Pss"] / MIB, RUNTIME_MIB, "MiB"),
        ("with ONNX Runtime, resident", loaded["Rss"] / MIB, RUNTIME_MIB, "MiB"),
        ("start to ready at half a core", start_s, START_S, "s"),
    )
    for what, value, bar, unit in rows:
        print(f"{what:40}{value:8.2f} {unit:4} bar {bar:g}{'' if value <= bar else '  above the bar'}")
    return {what: value for what, value, _, _ in rows}


def in_four(network: Network, rows: Sequence[Row], base: Network) -> list[Row]:
    """Print what ResNet-50 takes in four stages, and the largest share of what the whole takes."""
    one = next(row.held_bytes for row in rows if row.name == "resnet-50")
    parts = []
    for kind, plan in four_stages(network):
        print(f"\nResNet-50 in four stages, balanced in {kind}:")
        heading()
        cut = divided(network, plan)
        of_kind = [told(measure(stage.name, network, cut, stage, base)) for stage in cut.graph.stages]
        share = max(row.held_bytes for row in of_kind) / one
        print(f"largest share of the whole, balanced in {kind}: {share:.2f}, bar {SHARE}", flush=True)
        parts += of_kind
    return parts


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="The size of agents.")
    parser.add_argument("--only", action="append", help="only this network (may be given several times)")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    names = [e.id for e in EXAMPLES if e.kind == "architecture" and (not options.only or e.id in options.only)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        base = _network("digits", folder)
        agent = size_of_agent(base)
        heading()
        rows, networks = [], {}
        for name in names:
            networks[name] = network = _network(name, folder)
            parted = divided(network, whole(network))
            (stage,) = parted.graph.stages
            rows.append(told(measure(name, network, parted, stage, base)))
        parts = in_four(networks["resnet-50"], rows, base) if "resnet-50" in networks else []
    if options.json:
        figures = {"agent": agent, "whole": [asdict(r) for r in rows], "parts": [asdict(r) for r in parts]}
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
