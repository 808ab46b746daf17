"""How networks are described to people and programs."""

from partition_studio.graph.blocks import find_blocks
from partition_studio.graph.examples import Example
from partition_studio.graph.network import Layer, Network, TensorType
from partition_studio.graph.picture import picture_of
from partition_studio.schemas import BlockOut, LayerOut, PictureItemOut, TensorOut


def tensor_out(name: str, kind: TensorType) -> TensorOut:
    """Describe an activation."""
    return TensorOut(name=name, dtype=kind.dtype, shape=list(kind.shape), size_bytes=kind.size_bytes)


def layer_out(layer: Layer) -> LayerOut:
    """Describe a layer."""
    shapes = layer.output_shapes
    return LayerOut(
        name=layer.name,
        op_type=layer.op_type,
        inputs=list(layer.inputs),
        outputs=list(layer.outputs),
        output_shape=list(shapes[0]) if shapes else [],
        macs=layer.macs,
        parameters=layer.parameters,
        weight_bytes=layer.weight_bytes,
        activation_bytes=layer.activation_bytes,
        attributes=dict(layer.attributes),
    )


def describe(candidate: Example) -> str:
    """Say what an example is for."""
    if candidate.kind == "trained":
        return "Trained with this project, with sample images: classifies them correctly for everyone to see."
    return "The real architecture with random weights: for trying speed, memory and plans."


def blocks_out(network: Network) -> list[BlockOut]:
    """Describe the blocks that are recognised in a network."""
    return [BlockOut.model_validate(block) for block in find_blocks(network)]


def summarise(network: Network) -> dict[str, object]:
    """Return what is kept with a network, so that lists need not load it."""
    return {
        "layer_count": len(network.layers),
        "macs": network.macs,
        "parameters": network.parameters,
        "weight_bytes": network.weight_bytes,
        "inputs": [tensor_out(name, kind).model_dump() for name, kind in network.inputs.items()],
        "outputs": [tensor_out(name, kind).model_dump() for name, kind in network.outputs.items()],
        "picture": [
            [PictureItemOut.model_validate(item).model_dump() for item in rank] for rank in picture_of(network)
        ],
    }
