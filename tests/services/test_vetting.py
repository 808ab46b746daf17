"""A file that a person brings is loaded elsewhere first."""

import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from partition_studio.errors import NetworkError
from partition_studio.graph.examples import example
from partition_studio.services.vetting import vet

DIGITS = example("digits").path


def test_a_good_network_passes() -> None:
    vet(DIGITS, DIGITS.stat().st_size)


def test_what_is_wrong_keeps_its_code_and_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "holiday.onnx"
    file.write_bytes(b"no network")
    with pytest.raises(NetworkError, match=r"holiday\.onnx") as caught:
        vet(file, file.stat().st_size)
    assert caught.value.code == "not_onnx"


def test_what_a_free_dimension_is_called_is_told(tmp_path: Path) -> None:
    file = tmp_path / "free.onnx"
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "free",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "rows", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), file)
    with pytest.raises(NetworkError) as caught:
        vet(file, file.stat().st_size)
    assert (caught.value.code, caught.value.details["symbol"]) == ("unbound_dimension", "rows")
    vet(file, file.stat().st_size, {"rows": 8})


def test_a_file_that_would_take_all_memory_is_refused_and_the_studio_lives(tmp_path: Path) -> None:
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [2**17, 2**17])
    graph = helper.make_graph(
        [
            helper.make_node("ConstantOfShape", ["shape"], ["weights"]),
            helper.make_node("MatMul", ["x", "weights"], ["y"]),
        ],
        "bomb",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2**17])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2**17])],
        [shape],
    )
    file = tmp_path / "bomb.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), file)
    with pytest.raises(NetworkError, match=r"bomb\.onnx"):
        vet(file, file.stat().st_size)


@pytest.mark.parametrize("limit", [["--cpu-s", "0"], ["--memory-bytes", str(200 * 2**20)]])
def test_the_process_that_tries_ends_at_its_limits(limit: list[str]) -> None:
    command = [sys.executable, "-m", "partition_studio.graph", str(DIGITS), *limit]
    done = subprocess.run(command, capture_output=True, timeout=100)
    assert done.returncode != 0
    assert done.stdout == b""
