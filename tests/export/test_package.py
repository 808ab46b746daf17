"""`partition-studio export`: a folder that appears whole or not at all, and holds what it says."""

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import partition_studio
from partition_studio.errors import StudioError
from partition_studio.export.errors import NotExportableError, UnknownPlatformError
from partition_studio.export.package import Exported, export_package
from partition_studio.export.wheels import targets_of
from partition_studio.fleet.install.lock import Lock
from partition_studio.fleet.install.wheelhouse import WheelhouseCache
from partition_studio.graph.load import load_network
from partition_studio.partition.folder import OutputFolderError
from partition_studio.partition.plan import NetworkRef, OutputChannelSharding, Plan
from tests.cli.conftest import call
from tests.core.networks import make_model, plan_for, relu_chain, value
from tests.export.conftest import DEVICES, Bench

Export = Callable[..., Exported]

CHAIN = {"l0": "one", "l1": "two", "l2": "one"}


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """Export without wheels, which nobody needs here."""

    def make(model: onnx.ModelProto, placement: dict[str, str], out: str = "package") -> Exported:
        path = tmp_path / "net.onnx"
        path.write_bytes(model.SerializeToString())
        return export_package(
            path,
            plan_for(load_network(path), placement),
            tmp_path / out,
            targets=(),
            wheelhouses=WheelhouseCache(tmp_path / "wheels"),
            seed=1,
            say=lambda text: None,
        )

    return make


def test_every_file_is_in_the_sums_but_the_one_that_the_person_edits(export: Export) -> None:
    made = export(relu_chain(), CHAIN)
    lines = [line.split("  ") for line in (made.out / "SHA256SUMS").read_text().splitlines()]
    sums = {name: digest for digest, name in lines}
    files = {path.relative_to(made.out).as_posix() for path in made.out.rglob("*") if path.is_file()}
    assert files - set(sums) == {"SHA256SUMS", "hosts.json"}
    for name, digest in sums.items():
        assert hashlib.sha256((made.out / name).read_bytes()).hexdigest() == digest
    assert made.digest == hashlib.sha256((made.out / "SHA256SUMS").read_bytes()).hexdigest()
    assert {"README.md", "LICENSE", "plan.json", "expected.npz", "models/manifest.json"} <= files
    assert json.loads((made.out / "hosts.json").read_text())["devices"].keys() == {"one", "two"}


def test_the_same_export_gives_the_same_package(export: Export) -> None:
    assert export(relu_chain(), CHAIN, "a").digest == export(relu_chain(), CHAIN, "b").digest


def test_what_hosts_with_an_old_python_get_is_written_for_their_runtime(tmp_path: Path) -> None:
    whole = relu_chain()
    whole.ir_version, whole.opset_import[0].version = 11, 24
    path = tmp_path / "net.onnx"
    path.write_bytes(whole.SerializeToString())
    # Fetched already: nobody needs the wheels here.
    wheels, targets = Lock(""), targets_of(["cp311-x86_64", "cp38-aarch64"])
    for target in targets:
        (tmp_path / "cache" / "wheels" / f"{wheels.digest[:12]}-{target.key}").mkdir(parents=True)
    for chosen, opset in ((targets, 21), (targets[:1], 24), ((), 24)):
        made = export_package(
            path,
            plan_for(load_network(path), CHAIN),
            tmp_path / "package",
            targets=chosen,
            wheelhouses=WheelhouseCache(tmp_path / "cache", wheels),
            seed=1,
            say=lambda text: None,
        )
        models = [onnx.load(file) for file in (made.out / "models").glob("*.onnx")]
        assert {model.opset_import[0].version for model in models} == {opset}
        described = json.loads((made.out / "package.json").read_text())["models"]
        for digest, entry in described.items():
            assert hashlib.sha256((made.out / entry["file"]).read_bytes()).hexdigest() == digest


def test_the_recorded_frame_has_the_whole_networks_answer(export: Export) -> None:
    made = export(relu_chain(), CHAIN)
    expected = np.load(made.out / "expected.npz")
    assert expected["out:y"].any()
    np.testing.assert_array_equal(expected["out:y"], np.maximum(expected["in:x"], 0))


def test_a_folder_with_other_things_is_left_alone(export: Export, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "letter.txt").write_text("mine")
    with pytest.raises(OutputFolderError, match="not of an earlier run"):
        export(relu_chain(), CHAIN)
    assert [path.name for path in (tmp_path / "package").iterdir()] == ["letter.txt"]


def test_an_earlier_package_is_replaced_whole(export: Export) -> None:
    first = export(relu_chain(), CHAIN)
    second = export(relu_chain(2), {"l0": "one", "l1": "three"})
    assert first.out == second.out
    assert second.devices == ("one", "three")
    assert len(list(second.out.glob("models/*.onnx"))) == 2


