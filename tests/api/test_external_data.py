"""Weights in files beside the network: uploaded with it, or refused by name."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from partition_studio.errors import StudioError
from partition_studio.schemas import ModelSummaryOut
from tests.cli.conftest import call
from tests.studio import RunningStudio


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A network whose weights lie in `weights.bin` beside it."""
    weight = numpy_helper.from_array(np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder = tmp_path / "network"
    folder.mkdir()
    onnx.save(model, folder / "net.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    return folder / "net.onnx"


def test_external_data_comes_along(studio: RunningStudio, network: Path) -> None:
    files = [
        ("file", ("net.onnx", network.read_bytes())),
        ("data", ("weights.bin", network.with_name("weights.bin").read_bytes())),
    ]
    model = studio.client.post_form("/api/models", ModelSummaryOut, {}, files)
    assert model.weight_bytes == 64 * 64 * 4


def test_the_command_line_brings_the_data_files_by_itself(studio: RunningStudio, network: Path) -> None:
    env = {"PARTITION_STUDIO_URL": studio.url, "PARTITION_STUDIO_TOKEN": studio.token}
    assert call("model", "add", network, "--json", env=env).document["weight_bytes"] == 64 * 64 * 4


def test_missing_external_data_is_named(studio: RunningStudio, network: Path) -> None:
    with pytest.raises(StudioError, match=r"weights\.bin"):
        studio.client.post_form("/api/models", ModelSummaryOut, {}, [("file", ("net.onnx", network.read_bytes()))])


@pytest.mark.parametrize("location", ["../token", "/etc/passwd", "a/../../token"])
def test_data_outside_the_upload_is_never_read(studio: RunningStudio, network: Path, location: str) -> None:
    model = onnx.load(network, load_external_data=False)
    entry = next(e for e in model.graph.initializer[0].external_data if e.key == "location")
    entry.value = location
    with pytest.raises(StudioError) as caught:
        studio.client.post_form("/api/models", ModelSummaryOut, {}, [("file", ("net.onnx", model.SerializeToString()))])
    assert "net.onnx" in caught.value.message
    assert studio.client.get("/api/models", list[ModelSummaryOut]) == []
