"""The agent's process: its folder, its control server, its life."""

import asyncio
import fcntl
import functools
import logging
import os
import platform
import secrets
import shutil
import signal
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Callable, Deque, Dict, Optional, Tuple, Union

import msgspec

from partition_agent.control import ControlServer
from partition_agent.data_plane.reach import reach
from partition_agent.installed import Providers, agent_version, onnxruntime_version
from partition_agent.late import Late
from partition_agent.lease import Lease, Visitor
from partition_agent.load.maker import LoadMaker
from partition_agent.loading.model_store import delete_everything_made, delete_models, model_digests
from partition_agent.protocol import (
    PROTOCOL_VERSION,
    AgentInfo,
    AgentState,
    Call,
    CancelJob,
    Configure,
    Connect,
    DeploymentInfo,
    Done,
    End,
    Event,
    Failed,
    Hello,
    History,
    LinkKey,
    LinkListen,
    LinkMeasure,
    Load,
    Prepare,
    Profile,
    Reach,
    Result,
    Telemetry,
)
from partition_agent.refusal import RefusedError
from partition_agent.system import boot_id, memory_limit_bytes, process_start_ticks, usable_cores
from partition_agent.telemetry import Sampler, Totals

if TYPE_CHECKING:
    from partition_agent.deployments import Deployments
    from partition_agent.link_probing.prober import LinkProber
    from partition_agent.profiling.profiler import Profiler

logger = logging.getLogger(__name__)

#: Calls that may be under way at once; the rest wait. Some are kept free, so that `End` always gets through.
MAX_WORKERS = 16
MAX_PREPARING = 8

#: Samples of the last seconds that are kept for parts that come later.
_RECENT = 60

#: How often it is looked whether the parent is still there.
_PARENT_EVERY_S = 0.5


@dataclass(frozen=True)
class Settings:
    """Everything that an agent may be told; see `__main__`."""

    data_dir: Path
    cpus: Tuple[int, ...] = ()
    parent_pid: Optional[int] = None


class AlreadyRunningError(Exception):
    """Another agent runs in this data folder."""


