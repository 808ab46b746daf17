"""Element types of tensors that may travel between devices: ONNX's numbers and numpy's names."""

import numpy as np
from onnx import TensorProto

#: ONNX element type to numpy's name. What is not here (strings, bfloat16, float8, int4 ...) may not cross a cut, as no
#: runtime takes or gives it from outside.
NUMPY_NAMES: dict[int, str] = {
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.DOUBLE: "float64",
    TensorProto.INT8: "int8",
    TensorProto.INT16: "int16",
    TensorProto.INT32: "int32",
    TensorProto.INT64: "int64",
    TensorProto.UINT8: "uint8",
    TensorProto.UINT16: "uint16",
    TensorProto.UINT32: "uint32",
    TensorProto.UINT64: "uint64",
    TensorProto.BOOL: "bool",
}

#: What a tensor within a stage may be.
INNER_NAMES: dict[int, str] = NUMPY_NAMES | {TensorProto.BFLOAT16: "bfloat16"}

INNER_NUMBERS: dict[str, int] = {name: number for number, name in INNER_NAMES.items()}

ONNX_TYPES: dict[str, int] = INNER_NUMBERS

#: Names of types that may cross a cut.
TRAVELLING = frozenset(NUMPY_NAMES.values())

_BITS = {"UNDEFINED": 0, "INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}


def item_bytes(dtype: str) -> int:
    """Return the size of one element of numpy's `dtype`."""
    return 2 if dtype == "bfloat16" else int(np.dtype(dtype).itemsize)


def onnx_type_name(number: int) -> str:
    """Return ONNX's own name of an element type, for messages."""
    try:
        return str(TensorProto.DataType.Name(number)).lower()
    except ValueError:
        return f"number {number}"


def element_bits(number: int) -> int:
    """Return the bits that one element of an ONNX type takes when stored; 0 where it has no fixed size."""
    if number in NUMPY_NAMES:
        return 8 * item_bytes(NUMPY_NAMES[number])
    name = onnx_type_name(number).upper()
    if name in _BITS:
        return _BITS[name]
    if name.startswith("FLOAT8"):
        return 8
    return {"BFLOAT16": 16, "COMPLEX64": 64, "COMPLEX128": 128}.get(name, 0)
