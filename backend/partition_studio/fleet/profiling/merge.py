"""Merge what a device measured of the pieces of a network into one profile."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import sqrt
from statistics import median

from partition_agent.protocol import CodecFigures, LayerTime, PowerOfRun, Profiled
from partition_studio.fleet.profiling.clean import clean_profiled
from partition_studio.fleet.profiling.model import Piece
from partition_studio.fleet.profiling.noise import noise_warning
from partition_studio.graph.network import Network
from partition_studio.planner.figures.profile import (
    CarrySpeed,
    CodecSpeed,
    KernelFigures,
    LayerFigures,
    PowerFigures,
    Profile,
    ProfileKey,
    network_digest,
)


def merge(network: Network, device: str, parts: Sequence[tuple[Piece, Profiled]], duration_s: float) -> Profile:
    """Return the profile of a whole network from those of its pieces, in order.

    Raises BadAnswerError where the device measured what cannot be.
    """
    parts = [(piece, clean_profiled(device, profiled)) for piece, profiled in parts]
    measured = [profiled for _, profiled in parts]
    first = measured[0]
    session_s = sum(p.session_s for p in measured) / len(measured)
    run_s = session_s + sum(_net_s(piece, p) for piece, p in parts)
    warnings = list(dict.fromkeys(text for p in measured for text in p.warnings))
    for piece, _ in parts:
        if piece.share < 1:
            warnings.append(
                f"{network.layers[piece.start].name} does not fit the device: "
                f"{piece.share:.0%} of its outputs were measured, and the rest reckoned in proportion"
            )
    if len(parts) > 1:
        warnings.append(f"the network does not fit the device as a whole: it was measured in {len(parts)} pieces")
    layers = tuple(figures for piece, p in parts for figures in _layers(network, piece, p))
    kernels = tuple(figures for piece, p in parts for figures in _kernels(network, piece, p))
    run_spread_s = sqrt(sum((p.run_spread_s / piece.share) ** 2 for piece, p in parts))
    noisy = noise_warning(layers, kernels, run_s, run_spread_s)
    if noisy is not None:
        warnings.append(noisy)
    return Profile(
        key=ProfileKey(
            network_digest=network_digest(network),
            device=device,
            runtime=first.onnxruntime_version,
            threads=first.threads,
            provider=first.provider,
        ),
        layers=layers,
        kernels=kernels,
        run_s=run_s,
        run_spread_s=run_spread_s,
        runs=min(p.runs for p in measured),
        session_s=session_s,
        load_s=sum(p.load_s for p in measured),
        weight_bytes=network.weight_bytes,
        peak_bytes=max(p.peak_bytes for p in measured),
        load_peak_bytes=max(p.load_peak_bytes for p in measured),
        power=_power([(p.power, _net_s(piece, p) + session_s / len(parts)) for piece, p in parts]),
        temperature_c=measured[-1].temperature_c,
        throttled=tuple(dict.fromkeys(name for p in measured for name in p.throttled)),
        warnings=tuple(warnings),
        pieces=len(parts),
        duration_s=duration_s,
        codecs=_codecs(measured),
        carry=_carry(measured),
    )


def _net_s(piece: Piece, profiled: Profiled) -> float:
    """Return the seconds of a piece's layers, without what every run of the runtime takes."""
    return max(profiled.run_s - profiled.session_s, 0.0) / piece.share


def _layers(network: Network, piece: Piece, profiled: Profiled) -> Iterator[LayerFigures]:
    for time_ in profiled.layers:
        layer = network.layers_by_name.get(time_.layers[0]) if time_.layers else None
        if layer is not None:
            yield LayerFigures(
                layer=layer.name,
                median_s=time_.median_s / piece.share,
                spread_s=time_.spread_s / piece.share,
                runs=time_.runs,
                weight_bytes=layer.weight_bytes,
                output_bytes=layer.activation_bytes,
            )


def _kernels(network: Network, piece: Piece, profiled: Profiled) -> list[KernelFigures]:
    """Return the kernels with the layers that they cover; what covers none counts to its neighbour."""
    kernels: list[KernelFigures] = []
    loose_s = 0.0
    for time_ in profiled.kernels:
        layers = tuple(name for name in time_.layers if name in network.layers_by_name)
        if layers:
            kernels.append(_kernel(layers, time_, loose_s, piece.share))
            loose_s = 0.0
        else:
            loose_s += time_.median_s
    if loose_s and kernels:
        last = kernels[-1]
        kernels[-1] = KernelFigures(last.layers, last.median_s + loose_s / piece.share, last.spread_s, last.runs)
    return kernels


def _kernel(layers: tuple[str, ...], measured: LayerTime, loose_s: float, share: float) -> KernelFigures:
    return KernelFigures(layers, (measured.median_s + loose_s) / share, measured.spread_s / share, measured.runs)


def _codecs(measured: Sequence[Profiled]) -> dict[str, CodecSpeed]:
    """Return the speed of each codec: the median of those that were measured beside the pieces."""
    speeds: dict[str, list[CodecFigures]] = {}
    for profiled in measured:
        for figures in profiled.codecs:
            speeds.setdefault(figures.codec, []).append(figures)
    return {
        codec: CodecSpeed(
            median(figures.encode_bytes_per_s for figures in found),
            median(figures.decode_bytes_per_s for figures in found),
        )
        for codec, found in speeds.items()
    }


def _carry(measured: Sequence[Profiled]) -> CarrySpeed | None:
    """Return what messages cost: the median of what was measured beside the pieces, None where that is nothing."""
    found = [profiled.carry for profiled in measured if profiled.carry is not None]
    if not found:
        return None
    return CarrySpeed(median(carry.message_s for carry in found), median(carry.byte_s for carry in found))


def _power(parts: Sequence[tuple[PowerOfRun | None, float]]) -> PowerFigures | None:
    """Add up the energy of the pieces, where all were measured by the same source."""
    powers = [power for power, _ in parts if power is not None]
    if len(powers) < len(parts) or any((a.source, a.scope) != (b.source, b.scope) for a, b in pairwise(powers)):
        return None
    idle = [power.idle_w for power in powers]
    net_j = None
    if None not in idle:
        net_j = sum((p.busy_w - (p.idle_w or 0.0)) * seconds for p, seconds in parts if p is not None)
    first = powers[0]
    return PowerFigures(
        gross_j=sum(power.busy_w * seconds for power, seconds in parts if power is not None),
        net_j=net_j,
        source=first.source,
        scope=first.scope,
        method=first.method,
        uncertainty=first.uncertainty,
    )
