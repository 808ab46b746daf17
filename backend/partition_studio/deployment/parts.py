"""The parts of a deployment: what its devices are sent, what each is told of it, and the proof that it is right."""

import logging
from collections.abc import Mapping

from partition_agent.protocol import AgentInfo
from partition_studio.deployment.board import Board
from partition_studio.deployment.described import as_carried, cuts_out
from partition_studio.deployment.manifest import DeviceShare, Manifest, build_manifest
from partition_studio.deployment.spec import DeploymentSpec, Given, SettledCodecs
from partition_studio.fleet.progress import CancelCheck, stop_if_cancelled
from partition_studio.partition.micro_batch import free_batches
from partition_studio.partition.runtimes import RuntimeTooOldError, for_runtimes
from partition_studio.partition.submodel import Contents, SubModel, require_deployable, submodels
from partition_studio.partition.verify import Verification, verify
from partition_studio.schemas import ProblemOut

logger = logging.getLogger(__name__)


class Parts:
    """The sub-models as they are sent, and the manifest that goes with them.

    They are cut, then settled and proved, then perhaps written for an older runtime and proved anew: what is proved is
    what is sent. Everything but `cut` takes a while and raises OperationCancelledError once `is_halted()`.
    """

    def __init__(self, spec: DeploymentSpec, board: Board, is_halted: CancelCheck) -> None:
        self._spec = spec
        self._board = board
        self._is_halted = is_halted
        self._parts: Mapping[str, SubModel] = {}
        self._manifest: Manifest | None = None
        #: How many frames a stage may compute in one go, where its sub-model allows more than one.
        self._batches: Mapping[str, int] = {}
        #: How tensors travel.
        self.settled: SettledCodecs = Given()

    @property
    def manifest(self) -> Manifest:
        """What each agent is told; there once they are cut."""
        if self._manifest is None:
            raise AssertionError("not cut")
        return self._manifest

    def of(self, share: DeviceShare) -> tuple[SubModel, ...]:
        """Return what one device needs, each once, though several of its stages may run it."""
        names = dict.fromkeys(self.manifest.stage_of[stage.name] for stage in share.stages)
        return tuple(self._parts[name] for name in names)

    def cut(self) -> None:
        """Make the sub-models, whose weights stay on disk. Raises StageTooLargeError."""
        parts = submodels(self._spec.partition.network, self._spec.graph, annotated=False)
        require_deployable(parts)
        self._take(parts)

    def cut_again(self) -> None:
        """Make them as an earlier studio brought them up, and proved them. Raises StageTooLargeError."""
        self.settled = Given(self._spec.settled_before())
        self.cut()
        self._take(self._freed())

    def settle_and_prove(self) -> Verification:
        """Decide how tensors travel and how frames are computed together, and prove the outcome.

        Raises PartsDifferError, StudioError.
        """
        self.settled = self._spec.settled(self._is_halted, self._log)
        freed = self._freed()
        proof = self._prove(freed)
        self.settled, notes = as_carried(self._spec.graph, self.settled, proof.codec_effect)
        self._take(freed)
        self._board.describe(cuts=cuts_out(self._spec.graph, self.settled))
        self._board.note(notes)
        return proof

    def write_for(self, agents: Mapping[str, AgentInfo], proof: Verification) -> Verification:
        """Write them as the devices' runtimes take them; return the proof, made anew where they changed.

        Raises RuntimeTooOldError, PartsDifferError.
        """
        runtimes = {device: info.onnxruntime_version for device, info in agents.items()}
        try:
            written = for_runtimes(self._parts, self._spec.graph, runtimes)
        except RuntimeTooOldError as error:
            self._board.fail(str(error.details["device"]), ProblemOut.of(error))
            raise
        if written is self._parts:
            return proof
        for device in self._spec.graph.devices:
            self._board.step(device, "push", "proving the parts anew, written for the oldest runtime")
        proof = self._prove(written)
        self._take(written)
        return proof

    def _take(self, parts: Mapping[str, SubModel]) -> None:
        self._parts = parts
        digests = {name: part.digest for name, part in parts.items()}
        self._manifest = build_manifest(
            self._spec.graph, digests, self._spec.threads, codecs=self.settled.codecs, batches=self._batches
        )

    def _freed(self) -> Mapping[str, SubModel]:
        freed = free_batches(self._spec.partition, self._parts, self._spec.plan.micro_batch, self._check_halted)
        self._batches = freed.batches
        self._board.note(f"{stage} computes its frames one by one: {why}" for stage, why in freed.refused.items())
        return freed.parts

    def _prove(self, parts: Mapping[str, SubModel]) -> Verification:
        proof = verify(
            self._spec.original(),
            self._spec.partition,
            Contents(parts),
            self._spec.test_frame,
            codecs=self.settled.codecs,
            on_stage=lambda _stage: self._check_halted(),
        )
        proof.require_equal()
        return proof

    def _check_halted(self) -> None:
        stop_if_cancelled(self._is_halted, "The deployment")

    def _log(self, text: str) -> None:
        logger.info("codecs_settled", extra={"deployment_id": self._spec.id, "step": text})
