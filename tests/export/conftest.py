"""A package of a small network, and hosts for it: one real OpenSSH server on loopback, under several names."""

import contextlib
import getpass
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from partition_studio.export.package import Exported, export_package
from partition_studio.export.wheels import targets_of
from partition_studio.fleet.install.wheelhouse import WheelhouseCache
from partition_studio.graph.examples import example
from partition_studio.graph.load import load_network
from partition_studio.planner.spread import spread
from tests.sshd import SshServer
from tests.studio import wheel_cache

DEVICES = ("one", "two", "three")
DEADLINE_S = 120.0
NEW_PYTHON = sys.executable


@dataclass(frozen=True)
class Said:
    """What `start` answered."""

    code: int
    out: str
    err: str


@dataclass
class Bench:
    """A package and where its devices are: `ssh` finds each name in a configuration file of its own."""

    package: Path
    server: SshServer
    config: Path

    @property
    def base(self) -> Path:
        """The package's folder on the host."""
        (found,) = (self.server.home / ".partition-studio-export").iterdir()
        return found

    @property
    def runs(self) -> list[Path]:
        folder = self.server.home / ".partition-studio-export"
        return sorted(folder.glob("*/runs/*"))

    def command(self, *words: str | Path, python: str = NEW_PYTHON) -> list[str]:
        return [python, str(self.package / "start"), "--ssh-config", str(self.config), *map(str, words)]

    def start(self, *words: str | Path, python: str = NEW_PYTHON) -> Said:
        done = subprocess.run(
            self.command(*words, python=python),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            env=environment(),
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Said(done.returncode, done.stdout, done.stderr)

    def begin(self, *words: str | Path) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.command(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            # Signals are sent to it alone, and a terminal's Ctrl+C to the whole group.
            start_new_session=True,
        )

    def processes(self) -> list[psutil.Process]:
        """Every process of ours that runs on the host, and every ssh that leads there."""
        home, config = str(self.server.home), str(self.config)
        found = []
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            ours = "partition_agent.standalone" in words and any(word.startswith(home) for word in words)
            if ours or (words[:1] == ["ssh"] and config in words):
                found.append(process)
        return found

    def agents(self) -> list[psutil.Process]:
        return [process for process in self.processes() if "agent" in process.info["cmdline"]]

    def with_hosts(self, **changes: Mapping[str, object]) -> Path:
        """Return another hosts file, with changed entries."""
        document = json.loads((self.package / "hosts.json").read_text())
        for name, entry in changes.items():
            document["devices"][name].update(entry)
        path = self.config.with_name("other-hosts.json")
        path.write_text(json.dumps(document))
        return path


def environment() -> dict[str, str]:
    """What a person's shell has: nothing of this environment's packages."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL", "PIP"))}


def wait_for(is_so: Callable[[], Any], what: str, deadline_s: float = 60.0) -> Any:
    deadline = time.monotonic() + deadline_s
    while not (found := is_so()):
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)
    return found


def write_config(path: Path, server: SshServer, known_hosts: Path) -> Path:
    names = " ".join((*DEVICES, "elsewhere"))
    path.write_text(
        f"Host {names}\n  HostName 127.0.0.1\n  Port {server.port}\n  User {getpass.getuser()}\n"
        f"  IdentityFile {server.key_file}\n  IdentitiesOnly yes\n  UserKnownHostsFile {known_hosts}\n"
        f"  GlobalKnownHostsFile /dev/null\n"
    )
    return path


def write_known_hosts(path: Path, server: SshServer) -> Path:
    words = (server.folder / "host_key.pub").read_text().split()
    path.write_text(f"[127.0.0.1]:{server.port} {words[0]} {words[1]}\n")
    return path


@pytest.fixture(scope="session")
def wheelhouses() -> WheelhouseCache:
    return WheelhouseCache(wheel_cache())


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, wheelhouses: WheelhouseCache) -> Exported:
    model = example("digits").path
    return export_package(
        model,
        spread(load_network(model), DEVICES),
        tmp_path_factory.mktemp("exported") / "package",
        targets=targets_of(()),
        wheelhouses=wheelhouses,
        seed=7,
        say=lambda text: None,
    )


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """One server for the session: the agent's packages are installed there once."""
    with SshServer(tmp_path_factory.mktemp("host")) as server:
        yield server


@pytest.fixture
def bench(exported: Exported, host: SshServer, tmp_path: Path) -> Iterator[Bench]:
    known = write_known_hosts(tmp_path / "known_hosts", host)
    bench = Bench(exported.out, host, write_config(tmp_path / "ssh_config", host, known))
    try:
        yield bench
        wait_for(lambda: not bench.processes() and not bench.runs, "the end of everything on the host")
    finally:
        host.set_before("")
        for process in bench.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