def test_what_cannot_be_exported_leaves_nothing(export: Export, tmp_path: Path) -> None:
    with pytest.raises(StudioError):
        export(relu_chain(), {"l0": "one"})
    half = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.BFLOAT16, name="half")
    odd = make_model([half], [value("x", (1, 4))], [value("y", (1, 4), TensorProto.BFLOAT16)])
    with pytest.raises((NotExportableError, StudioError)):
        export(odd, {"half": "one"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx"]


@pytest.mark.parametrize("name", ["raspberry", "cp27-x86_64", "cp311-riscv64", "cp311-x86_64-glibc2.5"])
def test_a_platform_without_packages_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnknownPlatformError, match=name):
        targets_of([name])


def test_platforms_are_named_by_python_processor_and_c_library() -> None:
    keys = [target.key for target in targets_of(["cp311-aarch64", "cp39-x86_64-glibc2.28", "cp311-arm64"])]
    assert keys == ["cp311-aarch64-glibc2.31", "cp39-x86_64-glibc2.28"]
    assert targets_of(["none"]) == ()


def test_start_says_what_it_takes_without_any_package(export: Export) -> None:
    made = export(relu_chain(), CHAIN)
    said = subprocess.run([made.out / "start", "--help"], capture_output=True, text=True, check=True)
    assert "--self-test" in said.stdout
    wrong = subprocess.run([made.out / "start"], capture_output=True, text=True)
    assert wrong.returncode == 2


def test_the_packages_licence_is_the_projects() -> None:
    root = Path(partition_studio.__file__).parents[2]
    assert (root / "LICENSE").read_text() == Path(partition_studio.__file__).with_name("export").joinpath(
        "LICENSE"
    ).read_text()


def test_the_command_exports(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(relu_chain().SerializeToString())
    (tmp_path / "plan.json").write_text(plan_for(load_network(path), CHAIN).to_json())
    words = ("export", path, tmp_path / "plan.json", "--out", tmp_path / "package", "--wheels", "none", "--seed", "5")
    said = call(*words, "--json", env={"PARTITION_STUDIO_DATA_DIR": str(tmp_path / "data")})
    assert said.code == 0, said.err
    assert said.document["devices"] == ["one", "two"]
    assert said.document["seed"] == 5
    assert said.document["stages"] == 3


@pytest.mark.ssh
def test_divided_layers_and_odd_outputs_run_on_the_hosts(bench: Bench, tmp_path: Path) -> None:
    """Channel shards over three devices; an output that is an input; an input that nobody reads."""
    generator = np.random.default_rng(3)
    kernel = onnx.numpy_helper.from_array(generator.standard_normal((9, 3, 3, 3)).astype(np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["y"], name="relu"),
    ]
    through = value("z", (1, 2))
    model = make_model(nodes, [value("x", (1, 3, 8, 8)), through], [value("y", (1, 9, 8, 8)), through], [kernel])
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    network = load_network(path)
    shard = OutputChannelSharding(strategy="output_channels", layers=["conv"], devices=list(DEVICES))
    plan = Plan(network=NetworkRef.of(network), placement={"relu": "one"}, shards=[shard])
    wheels = json.loads((bench.package / "package.json").read_text())["wheels"]
    exported = export_package(
        path,
        plan,
        tmp_path / "package",
        targets=(),
        wheelhouses=WheelhouseCache(tmp_path / "wheels"),
        seed=1,
        say=lambda text: None,
    )
    lend_wheels(exported.out, bench.package, wheels)
    bench.package = exported.out
    frame = {"x": generator.standard_normal((2, 3, 8, 8)).astype(np.float32), "z": np.ones((2, 2), np.float32)}
    np.savez(tmp_path / "frames.npz", **frame)  # type: ignore[arg-type]
    said = bench.start(tmp_path / "frames.npz", "--out", tmp_path / "results.npz")
    assert said.code == 0, said.err
    assert "is the whole network's" in said.err
    results = np.load(tmp_path / "results.npz")
    assert set(results.files) == {"0:y", "0:z", "1:y", "1:z"}
    np.testing.assert_array_equal(results["1:z"], frame["z"][1:])
    assert results["0:y"].shape == (1, 9, 8, 8)
    assert (results["0:y"] != results["1:y"]).any()


def lend_wheels(package: Path, other: Path, wheels: list[dict[str, object]]) -> None:
    """Give a package the wheels that are on the host already."""
    document = json.loads((package / "package.json").read_text())
    document["wheels"] = wheels
    (package / "package.json").write_text(json.dumps(document))
    sums = (package / "SHA256SUMS").read_text().splitlines()
    digest = hashlib.sha256((package / "package.json").read_bytes()).hexdigest()
    lines = [f"{digest}  package.json" if line.endswith("  package.json") else line for line in sums]
    (package / "SHA256SUMS").write_text("\n".join(lines) + "\n")
    (package / "wheels").symlink_to(other / "wheels")
