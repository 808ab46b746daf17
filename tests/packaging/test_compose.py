"""docker-compose.yml: valid, closed to the outside; and its containers' scripts do their work outside of one."""

import getpass
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.sshd import find_sshd, free_port
from tests.studio import wait_for

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DEVICES = ("device1", "device2", "device3")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return loaded


# --- the file --------------------------------------------------------------------------------------------------------


def test_compose_file_is_valid_by_the_compose_specification() -> None:
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        COMPOSE,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_only_the_studio_is_published_and_only_on_loopback(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["studio"]["ports"] == ["127.0.0.1:8400:8400"]
    assert [name for name, service in services.items() if "ports" in service] == ["studio"]
    for name in DEVICES:
        assert services[name]["networks"] == ["bench"]
    assert compose["networks"]["bench"]["internal"] is True


def test_every_container_is_limited_watched_and_without_new_privileges(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"studio", *DEVICES}
    for service in compose["services"].values():
        assert service["cpus"] > 0 and service["mem_limit"] and service["pids_limit"]
        assert service["healthcheck"]["test"][0] == "CMD"
        assert "no-new-privileges:true" in service["security_opt"]


def test_studio_waits_for_each_device_and_is_told_its_address(compose: dict[str, Any]) -> None:
    studio = compose["services"]["studio"]
    assert studio["depends_on"] == {name: {"condition": "service_healthy"} for name in DEVICES}
    assert studio["command"] == [f"{name}=ssh://edge@{name}" for name in DEVICES]


def test_a_device_shares_a_volume_with_the_studio_and_none_with_another_device(compose: dict[str, Any]) -> None:
    services = compose["services"]
    volumes = {name: {entry.partition(":")[0] for entry in services[name]["volumes"]} for name in services}
    assert set.union(*volumes.values()) == set(compose["volumes"])
    for name in DEVICES:
        assert len(volumes[name] & volumes["studio"]) == 1
        assert not volumes[name] & set.union(*(volumes[other] for other in DEVICES if other != name))


@pytest.mark.parametrize("image", ["studio", "device"])
def test_image_is_made_of_files_that_exist_and_are_not_ignored(image: str) -> None:
    text = (ROOT / "docker" / f"{image}.Dockerfile").read_text(encoding="utf-8")
    ignored = (ROOT / "docker" / f"{image}.Dockerfile.dockerignore").read_text(encoding="utf-8").split("\n")
    sources = [word for line in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.M) for word in line.split()]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source
    scripts = re.findall(r"scripts/\w+\.sh", text)
    assert scripts and all(os.access(ROOT / script, os.X_OK) for script in scripts)


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").glob("*.sh")), ids=lambda path: path.name)
def test_shell_scripts_parse(script: Path) -> None:
    shell = script.read_text(encoding="utf-8").split("\n", 1)[0].rpartition("/")[2].rpartition(" ")[2]
    subprocess.run([shell if shell == "sh" else "bash", "-n", script], check=True)


# --- the containers' scripts, on loopback ----------------------------------------------------------------------------


