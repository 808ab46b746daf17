"""Hypervolumes of fronts of three objectives, each smaller the better."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float, float]


def undominated(points: Iterable[Point]) -> list[Point]:
    """Return the points that no other is at least as good as in everything."""
    kept: list[Point] = []
    # Sorted, so that none is dominated by a later one.
    for point in sorted(set(points)):
        if not any(all(a <= b for a, b in zip(other, point, strict=True)) for other in kept):
            kept.append(point)
    return kept


def hypervolume(points: NDArray[np.float64]) -> float:
    """Return the volume below (1, 1, 1) that points in three dimensions dominate, each smaller the better.

    Swept along the third coordinate: between two of its values the area that the first two dominate stays the same.
    """
    inside = points[(points < 1).all(axis=1)]
    inside = inside[inside[:, 2].argsort(kind="stable")]
    levels = [*inside[:, 2], 1.0]
    layers = enumerate(pairwise(levels))
    return float(sum(_area(inside[: place + 1, :2]) * (above - below) for place, (below, above) in layers))


def _area(points: NDArray[np.float64]) -> float:
    """Return the area below (1, 1) that points dominate."""
    area, lowest = 0.0, 1.0
    for x, y in points[np.lexsort((points[:, 1], points[:, 0]))]:
        if y < lowest:
            area += (1 - x) * (lowest - y)
            lowest = float(y)
    return float(area)
