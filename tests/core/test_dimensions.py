"""Free dimensions of a network's inputs: bound to the sizes that the person gives."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from partition_studio.errors import NetworkError
from partition_studio.graph.frames import random_frame
from partition_studio.graph.load import load_network, original_model
from partition_studio.graph.network import NetworkForm
from partition_studio.partition.extract import submodels
from partition_studio.partition.partition import partition
from partition_studio.partition.verify import verify

from .networks import make_model, plan_for, value, weight

node = helper.make_node


def free_model() -> onnx.ModelProto:
    """Two inputs whose sizes depend on `N`, `height` and a dimension without a name."""
    nodes = [
        node("Conv", ["x", "w"], ["a"], name="conv", pads=[1, 1, 1, 1]),
        node("Add", ["a", "z"], ["b"], name="add"),
        node("Shape", ["b"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Unsqueeze", ["n", "zeros"], ["n1"]),
        node("Concat", ["n1", "rest"], ["target"], axis=0),
        node("Reshape", ["b", "target"], ["y"], name="flat"),
    ]
    weights = [
        weight("w", np.random.default_rng(0).standard_normal((2, 2, 3, 3)).astype(np.float32)),
        weight("zero", np.array(0, np.int64)),
        weight("zeros", np.array([0], np.int64)),
        weight("rest", np.array([-1], np.int64)),
    ]
    inputs = [value("x", ("N", 2, "height", None)), value("z", ("N", 2, "height", 1))]
    return make_model(nodes, inputs, [value("y", ("N", "features"))], weights)


@pytest.mark.parametrize(
    ("dims", "shape"),
    [
        ((("height", 6), ("x:3", 5)), (1, 2, 6, 5)),
        ((("N", 3), ("height", 6), ("x:3", 5)), (3, 2, 6, 5)),
        ((("x:0", 2), ("x:3", 4), ("z:2", 7)), (2, 2, 7, 4)),
    ],
)
def test_free_dimensions_are_bound_and_what_follows_from_them_is_folded(
    tmp_path: Path, dims: tuple[tuple[str, int], ...], shape: tuple[int, ...]
) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(free_model().SerializeToString())
    form = NetworkForm(dims=dims)
    network = load_network(path, form=form)
    assert network.form == form
    assert network.inputs["x"].shape == shape
    assert network.inputs["z"].shape == (*shape[:3], 1)
    assert [layer.name for layer in network.layers] == ["conv", "add", "flat"]
    assert network.outputs["y"].shape == (shape[0], shape[1] * shape[2] * shape[3])
    parted = partition(network, plan_for(network, {"conv": "a", "add": "b", "flat": "c"}))
    assert {tensor for cut in parted.graph.cuts for tensor in cut.tensors} == {"x", "z", "a", "b", "y"}
    parts = {name: part.data for name, part in submodels(network, parted.graph).items()}
    assert verify(original_model(path, form=form), parted, parts, random_frame(network.inputs, 1)).ok


@pytest.mark.parametrize(
    ("dims", "code", "words"),
    [
        ((), "unbound_dimension", ("'x'", "dimension 2", "'height'")),
        ((("height", 4),), "unbound_dimension", ("'x'", "dimension 3", "'x:3'")),
        ((("width", 4),), "unknown_dimension", ("'width'", "'N'", "'height'", "'x:3'")),
        ((("x:1", 2),), "unknown_dimension", ("'x:1'", "'height'")),
        ((("height", 0), ("x:3", 5)), "unknown_dimension", ("'height'", "0")),
        ((("height", -4), ("x:3", 5)), "unknown_dimension", ("'height'", "-4")),
    ],
)
def test_sizes_that_lack_or_fit_nothing_are_named(
    tmp_path: Path, dims: tuple[tuple[str, int], ...], code: str, words: tuple[str, ...]
) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(free_model().SerializeToString())
    for take in (load_network, original_model):
        with pytest.raises(NetworkError) as caught:
            take(path, form=NetworkForm(dims=dims))
        assert caught.value.code == code
        assert [word for word in words if word not in caught.value.message] == []
