"""Predicted against measured time of stages: each architecture is profiled, cut at several places, and each part run.

    python -m bench.profile [--only NAME ...] [--rounds 5] [--core 0] [--json FILE]

Profile and stages run one after the other on one core with one thread, by the agent's own code. Because the machine's
speed drifts, the whole network is run in alternation with the stages; `drift` is its time then by its time in the
profile, and the errors are those of predictions multiplied by it. Cuts: 2, 3 and 4 stages of about the same cost, and 3
stages cut at a third and two thirds of the layers, wherever that falls.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from partition_agent.codecs import dtype_of
from partition_agent.profiling.profiler import Profiler
from partition_agent.protocol import Profile as Request
from partition_agent.protocol import StageSpec, TensorSpec
from partition_agent.stages import Stage as LoadedStage
from partition_studio.fleet.profiling.measure import BUDGET_S
from partition_studio.fleet.profiling.merge import merge
from partition_studio.fleet.profiling.model import pieces
from partition_studio.graph.examples import EXAMPLES, build_example
from partition_studio.graph.load import load_network
from partition_studio.graph.network import Network
from partition_studio.partition.partition import partition
from partition_studio.partition.plan import NetworkRef, Plan
from partition_studio.partition.stages import Stage
from partition_studio.partition.submodel import submodel
from partition_studio.planner.figures.profile import Profile
from partition_studio.planner.prediction.stage_time import StageTime, predict_stage_s
from partition_studio.planner.spread import spread

TARGET = 0.10
RUNS = 5
NO_LIMIT_BYTES = 1 << 40


@dataclass(frozen=True, slots=True)
class Row:
    """One stage: seconds predicted (before drift) and measured."""

    network: str
    cut: str
    stage: str
    layers: int
    predicted_s: float
    cut_s: float
    layout_s: float
    measured_s: float
    drift: float

    @property
    def error(self) -> float:
        """By how much the prediction is off, drift apart, in proportion to the measurement."""
        return self.predicted_s * self.drift / self.measured_s - 1


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[e.id for e in EXAMPLES if e.kind == "architecture"])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    os.sched_setaffinity(0, {given.core})
    rows: list[Row] = []
    for name in given.only:
        with tempfile.TemporaryDirectory() as folder:
            of_network = list(_compare(name, Path(folder), given.rounds))
        for row in of_network:
            print(
                f"{row.network:13} {row.cut:8} {row.stage:8} {row.layers:4} layers  predicted "
                f"{row.predicted_s * row.drift * 1e3:8.2f} ms (cut {row.cut_s * 1e3:.2f}, layout "
                f"{row.layout_s * 1e3:.2f})  measured {row.measured_s * 1e3:8.2f} ms  {row.error:+.1%}"
            )
        rows += of_network
    print(f"\n{'network':13} stages  median error  worst error  drift")
    for name in given.only:
        found = [row for row in rows if row.network == name]
        errors = [abs(row.error) for row in found]
        print(
            f"{name:13} {len(found):6}  {statistics.median(errors):12.1%}  {max(errors):11.1%}  {found[0].drift:.3f}"
            f"  {'' if max(errors) <= TARGET else 'above the target'}"
        )
    if given.json:
        given.json.write_text(json.dumps([{**asdict(row), "error": row.error} for row in rows], indent=2) + "\n")


def _compare(name: str, folder: Path, rounds: int) -> Iterator[Row]:
    file = folder / f"{name}.onnx"
    file.write_bytes(build_example(name))
    network = load_network(file)
    profile = _profile(network, folder)
    print(
        f"{name}: {len(profile.layers)} layers, {len(profile.kernels)} kernels, {profile.run_s * 1e3:.1f} ms, "
        f"alone {profile.layers_s * 1e3:.1f} ms, profiled in {profile.duration_s:.1f} s"
    )
    whole = tuple(layer.name for layer in network.layers)
    parts = [(cut, stage) for cut, plan in _plans(network) for stage in partition(network, plan).graph.stages]
    predicted = {(cut, s.name): predict_stage_s(profile, network, s.layers) for cut, s in parts}
    for cut in dict.fromkeys(cut for cut, _ in parts):
        stages = [stage for other, stage in parts if other == cut]
        one = Stage("whole", "one", whole, tuple(network.inputs), tuple(network.outputs))
        measured = _measure(network, [one, *stages], folder, rounds)
        drift = measured["whole"] / profile.run_s
        for stage in stages:
            yield _row(name, cut, stage, predicted[cut, stage.name], measured[stage.name], drift)


def _row(name: str, cut: str, stage: Stage, predicted: StageTime, measured_s: float, drift: float) -> Row:
    return Row(
        name,
        cut,
        stage.name,
        len(stage.layers),
        predicted.seconds,
        predicted.cut_s,
        predicted.layout_s,
        measured_s,
        drift,
    )


def _plans(network: Network) -> Iterator[tuple[str, Plan]]:
    for count in (2, 3, 4):
        yield f"even-{count}", spread(network, [f"d{n}" for n in range(count)])
    third = len(network.layers) / 3
    placement = {layer.name: f"d{int(index / third)}" for index, layer in enumerate(network.layers)}
    yield "thirds", Plan(network=NetworkRef.of(network), placement=placement)


def _profile(network: Network, folder: Path) -> Profile:
    models = folder / "agent" / "models"
    models.mkdir(parents=True)
    profiler = Profiler(models, lambda _event: None)
    begin_s = time.monotonic()
    parts = []
    for piece in pieces(network, NO_LIMIT_BYTES):
        (models / f"{piece.digest}.onnx").write_bytes(piece.data)
        request = Request("bench", piece.digest, piece.inputs, piece.fills, threads=1, budget_s=BUDGET_S)
        parts.append((piece, profiler.profile(request)))
    return merge(network, "here", parts, time.monotonic() - begin_s)


def _measure(network: Network, stages: Sequence[Stage], folder: Path, rounds: int) -> dict[str, float]:
    """Return the median seconds of one frame in each stage, measured in alternation with the whole network.

    It is processor time (with one thread the same as time, but for what others take of the core), and what counts is
    the ratio to the whole network's in the same round.
    """
    loaded = {}
    for stage in stages:
        path = folder / f"{stage.name}.onnx"
        with path.open("wb") as stream:
            digest = submodel(network, stage).write_to(stream)
        inputs, outputs = (
            tuple(TensorSpec(t, network.tensors[t].dtype, network.tensors[t].shape) for t in tensors)
            for tensors in (stage.inputs, stage.outputs)
        )
        loaded[stage.name] = LoadedStage(StageSpec(stage.name, digest, inputs, outputs, 1), path, 1)
        path.unlink()
    generator = np.random.default_rng(3)
    feeds = {
        name: {
            t.name: generator.standard_normal(t.shape, dtype=np.float32).astype(dtype_of(t.dtype))
            for t in stage.spec.inputs
        }
        for name, stage in loaded.items()
    }
    rounds_s: dict[str, list[float]] = {name: [] for name in loaded}
    for _ in range(rounds):
        for name, runnable in loaded.items():
            # The first run finds other stages' weights in the caches.
            runnable.run(feeds[name])
            times: list[float] = []
            for _ in range(RUNS):
                begin_s = time.process_time()
                runnable.run(feeds[name])
                times.append(time.process_time() - begin_s)
            rounds_s[name].append(statistics.median(times))
    whole_s = statistics.median(rounds_s["whole"])
    return {
        name: whole_s * statistics.median(value / whole for value, whole in zip(values, rounds_s["whole"], strict=True))
        for name, values in rounds_s.items()
    }


if __name__ == "__main__":
    main()
