"""The plan document: which layers are divided, and which device runs which layer. The same JSON everywhere."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from partition_studio.errors import PlanError
from partition_studio.partition.plan_faults import first_fault

if TYPE_CHECKING:
    # Commands know what a plan is, and must not wait until ONNX is loaded.
    from partition_studio.graph.network import Network, NetworkForm

#: No plan is longer; a network of 50 000 layers fits well.
MAX_PLAN_BYTES = 16 * 1024 * 1024

MIN_PARTS, MAX_PARTS = 2, 16

DeviceName = Annotated[str, Field(min_length=1, max_length=200)]
Numbers = Annotated[list[Annotated[float, Field(gt=0, le=2**31, allow_inf_nan=False)]], Field(max_length=MAX_PARTS)]


class MalformedPlanError(PlanError):
    """The text is no JSON, or not a plan."""

    code = "malformed_plan"
    next_step = "Correct the plan document (see the documentation of plans)."


class Document(BaseModel):
    """Frozen, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class NetworkRef(Document):
    """The network that a plan is for."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 (hex) of its file."""
    name: str = Field(max_length=200)
    """For people."""
    simplified: bool = False
    """Whether the layers are those of the simplified network."""
    dims: dict[str, Annotated[int, Field(gt=0, lt=2**31)]] = {}
    """Size of each free dimension that the person bound."""

    @classmethod
    def of(cls, network: "Network") -> Self:
        """Return the reference to a network."""
        form = network.form
        return cls(sha256=network.digest, name=network.name[:200], simplified=form.simplified, dims=dict(form.dims))

    @property
    def form(self) -> "NetworkForm":
        """How the file is to be loaded."""
        from partition_studio.graph.network import NetworkForm

        return NetworkForm(self.simplified, tuple(sorted(self.dims.items())))


class _Sharding(Document):
    layers: list[str] = Field(min_length=1)
    """A connected run of layers, of the network or made by an earlier entry of the list (`conv1#0`)."""
    devices: list[DeviceName] = Field(min_length=MIN_PARTS, max_length=MAX_PARTS)
    """The device of each part; one device may hold several."""
    unit: Literal["share", "size"] = "share"
    """Whether the numbers are proportions, or exact rows, columns or channels, which must sum to the whole."""


class _Spatial(_Sharding):
    rows: Numbers = [1.0]
    """A number for each row of tiles: its height on the run's output (of independent tiles: on its input).

    `[1, 2]`: two tiles, the lower twice as high.
    """
    columns: Numbers = [1.0]
    """The same for widths. The tiles are dealt to `devices` row by row: `len(rows) * len(columns)` of them."""

    @model_validator(mode="after")
    def _one_device_a_tile(self) -> Self:
        tiles = len(self.rows) * len(self.columns)
        if tiles != len(self.devices):
            raise ValueError(f"{len(self.rows)} x {len(self.columns)} tiles need {tiles} devices")
        return self


class SpatialSharding(_Spatial):
    """Exact tiles of the map: each device holds all weights of the run and computes its tile, halo included."""

    strategy: Literal["spatial"] = "spatial"
    exchange_before: list[str] = []
    """Layers of the run before which halos are exchanged between neighbours; elsewhere they are computed twice."""


class IndependentSharding(_Spatial):
    """Tiles that need no neighbour: zero padding at every tile's border (FDSP of ADCNN). Approximate."""

    strategy: Literal["spatial_independent"] = "spatial_independent"


class _Channels(_Sharding):
    shares: Numbers = []
    """A number for each device; all alike where left out."""

    @model_validator(mode="after")
    def _one_share_a_device(self) -> Self:
        if self.shares and len(self.shares) != len(self.devices):
            raise ValueError(f"{len(self.devices)} devices need as many shares, one each, not {len(self.shares)}")
        if self.unit == "size" and not self.shares:
            raise ValueError("sizes must be given for every device")
        return self


class OutputChannelSharding(_Channels):
    """Each device holds a slice of the filters (layer output partitioning, LOP); joined by Concat on channels."""

    strategy: Literal["output_channels"] = "output_channels"


class InputChannelSharding(_Channels):
    """Each device holds a slice of each kernel's input channels (layer input partitioning, LIP); joined by Add."""

    strategy: Literal["input_channels"] = "input_channels"


Sharding = Annotated[
    SpatialSharding | IndependentSharding | OutputChannelSharding | InputChannelSharding,
    Field(discriminator="strategy"),
]


class Resource(Document):
    """A part of a device that has a name of its own in a plan: some of its cores, or its GPU."""

    device: DeviceName
    """The registered device that it is part of; several resources may be of one device."""
    cores: list[Annotated[int, Field(ge=0, lt=4096)]] = Field(default=[], max_length=4096)
    """Numbers of its processor cores. A stage there computes with as many threads; all of the device's when empty."""
    processor: Literal["cpu", "gpu", ""] = ""
    """What is meant to compute; "" leaves it open."""
    provider: Literal["cpu", "xnnpack", "acl", "openvino", "cuda", "tensorrt", ""] = ""
    """ONNX Runtime's execution provider; "" takes what fits `processor`. What is not there is told at deployment."""


