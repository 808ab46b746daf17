"""Labelled frames, to measure how often a network is right: a .npz file of arrays, or folders of images by class."""

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from partition_studio.errors import FrameInputError
from partition_studio.graph.frames import IMAGE_ENDINGS, TENSOR_ENDINGS, Frame, Preprocessing, read_frame
from partition_studio.graph.network import TensorType

Array = np.ndarray[Any, Any]

#: No labelled set is larger once it is unpacked.
MAX_LABELLED_BYTES = 4 * 2**30


class LabelledSetError(FrameInputError):
    """A labelled set cannot be read, or does not fit the network."""

    code = "bad_labelled_set"
    next_step = (
        "Give a .npz file with the arrays `x` (or one for each input, under its name) and `y` (whole numbers), "
        "or a folder with one folder of images for each class."
    )


class LabelledSet(Protocol):
    """Frames with the class that each shows, a number from 0."""

    @property
    def labels(self) -> tuple[int, ...]:
        """The class of each frame."""

    def frame(self, index: int) -> Frame:
        """Return one frame. Raises FrameInputError leaves."""


def read_labelled(
    path: Path, inputs: Mapping[str, TensorType], preprocessing: Preprocessing | None = None
) -> LabelledSet:
    """Open a labelled set for a network with these inputs.

    Folders whose names are all whole numbers are those classes; otherwise the folders' names in order are class 0, 1
    and so on. Raises LabelledSetError.
    """
    if path.is_dir():
        return _read_folder(path, inputs, preprocessing)
    if path.suffix.lower() == ".npz":
        return _read_arrays(path, inputs)
    raise LabelledSetError(f"{path} is neither a folder nor a .npz file.", file=path.name)


@dataclass(frozen=True, slots=True, eq=False)
class _Arrays:
    labels: tuple[int, ...]
    arrays: Mapping[str, Array]
    inputs: Mapping[str, TensorType]

    def frame(self, index: int) -> Frame:
        return {key: self.arrays[key][index].reshape(kind.shape) for key, kind in self.inputs.items()}


@dataclass(frozen=True, slots=True, eq=False)
class _Files:
    labels: tuple[int, ...]
    files: tuple[Path, ...]
    inputs: Mapping[str, TensorType]
    preprocessing: Preprocessing | None

    def frame(self, index: int) -> Frame:
        file = self.files[index]
        try:
            return read_frame(file.read_bytes(), file.name, self.inputs, self.preprocessing)
        except OSError as error:
            raise LabelledSetError(f"{file} cannot be read: {error.strerror}.", file=file.name) from error


def _read_arrays(path: Path, inputs: Mapping[str, TensorType]) -> LabelledSet:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_LABELLED_BYTES:
                raise LabelledSetError(f"{path.name} unpacks to more than {MAX_LABELLED_BYTES} bytes.", file=path.name)
        with np.load(path, allow_pickle=False) as stored:
            held = {key: stored[key] for key in stored.files}
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, KeyError, NotImplementedError) as error:
        raise LabelledSetError(f"{path.name} is not a readable .npz file: {error}.", file=path.name) from error
    if "y" not in held:
        raise LabelledSetError(f"{path.name} lacks the array `y` of labels.", file=path.name)
    labels = held["y"]
    if labels.ndim != 1 or labels.size == 0 or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise LabelledSetError(
            f"{path.name}: `y` must hold one whole number from 0 for each frame, at least one.", file=path.name
        )
    arrays = {}
    for key, kind in inputs.items():
        array = held.get(key, held.get("x") if len(inputs) == 1 else None)
        if array is None:
            raise LabelledSetError(f"{path.name} lacks an array for the input {key!r}.", file=path.name)
        arrays[key] = _checked(array, key, kind, len(labels), path.name)
    return _Arrays(tuple(labels.tolist()), arrays, inputs)


def _checked(array: Array, key: str, kind: TensorType, count: int, name: str) -> Array:
    """Return the array if it holds `count` frames; a batch dimension of 1 may be left out of each."""
    shapes = [(count, *kind.shape)] + ([(count, *kind.shape[1:])] if kind.shape[:1] == (1,) else [])
    if array.shape not in shapes:
        raise LabelledSetError(
            f"{name}: the array for the input {key!r} has the shape {list(array.shape)}; {count} frames of the network "
            f"have {list(shapes[-1])}.",
            file=name,
            tensor=key,
        )
    if array.dtype.newbyteorder("=") != np.dtype(kind.dtype):
        raise LabelledSetError(
            f"{name}: the array for the input {key!r} has the element type {array.dtype}; the network takes "
            f"{kind.dtype}.",
            file=name,
            tensor=key,
        )
    return np.ascontiguousarray(array, dtype=kind.dtype)


def _read_folder(path: Path, inputs: Mapping[str, TensorType], preprocessing: Preprocessing | None) -> LabelledSet:
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    numbered = bool(folders) and all(folder.name.isdecimal() for folder in folders)
    found = [
        (file, int(folder.name) if numbered else place)
        for place, folder in enumerate(folders)
        for file in _frames_in(folder)
    ]
    if not found:
        raise LabelledSetError(f"{path} holds no folder with images.", file=path.name)
    return _Files(tuple(label for _, label in found), tuple(file for file, _ in found), inputs, preprocessing)


def _frames_in(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.suffix.lower() in (*IMAGE_ENDINGS, *TENSOR_ENDINGS):
            yield file
