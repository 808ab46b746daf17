# ruff: noqa: UP006, UP035 - this file runs on Python 3.8.
"""Tensors as bytes, without numpy: read from .npy and .npz files, compared, and written to them."""

import ast
import math
import struct
import zipfile
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from partition_studio.export.starter.errors import StartError, UsageError

_MAGIC = b"\x93NUMPY"

#: numpy's names of element types: how .npy files call them, and their letters in `struct`.
_TYPES: Dict[str, Tuple[str, str]] = {
    "bool": ("|b1", "B"),
    "int8": ("|i1", "b"),
    "uint8": ("|u1", "B"),
    "int16": ("<i2", "h"),
    "uint16": ("<u2", "H"),
    "int32": ("<i4", "i"),
    "uint32": ("<u4", "I"),
    "int64": ("<i8", "q"),
    "uint64": ("<u8", "Q"),
    "float16": ("<f2", "e"),
    "float32": ("<f4", "f"),
    "float64": ("<f8", "d"),
}


@dataclass(frozen=True)
class Spec:
    """A tensor's name, element type (numpy's name) and shape."""

    name: str
    dtype: str
    shape: Tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """Return the bytes of one."""
        return struct.calcsize("<" + _TYPES[self.dtype][1]) * math.prod(self.shape)


@dataclass(frozen=True)
class Stored:
    """An array in a file: numpy's short name of its type, its shape and its bytes, row by row."""

    descr: str
    shape: Tuple[int, ...]
    data: memoryview


def is_storable(dtype: str) -> bool:
    """Return whether a file can hold tensors of that element type."""
    return dtype in _TYPES


def spec_of(document: Dict[str, Any]) -> Spec:
    """Return a tensor's description from the package's. Raises StartError for a type that no file can hold."""
    if not is_storable(document["dtype"]):
        raise StartError(f"{document['name']!r} has the type {document['dtype']}, which cannot be exchanged here", "")
    return Spec(document["name"], document["dtype"], tuple(document["shape"]))


def read_arrays(path: Path) -> Dict[str, Stored]:
    """Return the arrays of an .npz file by name, or that of an .npy file under "". Raises UsageError."""
    try:
        if path.suffix == ".npy":
            return {"": _parse(path.read_bytes(), path.name)}
        with zipfile.ZipFile(str(path)) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            return {name[: -len(".npy")]: _parse(archive.read(name), f"{path.name}: {name}") for name in names}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}", "Give a .npz or .npy file.") from error
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise UsageError(f"{path} is no .npz file: {error}", "Give a .npz or .npy file.") from error


def _parse(data: bytes, what: str) -> Stored:
    """Read the format of .npy files, as numpy's documentation of `numpy.lib.format` describes it."""
    try:
        if data[:6] != _MAGIC or data[6] not in (1, 2, 3):
            raise ValueError("it is no .npy file")
        width = 2 if data[6] == 1 else 4
        begin = 8 + width + int.from_bytes(data[8 : 8 + width], "little")
        header = ast.literal_eval(data[8 + width : begin].decode("utf-8" if data[6] == 3 else "latin-1"))
        descr, shape = str(header["descr"]), tuple(int(extent) for extent in header["shape"])
        if header["fortran_order"] and len(shape) > 1:
            raise ValueError("it is stored column by column: save numpy.ascontiguousarray(it) instead")
        return Stored(descr, shape, memoryview(data)[begin:])
    except (ValueError, KeyError, IndexError, SyntaxError, TypeError) as error:
        raise UsageError(f"{what} cannot be read: {error}", "Save it with numpy.save or numpy.savez.") from error


def read_frames(paths: Sequence[Path], inputs: Sequence[Spec]) -> List[Tuple[str, List[memoryview]]]:
    """Return what to run: for each frame its name and the bytes of the inputs, in their order. Raises UsageError.

    An array with one more dimension than its input, or with more rows where the input has 1, holds several frames.
    """
    frames: List[Tuple[str, List[memoryview]]] = []
    for path in paths:
        stored = read_arrays(path)
        columns = [list(_slices(_find(stored, spec, path, len(inputs)), spec, path)) for spec in inputs]
        if len({len(column) for column in columns}) > 1:
            raise UsageError(f"{path.name} holds different numbers of frames for the inputs", "Give as many of each.")
        rows = list(zip(*columns))  # noqa: B905 - `strict` is newer than 3.8; the lengths were compared
        frames += [(path.name if len(rows) == 1 else f"{path.name}[{i}]", list(row)) for i, row in enumerate(rows)]
    return frames


