"""What the weights of a layer hold."""

from partition_studio.schemas.base import Schema


class WeightOut(Schema):
    """A constant that a layer reads."""

    name: str
    dtype: str
    shape: list[int]
    elements: int
    size_bytes: int


class WeightHistogramOut(Schema):
    """Counts of finite values: bin `i` is `[edges[i], edges[i + 1])`, the last one with its end."""

    edges: list[float]
    counts: list[int]


class WeightSlicesOut(Schema):
    """The range of each slice along the first axis (of a convolution: each filter); none if nothing is finite."""

    minimum: list[float | None]
    maximum: list[float | None]


class WeightFiguresOut(Schema):
    """What a weight holds; minimum, maximum, mean and deviation are of its finite values."""

    looked_at: int
    """Elements that were read: of a very large weight, pieces that are spread evenly over it."""
    zeros: int
    not_numbers: int
    infinite: int
    minimum: float | None
    maximum: float | None
    mean: float | None
    std: float | None
    histogram: WeightHistogramOut | None
    slices: WeightSlicesOut | None
    """Left out for vectors, very many slices, and where not all was read."""
