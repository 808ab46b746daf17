"""AutoDiCE's horizontal file, `{layer: [mode, [numbers], [device, ...]]}`, and the shardings that say the same."""

from collections.abc import Mapping, Sequence
from typing import Any

from partition_studio.graph.network import Layer, Network
from partition_studio.partition.draft import Draft
from partition_studio.partition.formats.autodice_names import AutodiceError
from partition_studio.partition.formats.imported import NAME_LENGTH, shown
from partition_studio.partition.partition import apply_sharding
from partition_studio.partition.plan import (
    MAX_PARTS,
    MIN_PARTS,
    InputChannelSharding,
    OutputChannelSharding,
    Sharding,
    SpatialSharding,
)

#: Of each mode: what its numbers count.
MODES: Mapping[str, str] = {
    "lop": "output channels",
    "lip": "input channels",
    "height": "rows",
    "width": "columns",
}

#: Products: their channels are on the last axis.
_PRODUCTS = {"Gemm", "MatMul", "MatMulInteger", "QLinearMatMul", "QGemm"}

_CUMULATIVE = " Those of `lop` are cumulative ends, not sizes: [48, 64] gives 48 and 16."

_FORM = '["lop", [48, 65535], ["host1", "host2"]]'


def read_entry(network: Network, layer: Layer, name: str, entry: Any, places: Mapping[str, str]) -> Sharding:
    """Return the sharding of one layer. `name` is AutoDiCE's; `places` gives the plan's name for a mapping key.

    Raises AutodiceError, which names the layer.
    """
    mode, numbers, keys = _take_apart(name, entry)
    unknown = [key for key in keys if key not in places]
    if unknown:
        raise AutodiceError(
            f"The horizontal file gives a part of {name!r} to {shown(unknown[0])}, which the mapping does not have.",
            layer=layer.name,
            host=unknown[0][:NAME_LENGTH],
        )
    if mode == "lip" and _groups(network, layer) > 1:
        raise AutodiceError(
            f"{name!r} is a grouped convolution: `lip` would divide every group for itself, which a plan cannot say.",
            next_step="Divide it by `lop`, `height` or `width`.",
            layer=layer.name,
        )
    sizes: list[float] = list(_sizes(name, mode, numbers, _total(network, layer, mode, name), keys))
    devices = [places[key] for key in keys]
    match mode:
        case "lop":
            return OutputChannelSharding(layers=[layer.name], devices=devices, unit="size", shares=sizes)
        case "lip":
            return InputChannelSharding(layers=[layer.name], devices=devices, unit="size", shares=sizes)
        case "height":
            return SpatialSharding(layers=[layer.name], devices=devices, unit="size", rows=sizes, columns=[1.0])
        case _:
            return SpatialSharding(layers=[layer.name], devices=devices, unit="size", rows=[1.0], columns=sizes)


def _take_apart(name: str, entry: Any) -> tuple[str, list[int], list[str]]:
    if not isinstance(entry, list) or len(entry) != 3:
        raise AutodiceError(f"The horizontal file's entry {name!r} must be as in `{_FORM}`.", layer=name)
    mode, numbers, keys = entry
    if not isinstance(mode, str) or mode not in MODES:
        raise AutodiceError(
            f"The horizontal file divides {name!r} by {shown(mode)}; it can be {_or(list(MODES))}.", layer=name
        )
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise AutodiceError(f"The devices of {name!r} in the horizontal file must be a list of names.", layer=name)
    if not isinstance(numbers, list) or not all(type(n) is int and n > 0 for n in numbers):
        raise AutodiceError(
            f"The numbers of {name!r} in the horizontal file must be a list of whole numbers above 0.", layer=name
        )
    if len(numbers) != len(keys):
        raise AutodiceError(
            f"The horizontal file gives {name!r} {len(numbers)} numbers for {len(keys)} devices.", layer=name
        )
    if not MIN_PARTS <= len(keys) <= MAX_PARTS:
        raise AutodiceError(
            f"The horizontal file divides {name!r} into {len(keys)}; it can be {MIN_PARTS} to {MAX_PARTS} parts.",
            layer=name,
        )
    return mode, numbers, keys


def _or(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words[:-1]) + f" or `{words[-1]}`"


