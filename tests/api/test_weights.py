"""The weights of a layer over the API: listed, looked at one by one, refused by name."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from partition_studio.errors import StudioError
from partition_studio.schemas import ModelSummaryOut, WeightFiguresOut, WeightOut
from tests.studio import RunningStudio

AWKWARD = "a/b?c=<i>&d #1"


@pytest.fixture
def model(studio: RunningStudio) -> ModelSummaryOut:
    """A network whose weight has a name that is no part of an address, and lies in a file of its own."""
    filters = np.linspace(-1, 1, 128 * 128, dtype=np.float32).reshape(128, 128)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", AWKWARD], ["y"], name="the/product")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 128])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 128])],
        [numpy_helper.from_array(filters, AWKWARD)],
    )
    folder = studio.data_dir.path / "made"
    folder.mkdir()
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, folder / "net.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    files = [
        (field, (name, (folder / name).read_bytes())) for field, name in (("file", "net.onnx"), ("data", "weights.bin"))
    ]
    return studio.client.post_form("/api/models", ModelSummaryOut, {"simplify": "false"}, files)


def test_a_layers_weights_are_listed_and_looked_at(studio: RunningStudio, model: ModelSummaryOut) -> None:
    path = f"/api/models/{model.id}/weights"
    (weight,) = studio.client.get(path, list[WeightOut], layer="the/product")
    assert weight == WeightOut(
        name=AWKWARD, dtype="float32", shape=[128, 128], elements=128 * 128, size_bytes=4 * 128 * 128
    )
    figures = studio.client.get(f"{path}/figures", WeightFiguresOut, name=weight.name)
    assert (figures.minimum, figures.maximum, figures.looked_at) == (-1, 1, 128 * 128)
    assert figures.slices is not None
    assert len(figures.slices.minimum) == 128


def test_what_is_not_there_is_named(studio: RunningStudio, model: ModelSummaryOut) -> None:
    path = f"/api/models/{model.id}/weights"
    with pytest.raises(StudioError, match="no layer 'other'"):
        studio.client.get(path, list[WeightOut], layer="other")
    with pytest.raises(StudioError, match="no weight 'other'"):
        studio.client.get(f"{path}/figures", WeightFiguresOut, name="other")
    with pytest.raises(StudioError, match="no model"):
        studio.client.get("/api/models/000000000000/weights", list[WeightOut], layer="the/product")


def test_a_file_that_was_changed_meanwhile_is_not_read(studio: RunningStudio, model: ModelSummaryOut) -> None:
    path = f"/api/models/{model.id}/weights"
    studio.client.get(path, list[WeightOut], layer="the/product")
    data: Path = studio.services.models.path(model.id).with_name("weights.bin")
    data.write_bytes(data.read_bytes()[:-4])
    with pytest.raises(StudioError, match="changed after the network was loaded"):
        studio.client.get(f"{path}/figures", WeightFiguresOut, name=AWKWARD)
