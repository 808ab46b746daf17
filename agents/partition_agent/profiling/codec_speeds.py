"""How fast this device encodes and decodes activations, on one core."""

import time
from statistics import median
from typing import TYPE_CHECKING, Callable, List, NamedTuple, Tuple

import numpy as np

from partition_agent.codecs import CODECS, decode, encode, header_of, missing_codecs
from partition_agent.protocol import CodecFigures, LinkCodec

if TYPE_CHECKING:
    from typing import Any

#: A tensor of 1 MB as a ReLU leaves it: smooth, and half of it zeros.
SHAPE = (1, 64, 64, 64)
_SEED = 20240607

#: A thread that gets less of its core than this is stopped by a quota, or by others.
_WHOLE_CORE = 0.9

_LEAST_RUNS = 3


class CodecSpeeds(NamedTuple):
    """What was measured, and the share of a core that the process got meanwhile (1 but for quotas)."""

    figures: Tuple[CodecFigures, ...]
    share: float


def codec_speeds(seconds_s: float) -> CodecSpeeds:
    """Measure every codec that can be used here, for about `seconds_s` in all.

    What counts is the processor's time, multiplied with the share of a core that the process got over the whole of it:
    a quota stops it for longer than a run of a codec takes.
    """
    array = activations()
    missing = missing_codecs(CODECS)
    names = [name for name in CODECS if name not in missing]
    begin_s, begin_cpu_s = time.perf_counter(), time.thread_time()
    measured = [(name, *_seconds(name, array, seconds_s / len(names) / 2)) for name in names]
    got = (time.thread_time() - begin_cpu_s) / max(time.perf_counter() - begin_s, 1e-9)
    share = got if got < _WHOLE_CORE else 1.0
    figures = tuple(
        CodecFigures(name, share * array.nbytes / encode_s, share * array.nbytes / decode_s)
        for name, encode_s, decode_s in measured
    )
    return CodecSpeeds(figures, share)


def activations() -> "np.ndarray[Any, Any]":
    """Return the tensor that is encoded."""
    generator = np.random.default_rng(_SEED)
    coarse = generator.standard_normal((*SHAPE[:2], SHAPE[2] // 4, SHAPE[3] // 4))
    noise = generator.standard_normal(SHAPE)
    smooth = np.kron(coarse, np.ones((4, 4))) + 0.2 * noise
    return np.maximum(smooth, 0).astype(np.float32)


def _seconds(name: str, array: "np.ndarray[Any, Any]", budget_s: float) -> Tuple[float, float]:
    """Return the processor's seconds of encoding and of decoding."""
    codec = LinkCodec(name)
    used, data = encode(array, codec)
    header = header_of("x", array, used, data.nbytes)
    return _median_s(lambda: encode(array, codec), budget_s), _median_s(lambda: decode(header, data), budget_s)


def _median_s(run: Callable[[], object], budget_s: float) -> float:
    runs: List[float] = []
    spent_s = 0.0
    while len(runs) < _LEAST_RUNS or spent_s < budget_s:
        begin_s = time.thread_time()
        run()
        runs.append(time.thread_time() - begin_s)
        # A clock that stands still for so short a time must not keep us here.
        spent_s += max(runs[-1], 1e-6)
    return max(median(runs), 1e-7)
