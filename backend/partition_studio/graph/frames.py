"""Reads what a person wants to run: tensors (.npz, .npy, .pb) and images, checked against the network's inputs."""

import io
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from PIL import Image

from partition_studio.errors import FrameInputError
from partition_studio.graph.network import TensorType
from partition_studio.graph.protobuf import DecodeError

Frame = dict[str, np.ndarray[Any, Any]]

#: No frame file is larger, packed or unpacked, and no image has more pixels.
MAX_FRAME_BYTES = 512 * 2**20
MAX_IMAGE_PIXELS = 64 * 10**6

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
TENSOR_ENDINGS = (".npz", ".npy", ".pb")


class UnknownFrameFormatError(FrameInputError):
    """The file's ending names no format that can be read."""

    code = "unknown_frame_format"
    next_step = "Give a .npz, .npy or .pb file, or an image (.png, .jpg, .webp, .bmp)."


class UnreadableFrameError(FrameInputError):
    """The file is not what its ending says, is damaged, or is too large."""

    code = "unreadable_frame"
    next_step = "Give another file."


class NotAnImageError(FrameInputError):
    """The file is no image that can be read."""

    code = "not_an_image"
    next_step = "Give a PNG, JPEG, WebP or BMP image."


class ImageNotSuitableError(FrameInputError):
    """The network does not take one image."""

    code = "image_not_suitable"
    next_step = "Give the network's inputs as arrays in a .npz file."


class WrongShapeError(FrameInputError):
    """A tensor has another shape than the network's input."""

    code = "wrong_input_shape"


class WrongDtypeError(FrameInputError):
    """A tensor has another element type than the network's input."""

    code = "wrong_input_dtype"


class MissingInputError(FrameInputError):
    """The file lacks one of the network's inputs, or does not say which one it holds."""

    code = "missing_input"
    next_step = "Give every input of the network under its name (see `partition-studio model show`)."


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How pixels become an input: `(pixel * scale - mean) / std`, for each channel in `channel_order`.

    Pixels are 0 to 255. `mean` and `std` hold one value for all channels, or one for each.
    """

    channel_order: Literal["rgb", "bgr"] = "rgb"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


def read_frame(
    data: bytes, filename: str, inputs: Mapping[str, TensorType], preprocessing: Preprocessing | None = None
) -> Frame:
    """Read one frame: an array for each of `inputs`, of exactly its type.

    In a .npz file an array is called after its input, `NAME` or `in:NAME`; others are ignored. A file with a single
    array may call it anything when the network has one input, and so may .npy and .pb. A batch dimension of 1 that
    is missing is added. Raises FrameInputError leaves that name the file and the input.
    """
    name = PurePath(filename).name
    ending = PurePath(filename).suffix.lower()
    if len(data) > MAX_FRAME_BYTES:
        raise UnreadableFrameError(f"{name} is larger than {MAX_FRAME_BYTES} bytes.", file=name)
    if ending in IMAGE_ENDINGS:
        return _image_frame(data, name, inputs, preprocessing or Preprocessing())
    if ending == ".npz":
        arrays = _read_npz(data, name)
    elif ending == ".npy":
        arrays = {"": _read_npy(data, name)}
    elif ending == ".pb":
        arrays = _read_protobuf(data, name)
    else:
        raise UnknownFrameFormatError(f"{name}: files that end in {ending!r} cannot be read as input.", file=name)
    return _match(arrays, name, inputs)


def merge_frames(frames: list[tuple[str, bytes]], inputs: Mapping[str, TensorType]) -> Frame:
    """Read one frame from several .pb or .npy files, one for each input: by its stored name, else in order."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    free = list(inputs)
    for filename, data in frames:
        name = PurePath(filename).name
        one = {"": _read_npy(data, name)} if name.lower().endswith(".npy") else _read_protobuf(data, name)
        for stored, array in one.items():
            if not free:
                raise MissingInputError(f"{name} is one input too many: the network has {len(inputs)}.", file=name)
            target = stored if stored in free else free[0]
            free.remove(target)
            arrays[target] = array
    return _match(arrays, PurePath(frames[0][0]).name if frames else "the input", inputs)


def random_frame(inputs: Mapping[str, TensorType], seed: int) -> Frame:
    """Return a frame of seeded values: for floats normal, for whole numbers 0 to 7.

    Floats of three dimensions and more are like an image in that they vary from place to place and from channel to
    channel: of plain noise every network sees the same average, so that two frames would hardly differ in its output.
    """
    generator = np.random.default_rng(seed)
    frame: Frame = {}
    for name, kind in inputs.items():
        dtype = np.dtype(kind.dtype)
        if dtype.kind == "f":
            frame[name] = _image_like(generator, kind.shape).astype(dtype)
        elif dtype.kind == "b":
            frame[name] = generator.integers(0, 2, kind.shape).astype(dtype)
        else:
            frame[name] = generator.integers(0, 8, kind.shape).astype(dtype)
    return frame


def _image_like(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    values = generator.standard_normal(shape)
    if len(shape) < 3:
        return values
    height, width = shape[-2:]
    coarse = generator.standard_normal((*shape[:-2], min(height, 6), min(width, 6)))
    rows = np.arange(height) * coarse.shape[-2] // max(height, 1)
    columns = np.arange(width) * coarse.shape[-1] // max(width, 1)
    channels = generator.standard_normal((*shape[:-2], 1, 1))
    return np.asarray((0.5 * values + coarse[..., rows[:, None], columns] + channels) / 1.5)


def _read_npz(data: bytes, name: str) -> Frame:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_FRAME_BYTES:
                raise UnreadableFrameError(f"{name} unpacks to more than {MAX_FRAME_BYTES} bytes.", file=name)
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, KeyError, NotImplementedError) as error:
        raise UnreadableFrameError(f"{name} is not a readable .npz file: {error}.", file=name) from error


