"""The whole way onto a device that has Python and SSH only, with the real packages."""

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from partition_agent.protocol import PROTOCOL_VERSION, AgentInfo, Hello
from partition_studio.fleet.check.check import check_device
from partition_studio.fleet.check.facts import DeviceCheck
from partition_studio.fleet.errors import DiskFullError, OperationCancelledError
from partition_studio.fleet.install.agent_process import find_running, start_agent, stop_agent
from partition_studio.fleet.install.install import ensure_installed, uninstall
from partition_studio.fleet.install.lock import target_of
from partition_studio.fleet.install.wheelhouse import Wheelhouse, WheelhouseCache
from partition_studio.fleet.on_device.device_files import DeviceProblemError
from partition_studio.fleet.on_device.device_packages import install_bundle
from partition_studio.fleet.progress import Progress, ignore_progress, never_cancelled
from partition_studio.fleet.session.agent_client import AgentClient
from partition_studio.fleet.ssh.connect import SshConnection, connect_ssh
from tests.sshd import SshServer

pytestmark = [pytest.mark.ssh, pytest.mark.slow]


@pytest.fixture
def patient(server: SshServer) -> Iterator[SshConnection]:
    """A connection with the usual patience: unpacking packages keeps a small machine busy."""
    opened = connect_ssh(server.address, server.credentials, server.trusting_host_keys())
    yield opened
    opened.close()


@pytest.fixture
def check(patient: SshConnection) -> DeviceCheck:
    found = check_device(patient)
    assert found.verdict == "ready", found.reasons
    return found


@pytest.fixture
def cache(wheelhouse_folder: Path) -> WheelhouseCache:
    return WheelhouseCache(wheelhouse_folder)


@pytest.fixture
def wheelhouse(cache: WheelhouseCache, check: DeviceCheck) -> Wheelhouse:
    return cache.get(target_of(check), ignore_progress, never_cancelled)


def tree(home: Path) -> list[str]:
    return sorted(str(path.relative_to(home)) for path in home.rglob("*"))


def test_a_wheelhouse_is_wheels_whose_digests_are_told(wheelhouse: Wheelhouse, cache: WheelhouseCache) -> None:
    for wheel in wheelhouse.wheels:
        assert hashlib.sha256(wheel.path.read_bytes()).hexdigest() == wheel.sha256
        assert wheel.path.stat().st_size == wheel.size_bytes < wheel.unpacked_bytes
    assert re.fullmatch("[0-9a-f]{64}", wheelhouse.digest)
    assert cache.get(wheelhouse.target, ignore_progress, never_cancelled) == wheelhouse


def test_the_bundle_is_one_tar_of_the_same_wheels(
    wheelhouse: Wheelhouse, cache: WheelhouseCache, tmp_path: Path
) -> None:
    bundle = cache.bundle(wheelhouse)
    assert hashlib.sha256(bundle.path.read_bytes()).hexdigest() == bundle.sha256
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    shutil.copy(bundle.path, incoming / "bundle.tar")
    made = install_bundle(str(tmp_path / "base"), "r", str(incoming / "bundle.tar"))
    assert (Path(made["release"]) / "site" / "onnxruntime").is_dir()
    assert not incoming.exists()


def test_install_start_talk_stop_and_remove(
    server: SshServer, patient: SshConnection, check: DeviceCheck, cache: WheelhouseCache
) -> None:
    seen: list[Progress] = []
    installed = ensure_installed(patient, check, cache, seen.append)
    assert {"upload", "unpack"} <= {report.step for report in seen}
    uploads = [report for report in seen if report.step == "upload"]
    assert uploads[-1].done_bytes == uploads[-1].total_bytes
    base = Path(installed.base_dir)
    assert (base / "current").resolve() == Path(installed.release_dir or "")
    assert not list(base.rglob("*.whl")), "the wheels are not kept"

    again: list[Progress] = []
    assert ensure_installed(patient, check, cache, again.append) == installed
    assert not [report for report in again if report.step in {"upload", "unpack"}]

    environment = ["env", f"PYTHONPATH={installed.site_dir}", "ORT_DISABLE_TELEMETRY=1"]
    ran = patient.run(
        [*environment, installed.python, "-c", "import onnxruntime, zmq, msgspec, websockets, partition_agent"],
        timeout_s=60,
    )
    assert ran.returncode == 0, ran.stderr.decode()

    state = start_agent(patient, installed)
    with AgentClient(patient, state, lambda _: None, lambda _: None) as client:
        info = client.call(Hello(), 30)
        assert isinstance(info, AgentInfo)
        assert info.protocol_version == PROTOCOL_VERSION
        assert info.pid == state.pid
    assert stop_agent(patient, installed)
    assert find_running(patient, installed) is None
    uninstall(patient, installed)
    assert tree(server.home) == []


def test_a_limit_on_file_sizes_is_a_full_disk_and_cleaned_up(
    server: SshServer, patient: SshConnection, check: DeviceCheck, cache: WheelhouseCache
) -> None:
    server.set_before("ulimit -f 100")
    with pytest.raises(DiskFullError, match=re.escape(check.facts.base)):
        ensure_installed(patient, check, cache)
    assert not list(server.home.rglob("*.whl*"))


def test_a_bundle_that_holds_anything_but_wheels_is_refused(tmp_path: Path) -> None:
    for name in ("link", "file.txt"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "file.txt").write_text("x")
        (folder / "link").symlink_to("/etc/passwd")
        bundle = folder / "bundle.tar"
        subprocess.run(["tar", "-C", str(folder), "-cf", str(bundle), name], check=True)
        with pytest.raises(DeviceProblemError, match=name):
            install_bundle(str(tmp_path / "base"), "r", str(bundle))
    assert not (tmp_path / "base").exists()


def test_a_cancelled_installation_is_not_there(
    patient: SshConnection, check: DeviceCheck, cache: WheelhouseCache
) -> None:
    seen: list[Progress] = []
    with pytest.raises(OperationCancelledError):
        ensure_installed(patient, check, cache, seen.append, lambda: any(one.step == "upload" for one in seen))
    assert not (Path(check.facts.base) / "releases").exists()