class ReplicaGroup(Document):
    """A name for several places that share the frames of the layers put there, each by its measured speed."""

    places: list[DeviceName] = Field(min_length=2, max_length=64)
    """Devices or resources, each once."""


CodecName = Literal[
    "none", "lz4", "zstd", "rle", "fp16", "fp16+lz4", "fp16+zstd", "int8", "int8+lz4", "int8+zstd",
    "clip2+rle", "clip4+rle", "clip8+rle",
]  # fmt: skip
"""How a tensor travels, see the agent's `codecs`; the first four without loss."""


class CodecChoice(Document):
    """How tensors travel from one place to another; of several entries that fit a tensor, the last one counts."""

    producer: str = Field(default="*", max_length=200)
    """A device, resource or replica group; `studio` for the network's inputs; `*` for any."""
    consumer: str = Field(default="*", max_length=200)
    """The same; `studio` for the network's outputs."""
    tensors: list[Annotated[str, Field(max_length=1000)]] = Field(default=[], max_length=10_000)
    """Only these tensors; all where empty."""
    codec: Literal[CodecName, "auto"]
    """`auto` takes the fastest that keeps the outputs within `max_change`, by what was measured of links and devices.

    What the codec cannot hold (other types, values that are not finite) travels without loss.
    """
    low: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    """For codecs that clip: what is below counts as nothing."""
    high: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """For codecs that clip: the upper bound; the largest value of each frame where left out."""


class Plan(Document):
    """What a person edits, saves and shares: the network, which layers are divided, and where each layer runs.

    `shards` are rewrites of the graph, applied in order; each may divide layers that an earlier one made. Their parts
    run on the devices that the entry names; every other layer has its device in `placement`.
    """

    version: Literal[2] = 2
    network: NetworkRef
    placement: dict[str, str]
    shards: list[Sharding] = Field(default=[], max_length=10_000)
    blocks: dict[str, list[str]] = {}
    """Named runs of layers, set by hand; they change nothing but how the network is shown and spoken of."""
    resources: dict[DeviceName, Resource] = Field(default={}, max_length=10_000)
    """Names that `placement` and `shards` use for parts of devices. A name that is not among them is a device's."""
    replicas: dict[DeviceName, ReplicaGroup] = Field(default={}, max_length=1000)
    """Names that `placement` uses for several devices at once."""
    codecs: list[CodecChoice] = Field(default=[], max_length=10_000)
    """How tensors travel; without an entry, as they are."""
    max_change: float = Field(default=0.0, ge=0, le=10, allow_inf_nan=False)
    """How much an `auto` codec may change the network's outputs, as a share of their largest value; 0: not at all."""
    micro_batch: int = Field(default=1, ge=1, le=64)
    """The most frames that a stage computes in one go; each device measures which number is best for it."""
    name: str = Field(default="", max_length=200)
    notes: str = Field(default="", max_length=20_000)

    @model_validator(mode="before")
    @classmethod
    def _take_older_versions(cls, document: Any) -> Any:
        """Version 1 knew neither shards nor blocks; everything else is the same."""
        if isinstance(document, dict) and document.get("version") == 1:
            return {**document, "version": 2}
        return document

    def members(self, name: str) -> tuple[str, ...]:
        """Return the places behind a name of `placement`: those of a group of replicas, else itself."""
        return tuple(self.replicas[name].places) if name in self.replicas else (name,)

    def places(self) -> tuple[str, ...]:
        """Return the devices and resources that the plan uses, under the names that it has for them, by first use."""
        placed = (place for name in dict.fromkeys(self.placement.values()) for place in self.members(name))
        divided = (device for sharding in self.shards for device in sharding.devices)
        return tuple(dict.fromkeys([*placed, *divided]))

    def device_of(self, place: str) -> str:
        """Return the registered device behind a name that `shards` or a group of replicas use."""
        return self.resources[place].device if place in self.resources else place

    def devices_of(self, name: str) -> tuple[str, ...]:
        """Return the registered devices behind a name of `placement`."""
        return tuple(dict.fromkeys(self.device_of(place) for place in self.members(name)))

    def devices(self) -> tuple[str, ...]:
        """Return the registered devices that the plan uses, in order of first use."""
        return tuple(dict.fromkeys(self.device_of(place) for place in self.places()))

    def to_json(self) -> str:
        """Return the document as it is saved: indented, one layer per line."""
        return self.model_dump_json(indent=2, exclude_defaults=False) + "\n"


def parse_plan(data: bytes | str) -> Plan:
    """Read a plan document. Raises MalformedPlanError, which names the first thing at fault."""
    if len(data) > MAX_PLAN_BYTES:
        raise MalformedPlanError(f"The plan is larger than {MAX_PLAN_BYTES} bytes.")
    try:
        return Plan.model_validate_json(data)
    except ValidationError as error:
        kind = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if kind["type"] == "json_invalid":
            raise MalformedPlanError(f"The plan is not JSON: {kind['msg']}.") from error
        fault = first_fault(error, whole="the document")
        raise MalformedPlanError(
            f"The plan is wrong: {fault.sentence}.", next_step=fault.next_step, field=fault.field
        ) from error
