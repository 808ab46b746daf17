"""Tries codecs on what really crosses a plan's cuts: how small tensors become, and what happens to the outputs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from partition_agent.protocol import LinkCodec
from partition_studio.graph.runtime import Arrays, error_sentence, open_session, runtime_error_types
from partition_studio.partition.carry import Carried, Carrier, carry, codec_effect
from partition_studio.partition.codecs import OnCut, Settled, only_lossy
from partition_studio.partition.run_stages import Part, PartNotRunnableError
from partition_studio.partition.stages import SINK, StageGraph

Array = np.ndarray[Any, Any]


class CodecTrial:
    """The parts of a plan with some frames in them, to be run again and again with other codecs.

    Every part's session stays open, and every tensor on a cut stays: together about what the whole network takes.
    """

    def __init__(
        self,
        graph: StageGraph,
        parts: Mapping[str, Part],
        frames: Sequence[Mapping[str, Array]],
        *,
        threads: int = 1,
        on_stage: Callable[[str], None] | None = None,
    ) -> None:
        """Run the frames without codecs. Raises PartNotRunnableError, and what `on_stage` raises."""
        self._graph = graph
        self._on_stage = on_stage
        self._sessions: dict[str, Any] = {}
        self._plain: list[Arrays] = []
        values: list[Arrays] = [dict(frame) for frame in frames]
        for stage in graph.stages:
            if on_stage is not None:
                on_stage(stage.name)
            try:
                self._sessions[stage.name] = open_session(parts[stage.name], threads=threads)
            except runtime_error_types() as error:
                raise _not_runnable(stage.name, error) from error
            for held in values:
                held.update(self._run(stage.name, {name: held[name] for name in stage.inputs}))
        self._plain = values

    def carried(self, key: OnCut, codec: LinkCodec) -> Carried:
        """Return how a tensor travels with a codec; its bytes are the mean over the frames, rounded up."""
        _, tensor = key
        found = [carry(tensor, values[tensor], codec)[1] for values in self._plain]
        wire_bytes = -(-sum(one.wire_bytes for one in found) // len(found))
        return Carried(found[0].codec, found[0].size_bytes, wire_bytes)

    def change(self, codecs: Settled) -> float:
        """Return by how much codecs change the outputs, at most, as a share of the largest value of an output."""
        before = [{name: values[name] for name in self._graph.outputs} for values in self._plain]
        return codec_effect(before, [self._outputs(values, codecs) for values in self._plain], {}).max_rel

    def _outputs(self, plain: Arrays, codecs: Settled) -> Arrays:
        """Return the outputs of one frame; only what lossy codecs change is computed again."""
        carrier, values, changed = Carrier(self._graph, only_lossy(codecs)), dict(plain), set[str]()
        for stage in self._graph.stages:
            arrived = {name: carrier.bring(stage.name, name, values[name]) for name in stage.inputs}
            if any(name in changed or arrived[name] is not values[name] for name in stage.inputs):
                if self._on_stage is not None:
                    self._on_stage(stage.name)
                values.update(self._run(stage.name, arrived))
                changed.update(stage.outputs)
        return {name: carrier.bring(SINK, name, values[name]) for name in self._graph.outputs}

    def _run(self, stage: str, feeds: Arrays) -> Arrays:
        outputs = self._graph.stage(stage).outputs
        try:
            return dict(zip(outputs, self._sessions[stage].run(list(outputs), feeds), strict=True))
        except runtime_error_types() as error:
            raise _not_runnable(stage, error) from error


def _not_runnable(stage: str, error: Exception) -> PartNotRunnableError:
    return PartNotRunnableError(f"ONNX Runtime cannot run the stage {stage!r}: {error_sentence(error)}", stage=stage)
