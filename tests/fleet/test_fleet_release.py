"""Releases on a device: only what lacks is sent, each is tried before it is used, and nothing half-done is left.

With small wheels in place of the real packages; test_fleet_install has those.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import threading
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from partition_agent.protocol import PROTOCOL_VERSION
from partition_studio.errors import DeviceError
from partition_studio.fleet.errors import (
    ConnectionLostError,
    DeviceFileError,
    DeviceHeldError,
    DiskFullError,
    InstallFailedError,
)
from partition_studio.fleet.install.agent_process import find_running, start_agent, stop_agent
from partition_studio.fleet.install.errors import UnhealthyReleaseError
from partition_studio.fleet.install.install import Installed, install_wheelhouse, uninstall
from partition_studio.fleet.install.lock import Target
from partition_studio.fleet.install.wheelhouse import WheelFile, Wheelhouse
from partition_studio.fleet.on_device.device_files import DeviceProblemError, locked
from partition_studio.fleet.on_device.device_packages import KEPT_RELEASES
from partition_studio.fleet.progress import Progress
from partition_studio.fleet.ssh.connect import SshConnection, connect_ssh
from tests.sshd import SshServer

pytestmark = pytest.mark.ssh

TARGET = Target((3, 11, 2), "x86_64", (2, 36))
PYTHON = "/usr/bin/python3"

AGENT = """
import json, os, signal, sys, time
data_dir = sys.argv[sys.argv.index("--data-dir") + 1]
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
with open("/proc/self/stat") as file:
    ticks = int(file.read().rpartition(")")[2].split()[19])
state = {"protocol_version": PROTOCOL, "pid": os.getpid(), "pid_start_ticks": ticks, "token": "t", "control_port": 1,
         "incarnation": "%s"}
with open(os.path.join(data_dir, "new"), "w") as file:
    json.dump(state, file)
os.replace(os.path.join(data_dir, "new"), os.path.join(data_dir, "agent.json"))
while True:
    time.sleep(60)
""".replace("PROTOCOL", str(PROTOCOL_VERSION))
CRASHING = "print('no runtime here'); raise SystemExit(3)"
HANGING = "import time; print('still thinking', flush=True); time.sleep(600)"


def make_wheel(folder: Path, name: str, files: Mapping[str, str | bytes]) -> WheelFile:
    """Write a wheel with these files and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
        archive.writestr(f"{name}-1.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    data = path.read_bytes()
    place = path.with_name(f"{hashlib.sha256(data).hexdigest()}.whl")
    path.rename(place)
    return WheelFile(place, place.stem, len(data), sum(len(content) for content in files.values()))


def agent_wheel(folder: Path, version: str, main: str = "", self_test: str = "") -> WheelFile:
    files = {
        "partition_agent/__init__.py": f"VERSION = {version!r}\n",
        "partition_agent/__main__.py": main or AGENT % version,
        "partition_agent/self_test.py": self_test,
    }
    return make_wheel(folder, "partition_agent", files)


def house(*wheels: WheelFile) -> Wheelhouse:
    digest = hashlib.sha256(" ".join(wheel.sha256 for wheel in wheels).encode()).hexdigest()
    return Wheelhouse(TARGET, digest, wheels)


@pytest.fixture
def library(tmp_path: Path) -> WheelFile:
    """A package that is large in comparison to the agent, and cannot be compressed."""
    return make_wheel(tmp_path / "wheels", "library", {"library/data.bin": os.urandom(3_000_000), "library/x.py": ""})


@pytest.fixture
def base(server: SshServer) -> Path:
    return server.home / ".local" / "share" / "partition-studio"


def install(
    connection: SshConnection, wheelhouse: Wheelhouse, base: Path, sender: str = "studio"
) -> tuple[Installed, int]:
    """Install, and return the bytes that were sent as well."""
    seen: list[Progress] = []
    installed = install_wheelhouse(connection, wheelhouse, str(base), PYTHON, sender, seen.append)
    return installed, max((one.total_bytes or 0 for one in seen if one.step == "upload"), default=0)


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def connect(server: SshServer) -> SshConnection:
    return connect_ssh(server.address, server.credentials, server.trusting_host_keys())


def test_an_update_of_the_agent_sends_the_agent_alone(
    connection: SshConnection, base: Path, library: WheelFile, tmp_path: Path
) -> None:
    first = agent_wheel(tmp_path / "wheels", "one")
    second = agent_wheel(tmp_path / "wheels", "two")
    installed, sent = install(connection, house(library, first), base)
    assert sent == library.size_bytes + first.size_bytes
    assert installed.release == house(library, first).digest
    assert install(connection, house(library, first), base) == (installed, 0), "a device that has it gets nothing"
    updated, sent = install(connection, house(library, second), base)
    assert sent == second.size_bytes
    assert (base / "current").resolve() == Path(updated.release_dir or "")
    both = [Path(one.site_dir or "") / "library" / "data.bin" for one in (installed, updated)]
    assert os.path.samefile(*both), "it takes room once"
    assert not list(base.rglob("*.whl")), "wheels are not kept"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"self_test": "raise RuntimeError('no CURVE')"}, "no CURVE"),
        ({"main": CRASHING}, "no runtime here"),
        ({"self_test": "import os, signal; os.kill(os.getpid(), signal.SIGILL)"}, "SIGILL"),
    ],
)
def test_a_release_that_fails_its_trial_is_removed_and_the_one_before_stays(
    connection: SshConnection, base: Path, library: WheelFile, tmp_path: Path, broken: dict[str, str], said: str
) -> None:
    good, _ = install(connection, house(library, agent_wheel(tmp_path / "wheels", "good")), base)
    before = tree(base)
    with pytest.raises(UnhealthyReleaseError, match=said) as failed:
        install(connection, house(library, agent_wheel(tmp_path / "wheels", "bad", **broken)), base)
    assert "still in place" in failed.value.message
    assert (base / "current").resolve() == Path(good.release_dir or "")
    assert tree(base) == before
    state = start_agent(connection, good)
    assert state.incarnation == "good"
    assert stop_agent(connection, good)


