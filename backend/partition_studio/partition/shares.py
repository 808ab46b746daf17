"""From shares to intervals: how many rows, columns or channels each part gets."""

from collections.abc import Sequence
from typing import Literal

from partition_studio.partition.draft import ShardError


def intervals(
    total: int,
    numbers: Sequence[float],
    *,
    unit: Literal["share", "size"],
    what: str,
    layer: str,
    step: int = 1,
) -> list[tuple[int, int]]:
    """Return half-open intervals `[start, stop)` that cover `[0, total)` in order, one for each number.

    Shares are rounded to multiples of `step` (the last part takes what is left) by largest remainder, every part
    getting at least one step. `what` ("rows", "columns", "filters" ...) and `layer` are for messages. Raises
    ShardError when there are more parts than steps, or sizes do not sum to `total` or are no multiples of `step`.
    """
    steps = -(-total // step)
    if len(numbers) > steps:
        wide = f" in steps of {step}" if step > 1 else ""
        counted = f"1 {what.removesuffix('s')}: it" if total == 1 else f"{total} {what}{wide}: they"
        raise ShardError(
            f"The layer {layer!r} has {counted} cannot be divided into {len(numbers)} parts.",
            next_step=f"Divide it into at most {steps} parts." if steps > 1 else "Do not divide this layer that way.",
            layer=layer,
            most_parts=steps,
        )
    if unit == "size":
        return _exact(total, numbers, what, layer, step)
    counts = _largest_remainder(steps, numbers)
    ends = [min(sum(counts[: index + 1]) * step, total) for index in range(len(counts))]
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _exact(total: int, sizes: Sequence[float], what: str, layer: str, step: int) -> list[tuple[int, int]]:
    whole = [int(size) for size in sizes]
    if any(size != number for size, number in zip(whole, sizes, strict=True)):
        raise ShardError(f"The sizes for the layer {layer!r} must be whole numbers of {what}.", layer=layer)
    if sum(whole) != total:
        raise ShardError(
            f"The sizes for the layer {layer!r} sum to {sum(whole)} {what}; it has {total}.",
            next_step=f"Give sizes that sum to {total}.",
            layer=layer,
        )
    ends = [sum(whole[: index + 1]) for index in range(len(whole))]
    for end in ends[:-1]:
        if end % step:
            raise ShardError(
                f"The layer {layer!r} can be divided only every {step} {what}; {end} is no such place.", layer=layer
            )
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _largest_remainder(steps: int, shares: Sequence[float]) -> list[int]:
    """Return whole numbers of steps, at least one each, as near to the shares as they can be."""
    spare = steps - len(shares)
    whole = sum(shares)
    # One step each is given already; the rest brings every part as near to its share as it can.
    wanted = [max(0.0, steps * share / whole - 1) for share in shares]
    scale = spare / sum(wanted) if sum(wanted) else 0.0
    exact = [want * scale for want in wanted]
    counts = [int(number) for number in exact]
    by_remainder = sorted(range(len(shares)), key=lambda index: (counts[index] - exact[index], index))
    for index in by_remainder[: spare - sum(counts)]:
        counts[index] += 1
    return [1 + count for count in counts]