class DataFolder:
    """The agent's folder, held by one agent at a time: `agent.lock`, `agent.json`, `agent.log`, `models/`."""

    def __init__(self, path: Path) -> None:
        """Make it private and take hold of it. Raises AlreadyRunningError, OSError."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        self.state = path / "agent.json"
        self.models = path / "models"
        self.telemetry = path / "telemetry"
        self.models.mkdir(mode=0o700, exist_ok=True)
        self._lock: IO[str] = open(path / "agent.lock", "w", encoding="ascii")  # noqa: SIM115 - held while we live
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise AlreadyRunningError(f"another agent runs in {path}") from None
        # What an agent left that was killed: nobody needs it, for whoever deploys sends first and asks then.
        delete_models(self.models, model_digests(self.models))
        delete_everything_made(self.models)
        shutil.rmtree(str(path / "profiling"), ignore_errors=True)

    def write_state(self, state: AgentState) -> None:
        """Say how to reach us, to this user only."""
        temporary = self.state.with_name("agent.json.new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(msgspec.json.encode(state))
        os.replace(temporary, self.state)

    def digests(self) -> Tuple[str, ...]:
        """Return the digests of the sub-models that are here."""
        return tuple(sorted(path.stem for path in self.models.glob("*.onnx")))

    def release(self) -> None:
        """Leave: nobody is to be reached here any more."""
        try:
            self.state.unlink()
        except FileNotFoundError:
            logger.info("state_file_was_gone")
        self._lock.close()


class Agent:
    """One agent, from start to end. All methods belong to the event loop's thread unless they say otherwise."""

    def __init__(self, settings: Settings, folder: DataFolder) -> None:
        self._settings = settings
        self._folder = folder
        self._incarnation = secrets.token_hex(16)
        self._loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        self._affinity = sorted(os.sched_getaffinity(0))
        self._providers = Providers(folder.models.parent / "providers.json")
        self._deployments = Late(self._make_deployments)
        self._profiler = Late(self._make_profiler)
        self._prober = Late(self._make_prober)
        #: What a profiler that is not there yet will want to know of the device's power and heat.
        self._noting = threading.Lock()
        self._recent: Deque[Telemetry] = deque(maxlen=_RECENT)
        self._sampler = Sampler(
            self._incarnation, self._affinity, self._totals, self._publish_sample, ring_dir=folder.telemetry
        )
        self._load_maker = load_maker = LoadMaker(self._affinity, self._publish_soon)
        #: What is carried out by one blocking call.
        self._blocking: Dict[type, Callable[[Any], Result]] = {
            History: self._sampler.history,
            Reach: reach,
            Profile: lambda request: self._profiler.get().profile(request),
            Load: load_maker.load,
            LinkKey: lambda request: self._prober.get().key(request),
            LinkListen: lambda request: self._prober.get().listen(request),
            LinkMeasure: lambda request: self._prober.get().measure(request),
        }
        self._workers = ThreadPoolExecutor(MAX_WORKERS, thread_name_prefix="call")
        self._preparing = 0
        self._token = secrets.token_urlsafe(32)
        self._lease = Lease(lambda: bool(self._infos()))
        self._control = ControlServer(self._token, self._answer, self._lease.left)

    async def run(self) -> None:
        """Live until told to end, by a call, a signal or the parent's end; then leave nothing behind."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._ending.set)
        port = await self._control.start()
        ticks = process_start_ticks(os.getpid()) or 0
        self._folder.write_state(AgentState(PROTOCOL_VERSION, os.getpid(), ticks, port, self._token, self._incarnation))
        logger.info("agent_started", extra={"pid": os.getpid(), "port": port, "cpus": self._affinity})
        self._sampler.start()
        watch = asyncio.ensure_future(self._watch_parent())
        try:
            await self._ending.wait()
        finally:
            watch.cancel()
            await self._in_thread(self._end_everything)
            # Let the answer to `Shutdown` go out before the connections close.
            await asyncio.sleep(0)
            await self._control.stop()
            self._workers.shutdown()
            self._folder.release()
            logger.info("agent_ended")

    async def _answer(self, call: Call, visitor: Visitor) -> Result:
        request = call.request
        if isinstance(request, Hello):
            return await self._hello(request, visitor)
        holder = self._lease.held_by(visitor)
        if holder is not None:
            return Failed("held", f"the device is in use by the studio on {holder}")
        if isinstance(request, Configure):
            self._sampler.configure(request)
            return Done()
        try:
            if isinstance(request, Prepare):
                return await self._prepare(request)
            if isinstance(request, Connect):
                await self._in_thread(lambda: self._deployments.get().connect(request))
            elif isinstance(request, End):
                await self._in_thread(lambda: self._deployments.get().end(request))
            elif isinstance(request, CancelJob):
                for jobs in self._jobs():
                    await self._in_thread(functools.partial(jobs.cancel, request.job))
            elif type(request) in self._blocking:
                result: Result = await self._in_thread(functools.partial(self._blocking[type(request)], request))
                return result
            else:
                await self._in_thread(self._end_everything)
                self._loop.call_soon(self._ending.set)
        except RefusedError as error:
            return error.failed
        return Done()

    async def _hello(self, request: Hello, visitor: Visitor) -> Result:
        if request.protocol_version != PROTOCOL_VERSION:
            return Failed(
                "protocol_version",
                f"the agent speaks protocol {PROTOCOL_VERSION}, the studio {request.protocol_version}",
            )
        self._lease.hello(visitor, request.studio, request.studio_host)
        # Asking takes a moment where another process has to be asked: once, and not in the loop.
        providers = self._providers.known or await self._in_thread(self._providers.get)
        return AgentInfo(
            protocol_version=PROTOCOL_VERSION,
            agent_version=agent_version(),
            incarnation=self._incarnation,
            pid=os.getpid(),
            python_version=platform.python_version(),
            onnxruntime_version=onnxruntime_version(),
            providers=providers,
            usable_cores=usable_cores(self._affinity),
            memory_limit_bytes=memory_limit_bytes(),
            deployments=self._infos(),
            models=self._folder.digests(),
            boot_id=boot_id(),
            ring=self._sampler.ring,
            held_by=self._lease.held_by(visitor) or "",
        )

    async def _prepare(self, request: Prepare) -> Result:
        if self._preparing >= MAX_PREPARING:
            raise RefusedError("busy", f"{MAX_PREPARING} deployments are being prepared already")
        self._preparing += 1
        try:
            prepared: Result = await self._in_thread(lambda: self._deployments.get().prepare(request))
            return prepared
        finally:
            self._preparing -= 1

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        return await self._loop.run_in_executor(self._workers, work)

    # --- parts that come with their first use: each brings libraries that an agent that waits does not need ---

    def _make_deployments(self) -> "Deployments":
        from partition_agent.deployments import Deployments

        threads = max(int(usable_cores(self._affinity)), 1)
        return Deployments(self._folder.models, threads, self._publish_soon)

    def _make_profiler(self) -> "Profiler":
        from partition_agent.profiling.profiler import Profiler

        profiler = Profiler(self._folder.models, self._publish_soon)
        with self._noting:
            for sample in self._recent:
                profiler.note(sample)
            # From here on samples go to it: whoever is told of the next one finds it.
            self._profiler.made = profiler
        return profiler

    def _make_prober(self) -> "LinkProber":
        from partition_agent.link_probing.prober import LinkProber

        return LinkProber()

    def _jobs(self) -> "Tuple[Union[Profiler, LoadMaker, LinkProber], ...]":
        parts = (self._profiler.made, self._load_maker, self._prober.made)
        return tuple(part for part in parts if part is not None)

    def _totals(self) -> Totals:
        return self._deployments.made.samples() if self._deployments.made is not None else ([], [], {})

    def _infos(self) -> Tuple[DeploymentInfo, ...]:
        return self._deployments.made.infos() if self._deployments.made is not None else ()

    def _end_everything(self) -> None:
        """Runs in a thread of the pool."""
        for jobs in self._jobs():
            jobs.close()
        if self._deployments.made is not None:
            self._deployments.made.end_all()
        self._sampler.stop()
        delete_models(self._folder.models, model_digests(self._folder.models))
        delete_everything_made(self._folder.models)

    def _publish_sample(self, sample: Telemetry) -> None:
        """Runs in the sampler's thread."""
        with self._noting:
            self._recent.append(sample)
            if self._profiler.made is not None:
                self._profiler.made.note(sample)
        self._load_maker.note(sample)
        self._publish_soon(sample)

    def _publish_soon(self, event: Event) -> None:
        """Hand an event to the loop; from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._control.publish, event)
        except RuntimeError:
            # The loop has ended, and with it every studio's connection.
            return

    async def _watch_parent(self) -> None:
        parent = self._settings.parent_pid
        if parent is None:
            return
        started = process_start_ticks(parent)

        def is_there() -> bool:
            # Whether it started us is known at once; else it has to be looked for.
            return os.getppid() == parent or (started is not None and process_start_ticks(parent) == started)

        while is_there():  # noqa: ASYNC110 - it sets no event here
            await asyncio.sleep(_PARENT_EVERY_S)
        logger.info("parent_gone", extra={"parent_pid": parent})
        self._ending.set()


async def _live(settings: Settings, folder: DataFolder) -> None:
    await Agent(settings, folder).run()


def run_agent(settings: Settings) -> int:
    """Run an agent until it ends; return the exit status."""
    try:
        if settings.cpus:
            os.sched_setaffinity(0, settings.cpus)
        folder = DataFolder(settings.data_dir)
    except (AlreadyRunningError, OSError) as error:
        sys.stderr.write(f"partition-agent: {error}\n")
        return 1
    asyncio.run(_live(settings, folder))
    return 0
