"""What the studio's `auto` codec takes for a cut over a link of a given rate, from figures measured here and now."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from bench.pipeline.harness.deployment import Cut
from partition_agent.codecs import CODECS, decode, encode, header_of
from partition_agent.protocol import LinkCodec
from partition_studio.graph.frames import random_frame
from partition_studio.partition.codec_trial import CodecTrial
from partition_studio.partition.codecs import LOSSLESS
from partition_studio.partition.plan import CodecChoice, Plan
from partition_studio.planner.codecs.choice import choose_codecs
from partition_studio.planner.codecs.costs import CodecSpeed, LinkFigures
from partition_studio.planner.codecs.task import Measured, codec_task

_REPEATS = 5


@dataclass(frozen=True, slots=True)
class AutoChoice:
    """The codec that `auto` takes, those that it was allowed to take, and why it took this one."""

    codec: str
    allowed: tuple[str, ...]
    why: str


def codec_speeds(array: np.ndarray[Any, Any]) -> dict[str, CodecSpeed]:
    """Return how fast each codec is with a tensor, in processor time of this process."""
    speeds = {}
    for name in CODECS:
        used, data = encode(array, LinkCodec(name))
        header = header_of("t", array, used, data.nbytes)
        encode_s = _median_s(lambda name=name: encode(array, LinkCodec(name)))  # type: ignore[misc]  # default of a lambda
        decode_s = _median_s(lambda header=header, data=data: decode(header, data))  # type: ignore[misc]
        speeds[name] = CodecSpeed(array.nbytes / encode_s, array.nbytes / decode_s)
    return speeds


def _median_s(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(_REPEATS):
        begin_s = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin_s)
    return max(median(seconds), 1e-9)


def auto_codec(
    cut: Cut,
    plan: Plan,
    array: np.ndarray[Any, Any],
    bytes_per_s: float,
    stage_s: Mapping[str, float],
    max_change: float,
) -> AutoChoice:
    """Return what `auto` takes for the one tensor of a cut in two; `array` is such a tensor."""
    graph = cut.parted.graph
    between = next(link for link in graph.cuts if graph.device_of(link.producer) and graph.device_of(link.consumer))
    source, target = graph.device_of(between.producer), graph.device_of(between.consumer)
    assert source is not None and target is not None
    speeds = codec_speeds(array)
    measured = Measured(
        links={(source, target): LinkFigures(bytes_per_s)},
        speeds={source: speeds, target: speeds},
        stage_s=dict(stage_s),
    )
    asked = plan.model_copy(update={"codecs": [CodecChoice(codec="auto")], "max_change": max_change})
    frame = random_frame(cut.parted.network.inputs, seed=1)
    trial = CodecTrial(graph, cut.parts, [frame])
    decision = choose_codecs(codec_task(graph, asked, measured, trial.carried), max_change, trial.change)
    key = (between.id, between.tensors[0])
    chosen = decision.codecs.get(key)
    allowed = [name for name in CODECS if name in LOSSLESS or trial.change({key: LinkCodec(name)}) <= max_change]
    period_ms = decision.cost.period_s * 1e3
    return AutoChoice(
        "none" if chosen is None else chosen.name,
        tuple(allowed),
        f"a frame every {period_ms:.1f} ms reckoned, {decision.as_it_is.period_s * 1e3:.1f} ms without a codec",
    )