def _read_npy(data: bytes, name: str) -> np.ndarray[Any, Any]:
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UnreadableFrameError(f"{name} is not a readable .npy file: {error}.", file=name) from error
    if not isinstance(array, np.ndarray):
        raise UnreadableFrameError(f"{name} is not a .npy file.", file=name)
    return array


def _read_protobuf(data: bytes, name: str) -> Frame:
    tensor = TensorProto()
    try:
        tensor.ParseFromString(data)
        if tensor.data_location == TensorProto.EXTERNAL:
            raise UnreadableFrameError(f"{name} keeps its data in another file.", file=name)
        return {tensor.name: numpy_helper.to_array(tensor)}
    except (DecodeError, ValueError, TypeError, KeyError, onnx.checker.ValidationError) as error:
        raise UnreadableFrameError(f"{name} is not an ONNX tensor: {error}.", file=name) from error


def _match(arrays: Frame, name: str, inputs: Mapping[str, TensorType]) -> Frame:
    frame: Frame = {}
    for key, kind in inputs.items():
        array = arrays.get(key, arrays.get(f"in:{key}"))
        if array is None and len(inputs) == 1 and len(arrays) == 1:
            array = next(iter(arrays.values()))
        if array is None:
            held = ", ".join(repr(other) for other in list(arrays)[:8])
            raise MissingInputError(
                f"{name} does not hold the input {key!r}" + (f"; it holds {held}." if held else "."),
                file=name,
                tensor=key,
            )
        frame[key] = _checked(array, name, key, kind)
    return frame


def _checked(array: np.ndarray[Any, Any], name: str, key: str, kind: TensorType) -> np.ndarray[Any, Any]:
    if kind.shape[:1] == (1,) and array.shape == kind.shape[1:]:
        array = array[None]
    if array.shape != kind.shape:
        raise WrongShapeError(
            f"{name}: the input {key!r} has the shape {list(array.shape)}; the network takes {list(kind.shape)}.",
            file=name,
            tensor=key,
        )
    if array.dtype.newbyteorder("=") != np.dtype(kind.dtype):
        raise WrongDtypeError(
            f"{name}: the input {key!r} has the element type {array.dtype}; the network takes {kind.dtype}.",
            file=name,
            tensor=key,
        )
    return np.ascontiguousarray(array, dtype=kind.dtype).reshape(kind.shape)


def _image_frame(data: bytes, name: str, inputs: Mapping[str, TensorType], preprocessing: Preprocessing) -> Frame:
    if len(inputs) != 1:
        raise ImageNotSuitableError(f"{name} is one image; the network has {len(inputs)} inputs.", file=name)
    key, kind = next(iter(inputs.items()))
    if len(kind.shape) != 4 or kind.shape[0] != 1 or kind.shape[1] not in (1, 3):
        raise ImageNotSuitableError(
            f"{name} is an image; the input {key!r} of shape {list(kind.shape)} takes none (1 x 1 or 3 x H x W).",
            file=name,
            tensor=key,
        )
    _, channels, height, width = kind.shape
    pixels = np.asarray(_open_image(data, name, "L" if channels == 1 else "RGB", (width, height)), dtype=np.float32)
    planes = pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
    if preprocessing.channel_order == "bgr":
        planes = planes[::-1]
    mean = _for_channels(preprocessing.mean, channels, "mean")
    std = _for_channels(preprocessing.std, channels, "std")
    values = (planes * np.float32(preprocessing.scale) - mean) / std
    dtype = np.dtype(kind.dtype)
    if dtype.kind != "f":
        limits = np.iinfo(dtype) if dtype.kind in "iu" else None
        values = np.clip(np.rint(values), limits.min if limits else 0, limits.max if limits else 1)
    return {key: np.ascontiguousarray(values[None].astype(dtype))}


def _for_channels(values: tuple[float, ...], channels: int, what: str) -> np.ndarray[Any, Any]:
    if len(values) not in (1, channels):
        raise FrameInputError(f"The preprocessing has {len(values)} values of {what} for {channels} channels.")
    if what == "std" and 0.0 in values:
        raise FrameInputError("The preprocessing divides by a std of 0.")
    return np.array(values, dtype=np.float32).reshape(-1, 1, 1)


def _open_image(data: bytes, name: str, mode: str, size: tuple[int, int]) -> Image.Image:
    """Decode, turn to the network's colours and size. Large images are refused before they are decoded."""
    try:
        with warnings.catch_warnings():
            # Our own limit below is the stricter one and gives the better sentence.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "WEBP", "BMP"]) as image:
                if image.width * image.height > MAX_IMAGE_PIXELS:
                    raise UnreadableFrameError(
                        f"{name} has {image.width} x {image.height} pixels; the limit is {MAX_IMAGE_PIXELS}.", file=name
                    )
                converted = image.convert(mode)
                return converted if converted.size == size else converted.resize(size, Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = re.sub(r"<_io\.BytesIO object at 0x[0-9a-f]+>", name, str(error))
        raise NotAnImageError(f"{name} is not a readable image: {reason}.", file=name) from error