@pytest.mark.slow
def test_a_release_whose_agent_hangs_is_given_up_within_20_seconds(
    connection: SshConnection, base: Path, tmp_path: Path
) -> None:
    begin = time.monotonic()
    with pytest.raises(UnhealthyReleaseError, match="still thinking"):
        install(connection, house(agent_wheel(tmp_path / "wheels", "bad", main=HANGING)), base)
    assert time.monotonic() - begin < 20
    assert not (base / "current").exists()
    assert tree(base / "releases") == []


def test_releases_in_which_an_agent_runs_are_kept_and_older_ones_go(
    connection: SshConnection, base: Path, tmp_path: Path
) -> None:
    running, _ = install(connection, house(agent_wheel(tmp_path / "wheels", "zero")), base)
    state = start_agent(connection, running)
    later = [install(connection, house(agent_wheel(tmp_path / "wheels", f"v{number}")), base)[0] for number in range(3)]
    there = {path.name for path in (base / "releases").iterdir()}
    kept = {Path(one.release_dir or "").name for one in (running, *later[-KEPT_RELEASES:])}
    assert there == kept
    assert find_running(connection, running) == state
    assert len(list((base / "packages").iterdir())) == len(kept)
    stop_agent(connection, running)
    install(connection, house(agent_wheel(tmp_path / "wheels", "last")), base)
    assert Path(running.release_dir or "").name not in {path.name for path in (base / "releases").iterdir()}


def test_two_studios_may_install_on_one_device_at_the_same_time(
    server: SshServer, base: Path, library: WheelFile, tmp_path: Path
) -> None:
    houses = {name: house(library, agent_wheel(tmp_path / "wheels" / name, name)) for name in ("one", "two")}
    made: dict[str, Installed] = {}
    failed: list[BaseException] = []

    def run(name: str) -> None:
        connection = connect(server)
        try:
            made[name] = install(connection, houses[name], base, sender=name)[0]
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(name,)) for name in houses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    for name, installed in made.items():
        source = (Path(installed.site_dir or "") / "partition_agent" / "__init__.py").read_text()
        assert source == f"VERSION = {name!r}\n"
    assert not (base / "incoming").exists()