def _sizes(name: str, mode: str, numbers: list[int], total: int, keys: list[str]) -> list[int]:
    """Return the size of each part, of numbers that are cumulative ends (`lop`) or sizes; beyond the size: the rest."""
    what = MODES[mode].removesuffix("s") if total == 1 else MODES[mode]
    sizes: list[int] = []
    given = 0
    for number, key in zip(numbers, keys, strict=True):
        left = total - given
        size = number - given if mode == "lop" else number
        if number > total:
            size = left
        if size < 1 or size > left or (size == left and len(sizes) < len(numbers) - 1):
            raise AutodiceError(
                f"The numbers {numbers} do not divide {name!r}, which has {total} {what}: "
                + (f"{key!r} would get none." if size < 1 else f"after {key!r} nothing is left.")
                + (_CUMULATIVE if mode == "lop" and size < 1 else ""),
                layer=name,
            )
        sizes.append(size)
        given += size
    if given < total:
        raise AutodiceError(
            f"The numbers {numbers} give away {given} of the {total} {what} of {name!r}; the last one must be "
            f"{total if mode == 'lop' else total - given + sizes[-1]}, or 65535 for the rest.",
            layer=name,
        )
    return sizes


def _total(network: Network, layer: Layer, mode: str, name: str) -> int:
    """Return how many output or input channels, rows or columns a layer has."""
    product = layer.op_type in _PRODUCTS
    shape = layer.output_shapes[0]
    axis = {"lop": 1, "lip": 1, "height": 2, "width": 3}[mode]
    if mode == "lip":
        shape = _input_shape(network, layer)
    if product and mode in ("lop", "lip"):
        axis = len(shape) - 1
    if axis >= len(shape):
        raise AutodiceError(
            f"{name!r} cannot be divided by `{mode}`: its shape {list(shape)} has no {MODES[mode]}.", layer=layer.name
        )
    return shape[axis]


def _input_shape(network: Network, layer: Layer) -> tuple[int, ...]:
    first = network.nodes_by_layer[layer.name].input[0]
    return network.tensors[first].shape if first in network.tensors else ()


def _groups(network: Network, layer: Layer) -> int:
    return next((a.i for a in network.nodes_by_layer[layer.name].attribute if a.name == "group"), 1)


def entry_of(network: Network, sharding: Sharding) -> tuple[str, list[int]]:
    """Return mode and numbers of a sharding of one layer. Raises AutodiceError for what the file cannot say."""
    layer = network.layer(sharding.layers[0])
    mode, given = _mode_of(sharding, layer)
    if mode == "lip" and _groups(network, layer) > 1:
        raise unsayable(layer.name, "`lip` of a grouped convolution means another division there")
    if sharding.unit == "size" and given:
        sizes = [int(number) for number in given]
    else:
        sizes = _sizes_of_parts(network, layer, sharding, mode)
    if mode == "lop":
        return mode, [sum(sizes[: index + 1]) for index in range(len(sizes))]
    return mode, sizes


def _mode_of(sharding: Sharding, layer: Layer) -> tuple[str, Sequence[float]]:
    match sharding:
        case OutputChannelSharding():
            return "lop", sharding.shares
        case InputChannelSharding():
            return "lip", sharding.shares
        case SpatialSharding() if len(sharding.columns) == 1:
            return "height", sharding.rows
        case SpatialSharding() if len(sharding.rows) == 1:
            return "width", sharding.columns
        case SpatialSharding():
            raise unsayable(layer.name, "it is divided into rows and columns at once")
        case _:
            raise unsayable(layer.name, "its tiles are independent of each other")


def _sizes_of_parts(network: Network, layer: Layer, sharding: Sharding, mode: str) -> list[int]:
    """Return the sizes that shares come to: those of the parts' tensors, as the strategy makes them."""
    draft = Draft(network)
    apply_sharding(draft, sharding)
    axis = {"lop": 1, "lip": 1, "height": 2, "width": 3}[mode]
    if mode in ("lop", "lip") and layer.op_type in _PRODUCTS:
        axis = -1
    sizes = []
    for index in range(len(sharding.devices)):
        part = draft.nodes.get(f"{layer.name}#{index}")
        tensor = f"{layer.outputs[0]}#{index}" if mode != "lip" else part.input[0] if part is not None else ""
        if tensor not in draft.types:
            raise unsayable(layer.name, "its parts have no sizes of their own")
        sizes.append(draft.shape(tensor)[axis])
    return sizes


def unsayable(layer: str, reason: str) -> AutodiceError:
    """Return the error for a division that the horizontal file has no words for."""
    return AutodiceError(
        f"AutoDiCE's files cannot say how the layer {layer!r} is divided: {reason}.",
        next_step="Divide single layers by channels, rows or columns, or keep the plan in its own format.",
        layer=layer,
    )
