"""Random small networks over maps, for tests of tiles: odd sizes, strides, dilations, uneven padding, branches."""

from typing import Any

from hypothesis import strategies as st

from .tiles import Builder

_ACTIVATIONS = ("Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSwish", "Elu")


class _Random:
    def __init__(self, draw: st.DrawFn, columns: bool) -> None:
        self._draw = draw
        size = st.integers(9, 24)
        self._rank = 2 if columns else draw(st.sampled_from([1, 2, 2]))
        shape = (1, draw(st.sampled_from([2, 4])), *(draw(size) for _ in range(self._rank)))
        self.b = Builder(shape, seed=draw(st.integers(0, 10**6)))
        self.shapes: dict[str, tuple[int, ...]] = {"x": shape}

    def ints(self, low: int, high: int) -> list[int]:
        return [self._draw(st.integers(low, high)) for _ in range(self._rank)]

    def grow(self) -> None:
        """Add one random layer."""
        source = self._draw(st.sampled_from(list(self.shapes)[-3:]))
        kind = self._draw(
            st.sampled_from(
                ["conv"] * 4 + ["pool"] * 3 + ["unary", "bn", "sum", "concat", "transposed", "resize", "pad"]
            )
        )
        self.b.last = source
        {
            "conv": self._conv,
            "pool": self._pool,
            "transposed": self._transposed,
            "resize": self._resize,
            "pad": self._pad,
            "bn": self._normalise,
            "sum": self._join,
            "concat": self._join,
            "unary": self._unary,
        }[kind](source, self.shapes[source], kind)

    def _windows(self, shape: tuple[int, ...], most_pad: int) -> tuple[dict[str, Any], list[int]] | None:
        kernel, strides, dilations = self.ints(1, 4), self.ints(1, 3), self.ints(1, 2)
        pads = [min(p, most_pad, k - 1) for p, k in zip(self.ints(0, 3) + self.ints(0, 3), kernel * 2, strict=True)]
        begin, end = pads[: self._rank], pads[self._rank :]
        room = [
            size + b + e - d * (k - 1) - 1
            for size, b, e, d, k in zip(shape[2:], begin, end, dilations, kernel, strict=True)
        ]
        if min(room) < 0:
            return None
        outputs = [r // s + 1 for r, s in zip(room, strides, strict=True)]
        return {"kernel_shape": kernel, "strides": strides, "dilations": dilations, "pads": pads}, outputs

    def _keep(self, shape: tuple[int, ...]) -> None:
        self.shapes[self.b.last] = shape

    def _conv(self, source: str, shape: tuple[int, ...], _: str) -> None:
        found = self._windows(shape, 3)
        if found is None:
            return
        attributes, outputs = found
        groups = self._draw(st.sampled_from([1, 1, 2, shape[1]]))
        groups = groups if shape[1] % groups == 0 else 1
        filters = groups * self._draw(st.integers(1, 2))
        kernel = attributes.pop("kernel_shape")
        self.b.conv(source, shape[1], filters, kernel, group=groups, **attributes)
        self._keep((1, filters, *outputs))

    def _pool(self, source: str, shape: tuple[int, ...], _: str) -> None:
        found = self._windows(shape, 3)
        if found is None:
            return
        attributes, outputs = found
        operator = self._draw(st.sampled_from(["MaxPool", "AveragePool", "LpPool"]))
        if operator != "MaxPool":
            attributes["dilations"] = None
            found_again = [
                (size + b + e - k) // s + 1
                for size, b, e, k, s in zip(
                    shape[2:],
                    attributes["pads"][: self._rank],
                    attributes["pads"][self._rank :],
                    attributes["kernel_shape"],
                    attributes["strides"],
                    strict=True,
                )
            ]
            outputs = found_again
        if operator == "AveragePool":
            attributes["count_include_pad"] = self._draw(st.integers(0, 1))
        self.b.add(operator, [source], **{k: v for k, v in attributes.items() if v is not None})
        self._keep((*shape[:2], *outputs))

    def _transposed(self, source: str, shape: tuple[int, ...], _: str) -> None:
        if max(shape[2:]) > 16:
            return
        kernel, strides = self.ints(1, 4), self.ints(1, 3)
        extra = [self._draw(st.integers(0, s - 1)) for s in strides]
        pads = [self._draw(st.integers(0, k // 2)) for k in kernel * 2]
        outputs = [
            (size - 1) * s + k + e - before - after
            for size, s, k, e, before, after in zip(
                shape[2:], strides, kernel, extra, pads[: self._rank], pads[self._rank :], strict=True
            )
        ]
        if min(outputs) < 1:
            return
        w = self.b.random(shape[1], 2, *kernel)
        self.b.add("ConvTranspose", [source], w, strides=strides, pads=pads, output_padding=extra)
        self._keep((1, 2, *outputs))

    def _resize(self, source: str, shape: tuple[int, ...], _: str) -> None:
        if max(shape[2:]) > 16:
            return
        scales = [self._draw(st.sampled_from([1, 2, 3])) for _ in range(self._rank)]
        mode = self._draw(st.sampled_from(["nearest", "linear"]))
        coordinates = self._draw(st.sampled_from(["asymmetric", "half_pixel", "pytorch_half_pixel"]))
        numbers = self.b.const([1, 1, *scales])
        self.b.add("Resize", [source], "", numbers, mode=mode, coordinate_transformation_mode=coordinates)
        self._keep((*shape[:2], *(size * s for size, s in zip(shape[2:], scales, strict=True))))

    def _pad(self, source: str, shape: tuple[int, ...], _: str) -> None:
        pads = self.ints(0, 3) + self.ints(0, 3)
        mode = self._draw(st.sampled_from(["constant", "edge", "reflect"]))
        if mode == "reflect" and min(shape[2:]) < 4:
            return
        both = [0, 0, *pads[: self._rank], 0, 0, *pads[self._rank :]]
        self.b.add("Pad", [source], self.b.const(both, "int64"), mode=mode)
        self._keep((*shape[:2], *(shape[2 + i] + pads[i] + pads[i + self._rank] for i in range(self._rank))))

    def _normalise(self, source: str, shape: tuple[int, ...], _: str) -> None:
        level = [self.b.random(shape[1]) for _ in range(3)]
        spread = self.b.const(self.b.generator.uniform(0.5, 1.5, shape[1]))
        self.b.add("BatchNormalization", [source], *level, spread)
        self._keep(shape)

    def _unary(self, source: str, shape: tuple[int, ...], _: str) -> None:
        self.b.add(self._draw(st.sampled_from(_ACTIVATIONS)), [source])
        self._keep(shape)

    def _join(self, source: str, shape: tuple[int, ...], kind: str) -> None:
        alike = [name for name, other in self.shapes.items() if other[2:] == shape[2:]]
        other = self._draw(st.sampled_from(alike))
        if kind == "concat":
            self.b.add("Concat", [source, other], axis=1)
            self._keep((1, shape[1] + self.shapes[other][1], *shape[2:]))
        elif self.shapes[other] == shape:
            self.b.add(self._draw(st.sampled_from(["Add", "Mul", "Sub", "Max"])), [source, other])
            self._keep(shape)


@st.composite
def map_networks(draw: st.DrawFn, *, columns: bool = True, most: int = 6) -> Builder:
    """Return a random network of a few layers over maps, its last tensors its outputs."""
    grower = _Random(draw, columns)
    wanted = draw(st.integers(1, most))
    for _ in range(4 * most):
        if len(grower.b.nodes) >= wanted:
            break
        grower.grow()
    if not grower.b.nodes:
        grower.b.add("Relu", ["x"])
    return grower.b


def loose_ends(b: Builder) -> list[str]:
    """Return the tensors that no layer reads."""
    read = {name for node in b.nodes for name in node.input}
    return [name for node in b.nodes for name in node.output if name not in read]
