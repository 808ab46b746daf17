"""Networks of one layer, for tables of tests."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .tiles import Builder

Make = Callable[[], Builder]


def conv(kernel: Sequence[int], shape: Sequence[int] = (1, 4, 13, 14), opset: int = 17, **attributes: Any) -> Make:
    def make() -> Builder:
        b = Builder(shape, opset=opset)
        b.conv(None, shape[1], 4, kernel, **attributes)
        return b

    return make


def transposed(kernel: Sequence[int], shape: Sequence[int] = (1, 4, 9, 10), **attributes: Any) -> Make:
    def make() -> Builder:
        b = Builder(shape)
        b.add(
            "ConvTranspose",
            None,
            b.random(shape[1], 2, *kernel),
            b.random(2 * attributes.get("group", 1)),
            **attributes,
        )
        return b

    return make


def plain(operator: str, shape: Sequence[int] = (1, 4, 13, 14), opset: int = 17, **attributes: Any) -> Make:
    def make() -> Builder:
        b = Builder(shape, opset=opset)
        b.add(operator, **attributes)
        return b

    return make


def with_constants(
    operator: str, *arrays: Any, shape: Sequence[int] = (1, 4, 13, 14), opset: int = 17, **attributes: Any
) -> Make:
    def make() -> Builder:
        b = Builder(shape, opset=opset)
        names = ["" if a is None else b.const(a, np.asarray(a).dtype) for a in arrays]
        b.add(operator, None, *names, **attributes)
        return b

    return make


def f32(values: Any) -> Any:
    return np.asarray(values, np.float32)


def i64(*values: int) -> Any:
    return np.asarray(values, np.int64)
