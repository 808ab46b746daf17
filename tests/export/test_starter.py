"""What `start` does without numpy: arrays from files, frames, comparisons; and that Python 3.8 can read all of it."""

import ast
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from partition_studio.export import starter
from partition_studio.export.starter.arrays import (
    Spec,
    difference,
    npy_header,
    read_arrays,
    read_frames,
    share_of_others,
)
from partition_studio.export.starter.errors import UsageError
from partition_studio.export.starter.package import Package

SOURCES = sorted(Path(starter.__file__).parent.glob("*.py"))
IMAGE = Spec("image", "float32", (1, 2, 3))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_what_runs_on_the_persons_machine_is_python_3_8(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            assert node.value.id not in ("list", "dict", "tuple", "set", "type", "frozenset"), f"line {node.lineno}"


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int16", "uint16", "int32", "int64", "float16", "float32", "float64"]
)
def test_arrays_are_read_and_written_as_numpy_does(tmp_path: Path, dtype: str) -> None:
    array = (np.arange(24).reshape(2, 3, 4) % 2).astype(dtype)
    np.savez(tmp_path / "a.npz", one=array, two=np.asfortranarray(array[0, 0]))
    stored = read_arrays(tmp_path / "a.npz")
    assert bytes(stored["one"].data) == array.tobytes()
    assert stored["one"].shape == (2, 3, 4)
    (tmp_path / "b.npy").write_bytes(npy_header(Spec("one", dtype, (2, 3, 4))) + bytes(stored["one"].data))
    back = np.load(tmp_path / "b.npy")
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("shape", [(), (3,), (1, 1000)])
def test_headers_are_what_numpy_reads(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.ones(shape, np.float32)
    (tmp_path / "a.npy").write_bytes(npy_header(Spec("a", "float32", shape)) + array.tobytes())
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), array)


@pytest.mark.parametrize(("shape", "count"), [((1, 2, 3), 1), ((2, 3), 1), ((4, 1, 2, 3), 4), ((5, 2, 3), 5)], ids=str)
def test_an_array_holds_one_frame_or_several(tmp_path: Path, shape: tuple[int, ...], count: int) -> None:
    array = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    np.save(tmp_path / "a.npy", array)
    frames = read_frames([tmp_path / "a.npy"], [IMAGE])
    assert len(frames) == count
    assert b"".join(bytes(parts[0]) for _, parts in frames) == array.tobytes()


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.zeros((1, 2, 4), np.float32), "the network takes"),
        (np.zeros((1, 2, 3), np.float64), "is of type <f8"),
        (np.asfortranarray(np.zeros((1, 2, 3), np.float32)), "column by column"),
        (np.array([None]), "is of type |O"),
    ],
    ids=["shape", "type", "order", "object"],
)
def test_an_array_that_does_not_fit_is_refused_by_name(tmp_path: Path, array: npt.NDArray[Any], complaint: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(UsageError) as caught:
        read_frames([tmp_path / "a.npy"], [IMAGE])
    assert complaint in caught.value.message
    assert "a.npy" in caught.value.message


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x10\x00{'descr': boom()", b"PK\x03\x04"])
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_rubbish_is_refused(tmp_path: Path, data: bytes, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_bytes(data)
    with pytest.raises(UsageError):
        read_arrays(path)


def test_differences_are_relative_to_the_largest_value() -> None:
    def differs(found: list[float], expected: list[float], dtype: str = "float32") -> float:
        a, b = np.array(found, dtype), np.array(expected, dtype)
        return difference(memoryview(a.tobytes()), memoryview(b.tobytes()), dtype)

    nan, inf = math.nan, math.inf
    assert differs([1, 2], [1, 2]) == 0
    assert differs([1, 2.5], [1, 2]) == 0.25
    assert differs([1, 2.5], [1, 2], "float16") == 0.25
    assert differs([1, 3], [1, 2], "int64") == 0.5
    assert differs([nan, inf, 1], [nan, inf, 2]) == 0.5
    assert differs([nan], [1]) == inf
    assert differs([1], [nan]) == inf
    assert differs([1], [inf]) == inf
    assert differs([0.1], [0]) == inf
    assert differs([1, 2], [1]) == inf


def test_whole_numbers_that_are_others_are_counted() -> None:
    def share(found: list[int], expected: list[int], dtype: str = "int64") -> float:
        a, b = np.array(found, dtype), np.array(expected, dtype)
        return share_of_others(memoryview(a.tobytes()), memoryview(b.tobytes()), dtype)

    assert share([1, 2, 4, 3], [1, 2, 3, 4]) == 0.5
    assert share([1, 0], [1, 0], "bool") == 0
    assert share([1, 2], [1, 2], "float32") == 1
    assert share([1, 2], [1]) == 1


def test_wheels_are_chosen_by_what_the_host_is() -> None:
    def wheels(minor: int, architecture: str, glibc: list[int]) -> dict[str, object]:
        name = f"{minor}-{architecture}-{glibc[1]}"
        return {
            "file": name,
            "sha256": "",
            "bytes": 0,
            "python": [3, minor],
            "architecture": architecture,
            "glibc": glibc,
        }

    entries = [wheels(11, "x86_64", [2, 28]), wheels(11, "x86_64", [2, 31]), wheels(9, "aarch64", [2, 28])]
    package = Package(Path("/"), "", {"wheels": entries})

    def chosen(minor: int, machine: str, glibc: str, implementation: str = "CPython") -> str | None:
        libc = ["glibc", glibc] if glibc else ["", ""]
        facts = {"python": [3, minor, 1], "machine": machine, "libc": libc, "implementation": implementation}
        found = package.bundle(facts)
        return found.path.name if found is not None else None

    assert chosen(11, "x86_64", "2.36") == "11-x86_64-31"
    assert chosen(11, "AMD64", "2.28") == "11-x86_64-28"
    assert chosen(9, "aarch64", "2.31") == "9-aarch64-28"
    assert chosen(11, "x86_64", "2.27") is None
    assert chosen(10, "x86_64", "2.36") is None
    assert chosen(11, "x86_64", "") is None
    assert chosen(11, "x86_64", "2.36", "PyPy") is None
    assert package.pythons()[:3] == ["python3.11", "python3.9", "python3"]