def _find(stored: Dict[str, Stored], spec: Spec, path: Path, inputs: int) -> Stored:
    for name in (spec.name, "in:" + spec.name):
        if name in stored:
            return stored[name]
    if inputs == 1 and len(stored) == 1:
        return next(iter(stored.values()))
    held = ", ".join(repr(name) for name in list(stored)[:6])
    raise UsageError(f"{path.name} does not hold the input {spec.name!r}; it holds {held or 'nothing'}", "Name it so.")


def _slices(found: Stored, spec: Spec, path: Path) -> Iterator[memoryview]:
    if found.descr != _TYPES[spec.dtype][0]:
        raise UsageError(
            f"{path.name}: the input {spec.name!r} is of type {found.descr}; the network takes {spec.dtype}",
            f"Convert it with .astype('{spec.dtype}').",
        )
    shape, size = found.shape, spec.size_bytes
    rows = spec.shape[:1] == (1,)
    if shape == spec.shape or (rows and shape == spec.shape[1:]):
        count = 1
    elif shape[1:] == spec.shape or (rows and shape[1:] == spec.shape[1:]):
        count = shape[0]
    else:
        raise UsageError(
            f"{path.name}: the input {spec.name!r} has the shape {list(shape)}; the network takes {list(spec.shape)}",
            "Give that shape, or several such frames along a new first axis.",
        )
    if found.data.nbytes != count * size:
        raise UsageError(
            f"{path.name} is damaged: it has {found.data.nbytes} bytes of {count * size}", "Save it again."
        )
    for number in range(count):
        yield found.data[number * size : (number + 1) * size]


def npy_header(spec: Spec) -> bytes:
    """Return what stands before a tensor's bytes in an .npy file."""
    text = f"{{'descr': '{_TYPES[spec.dtype][0]}', 'fortran_order': False, 'shape': {spec.shape!r}, }}"
    padding = -(10 + len(text) + 1) % 64
    header = text.encode("latin-1") + b" " * padding + b"\n"
    return _MAGIC + b"\x01\x00" + struct.pack("<H", len(header)) + header


def difference(found: memoryview, expected: memoryview, dtype: str) -> float:
    """Return max|found - expected| / max|expected| over finite elements; infinite where the others are not the same."""
    if found.nbytes != expected.nbytes:
        return math.inf
    if found == expected:
        return 0.0
    worst = scale = 0.0
    for a, b in zip(_values(found, dtype), _values(expected, dtype)):  # noqa: B905 - as above
        if math.isfinite(b):
            # A comparison with a number that is none is always false.
            worst = abs(a - b) if abs(a - b) > worst or not math.isfinite(a) else worst
            scale = max(scale, abs(b))
            if not math.isfinite(worst):
                return math.inf
        elif not (a == b or (math.isnan(a) and math.isnan(b))):
            return math.inf
    return worst / scale if scale > 0 else (math.inf if worst > 0 else 0.0)


def share_of_others(found: memoryview, expected: memoryview, dtype: str) -> float:
    """Return which share of whole numbers are others; 1 of what is no whole number, or of another size."""
    if found.nbytes != expected.nbytes or not dtype.startswith(("int", "uint", "bool")) or not expected.nbytes:
        return 1.0
    pairs = list(zip(_values(found, dtype), _values(expected, dtype)))  # noqa: B905 - as above
    return sum(a != b for a, b in pairs) / len(pairs)


def _values(data: memoryview, dtype: str) -> Sequence[float]:
    letter = _TYPES[dtype][1]
    if letter == "e":
        return struct.unpack(f"<{data.nbytes // 2}e", data)
    values = array(letter)
    values.frombytes(data)
    return values
