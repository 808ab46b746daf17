"""Where points of a front may still lie: search zones by their local upper bounds.

A *zone* is the set of points below its corner in every direction. With no points there is one, without limit. Each
point splits the zones that it lies in: into one for each direction, whose corner ends at the point there (Klamroth,
Lacour, Vanderpooten, "On the representation of the search region in multi-objective optimization", EJOR 2015,
section 3). Every point that is not dominated by those found, and equals none, lies in some zone.
"""

import math
from collections.abc import Sequence

#: Costs by direction; smaller is better.
Point = tuple[float, ...]


def is_below(point: Point, corner: Point) -> bool:
    """Return whether a point lies in the zone of a corner."""
    return all(p < c for p, c in zip(point, corner, strict=True))


def dominates(one: Point, other: Point) -> bool:
    """Return whether a point is nowhere worse than another, and somewhere better."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


class Zones:
    """The zones that are left, and the points that they were split by."""

    def __init__(self, directions: int) -> None:
        self.corners: list[Point] = [(math.inf,) * directions]
        self.points: list[Point] = []

    def split(self, point: Point) -> None:
        """Take a point of the front."""
        self.points.append(point)
        inside = [corner for corner in self.corners if is_below(point, corner)]
        made = [
            (*corner[:direction], point[direction], *corner[direction + 1 :])
            for corner in inside
            for direction in range(len(point))
        ]
        left = [corner for corner in self.corners if corner not in inside]
        self.corners = left + [
            corner
            for index, corner in enumerate(made)
            if not any(_covers(other, corner) for other in left)
            and not any(_covers(o, corner) and (o != corner or i < index) for i, o in enumerate(made) if i != index)
        ]

    def close(self, corner: Point) -> None:
        """Take that there is no point in a zone, nor in any that lies in it."""
        self.corners = [other for other in self.corners if not _covers(corner, other)]

    def largest(self) -> Point:
        """Return the corner of the zone with the most room, between the least and the most of the points."""
        if not self.points:
            return self.corners[0]
        least = [min(values) for values in zip(*self.points, strict=True)]
        most = [max(values) for values in zip(*self.points, strict=True)]
        return max(self.corners, key=lambda corner: _room(corner, least, most))


def _covers(one: Point, other: Point) -> bool:
    return all(a >= b for a, b in zip(one, other, strict=True))


def _room(corner: Point, least: Sequence[float], most: Sequence[float]) -> float:
    """Return the share of the points' range that a zone takes; a little is left of it beyond the range's ends."""
    sides = (
        (min(c, high) - low) / (high - low) if high > low else 1.0
        for c, low, high in zip(corner, least, most, strict=True)
    )
    return math.prod(max(side, 1e-3) for side in sides)
