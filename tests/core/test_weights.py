"""Weights: wherever their data is, they give the same bytes, whole and in parts."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, numpy_helper

from partition_studio.errors import NetworkError
from partition_studio.graph.disk import CHUNK_BYTES, DiskFile, identity_of
from partition_studio.graph.weights import HELD_BYTES, OnDisk, Part, Range, Weight


def on_disk(path: Path, array: np.ndarray[Any, Any], offset: int = 5) -> Weight:
    """Return an array as a weight that lies in a file, at an odd offset."""
    path.write_bytes(os.urandom(offset) + array.tobytes() + b"after")
    kind = numpy_helper.from_array(array).data_type
    file = DiskFile(path, identity_of(path.stat()))
    return Weight("w", kind, array.shape, OnDisk(file, offset, array.nbytes))


@st.composite
def cuts(draw: st.DrawFn) -> tuple[tuple[int, ...], list[Range]]:
    dims = tuple(draw(st.lists(st.integers(1, 7), min_size=1, max_size=4)))
    ranges = []
    for axis in draw(st.sets(st.integers(0, len(dims) - 1))):
        start = draw(st.integers(0, dims[axis] - 1))
        ranges.append(Range(axis, start, draw(st.integers(start + 1, dims[axis]))))
    return dims, ranges


@settings(deadline=None, max_examples=60)
@given(case=cuts(), kind=st.sampled_from([np.float32, np.float16, np.int8, np.float64, np.bool_]))
def test_a_part_on_disk_is_the_part_in_memory(tmp_path_factory: pytest.TempPathFactory, case: Any, kind: Any) -> None:
    dims, ranges = case
    array = np.random.default_rng(0).integers(0, 2 if kind is np.bool_ else 99, dims).astype(kind)
    index = tuple(
        slice(r.start, r.stop) if (r := next((r for r in ranges if r.axis == axis), None)) else slice(None)
        for axis in range(len(dims))
    )
    stored = on_disk(tmp_path_factory.mktemp("w") / "data", array)
    for weight in (stored, Weight.of_array("w", array)):
        part = weight.part("p", *ranges)
        assert part.dims == array[index].shape
        assert part.size_bytes == array[index].nbytes
        assert np.array_equal(part.array(), array[index])
        assert b"".join(part.chunks()) == array[index].tobytes()
        assert part.tensor().name == "p"
        assert np.array_equal(numpy_helper.to_array(part.tensor()), array[index])


def test_a_part_of_a_part_reads_the_whole_once(tmp_path: Path) -> None:
    array = np.arange(6 * 8 * 10, dtype=np.float32).reshape(6, 8, 10)
    part = on_disk(tmp_path / "data", array).part("a", Range(0, 1, 6), Range(1, 2, 7)).part("b", Range(0, 2, 4))
    inner = part.part("c", Range(2, 3, 9), Range(1, 1, 3))
    assert isinstance(inner.data, Part)
    assert not isinstance(inner.data.base.data, Part)
    assert np.array_equal(inner.array(), array[3:5, 3:5, 3:9])
    with pytest.raises(ValueError, match="not within 'c'"):
        inner.part("d", Range(1, 1, 3))


@pytest.mark.parametrize(("axis", "start", "stop"), [(0, 1, 3), (1, 100, 300), (2, 7, 9)])
def test_no_chunk_is_large_wherever_the_cut_goes(tmp_path: Path, axis: int, start: int, stop: int) -> None:
    array = np.random.default_rng(0).standard_normal((4, 400, 1500)).astype(np.float32)
    assert array[0].nbytes > 2 * CHUNK_BYTES
    part = on_disk(tmp_path / "data", array).part("p", Range(axis, start, stop))
    chunks = list(part.chunks())
    assert max(map(len, chunks)) <= CHUNK_BYTES
    index = [slice(None)] * 3
    index[axis] = slice(start, stop)
    assert b"".join(chunks) == array[tuple(index)].tobytes()


def test_a_weight_of_no_elements_has_no_data(tmp_path: Path) -> None:
    empty = on_disk(tmp_path / "data", np.zeros((0, 3), np.float32))
    assert (empty.size_bytes, list(empty.chunks()), empty.array().shape) == (0, [], (0, 3))


@pytest.mark.parametrize("stays", [True, False])
def test_types_that_numpy_does_not_have_keep_their_bytes(tmp_path: Path, stays: bool) -> None:
    raw = np.random.default_rng(0).bytes(2 * 6 * 5)
    tensor = TensorProto(name="w", data_type=TensorProto.BFLOAT16, dims=[6, 5], raw_data=raw)
    weight = Weight.of_tensor(tensor)
    if stays:
        (tmp_path / "data").write_bytes(raw)
        file = DiskFile(tmp_path / "data", identity_of((tmp_path / "data").stat()))
        weight = Weight("w", TensorProto.BFLOAT16, (6, 5), OnDisk(file, 0, len(raw)))
    assert b"".join(weight.chunks()) == raw
    rows = weight.part("p", Range(0, 2, 4))
    assert b"".join(rows.chunks()) == raw[20:40]
    assert rows.tensor().data_type == TensorProto.BFLOAT16
    assert rows.array().shape == (2, 5)


def test_four_bit_weights_are_cut_between_elements_that_share_a_byte(tmp_path: Path) -> None:
    raw = bytes([0x21, 0x43, 0x65])
    (tmp_path / "data").write_bytes(raw)
    file = DiskFile(tmp_path / "data", identity_of((tmp_path / "data").stat()))
    weight = Weight("w", TensorProto.INT4, (6,), OnDisk(file, 0, 3))
    part = weight.part("p", Range(0, 1, 4))
    assert part.size_bytes == 2
    assert np.array_equal(part.array().astype(int), [2, 3, 4])
    assert b"".join(part.chunks()) == bytes([0x32, 0x04])


@pytest.mark.parametrize("change", ["content", "length", "other", "gone", "pipe"])
def test_a_file_that_changed_is_not_read(tmp_path: Path, change: str) -> None:
    path = tmp_path / "data"
    weight = on_disk(path, np.zeros(HELD_BYTES, np.float32))
    part = weight.part("p", Range(0, 3, 9))
    list(weight.chunks())
    if change == "content":
        status = path.stat()
        with path.open("r+b") as stream:
            stream.write(b"x")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    elif change == "length":
        os.truncate(path, 100)
    else:
        path.rename(tmp_path / "old")
        if change == "other":
            path.write_bytes((tmp_path / "old").read_bytes())
        elif change == "pipe":
            os.mkfifo(path)
    for read in (lambda: list(weight.chunks()), weight.array, weight.tensor, part.array, lambda: list(part.chunks())):
        with pytest.raises(NetworkError, match="data") as caught:
            read()
        assert caught.value.code == "network_changed"


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "data"
    weight = on_disk(path, np.zeros(2 * CHUNK_BYTES, np.uint8))
    chunks = weight.chunks()
    next(chunks)
    os.truncate(path, 10)
    with pytest.raises(NetworkError) as caught:
        list(chunks)
    assert caught.value.code == "network_changed"
