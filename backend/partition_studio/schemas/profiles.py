"""What layers cost on devices, and what links between devices carry."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from partition_studio.schemas.base import ModelId, Schema
from partition_studio.schemas.devices import PowerMethod, PowerScope


class ProfileIn(Schema):
    """Measure the layers of a model on a device."""

    model_id: ModelId
    threads: int = Field(default=0, ge=0, le=256)
    """0: the device's usable cores."""
    again: bool = False
    """Measure anew even when the same was measured before."""


class LayerProfileOut(Schema):
    """One layer, measured alone."""

    layer: str
    median_s: float
    spread_s: float
    """Distance between the quartiles."""
    runs: int
    weight_bytes: int
    output_bytes: int
    energy_j: float | None
    """Its share of the run's energy by time; None without a sensor or meter."""


class KernelProfileOut(Schema):
    """Layers that the runtime runs as one, measured together."""

    layers: list[str]
    median_s: float
    spread_s: float
    runs: int
    energy_j: float | None


class CodecSpeedOut(Schema):
    """How fast a device encodes and decodes, in bytes of the tensor as it is in memory, on one core."""

    codec: str
    encode_bytes_per_s: float
    decode_bytes_per_s: float


class CarrySpeedOut(Schema):
    """Processor seconds that a device spends on one message at its end of a link, and on each of its bytes.

    Encryption included, codecs apart.
    """

    message_s: float
    byte_s: float


class ProfileEnergyOut(Schema):
    """Energy of one run of the whole network, and where the figure comes from."""

    gross_j: float
    net_j: float | None
    """Without what the device takes when idle."""
    source: str
    scope: PowerScope
    method: PowerMethod
    uncertainty: float | None


class ProfileSummaryOut(Schema):
    """One profile, without its layers."""

    id: int
    device: str
    model_id: str
    model_name: str
    network_digest: str
    threads: int
    provider: str
    onnxruntime: str
    measured_at: datetime
    run_s: float
    """Median of the whole network in one go (or the sum of its pieces where it does not fit the device)."""
    run_spread_s: float
    layers_s: float
    """Sum of the layers measured alone."""
    kernels_s: float
    """Sum of the fused kernels."""
    pieces: int
    """Into how many pieces the network was cut to fit the device's memory."""
    weight_bytes: int
    peak_bytes: int
    energy: ProfileEnergyOut | None
    temperature_c: float | None
    throttled: list[str]
    warnings: list[str]
    duration_s: float
    """How long the measuring took."""


class ProfileOut(ProfileSummaryOut):
    """One profile."""

    layers: list[LayerProfileOut]
    kernels: list[KernelProfileOut]
    codecs: list[CodecSpeedOut]
    """Of every codec that the device can use; empty in profiles of older studios."""
    carry: CarrySpeedOut | None
    """None in profiles of older studios."""


class StagePredictionOut(Schema):
    """Time of one stage of a plan on its device, predicted from the profile, beside what was measured."""

    stage: str
    device: str
    predicted_s: float | None
    """None where there is no profile of this model on the device."""
    measured_s: float | None
    profile_id: int | None
    warnings: list[str]


class LinksIn(Schema):
    """Measure the links between some devices (all when left out)."""

    devices: list[str] | None = None
    seconds: float = Field(default=1.0, gt=0.1, le=10)
    """How long each direction may take."""


class LinkProfileOut(Schema):
    """One direction of a link. `studio` is a name like any device's."""

    source: str
    target: str
    bytes_per_s: float
    """Tensor bytes per second, encryption included in the time."""
    rtt_s: float | None
    rtt_min_s: float | None
    method: Literal["measured", "background", "traffic"]
    """`traffic`: seen in frames that passed; a lower bound."""
    measured_at: datetime


class LinksOut(Schema):
    """The newest figures of every direction that was measured, and the pairs that could not be."""

    links: list[LinkProfileOut]
    failures: list["LinkFailureOut"]
    background_every_s: float | None
    """How often they are measured in the background; None: not at all."""


class LinkFailureOut(Schema):
    """A pair that could not be measured."""

    source: str
    target: str
    reason: str
    at: datetime
