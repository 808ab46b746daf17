"""What a device says that it measured is not to be trusted: checked before a profile is made of it. Pure.

A time that cannot be makes the whole of it worthless and is refused; other figures are bounded, or absent.
"""

import math
from collections.abc import Iterable
from typing import get_args

import msgspec

from partition_agent.codecs import CODECS
from partition_agent.protocol import CarryFigures, CodecFigures, LayerTime, PowerOfRun, Profiled
from partition_studio.fleet.errors import BadAnswerError
from partition_studio.fleet.text import clean_text
from partition_studio.schemas import PowerMethod, PowerScope

#: Longest time of one figure. Sums of as many as a message can hold stay finite.
MAX_SECONDS = 1e6
MAX_COUNT = 2**53
MAX_POWER_W = 1e6
MAX_BYTES_PER_S = 1e15

#: A device on which a message takes longer, or a byte, is none that could carry anything.
MAX_MESSAGE_S = 60.0
MAX_BYTE_S = 1e-3
MAX_WARNINGS = 50

_MAX_WARNING = 300
_MAX_NAME = 40
_THROTTLED = ("under_voltage", "capped", "throttled", "soft_limit")


def clean_profiled(device: str, profiled: Profiled) -> Profiled:
    """Return what was measured with every figure finite, not negative and bounded, and short names.

    Raises BadAnswerError where a time is none.
    """
    times_s = [profiled.run_s, profiled.run_spread_s, profiled.session_s, profiled.load_s]
    for measured in (*profiled.layers, *profiled.kernels):
        times_s += [measured.median_s, measured.spread_s]
    if not all(math.isfinite(time_s) and 0 <= time_s <= MAX_SECONDS for time_s in times_s):
        raise BadAnswerError(f"{device}: the agent measured times that cannot be")
    return msgspec.structs.replace(
        profiled,
        layers=tuple(_layer(layer) for layer in profiled.layers),
        kernels=tuple(_layer(kernel) for kernel in profiled.kernels),
        runs=_count(profiled.runs),
        weight_bytes=_count(profiled.weight_bytes),
        peak_bytes=_count(profiled.peak_bytes),
        load_peak_bytes=_count(profiled.load_peak_bytes),
        power=None if profiled.power is None else _power(profiled.power),
        threads=min(_count(profiled.threads), 1024),
        provider=clean_text(profiled.provider, limit=_MAX_NAME),
        onnxruntime_version=clean_text(profiled.onnxruntime_version, limit=_MAX_NAME),
        temperature_c=_within(profiled.temperature_c, -100.0, 500.0),
        throttled=tuple(name for name in _THROTTLED if name in profiled.throttled),
        warnings=tuple(clean_text(text, limit=_MAX_WARNING) for text in profiled.warnings[:MAX_WARNINGS]),
        codecs=_codecs(profiled.codecs),
        carry=None if profiled.carry is None else _carry(profiled.carry),
    )


def _layer(layer: LayerTime) -> LayerTime:
    return msgspec.structs.replace(
        layer,
        runs=_count(layer.runs),
        weight_bytes=_count(layer.weight_bytes),
        output_bytes=_count(layer.output_bytes),
    )


def _codecs(measured: Iterable[CodecFigures]) -> tuple[CodecFigures, ...]:
    """Return the speeds of the codecs that are known, one for each; a speed that cannot be is not known."""
    found = {
        figures.codec: figures
        for figures in measured
        if figures.codec in CODECS
        and all(0 < speed <= MAX_BYTES_PER_S for speed in (figures.encode_bytes_per_s, figures.decode_bytes_per_s))
    }
    return tuple(found.values())


def _carry(carry: CarryFigures) -> CarryFigures | None:
    """Return what messages cost, or None where that cannot be: neither is negative, and nothing passes for nothing."""
    is_bounded = 0 <= carry.message_s <= MAX_MESSAGE_S and 0 <= carry.byte_s <= MAX_BYTE_S
    return carry if is_bounded and carry.message_s + carry.byte_s > 0 else None


def _power(power: PowerOfRun) -> PowerOfRun | None:
    """Return the power, or None where it is none, or of something that is not known."""
    busy_w = _within(power.busy_w, 0.0, MAX_POWER_W)
    if busy_w is None or power.scope not in get_args(PowerScope) or power.method not in get_args(PowerMethod):
        return None
    return PowerOfRun(
        busy_w=busy_w,
        idle_w=_within(power.idle_w, 0.0, MAX_POWER_W),
        source=clean_text(power.source, limit=_MAX_NAME),
        scope=power.scope,
        method=power.method,
        uncertainty=_within(power.uncertainty, 0.0, 10.0),
    )


def _within(value: float | None, least: float, most: float) -> float | None:
    return value if value is not None and math.isfinite(value) and least <= value <= most else None


def _count(value: int) -> int:
    return min(max(value, 0), MAX_COUNT)
