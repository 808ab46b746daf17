"""Runs the sub-models of a plan here, one after the other, as the devices would."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from partition_studio.errors import PlanError
from partition_studio.graph.runtime import Arrays, error_sentence, open_session, runtime_error_types
from partition_studio.partition.carry import Carrier
from partition_studio.partition.stages import Stage, StageGraph

Array = np.ndarray[Any, Any]

#: A sub-model: the content of its file, or the file.
Part = bytes | Path


class PartNotRunnableError(PlanError):
    """ONNX Runtime refuses or fails one of the parts."""

    code = "part_not_runnable"
    next_step = "Move the cuts of that stage, or report it as a fault of the studio with the network and the plan."


def run_stages_on(
    graph: StageGraph,
    parts: Mapping[str, Part],
    frames: Sequence[Mapping[str, Array]],
    *,
    carriers: Sequence[Carrier] | None = None,
    threads: int = 1,
    optimise: bool = True,
    on_stage: Callable[[str], None] | None = None,
) -> Iterator[tuple[Stage, list[Arrays]]]:
    """Run the stages one after the other on some frames; yield each stage with what it made of every frame.

    `carriers` bring each frame's tensors to the stages; outputs of the network are the caller's to bring. A tensor is
    forgotten once its last reader ran, a stage's session before the next is opened. Raises PartNotRunnableError, which
    names the stage.
    """
    last_reader = {name: stage.name for stage in graph.stages for name in stage.inputs}
    values: list[Arrays] = [dict(frame) for frame in frames]
    ways = carriers or [Carrier(graph)] * len(values)
    for stage in graph.stages:
        if on_stage is not None:
            on_stage(stage.name)
        arrived = [
            {name: way.bring(stage.name, name, held[name]) for name in stage.inputs}
            for way, held in zip(ways, values, strict=True)
        ]
        made = _run_stage(stage, parts[stage.name], arrived, threads, optimise)
        for held, outputs in zip(values, made, strict=True):
            held.update((name, array) for name, array in outputs.items() if name in last_reader)
            for name in stage.inputs:
                if last_reader[name] == stage.name:
                    del held[name]
        yield stage, made


def _run_stage(stage: Stage, part: Part, arrived: Sequence[Arrays], threads: int, optimise: bool) -> list[Arrays]:
    try:
        session = open_session(part, threads=threads, optimise=optimise)
        answers = [session.run(list(stage.outputs), feeds) for feeds in arrived]
    except runtime_error_types() as error:
        raise PartNotRunnableError(
            f"ONNX Runtime cannot run the stage {stage.name!r}: {error_sentence(error)}", stage=stage.name
        ) from error
    return [dict(zip(stage.outputs, answer, strict=True)) for answer in answers]