def test_a_reboot_during_an_installation_leaves_the_old_release_and_the_next_try_succeeds(
    server: SshServer, base: Path, library: WheelFile, tmp_path: Path
) -> None:
    with contextlib.closing(connect(server)) as connection:
        good, _ = install(connection, house(agent_wheel(tmp_path / "wheels", "good")), base)
    failed: list[DeviceError] = []

    def run() -> None:
        with contextlib.closing(connect(server)) as connection:
            try:
                install(connection, house(library, agent_wheel(tmp_path / "wheels", "slow", self_test=HANGING)), base)
            except DeviceError as error:
                failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 30
    while not list(base.glob("releases/.new-*/trial")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    power_cut(server)
    thread.join(30)
    assert failed
    assert (base / "current").resolve() == Path(good.release_dir or "")
    # A moment earlier, it would have left this.
    (base / "packages" / ".new-x").mkdir()
    (base / ".current-1").symlink_to("releases/.new-x")
    with contextlib.closing(connect(server)) as connection:
        again, _ = install(connection, house(library, agent_wheel(tmp_path / "wheels", "new")), base)
        assert start_agent(connection, again).incarnation == "new"
        stop_agent(connection, again)
    assert not [path for path in base.rglob("*") if path.name.startswith((".new-", ".current-"))]


def power_cut(server: SshServer) -> None:
    """Kill everything that runs on the device at once, as a power cut does; the server takes new connections."""
    doomed = [*server.session_pids(), *processes_of(server)]
    for pid in doomed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while processes_of(server):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def processes_of(server: SshServer) -> list[int]:
    """Return what was started by logins, found by the home folder in its environment."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and f"HOME={server.home}\0".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


def test_a_connection_that_is_cut_while_the_device_unpacks_does_no_harm(
    server: SshServer, base: Path, library: WheelFile, tmp_path: Path
) -> None:
    wheelhouse = house(library, agent_wheel(tmp_path / "wheels", "one"))
    connection = connect(server)

    def cut(report: Progress) -> None:
        if report.step == "unpack":
            server.cut()

    with pytest.raises(ConnectionLostError):
        install_wheelhouse(connection, wheelhouse, str(base), PYTHON, "studio", cut)
    connection.close()
    with contextlib.closing(connect(server)) as again:
        seen: list[Progress] = []
        installed = install_wheelhouse(again, wheelhouse, str(base), PYTHON, "studio", seen.append)
        assert len([one for one in seen if one.step == "upload"]) <= len(wheelhouse.wheels), "it was not sent again"
        assert start_agent(again, installed).incarnation == "one"
        stop_agent(again, installed)


def test_a_full_disk_while_unpacking_leaves_what_was_there(
    server: SshServer, connection: SshConnection, base: Path, tmp_path: Path
) -> None:
    install(connection, house(agent_wheel(tmp_path / "wheels", "good")), base)
    before = tree(base)
    # Small on its way, large when it is unpacked.
    folder = tmp_path / "wheels"
    folder.mkdir(exist_ok=True)
    path = folder / "large.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("large/data.bin", bytes(4_000_000))
    data = path.read_bytes()
    large = WheelFile(path, hashlib.sha256(data).hexdigest(), len(data), 4_000_000)
    server.set_before("ulimit -f 2000")
    with pytest.raises(DiskFullError, match=str(base)):
        install(connection, house(large, agent_wheel(tmp_path / "wheels", "new")), base)
    assert tree(base) == before
    server.set_before("")
    install(connection, house(large, agent_wheel(tmp_path / "wheels", "new")), base)


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside", "a\\b"])
def test_a_wheel_with_a_name_that_leads_out_is_refused(
    connection: SshConnection, base: Path, tmp_path: Path, name: str
) -> None:
    evil = make_wheel(tmp_path / "wheels", "evil", {name: "x"})
    with pytest.raises(InstallFailedError, match="file name"):
        install(connection, house(evil, agent_wheel(tmp_path / "wheels", "one")), base)
    assert tree(base) == [".lock", "packages", "releases"]


def test_what_a_wheel_spreads_goes_to_the_site_folder_and_scripts_do_not(
    connection: SshConnection, base: Path, tmp_path: Path
) -> None:
    spread = make_wheel(
        tmp_path / "wheels",
        "spread",
        {"spread-1.data/purelib/pure.py": "x", "spread-1.data/platlib/plat.py": "x", "spread-1.data/scripts/run": "x"},
    )
    installed, _ = install(connection, house(spread, agent_wheel(tmp_path / "wheels", "one")), base)
    site = Path(installed.site_dir or "")
    assert {"pure.py", "plat.py"} <= {path.name for path in site.iterdir()}
    assert not list(site.rglob("run"))


def test_a_folder_that_cannot_be_written_is_named_and_nothing_is_left(
    server: SshServer, connection: SshConnection, tmp_path: Path
) -> None:
    (server.home / ".local").write_text("in the way")
    base = server.home / ".local" / "share" / "partition-studio"
    with pytest.raises(DeviceFileError, match=r"\.local"):
        install(connection, house(agent_wheel(tmp_path / "wheels", "one")), base)
    assert tree(server.home) == [".local"]


def test_removal_leaves_the_home_as_it_was(
    server: SshServer, connection: SshConnection, base: Path, library: WheelFile, tmp_path: Path
) -> None:
    (server.home / ".local").mkdir()
    (server.home / ".local" / "mine").write_text("mine")
    (server.home / "notes").write_text("mine too")
    before, temporary = tree(server.home), ours_in_tmp()
    installed, _ = install(connection, house(library, agent_wheel(tmp_path / "wheels", "one")), base)
    start_agent(connection, installed)
    uninstall(connection, installed)
    assert tree(server.home) == before
    assert ours_in_tmp() == temporary
    assert processes_of(server) == []


def test_nothing_is_removed_while_another_studio_installs(
    server: SshServer, connection: SshConnection, base: Path, tmp_path: Path
) -> None:
    installed, _ = install(connection, house(agent_wheel(tmp_path / "wheels", "one")), base)
    before = tree(base)
    with locked(str(base)), pytest.raises(DeviceHeldError, match="another studio installs"):
        uninstall(connection, installed)
    assert tree(base) == before
    uninstall(connection, installed)
    assert not base.exists()


def test_a_lock_that_was_removed_meanwhile_is_taken_anew(tmp_path: Path) -> None:
    base, waits, has_it, go_on = str(tmp_path / "base"), threading.Event(), threading.Event(), threading.Event()

    def other() -> None:
        waits.set()
        with locked(base):
            has_it.set()
            go_on.wait(30)

    thread = threading.Thread(target=other)
    with locked(base):
        thread.start()
        assert waits.wait(30)
        shutil.rmtree(base)
    assert has_it.wait(30)
    with pytest.raises(DeviceProblemError), locked(base, 0.1):
        pass
    go_on.set()
    thread.join()


def ours_in_tmp() -> set[str]:
    return {name for name in os.listdir("/tmp") if "partition" in name.lower()}
