"""`plan check`, `plan spread`, `split` and `verify` need no studio; what is wrong is said by name, with exit code 2."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from PIL import Image

from partition_studio.graph.examples import example
from tests.cli.conftest import Command

DIGITS = example("digits").path
SAMPLES = sorted(DIGITS.with_name("digits-samples").glob("*.png"))
SAMPLE = SAMPLES[0]
#: How the digits network wants pictures.
PICTURES = ("--scale", str(1 / 255), "--mean", "0.5", "--std", "0.5")


@pytest.fixture
def plan(offline: Command, tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    assert offline("plan", "spread", DIGITS, "--devices", "a,b", "--out", path).code == 0
    return path


def edited(plan: Path, **placement: str | None) -> Path:
    document = json.loads(plan.read_text())
    for layer, device in placement.items():
        if device is None:
            del document["placement"][layer]
        else:
            document["placement"][layer] = device
    other = plan.with_name("edited.json")
    other.write_text(json.dumps(document))
    return other


def test_a_good_plan_is_priced(offline: Command, plan: Path) -> None:
    said = offline("plan", "check", DIGITS, plan, "--json")
    assert said.code == 0
    assert {device["device"] for device in said.document["devices"]} == {"a", "b"}
    assert [p for p in said.document["problems"] if p["severity"] == "error"] == []
    assert "a-0" in offline("plan", "check", DIGITS, plan).out


def test_an_unknown_and_an_unplaced_layer_are_named(offline: Command, plan: Path) -> None:
    said = offline("plan", "check", DIGITS, edited(plan, conv1=None, conv99="a"))
    assert said.code == 2
    assert "conv1" in said.err
    assert "conv99" in said.err


def test_split_writes_parts_that_together_equal_the_whole(offline: Command, plan: Path, tmp_path: Path) -> None:
    said = offline("split", DIGITS, plan, "--out", tmp_path / "parts", "--input", SAMPLE, "--json")
    assert said.code == 0, said.err
    document = said.document
    assert document["equal"] is True
    assert document["max_rel"] <= document["tolerance"]
    assert {stage["device"] for stage in document["stages"]} == {"a", "b"}
    # By hand, with nothing of ours: the parts in a row give what the whole gives.
    frame = {"image": np.random.default_rng(3).standard_normal((1, 1, 32, 32)).astype(np.float32)}
    whole = onnxruntime.InferenceSession(str(DIGITS)).run(None, frame)[0]
    values = dict(frame)
    for stage in document["stages"]:
        part = onnxruntime.InferenceSession(stage["file"])
        names = [output.name for output in part.get_outputs()]
        values |= dict(zip(names, part.run(None, {i.name: values[i.name] for i in part.get_inputs()}), strict=True))
    np.testing.assert_allclose(values["logits"], whole, rtol=1e-4, atol=1e-5)


def test_split_tells_the_weights_of_each_device_as_predicted_and_in_sum_the_whole(
    offline: Command, plan: Path, tmp_path: Path
) -> None:
    predicted = {
        device["device"]: device["weight_bytes"]
        for device in offline("plan", "check", DIGITS, plan, "--json").document["devices"]
    }
    document = offline("split", DIGITS, plan, "--out", tmp_path / "parts", "--no-verify", "--json").document
    assert {held["device"]: held["weight_bytes"] for held in document["devices"]} == predicted
    by_hand = 0
    for stage in document["stages"]:
        data = Path(stage["file"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (stage["size_bytes"], stage["sha256"])
        by_hand += sum(numpy_helper.to_array(t).nbytes for t in onnx.load_from_string(data).graph.initializer)
    assert document["weight_bytes"] == by_hand == document["whole_weight_bytes"]
    assert document["verified"] is False


def test_split_that_verifies_nothing_takes_nothing_to_verify_with(offline: Command, plan: Path, tmp_path: Path) -> None:
    said = offline("split", DIGITS, plan, "--out", tmp_path / "parts", "--no-verify", "--seed", "3")
    assert said.code == 2
    assert not (tmp_path / "parts").exists()


def test_verify_compares_and_writes_nothing(offline: Command, plan: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    said = offline("verify", DIGITS, plan, "--seed", "3", "--exact", "--json")
    assert said.code == 0, said.err
    assert said.document["equal"] is True
    assert said.document["accuracy"] is None
    assert said.document["tensors"][-1]["tensor"] == "logits"
    assert {(one["max_abs"], one["tolerance"]) for one in said.document["tensors"]} == {(0.0, 0.0)}
    assert "The parts equal the whole on random input" in offline("verify", DIGITS, plan).out
    assert sorted(tmp_path.iterdir()) == before


def labelled_samples(folder: Path) -> Path:
    """The sample pictures, in a folder for each digit."""
    for sample in SAMPLES:
        (folder / sample.name[0]).mkdir(parents=True, exist_ok=True)
        shutil.copy(sample, folder / sample.name[0])
    return folder


def test_on_labelled_pictures_accuracy_is_told(offline: Command, plan: Path, tmp_path: Path) -> None:
    pictures = labelled_samples(tmp_path / "pictures")
    # How pictures become inputs of our own network is known.
    accuracy = offline("verify", DIGITS, plan, "--labelled", pictures, "--json").document["accuracy"]
    assert accuracy["frames"] == len(SAMPLES)
    assert accuracy["whole"] == accuracy["parts"] >= 29 / 30
    assert accuracy["flipped"] == 0
    said = offline("verify", DIGITS, plan, "--labelled", tmp_path / "gone", "--json")
    assert (said.code, said.error["code"]) == (2, "bad_labelled_set")


def test_where_nobody_said_how_pictures_become_inputs_that_is_said(
    offline: Command, plan: Path, tmp_path: Path
) -> None:
    model = onnx.load(DIGITS)
    model.producer_name = "somebody else"
    onnx.save(model, tmp_path / "other.onnx")
    digest = hashlib.sha256((tmp_path / "other.onnx").read_bytes()).hexdigest()
    plan.write_text(plan.read_text().replace(json.loads(plan.read_text())["network"]["sha256"], digest))
    text = offline("verify", tmp_path / "other.onnx", plan, "--input", SAMPLES[0]).out
    assert "read as they are" in text and "--scale" in text


def test_a_plan_that_is_approximate_on_purpose_says_by_how_much(offline: Command, plan: Path, tmp_path: Path) -> None:
    document = json.loads(plan.read_text())
    tiled = ["conv1", "relu1", "conv2", "relu2"]
    for layer in tiled:
        del document["placement"][layer]
    document["shards"] = [
        {"strategy": "spatial_independent", "layers": tiled, "devices": ["a", "b"], "rows": [1, 1], "columns": [1]}
    ]
    plan.write_text(json.dumps(document))
    pictures = labelled_samples(tmp_path / "pictures")
    words = ("split", DIGITS, plan, "--out", tmp_path / "parts", "--seed", "3", "--labelled", pictures, *PICTURES)
    said = offline(*words, "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out, parse_constant=pytest.fail)
    assert (found["ok"], found["equal"], found["approximate"], found["tolerance"]) == (True, False, True, None)
    assert found["max_rel"] > 1e-3
    assert found["accuracy"]["frames"] == len(SAMPLES)
    text = offline(*words).out
    assert "Approximate by plan" in text and "of their largest value" in text
    assert f"On the {len(SAMPLES)} labelled frames" in text and "frames are called otherwise" in text
    assert "Weights of all parts" in text


def test_split_of_a_bad_plan_writes_nothing(offline: Command, plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "parts"
    said = offline("split", DIGITS, edited(plan, conv1=None), "--out", out, "--json")
    assert said.code == 2
    assert "conv1" in said.error["message"]
    assert not out.exists()


def test_split_does_not_overwrite_somebodys_folder(offline: Command, plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "parts"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    said = offline("split", DIGITS, plan, "--out", out)
    assert said.code == 4
    assert (out / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("note.onnx", b"no network", "not_onnx"),
        ("cut.onnx", DIGITS.read_bytes()[:50_000], None),
        ("gone.onnx", None, None),
    ],
)
def test_a_file_that_is_no_network_is_named(
    offline: Command, plan: Path, tmp_path: Path, name: str, content: bytes | None, code: str | None
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    said = offline("plan", "check", file, plan, "--json")
    assert said.code == 2
    assert name in said.error["message"]
    assert code is None or said.error["code"] == code


def test_a_plan_that_is_no_json_is_named(offline: Command, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text("{ not json")
    said = offline("plan", "check", DIGITS, file, "--json")
    assert (said.code, said.error["code"]) == (2, "malformed_plan")


def test_a_picture_that_is_none_is_named(offline: Command, plan: Path, tmp_path: Path) -> None:
    fake = tmp_path / "cat.png"
    fake.write_bytes(b"meow")
    said = offline("split", DIGITS, plan, "--out", tmp_path / "parts", "--input", fake, "--json")
    assert (said.code, said.error["code"]) == (2, "not_an_image")
    assert "cat.png" in said.error["message"]


def test_a_tensor_of_another_shape_is_named(offline: Command, plan: Path, tmp_path: Path) -> None:
    file = tmp_path / "small.npz"
    np.savez(file, image=np.zeros((1, 1, 8, 8), np.float32))
    said = offline("split", DIGITS, plan, "--out", tmp_path / "parts", "--input", file, "--json")
    assert (said.code, said.error["code"]) == (2, "wrong_input_shape")


def test_an_image_of_any_size_will_do(offline: Command, plan: Path, tmp_path: Path) -> None:
    big = tmp_path / "big.png"
    Image.new("RGB", (300, 200), "white").save(big)
    assert offline("split", DIGITS, plan, "--out", tmp_path / "parts", "--input", big).code == 0


def test_without_a_studio_the_others_say_how_to_start_one(offline: Command) -> None:
    for words in (("status",), ("model", "list"), ("device", "list"), ("stop", "x"), ("logs", "x")):
        said = offline(*words, "--json")
        assert said.code == 1
        assert said.error["code"] == "studio_not_running"
        assert "partition-studio serve" in said.error["next_step"]
