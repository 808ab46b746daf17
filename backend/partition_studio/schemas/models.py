"""Networks."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from partition_studio.graph.kinds import BlockKind, PictureKind
from partition_studio.schemas.base import GivenName, Schema


class TensorOut(Schema):
    """An activation: a value on an edge of the network."""

    name: str
    dtype: str
    shape: list[int]
    size_bytes: int


class LayerOut(Schema):
    """One ONNX node."""

    name: str
    op_type: str
    inputs: list[str]
    """Activations that it takes, by tensor name; weights are not among them."""
    outputs: list[str]
    output_shape: list[int]
    """Shape of its first output."""
    macs: int
    parameters: int
    weight_bytes: int
    activation_bytes: int
    """Bytes of all its outputs."""
    attributes: dict[str, str]


class PreprocessingOut(Schema):
    """How an image becomes an input: `(pixel * scale - mean) / std`, per channel."""

    channel_order: Literal["rgb", "bgr"] = "rgb"
    scale: float = 1.0
    mean: list[float] = Field(default=[0.0])
    std: list[float] = Field(default=[1.0])


class PictureItemOut(Schema):
    """A block, or a layer outside of all blocks, in the small picture of a network."""

    kind: PictureKind
    layers: int


class ModelSummaryOut(Schema):
    """A network that the studio holds."""

    id: str
    """Short name in addresses: the first twelve digits of the digest."""
    name: str
    digest: str
    """SHA-256 of the ONNX file."""
    size_bytes: int
    layer_count: int
    macs: int
    parameters: int
    weight_bytes: int
    inputs: list[TensorOut]
    outputs: list[TensorOut]
    example: str | None
    """Name of the example that it was made from."""
    samples: list[str]
    """Names of images that come with it."""
    trained: bool
    """False where the weights are random (an architecture to try speed and memory on)."""
    simplified: bool
    """Whether its layers are those of the simplified network."""
    simplifiable: bool
    """Whether a simplified form passed the check: then either form may be chosen."""
    simplification: str
    """What simplification gains, or why it is not used; empty where it was never tried."""
    dims: dict[str, int]
    """Size of each free dimension that the person bound."""
    added_at: datetime
    picture: list[list[PictureItemOut]] = Field(default=[])
    """The folded network in ranks from its inputs on, for a small picture; empty where an older studio made none."""
    plan_count: int = 0
    """Saved plans."""
    run_count: int = 0
    """Runs in the history."""
    deployment_id: str | None = None
    """The active deployment that runs it."""


class BlockOut(Schema):
    """A named run of layers: connected, and shown as one box."""

    name: str
    kind: BlockKind
    layers: list[str]
    """In topological order."""
    parent: str | None
    """The block that holds it."""


class ModelOut(ModelSummaryOut):
    """A network with its layers in topological order and every activation."""

    layers: list[LayerOut]
    blocks: list[BlockOut]
    """Recognised blocks, outer ones before those in them; at each level, a layer is in one at most."""
    tensors: list[TensorOut]
    preprocessing: PreprocessingOut
    labels: list[str]


class ModelChangeIn(Schema):
    """Choose another form of a network, or name it anew; what is left out stays."""

    simplified: bool | None = None
    name: GivenName | None = None


class ExampleOut(Schema):
    """A network that the studio can make on request."""

    id: str
    title: str
    description: str
    trained: bool
    size_bytes: int
    model_id: str | None
    """Set when it has been added already."""
