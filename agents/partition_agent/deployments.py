"""The deployments that an agent holds: prepared, connected, ended. Calls may come from several threads."""

import logging
import threading
from pathlib import Path
from typing import Callable, Dict, FrozenSet, List, Optional, Set, Tuple

from partition_agent.codecs import CodecError, missing_codecs
from partition_agent.data_plane.sockets import SocketError
from partition_agent.pipeline.pipeline import check_manifest
from partition_agent.pipeline.runner import Runner
from partition_agent.protocol import (
    Connect,
    DeploymentInfo,
    End,
    Event,
    LinkSample,
    Prepare,
    Prepared,
    Progress,
    StageSample,
)
from partition_agent.refusal import RefusedError as RefusedError
from partition_agent.stages import (
    CancelledError,
    StageError,
    delete_models,
    give_back_memory,
    load_stages,
    model_digests,
)

logger = logging.getLogger(__name__)

Key = Tuple[str, int]


class _Entry:
    """A deployment's epoch on this device. `settled` is set once it is prepared, or will never be."""

    def __init__(self, request: Prepare) -> None:
        self.request = request
        self.cancelled = threading.Event()
        self.settled = threading.Event()
        self.ending = threading.Lock()
        self.runner: Optional[Runner] = None

    def check(self) -> None:
        if self.cancelled.is_set():
            raise CancelledError


