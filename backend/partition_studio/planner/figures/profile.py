"""Profiles: what the layers of a network take on one device, under conditions that are part of its key."""

import hashlib
import json
import math
from collections.abc import Mapping
from functools import cached_property

import msgspec

from partition_studio.graph.network import Network
from partition_studio.planner.figures.speeds import CarrySpeed as CarrySpeed
from partition_studio.planner.figures.speeds import CodecSpeed as CodecSpeed

#: Version of the document; older ones are measured anew. Before 2, pauses of a quota counted to kernels, and
#: messages were measured without rest between them.
FORMAT = 2

#: Seconds and joules beyond this are none.
_MAX_FIGURE = 1e15


class ProfileKey(msgspec.Struct, frozen=True):
    """Conditions under which a profile holds. `network_digest` tells file and form (see `network_digest`)."""

    network_digest: str
    device: str
    runtime: str
    threads: int
    provider: str


class LayerFigures(msgspec.Struct, frozen=True):
    """One layer, measured alone: without fusion with its neighbours."""

    layer: str
    median_s: float
    spread_s: float
    runs: int
    weight_bytes: int
    output_bytes: int


class KernelFigures(msgspec.Struct, frozen=True):
    """Layers that the runtime runs as one, in topological order."""

    layers: tuple[str, ...]
    median_s: float
    spread_s: float
    runs: int


class PowerFigures(msgspec.Struct, frozen=True):
    """Energy of one run of the whole network, by one source; `net_j` is without what the device takes when idle."""

    gross_j: float
    net_j: float | None
    source: str
    scope: str
    method: str
    uncertainty: float | None


class Profile(msgspec.Struct, frozen=True, dict=True):
    """What a network takes on a device.

    `run_s` is a whole run, sustained (the sum of the pieces where the network was measured in several); `session_s`
    what a run of an almost empty model takes, and is part of `run_s`. `kernels` add up to `run_s` less `session_s`.
    `peak_bytes` and `load_peak_bytes` are of the process that measured, the runtime included. `codecs` has those that
    the device can use and that were measured: none in older profiles, and then no `carry` either.
    """

    key: ProfileKey
    layers: tuple[LayerFigures, ...]
    kernels: tuple[KernelFigures, ...]
    run_s: float
    run_spread_s: float
    runs: int
    session_s: float
    load_s: float
    weight_bytes: int
    peak_bytes: int
    load_peak_bytes: int
    power: PowerFigures | None
    temperature_c: float | None
    throttled: tuple[str, ...]
    warnings: tuple[str, ...]
    pieces: int
    duration_s: float
    format: int = FORMAT
    codecs: Mapping[str, CodecSpeed] = {}
    carry: CarrySpeed | None = None

    @property
    def layers_s(self) -> float:
        """Sum of the layers measured alone."""
        return sum(layer.median_s for layer in self.layers)

    @property
    def kernels_s(self) -> float:
        """Sum of the fused kernels."""
        return sum(kernel.median_s for kernel in self.kernels)

    @cached_property
    def alone_s(self) -> dict[str, float]:
        """Seconds of each layer measured alone."""
        return {layer.layer: layer.median_s for layer in self.layers}


def network_digest(network: Network) -> str:
    """Return what identifies a network's file and the form that it was loaded in: 64 hex digits."""
    form = network.form
    if not form.simplified and not form.dims:
        return network.digest
    told = json.dumps([network.digest, form.simplified, sorted(form.dims)])
    return hashlib.sha256(told.encode()).hexdigest()


def profile_to_json(profile: Profile) -> dict[str, object]:
    """Return a profile as plain JSON values."""
    document: dict[str, object] = msgspec.to_builtins(profile)
    return document


def profile_of_json(document: object) -> Profile | None:
    """Return the profile of a document, or None for one of another format, or with figures that cannot be."""
    try:
        profile = msgspec.convert(document, Profile)
    except msgspec.ValidationError:
        return None
    return profile if profile.format == FORMAT and _is_bounded(profile) else None


def _is_bounded(profile: Profile) -> bool:
    """Whether every figure is finite, and small enough for what is reckoned with it."""
    figures = [profile.run_s, profile.run_spread_s, profile.session_s, profile.load_s, profile.duration_s]
    figures += [figure for layer in profile.layers for figure in (layer.median_s, layer.spread_s)]
    figures += [figure for kernel in profile.kernels for figure in (kernel.median_s, kernel.spread_s)]
    if profile.power is not None:
        figures += [profile.power.gross_j, profile.power.net_j or 0.0, profile.power.uncertainty or 0.0]
    figures.append(profile.temperature_c or 0.0)
    for codec in profile.codecs.values():
        # Seconds are reckoned with these by division.
        if codec.encode_bytes_per_s <= 0 or codec.decode_bytes_per_s <= 0:
            return False
        figures += [codec.encode_bytes_per_s, codec.decode_bytes_per_s]
    if profile.carry is not None:
        if min(profile.carry.message_s, profile.carry.byte_s) < 0:
            return False
        figures += [profile.carry.message_s, profile.carry.byte_s]
    return all(math.isfinite(figure) and abs(figure) <= _MAX_FIGURE for figure in figures)
