"""What codecs do to real tensors, what they cost, and which one pays on which link.

    python -m bench.codecs [--max-change 0.01] [--megabits 10 100 1000] [--json FILE] [MODEL ...]

Each network (the trained digits network on its own samples; SqueezeNet and ResNet-50 with random weights on random
frames) is cut into two and four runs of layers. Every tensor on a cut between devices is encoded and decoded with every
codec: how much smaller it becomes, the CPU time of this machine for each MB of it, and by how much the network's
outputs change when all cuts use that codec. Then, for some speeds of the links, the predicted time between frames of
every codec alone and of what `auto` picks, by the same model (stage and coding on one core, measured here; the link by
its bandwidth). Devices are taken to be as fast as this machine, or `--slower` times slower.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from partition_agent.codecs import decode, encode, header_of
from partition_agent.protocol import STUDIO_PEER, LinkCodec
from partition_studio.graph.examples import build_example, example, preprocessing_of_file
from partition_studio.graph.frames import Frame, random_frame, read_frame
from partition_studio.graph.load import load_network
from partition_studio.graph.network import Network
from partition_studio.graph.runtime import open_session
from partition_studio.partition.codec_trial import CodecTrial
from partition_studio.partition.codecs import LOSSLESS, OnCut, crosses_devices
from partition_studio.partition.extract import submodels
from partition_studio.partition.partition import Partition, partition
from partition_studio.partition.plan import CodecChoice, Plan
from partition_studio.planner.codecs.choice import CANDIDATES, TIE, choose_codecs
from partition_studio.planner.codecs.costs import CodecCosts, CodecSpeed, CodecTask, LinkFigures
from partition_studio.planner.codecs.task import Measured, codec_task
from partition_studio.planner.spread import spread

Array = np.ndarray[Any, Any]

MODELS = ("digits", "squeezenet", "resnet-50")
DEVICES = (2, 4)
FRAMES = 4

#: CPU time is counted over at least so much of it.
LEAST_CPU_S = 0.05

MEGABIT = 125_000.0


@dataclass(frozen=True, slots=True)
class CodecRow:
    """One codec on all cut tensors of a plan. Milliseconds are of CPU for each MB of the tensors as they are."""

    model: str
    devices: int
    codec: str
    ratio: float
    encode_ms_per_mb: float
    decode_ms_per_mb: float
    change: float


@dataclass(frozen=True, slots=True)
class LinkRow:
    """Predicted milliseconds between frames, by codec, on one speed of links; `auto` and what it picked."""

    model: str
    devices: int
    megabits: float
    slower: float
    periods_ms: dict[str, float]
    auto_ms: float
    auto: dict[str, int]
    change: float
    best_fixed: str
    of_best_fixed: float


@dataclass(frozen=True, slots=True)
class Case:
    """A network in some parts, with frames in them."""

    model: str
    plan: Plan
    parted: Partition
    trial: CodecTrial
    values: dict[str, Array]
    stage_s: dict[str, float]

    @property
    def keys(self) -> list[OnCut]:
        """The tensors between devices; what comes from the studio and goes there is not of the devices' links."""
        graph = self.parted.graph
        cuts = [cut for cut in graph.cuts if crosses_devices(graph, cut)]
        between = [cut for cut in cuts if graph.device_of(cut.producer) and graph.device_of(cut.consumer)]
        return [(cut.id, tensor) for cut in between for tensor in cut.tensors]


def cpu_s(work: Callable[[], object]) -> float:
    """Return the CPU seconds of doing something once, after a first time that is not counted."""
    work()
    times, began_s = 0, time.process_time()
    while time.process_time() - began_s < LEAST_CPU_S:
        work()
        times += 1
    return (time.process_time() - began_s) / times


def frames_of(model: str, network: Network) -> list[Frame]:
    """Return samples of the network, or random frames."""
    files = example(model).sample_files[:FRAMES]
    how = preprocessing_of_file(network.digest)
    if files:
        return [read_frame(file.read_bytes(), file.name, network.inputs, how) for file in files]
    return [random_frame(network.inputs, seed) for seed in range(FRAMES)]


def prepare(model: str, network: Network, count: int) -> Case:
    """Cut a network, run its parts, and measure what each stage takes."""
    plan = spread(network, [f"d{number}" for number in range(count)])
    auto = CodecChoice(codec="auto")
    ends = [CodecChoice(producer=STUDIO_PEER, codec="none"), CodecChoice(consumer=STUDIO_PEER, codec="none")]
    plan = plan.model_copy(update={"codecs": [auto, *ends]})
    parted = partition(network, plan)
    parts = {name: part.data for name, part in submodels(parted.network, parted.graph).items()}
    frames = frames_of(model, network)
    values: dict[str, Array] = dict(frames[0])
    stage_s = {}
    for stage in parted.graph.stages:
        session = open_session(parts[stage.name])
        feeds = {name: values[name] for name in stage.inputs}
        values.update(zip(stage.outputs, session.run(list(stage.outputs), feeds), strict=True))
        stage_s[stage.name] = cpu_s(lambda s=session, f=feeds, o=stage.outputs: s.run(list(o), f))  # type: ignore[misc]
    return Case(model, plan, parted, CodecTrial(parted.graph, parts, frames), values, stage_s)