class Deployments:
    """What runs here, by deployment and epoch."""

    def __init__(self, models_dir: Path, default_threads: int, on_event: Callable[[Event], None]) -> None:
        self._models_dir = models_dir
        self._default_threads = default_threads
        self._on_event = on_event
        self._lock = threading.Lock()
        self._entries: Dict[Key, _Entry] = {}
        #: Refused messages of the deployments that have ended: the totals go on.
        self._dropped: Dict[str, int] = {}

    def prepare(self, request: Prepare) -> Prepared:
        """Load a deployment's stages and open its socket. Raises RefusedError; then nothing of it remains."""
        problem = check_manifest(request.device, request.stages, request.links)
        if problem is not None:
            raise RefusedError("bad_manifest", problem)
        missing = missing_codecs(codec.name for link in request.links for codec in link.codecs)
        if missing:
            told = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
            raise RefusedError("missing_codecs", f"{request.device} cannot use the codecs that its links name ({told})")
        entry = self._enter(request)
        try:
            return self._bring_up(entry)
        except StageError as error:
            raise RefusedError(error.code, error.message, error.stage) from error
        except CancelledError:
            raise RefusedError("cancelled", "the deployment was ended while it was prepared") from None
        except CodecError as error:
            raise RefusedError("bad_manifest", str(error)) from error
        except SocketError as error:
            raise RefusedError("no_data_socket", str(error)) from error
        except MemoryError as error:
            raise RefusedError("out_of_memory", "the device has not enough memory for its stages") from error
        finally:
            if entry.runner is None:
                self._remove(entry)
            entry.settled.set()

    def connect(self, request: Connect) -> None:
        """Admit exactly these peers to a deployment. Raises RefusedError."""
        with self._lock:
            entry = self._entries.get((request.deployment, request.epoch))
            runner = entry.runner if entry is not None else None
        if runner is None:
            raise RefusedError(
                "unknown_deployment",
                f"the deployment {request.deployment}, epoch {request.epoch}, is not prepared here",
            )
        try:
            runner.connect(request)
        except SocketError as error:
            raise RefusedError("not_connected", str(error)) from error

    def end(self, request: End) -> None:
        """End one epoch of a deployment, or all; returns when nothing of it is left."""
        with self._lock:
            entries = [
                entry
                for (name, epoch), entry in self._entries.items()
                if name == request.deployment and request.epoch in (None, epoch)
            ]
        self._end(entries, frozenset(request.keep or ()))
        if request.keep is not None:
            with self._lock:
                delete_models(self._models_dir, model_digests(self._models_dir) - self._used() - set(request.keep))

    def end_all(self) -> None:
        """End everything."""
        with self._lock:
            entries = list(self._entries.values())
        self._end(entries)

    def infos(self) -> Tuple[DeploymentInfo, ...]:
        """Return what is prepared here."""
        with self._lock:
            return tuple(
                DeploymentInfo(
                    deployment=name,
                    epoch=epoch,
                    stages=tuple(stage.name for stage in entry.request.stages),
                    data_port=entry.runner.data_port,
                    public_key=entry.runner.public_key,
                    last_frame=entry.runner.last_frame,
                )
                for (name, epoch), entry in self._entries.items()
                if entry.runner is not None
            )

    def samples(self) -> Tuple[List[StageSample], List[LinkSample], Dict[str, int]]:
        """Return the running totals of stages and links, and of refused messages by reason."""
        stages: List[StageSample] = []
        links: List[LinkSample] = []
        with self._lock:
            runners = [entry.runner for entry in self._entries.values() if entry.runner is not None]
            dropped = dict(self._dropped)
        for runner in runners:
            of_stages, of_links = runner.samples()
            stages += of_stages
            links += of_links
            for reason, count in runner.dropped().items():
                dropped[reason] = dropped.get(reason, 0) + count
        return stages, links, dropped

    def _enter(self, request: Prepare) -> _Entry:
        entry = _Entry(request)
        with self._lock:
            newest = max((epoch for name, epoch in self._entries if name == request.deployment), default=-1)
            if request.epoch == newest:
                raise RefusedError("already_prepared", f"epoch {request.epoch} of {request.deployment} is here already")
            if request.epoch < newest:
                raise RefusedError("stale_epoch", f"a newer epoch ({newest}) of {request.deployment} is here already")
            self._entries[(request.deployment, request.epoch)] = entry
        return entry

    def _bring_up(self, entry: _Entry) -> Prepared:
        request = entry.request

        def report(stage: str, step: str) -> None:
            self._on_event(Progress(request.deployment, request.epoch, stage, step))

        loaded = load_stages(self._models_dir, request.stages, self._default_threads, report, entry.check)
        with self._lock:
            entry.check()
            entry.runner = runner = Runner(request, loaded.stages, self._on_event)
        logger.info("deployment_prepared", extra={"deployment": request.deployment, "epoch": request.epoch})
        return Prepared(
            data_port=runner.data_port,
            public_key=runner.public_key,
            load_s=loaded.load_s,
            providers={name: stage.provider for name, stage in loaded.stages.items()},
            batches={name: stage.batch for name, stage in loaded.stages.items()},
            notes=tuple(f"{request.device}: {note}" for note in loaded.notes),
        )

    def _end(self, entries: List[_Entry], keep: FrozenSet[str] = frozenset()) -> None:
        for entry in entries:
            entry.cancelled.set()
        for entry in entries:
            entry.settled.wait()
            with entry.ending:
                self._end_one(entry, keep)

    def _end_one(self, entry: _Entry, keep: FrozenSet[str]) -> None:
        with self._lock:
            runner, entry.runner = entry.runner, None
            for reason, count in (runner.dropped() if runner is not None else {}).items():
                self._dropped[reason] = self._dropped.get(reason, 0) + count
        if runner is not None:
            runner.close()
            del runner
            self._remove(entry, keep)
            fields = {"deployment": entry.request.deployment, "epoch": entry.request.epoch}
            logger.info("deployment_ended", extra=fields)

    def _used(self) -> Set[str]:
        """Return the digests of every stage that is here; with the lock."""
        return {stage.digest for entry in self._entries.values() for stage in entry.request.stages}

    def _remove(self, entry: _Entry, keep: FrozenSet[str] = frozenset()) -> None:
        """Forget a deployment that does not run, and delete the sub-models that only it used."""
        with self._lock:
            key = (entry.request.deployment, entry.request.epoch)
            if self._entries.get(key) is entry:
                del self._entries[key]
            own = {stage.digest for stage in entry.request.stages}
            delete_models(self._models_dir, own - self._used() - keep)
        give_back_memory()