class Bench:
    """The scripts of a studio and its devices, each with folders where the containers have volumes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.exchange = folder / "exchange"
        self.data = folder / "data"
        self._ports = {name: free_port() for name in DEVICES[:2]}
        self._running: list[subprocess.Popen[bytes]] = []
        for name in self._ports:
            (self.exchange / name).mkdir(parents=True)

    def start_device(self, name: str) -> subprocess.Popen[bytes]:
        settings = {
            "DEVICE_STATE": str(self.folder / name),
            "DEVICE_EXCHANGE": str(self.exchange / name),
            "DEVICE_LISTEN": "127.0.0.1",
            "DEVICE_PORT": str(self._ports[name]),
            "DEVICE_USER": getpass.getuser(),
        }
        script = ROOT / "scripts" / "device_entry.sh"
        process = self._start([script], settings, f"{name}.log")

        def healthy() -> bool:
            assert process.poll() is None, self.log(f"{name}.log")
            done = subprocess.run([script, "check"], env={**os.environ, **settings}, capture_output=True)
            return done.returncode == 0

        wait_for(healthy, what=f"the greeting of {name}")
        return process

    def start_studio(self) -> subprocess.Popen[bytes]:
        settings = {"STUDIO_EXCHANGE": str(self.exchange), "STUDIO_HOST": "127.0.0.1", "STUDIO_PORT": "0"}
        addresses = [f"{name}=ssh://{getpass.getuser()}@127.0.0.1:{port}" for name, port in self._ports.items()]
        before = self.log("studio.log").count("The studio runs at")
        process = self._start([ROOT / "scripts" / "compose_studio.sh", *addresses], settings, "studio.log")

        def ready() -> bool:
            assert process.poll() is None, self.log("studio.log")
            return self.log("studio.log").count("The studio runs at") > before

        wait_for(ready, what="the registration of the devices")
        return process

    def devices(self) -> dict[str, str]:
        """Ask the running studio by its own command for each device's state."""
        command: list[str | Path] = [Path(sys.prefix) / "bin" / "partition-studio", "device", "list", "--json"]
        done = subprocess.run(command, env=self._environment({}), capture_output=True, check=True, timeout=60)
        return {device["name"]: device["state"] for device in json.loads(done.stdout)}

    def log_in(self, name: str, key: Path) -> subprocess.CompletedProcess[str]:
        """Run `true` on a device by OpenSSH's own client."""
        known = self.folder / "known_hosts"
        host_key = (self.exchange / name / "host_key.pub").read_text()
        known.write_text(f"[127.0.0.1]:{self._ports[name]} {host_key}")
        options = ["BatchMode=yes", "IdentitiesOnly=yes", "IdentityAgent=none", f"UserKnownHostsFile={known}"]
        command: list[str | Path] = ["ssh", "-F", "none", "-i", key, "-p", str(self._ports[name])]
        command += [word for option in options for word in ("-o", option)]
        command += [f"{getpass.getuser()}@127.0.0.1", "true"]
        return subprocess.run(command, capture_output=True, text=True, timeout=20)

    def log(self, name: str) -> str:
        file = self.folder / name
        return file.read_text(errors="replace") if file.exists() else ""

    def stop(self, process: subprocess.Popen[bytes]) -> int:
        process.send_signal(signal.SIGTERM)
        return process.wait(timeout=30)

    def close(self) -> None:
        for process in reversed(self._running):
            if process.poll() is None:
                self.stop(process)

    def _environment(self, settings: dict[str, str]) -> dict[str, str]:
        return {
            **os.environ,
            "STUDIO_VENV": sys.prefix,
            "PARTITION_STUDIO_DATA_DIR": str(self.data),
            "HOME": str(self.folder),
            **settings,
        }

    def _start(self, command: list[str | Path], settings: dict[str, str], log: str) -> subprocess.Popen[bytes]:
        with (self.folder / log).open("ab") as output:
            process = subprocess.Popen(
                command, env=self._environment(settings), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._running.append(process)
        return process


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    assert find_sshd() is not None, "openssh-server is not installed"
    made = Bench(tmp_path)
    yield made
    made.close()


@pytest.mark.ssh
@pytest.mark.slow
def test_started_devices_are_registered_and_still_are_after_a_restart_of_everything(bench: Bench) -> None:
    started = [bench.start_device(name) for name in DEVICES[:2]]
    studio = bench.start_studio()
    assert bench.devices() == {"device1": "ready", "device2": "ready"}, bench.log("studio.log")

    # 143: ended by the signal, as asked.
    assert bench.stop(studio) in (0, 143), bench.log("studio.log")
    for device in started:
        bench.stop(device)
    for name in DEVICES[:2]:
        bench.start_device(name)
    bench.start_studio()
    assert set(bench.devices()) == {"device1", "device2"}
    assert "could not be added" not in bench.log("studio.log")


@pytest.mark.ssh
@pytest.mark.slow
def test_a_stranger_in_a_devices_place_is_not_registered_and_the_studio_runs_on(bench: Bench) -> None:
    for name in DEVICES[:2]:
        bench.start_device(name)
    other = bench.folder / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    (bench.exchange / "device1" / "host_key.pub").write_text(other.with_suffix(".pub").read_text())
    bench.start_studio()
    assert set(bench.devices()) == {"device2"}
    assert "device1 could not be added" in bench.log("studio.log")


@pytest.mark.ssh
def test_a_device_shares_its_public_key_only_and_lets_in_the_studios_key_only(bench: Bench) -> None:
    bench.start_device("device1")
    exchange = bench.exchange / "device1"
    assert {path.name for path in exchange.iterdir()} == {"host_key.pub"}
    assert (bench.folder / "device1" / "host_key").stat().st_mode & 0o077 == 0

    key = bench.folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    refused = bench.log_in("device1", key)
    assert refused.returncode == 255
    # Nothing else, such as a password, is offered.
    assert "Permission denied (publickey)" in refused.stderr

    (exchange / "studio.pub").write_text(key.with_suffix(".pub").read_text())
    assert bench.log_in("device1", key).returncode == 0
