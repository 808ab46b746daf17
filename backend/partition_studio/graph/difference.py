"""The one measure of how much two tensors differ, and how much they may.

The measure is `max|part - whole| / max|whole|` for each tensor: relative to the tensor's largest value, because an
element near zero has no meaningful relative error of its own.
"""

from typing import Any

import numpy as np

#: Largest allowed relative difference of the same layers computed otherwise, by element type. ONNX Runtime's CPU
#: computes float16 layers in float32 and rounds where layers are not fused: some units of float16's precision.
TOLERANCES = {"float64": 1e-9, "float32": 1e-5, "float16": 1e-2}


def difference(part: np.ndarray[Any, Any], whole: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Return max|part - whole|, and that divided by max|whole| over finite elements.

    Both are infinite where shapes or dtypes differ, or where an element that is not finite differs. Where the whole
    is all zeros, any difference is infinitely large in proportion.
    """
    if part.shape != whole.shape or part.dtype != whole.dtype:
        return float("inf"), float("inf")
    if part.size == 0 or np.array_equal(part, whole, equal_nan=whole.dtype.kind == "f"):
        return 0.0, 0.0
    finite = np.isfinite(whole)
    if not np.array_equal(np.isfinite(part), finite):
        return float("inf"), float("inf")
    if not np.array_equal(part[~finite], whole[~finite], equal_nan=whole.dtype.kind == "f"):
        return float("inf"), float("inf")
    a, b = part[finite].astype(np.float64), whole[finite].astype(np.float64)
    max_abs = float(np.abs(a - b).max(initial=0.0))
    scale = float(np.abs(b).max(initial=0.0))
    if max_abs == 0.0:
        return 0.0, 0.0
    return max_abs, max_abs / scale if scale > 0 else float("inf")
