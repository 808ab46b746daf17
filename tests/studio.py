"""A whole studio for one test: real services on a data folder of its own, a real web server on a free port."""

import asyncio
import atexit
import functools
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx
import psutil
import uvicorn

from partition_studio.api.app import allowed_hosts, create_app
from partition_studio.api.auth import Sessions, load_token
from partition_studio.cli.client import StudioAddress, StudioClient
from partition_studio.cli.serving import listen
from partition_studio.services import Services
from partition_studio.settings import DataDir, open_data_dir

T = TypeVar("T")

START_S = 20.0
POLL_S = 0.02


def wait_for(look: Callable[[], T | None], *, what: str, deadline_s: float = 60.0) -> T:
    """Return what `look` finds as soon as it finds something."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        found = look()
        if found is not None and found is not False:
            return found
        time.sleep(POLL_S)
    raise AssertionError(f"{what} did not happen within {deadline_s:.0f} s")


@functools.cache
def wheel_cache() -> Path:
    """Return where the wheels for devices are kept, fetched once for all tests."""
    kept = os.environ.get("PARTITION_STUDIO_TEST_CACHE")
    if kept is None:
        kept = tempfile.mkdtemp(prefix="studio-test-wheels-")
        atexit.register(shutil.rmtree, kept, ignore_errors=True)
    return Path(kept)


def _lend_wheels(data_dir: DataDir) -> None:
    """Give a studio the wheels; what else is in its cache, such as its name on devices, is its own."""
    shared, own = wheel_cache() / "wheels", data_dir.wheelhouse / "wheels"
    shared.mkdir(parents=True, exist_ok=True)
    if not own.exists():
        own.parent.mkdir(exist_ok=True)
        own.symlink_to(shared)


class RunningStudio:
    """`with RunningStudio(folder) as studio:` serves until the end of the block."""

    def __init__(self, folder: Path, *, prepare: Callable[[Services], None] | None = None) -> None:
        self.data_dir: DataDir = open_data_dir(folder)
        _lend_wheels(self.data_dir)
        self._prepare = prepare
        self._listener = listen("127.0.0.1", 0)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """End the studio in the middle of a test; `start` begins it again, with the same data at the same address."""
        self.__exit__(None, None, None)

    def start(self) -> None:
        """Begin again after `stop`."""
        self._listener = listen("127.0.0.1", self.port)
        self._prepare = None
        self.__enter__()

    def __enter__(self) -> Self:
        self.services = Services(self.data_dir)
        if self._prepare is not None:
            self._prepare(self.services)
        self.token = load_token(self.data_dir.token)
        self.sessions = Sessions(self.token)
        app = create_app(self.services, self.sessions, allowed_hosts("127.0.0.1", self.port))
        config = uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=1, ws="websockets-sansio"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="studio")
        self._thread.start()
        wait_for(lambda: self._server.started or None, what="the studio's start", deadline_s=START_S)
        self.client = StudioClient(StudioAddress(self.url, self.token))
        return self

    def _serve(self) -> None:
        asyncio.run(self._serve_until_told())

    async def _serve_until_told(self) -> None:
        await self._server.serve(sockets=[self._listener])
        # Where answers take longer than uvicorn's patience, as on a busy machine, it leaves their connections open.
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0.01)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join(30)
        self.services.close()
        self._listener.close()
        assert not self._thread.is_alive(), "the studio did not end"

    def http(self, **headers: str) -> httpx.Client:
        """Return a client without any token."""
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=60)

    @property
    def bearer(self) -> dict[str, str]:
        """The header that a program with the token sends."""
        return {"Authorization": f"Bearer {self.token}"}

    def block_device(self, device: str) -> Path:
        """Have a file where a device's folder is to be, until it is removed: nothing can be installed there."""
        folder = self.data_dir.local_devices / device
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(exist_ok=True)
        folder.write_text("in the way")
        return folder

    def agents(self, device: str = "") -> list[psutil.Process]:
        """Return the agents on this machine that run for this studio, or for one of its devices."""
        folder = str(self.data_dir.local_devices / device)
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if "partition_agent" in (words := process.info["cmdline"] or [])
            and any(word == folder or word.startswith(f"{folder}/") for word in words)
        ]

    def ticket_link(self) -> str:
        """Return a one-time link."""
        return f"{self.url}/login?ticket={self.sessions.make_ticket()}"
