"""What is put where: everything that a deployment is, before any device hears of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import onnx

from partition_studio.deployment.run import Tensors
from partition_studio.partition.codecs import NOTHING, Settled, settled_codecs
from partition_studio.partition.partition import Partition
from partition_studio.partition.plan import Plan
from partition_studio.partition.stages import StageGraph


class SettledCodecs(Protocol):
    """How every tensor travels, once that is decided.

    `why` has sentences for each cut that was decided about, `wire_bytes` those of a frame where they were measured.
    """

    @property
    def codecs(self) -> Settled:
        """The codec of each tensor that does not travel as it is."""

    @property
    def why(self) -> Mapping[str, tuple[str, ...]]:
        """By cut."""

    @property
    def wire_bytes(self) -> Mapping[str, int]:
        """By cut."""


@dataclass(frozen=True, slots=True)
class Given:
    """Codecs that need no decision."""

    codecs: Settled = field(default_factory=lambda: NOTHING)
    why: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    wire_bytes: Mapping[str, int] = field(default_factory=dict)


#: Decides about `auto`; is asked whether to stop, and says what it does. Raises OperationCancelledError.
Settle = Callable[[Callable[[], bool], Callable[[str], None]], SettledCodecs]


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    """What is put where. `test_frame` is what the proofs run on.

    `settle` decides about the plan's codecs, which takes a while where it says `auto`. `plaintext`: no link is
    encrypted, as the person who started the studio chose. `before` is what an earlier studio decided of `auto`.
    """

    id: str
    epoch: int
    model_id: str
    model_name: str
    plan: Plan
    partition: Partition
    original: Callable[[], onnx.ModelProto]
    test_frame: Tensors
    threads: Mapping[str, int]
    settle: Settle | None = None
    plaintext: bool = False
    before: Settled = field(default_factory=lambda: NOTHING)
    plan_name: str | None = None

    @property
    def graph(self) -> StageGraph:
        """The stages and cuts."""
        return self.partition.graph

    @property
    def holder(self) -> str:
        """The name under which it holds agents."""
        return f"{self.id}/{self.epoch}"

    def settled(self, cancelled: Callable[[], bool], on_step: Callable[[str], None]) -> SettledCodecs:
        """Decide about the codecs. Raises OperationCancelledError, StudioError."""
        if self.settle is not None:
            return self.settle(cancelled, on_step)
        return Given(settled_codecs(self.graph, self.plan))

    def settled_before(self) -> Settled:
        """Return the codecs with which an earlier studio brought it up."""
        return settled_codecs(self.graph, self.plan, self.before)