def codec_rows(case: Case) -> list[CodecRow]:
    """Try every codec on every tensor between devices."""
    tensors = [(key, case.values[key[1]]) for key in case.keys]
    total = sum(array.nbytes for _, array in tensors)
    rows = []
    for codec in CANDIDATES:
        wire = encode_s = decode_s = 0.0
        for (_, name), array in tensors:
            used, data = encode(array, codec)
            header = header_of(name, array, used, data.nbytes)
            wire += data.nbytes
            if codec.name != "none":
                encode_s += cpu_s(lambda a=array, c=codec: encode(a, c))  # type: ignore[misc]
                decode_s += cpu_s(lambda h=header, d=data: decode(h, d))  # type: ignore[misc]
        lossless = codec.name in LOSSLESS
        change = 0.0 if lossless else case.trial.change({key: codec for key, _ in tensors})
        ms_per_mb = 1e3 / (total / 1e6)
        rows.append(
            CodecRow(
                model=case.model,
                devices=len(case.parted.graph.devices),
                codec=codec.name,
                ratio=total / wire,
                encode_ms_per_mb=encode_s * ms_per_mb,
                decode_ms_per_mb=decode_s * ms_per_mb,
                change=change,
            )
        )
    return rows


def link_row(case: Case, rows: Sequence[CodecRow], megabits: float, slower: float, max_change: float) -> LinkRow:
    """Predict every codec alone, and what `auto` picks."""
    graph = case.parted.graph
    speeds = {
        row.codec: CodecSpeed(1e9 / (slower * row.encode_ms_per_mb), 1e9 / (slower * row.decode_ms_per_mb))
        for row in rows
        if row.codec != "none"
    }
    links = {(a, b): LinkFigures(megabits * MEGABIT) for a in graph.devices for b in graph.devices if a != b}
    measured = Measured(
        links=links,
        speeds={device: speeds for device in graph.devices},
        stage_s={name: slower * seconds for name, seconds in case.stage_s.items()},
    )
    task = codec_task(graph, case.plan, measured, case.trial.carried)
    decision = choose_codecs(task, max_change, case.trial.change)
    costs = CodecCosts(task)
    fixed = {codec.name: costs.of(fixed_choice(task, codec)).period_s for codec in CANDIDATES}
    allowed = {row.codec for row in rows if row.change <= max_change}
    best = min(allowed, key=lambda name: fixed[name])
    picked: dict[str, int] = {}
    for one in decision.tensors:
        if (one.cut, one.tensor) in case.keys:
            picked[one.option.codec.name] = picked.get(one.option.codec.name, 0) + 1
    return LinkRow(
        model=case.model,
        devices=len(graph.devices),
        megabits=megabits,
        slower=slower,
        periods_ms={name: period_s * 1e3 for name, period_s in fixed.items()},
        auto_ms=decision.cost.period_s * 1e3,
        auto=picked,
        change=decision.change,
        best_fixed=best,
        of_best_fixed=fixed[best] / decision.cost.period_s,
    )


def fixed_choice(task: CodecTask, codec: LinkCodec) -> tuple[int, ...]:
    """Return one codec for every tensor that it makes smaller."""
    return tuple(
        next((n for n, option in enumerate(tensor.options) if option.codec.name == codec.name), 0)
        for tensor in task.tensors
    )


def print_codecs(rows: Sequence[CodecRow]) -> None:
    first = rows[0]
    print(f"\n{first.model} on {first.devices} devices: every tensor between them with one codec")
    print(f"{'codec':12} {'smaller by':>10} {'encode':>10} {'decode':>10} {'outputs change':>15}")
    for row in rows:
        change = f"{row.change:.2%}" if row.change else "no"
        coding = f"{row.encode_ms_per_mb:7.2f} ms {row.decode_ms_per_mb:7.2f} ms"
        print(f"{row.codec:12} {row.ratio:10.2f} {coding} {change:>15}")


def print_links(rows: Sequence[LinkRow], max_change: float) -> None:
    print(f"\npredicted milliseconds between frames (auto: outputs may change by {max_change:.1%})")
    names = [codec.name for codec in CANDIDATES]
    print(f"{'':28}" + "".join(f"{name:>10}" for name in names) + f"{'auto':>10}  picked")
    for row in rows:
        picked = ", ".join(f"{name} {count}x" for name, count in row.auto.items())
        title = f"{row.model} /{row.devices} {row.megabits:g} Mbit/s" + (f" /{row.slower:g}" if row.slower != 1 else "")
        figures = "".join(f"{row.periods_ms[name]:10.2f}" for name in names)
        print(
            f"{title:28}{figures}{row.auto_ms:10.2f}  {picked} (best fixed {row.best_fixed}: {row.of_best_fixed:.2f})"
        )
    worst = min(row.of_best_fixed for row in rows)
    print(f"auto against the best fixed codec that is allowed, worst: {worst:.3f} (the search's tie: {1 - TIE:.2f})")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What codecs do, what they cost, and which one pays.")
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--megabits", type=float, nargs="+", default=[10.0, 100.0, 1000.0])
    parser.add_argument("--slower", type=float, nargs="+", default=[1.0, 4.0])
    parser.add_argument("--max-change", type=float, default=0.01)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    codecs: list[CodecRow] = []
    links: list[LinkRow] = []
    with tempfile.TemporaryDirectory() as folder:
        for model in options.models:
            path = Path(folder) / f"{model}.onnx"
            path.write_bytes(build_example(model))
            network = load_network(path)
            for count in DEVICES:
                case = prepare(model, network, count)
                rows = codec_rows(case)
                print_codecs(rows)
                codecs += rows
                links += [
                    link_row(case, rows, megabits, slower, options.max_change)
                    for slower in options.slower
                    for megabits in options.megabits
                ]
    print_links(links, options.max_change)
    if options.json:
        told = {"codecs": [asdict(row) for row in codecs], "links": [asdict(row) for row in links]}
        options.json.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
