"""Tensors for the tests of codecs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis.extra import numpy as arrays

Array = npt.NDArray[Any]

DTYPES = (
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
    "float16", "float32", "float64", "complex64", "complex128",
)  # fmt: skip
SHAPES = arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=9)


def relu(shape: tuple[int, ...], seed: int = 0, *, dtype: str = "float32", bias: float = 0.0) -> Array:
    """Make something like what a ReLU leaves: smooth, zero where it was negative."""
    generator = np.random.default_rng(seed)
    coarse = generator.standard_normal((*shape[:-2], -(-shape[-2] // 4), -(-shape[-1] // 4)))
    smooth = np.kron(coarse, np.ones((4, 4)))[..., : shape[-2], : shape[-1]]
    noisy: Array = np.maximum(smooth + 0.2 * generator.standard_normal(shape) + bias, 0).astype(dtype)
    return noisy
