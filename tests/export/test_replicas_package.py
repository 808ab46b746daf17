"""A package whose stages run in several places, with codecs and micro-batches: the same core as the studio's."""

import json
from pathlib import Path

import numpy as np
import pytest

from partition_studio.export.errors import NotExportableError
from partition_studio.export.package import Exported, export_package
from partition_studio.fleet.install.wheelhouse import WheelhouseCache
from partition_studio.graph.examples import example
from partition_studio.graph.frames import random_frame
from partition_studio.graph.load import load_network, original_model
from partition_studio.graph.runtime import run_model
from partition_studio.partition.plan import CodecChoice, NetworkRef, Plan, ReplicaGroup
from tests.export.conftest import Bench
from tests.export.test_package import lend_wheels

MODEL = example("digits").path


def plan(codec: CodecChoice) -> Plan:
    network = load_network(MODEL)
    names = [layer.name for layer in network.layers]
    placement = {name: "both" if number < len(names) // 2 else "three" for number, name in enumerate(names)}
    return Plan(
        network=NetworkRef.of(network),
        placement=placement,
        replicas={"both": ReplicaGroup(places=["one", "two"])},
        codecs=[codec],
        micro_batch=2,
    )


def export(tmp_path: Path, document: Plan) -> Exported:
    return export_package(
        MODEL,
        document,
        tmp_path / "package",
        targets=(),
        wheelhouses=WheelhouseCache(tmp_path / "wheels"),
        seed=1,
        say=lambda text: None,
    )


def test_a_package_has_each_sub_model_once_and_every_instance(tmp_path: Path) -> None:
    made = export(tmp_path, plan(CodecChoice(codec="lz4")))
    assert made.devices == ("one", "two", "three")
    document = json.loads((made.out / "package.json").read_text())
    names = {share["device"]: [stage["name"] for stage in share["stages"]] for share in document["shares"]}
    assert names == {"one": ["both-0@one"], "two": ["both-0@two"], "three": ["three-0"]}
    assert len(document["models"]) == len(list((made.out / "models").glob("*.onnx"))) == 2
    assert document["replicas"] == [2]
    assert json.loads((made.out / "hosts.json").read_text())["devices"].keys() == {"one", "two", "three"}


def test_codecs_that_are_still_to_be_chosen_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotExportableError, match="`auto`"):
        export(tmp_path, plan(CodecChoice(codec="auto")))
    assert not (tmp_path / "package").exists()


def test_the_recorded_answer_of_lossy_codecs_is_that_of_the_parts(tmp_path: Path) -> None:
    made = export(tmp_path, plan(CodecChoice(producer="both", codec="int8")))
    document = json.loads((made.out / "package.json").read_text())
    assert document["approximate"]
    recorded = np.load(made.out / "expected.npz")
    frame = {name.removeprefix("in:"): recorded[name] for name in recorded.files if name.startswith("in:")}
    network = load_network(MODEL)
    whole = run_model(original_model(MODEL), frame, list(network.outputs))
    for name, array in whole.items():
        assert (recorded[f"out:{name}"] != array).any()
        assert document["tolerances"][name] > 1e-3


@pytest.mark.ssh
def test_replicas_answer_in_order_on_the_hosts(bench: Bench, tmp_path: Path) -> None:
    network = load_network(MODEL)
    wheels = json.loads((bench.package / "package.json").read_text())["wheels"]
    made = export(tmp_path, plan(CodecChoice(codec="zstd")))
    lend_wheels(made.out, bench.package, wheels)
    bench.package = made.out
    several = [random_frame(network.inputs, seed) for seed in range(12)]
    np.savez(tmp_path / "frames.npz", **{name: np.stack([f[name] for f in several]) for name in network.inputs})  # type: ignore[arg-type]
    said = bench.start(tmp_path / "frames.npz", "--out", tmp_path / "results.npz", "--json")
    assert said.code == 0, said.err
    results = np.load(tmp_path / "results.npz")
    whole = original_model(MODEL)
    for number, frame in enumerate(several):
        for name, array in run_model(whole, frame, list(network.outputs)).items():
            np.testing.assert_allclose(results[f"{number}:{name}"], array, rtol=1e-4, atol=1e-5)
