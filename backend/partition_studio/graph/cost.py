"""What a layer costs: multiply-accumulates and weights.

Counted, for one frame: convolutions (output elements x input channels per group x kernel elements), transposed
convolutions (input elements x output channels per group x kernel elements), `Gemm` and matrix products (output
elements x inner dimension), with their quantised and fused forms. Everything else counts 0: pooling, activations,
normalisation, sums and moves take time for their bytes, which `Layer.activation_bytes` tells. Recurrent layers and
`Einsum` are not counted either.
"""

from collections.abc import Mapping
from math import prod

from onnx import AttributeProto, NodeProto

Shape = tuple[int, ...]

#: Place of the weight (the second factor) among the inputs of each operator that is counted.
_CONVOLUTIONS = {"Conv": 1, "FusedConv": 1, "NhwcFusedConv": 1, "ConvInteger": 1, "QLinearConv": 3}
_PRODUCTS = {"MatMul": 1, "MatMulInteger": 1, "FusedMatMul": 1, "QLinearMatMul": 3}


def layer_macs(node: NodeProto, shapes: Mapping[str, Shape]) -> int:
    """Return the multiply-accumulates of a node, given the shapes of its inputs, weights and outputs."""
    operator = node.op_type
    if operator in _CONVOLUTIONS:
        weight = shapes.get(node.input[_CONVOLUTIONS[operator]], ())
        return prod(shapes[node.output[0]]) * prod(weight[1:])
    if operator == "ConvTranspose":
        weight = shapes.get(node.input[1], ())
        return prod(shapes[node.input[0]]) * prod(weight[1:])
    if operator == "Gemm":
        first = shapes.get(node.input[0], ())
        transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
        inner = first[0 if transposed else 1] if len(first) == 2 else 0
        return prod(shapes[node.output[0]]) * inner
    if operator in _PRODUCTS:
        first = shapes.get(node.input[0], ())
        return prod(shapes[node.output[0]]) * (first[-1] if first else 0)
    return 0


def readable_attributes(node: NodeProto) -> dict[str, str]:
    """Return a node's attributes as short text, for people."""
    return {attribute.name: _readable(attribute)[:80] for attribute in node.attribute}


def _readable(attribute: AttributeProto) -> str:
    match attribute.type:
        case AttributeProto.FLOAT:
            return f"{attribute.f:g}"
        case AttributeProto.INT:
            return str(attribute.i)
        case AttributeProto.STRING:
            return attribute.s.decode(errors="replace")
        case AttributeProto.FLOATS:
            return ", ".join(f"{value:g}" for value in attribute.floats[:16])
        case AttributeProto.INTS:
            return ", ".join(str(value) for value in attribute.ints[:16])
        case AttributeProto.STRINGS:
            return ", ".join(value.decode(errors="replace") for value in attribute.strings[:16])
        case AttributeProto.TENSOR:
            return f"tensor {tuple(attribute.t.dims)}"
        case AttributeProto.GRAPH:
            return f"subgraph of {len(attribute.g.node)} nodes"
        case _:
            return "..."
