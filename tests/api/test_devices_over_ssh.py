"""Devices over SSH by the REST API and the command line, with real servers: aliases, keys, passwords, inventories."""

import dataclasses
import getpass
import json
import re
import shlex
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from partition_agent.protocol import End
from partition_studio.errors import ConflictError, StudioError
from partition_studio.fleet.ssh.greeting import SshTimeouts
from partition_studio.schemas import (
    CheckIn,
    DeviceIn,
    DeviceOut,
    ForgottenKeyOut,
    InventoryIn,
    InventoryOut,
    PasswordIn,
    RemovedOut,
    SshHostOut,
)
from tests.cli.conftest import call
from tests.sshd import SshServer, free_port
from tests.studio import RunningStudio, wait_for

pytestmark = pytest.mark.ssh


@dataclasses.dataclass
class Home:
    """A person's home folder: SSH config and keys."""

    folder: Path
    server: SshServer

    def configure(self, text: str) -> None:
        file = self.folder / ".ssh" / "config"
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.write_text(text)
        file.chmod(0o600)

    def alias(self, name: str = "attic") -> str:
        return (
            f"Host {name}\n HostName 127.0.0.1\n Port {self.server.port}\n User {getpass.getuser()}\n"
            f" IdentityFile {self.server.key_file}\n"
        )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    folder = tmp_path / "person"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with SshServer(tmp_path / "board") as server:
        yield Home(folder, server)


@pytest.fixture
def desk(home: Home, tmp_path: Path) -> Iterator[RunningStudio]:
    home.configure(home.alias())
    with RunningStudio(tmp_path / "studio") as running:
        yield running


def add(studio: RunningStudio, name: str, address: str, fingerprint: str | None, **more: object) -> DeviceOut:
    request = DeviceIn.model_validate({"name": name, "address": address, "trusted_fingerprint": fingerprint, **more})
    return studio.client.post("/api/devices", DeviceOut, request)


def test_an_alias_is_registered_as_typed_and_followed_anew_each_time(desk: RunningStudio, home: Home) -> None:
    (offered,) = desk.client.get("/api/devices/ssh-hosts", list[SshHostOut])
    assert (offered.alias, offered.host, offered.port) == ("attic", "127.0.0.1", home.server.port)
    with pytest.raises(StudioError) as asked:
        add(desk, "board", "ssh://attic", None)
    assert asked.value.code == "unknown_host_key"
    device = add(desk, "board", "ssh://attic", str(asked.value.details["fingerprint"]))
    assert device.state in ("ready", "limited")
    assert device.address == "ssh://attic"
    assert device.reached_as == f"{getpass.getuser()}@127.0.0.1:{home.server.port}"
    assert device.login_kept == "no"
    home.configure(home.alias().replace(str(home.server.port), str(free_port())))
    home.server.cut()
    lost = desk.client.post("/api/devices/board/check", DeviceOut)
    assert lost.problem is not None
    assert (lost.state, lost.problem.code) == ("unreachable", "unreachable")


def test_a_key_that_was_changed_for_a_reason_is_forgotten_and_confirmed_anew(desk: RunningStudio, home: Home) -> None:
    server = home.server
    before = server.fingerprint()
    add(desk, "board", "ssh://attic", before)
    server.stop()
    server.new_host_key()
    server.start()
    changed = desk.client.post("/api/devices/board/check", DeviceOut)
    assert changed.problem is not None
    assert changed.problem.code == "changed_host_key"
    assert changed.problem.details["known_fingerprint"] == before
    assert changed.problem.details["presented_fingerprint"] == server.fingerprint()
    trusting = CheckIn(trusted_fingerprint=server.fingerprint())
    still = desk.client.post("/api/devices/board/check", DeviceOut, trusting)
    assert still.problem is not None
    assert still.problem.code == "changed_host_key", "a confirmation replaces no key that is known"
    forgotten = desk.client.post("/api/devices/board/forget-key", ForgottenKeyOut)
    assert (forgotten.removed, forgotten.elsewhere) == (1, [])
    asked = desk.client.post("/api/devices/board/check", DeviceOut)
    assert asked.problem is not None
    assert asked.problem.code == "unknown_host_key"
    assert desk.client.post("/api/devices/board/check", DeviceOut, trusting).state in ("ready", "limited")


def test_a_key_in_the_users_own_file_is_not_the_studios_to_forget(desk: RunningStudio, home: Home) -> None:
    theirs = home.folder / ".ssh" / "known_hosts"
    line = f"[127.0.0.1]:{home.server.port} {home.server.public_key()}\n"
    theirs.write_text(line)
    add(desk, "board", "ssh://attic", None)
    forgotten = desk.client.post("/api/devices/board/forget-key", ForgottenKeyOut)
    assert forgotten.removed == 0
    assert [(known.file, known.line) for known in forgotten.elsewhere] == [(str(theirs), 1)]
    assert theirs.read_text() == line


def test_a_password_ends_with_the_studio_and_can_be_given_again(home: Home, tmp_path: Path) -> None:
    home.configure(home.alias())
    with RunningStudio(tmp_path / "studio") as first:
        kept = add(first, "board", "ssh://attic", home.server.fingerprint(), password="hunter2")
        assert kept.login_kept == "memory"
        assert "hunter2" not in repr(kept)
    with RunningStudio(tmp_path / "studio") as second:
        (forgotten,) = second.client.get("/api/devices", list[DeviceOut])
        assert (forgotten.state, forgotten.login_kept) == ("unreachable", "no")
        assert forgotten.problem is not None
        assert forgotten.problem.code == "password_needed"
        assert "device password" in forgotten.problem.next_step
        again = second.client.post("/api/devices/board/password", DeviceOut, PasswordIn(password="hunter2"))
        assert again.state in ("ready", "limited")
        assert again.login_kept == "memory"
        with second.http(**second.bearer) as http:
            refused = http.post("/api/devices/board/password", json={"password": "hunter3", "keep": True})
        assert refused.json()["code"] == "no_keyring"
    written = [file for file in (tmp_path / "studio").rglob("*") if file.is_file()]
    assert written
    assert not [file for file in written if b"hunter" in file.read_bytes()]


def test_a_device_that_lets_us_in_without_its_password_asks_for_none(home: Home, tmp_path: Path) -> None:
    home.configure(home.alias())
    with RunningStudio(tmp_path / "studio") as first:
        add(first, "board", "ssh://attic", home.server.fingerprint(), password="hunter2")
    with RunningStudio(tmp_path / "studio") as second:
        checked = second.client.post("/api/devices/board/check", DeviceOut)
    assert (checked.state in ("ready", "limited"), checked.problem, checked.login_kept) == (True, None, "no")


def test_a_password_that_nothing_can_keep_registers_nothing(desk: RunningStudio, home: Home) -> None:
    with pytest.raises(StudioError) as refused:
        add(desk, "board", "ssh://attic", home.server.fingerprint(), password="hunter2", keep_password=True)
    assert refused.value.code == "no_keyring"
    assert desk.client.get("/api/devices", list[DeviceOut]) == []


@pytest.mark.parametrize(
    "text",
    ["~nobody-of-that-name/key", "--option", "$(id)", 'it\'s "quoted"', "two\nlines", "nul\0", "/no/such/key"],
)
def test_a_key_file_is_a_name_and_nothing_more(desk: RunningStudio, home: Home, text: str) -> None:
    with pytest.raises(StudioError) as refused:
        add(desk, "board", "ssh://attic", home.server.fingerprint(), key_file=text)
    assert refused.value.code in ("auth_failed", "bad_input")
    assert desk.client.get("/api/devices", list[DeviceOut]) == []


def test_an_inventory_is_shown_before_anything_is_registered(desk: RunningStudio) -> None:
    add(desk, "here", "local:", None)
    text = (
        "[a]\nhere ansible_connection=local\nboard ansible_host=192.0.2.1 ansible_user=pi\nbad ansible_host=0.0.0.0\n"
    )
    found = desk.client.post("/api/devices/inventory", InventoryOut, InventoryIn(text=text))
    assert [(entry.name, entry.registered, entry.problem is None) for entry in found.entries] == [
        ("here", True, True),
        ("board", False, True),
        ("bad", False, False),
    ]
    assert len(desk.client.get("/api/devices", list[DeviceOut])) == 1


def test_the_command_line_imports_what_it_can_and_says_what_it_could_not(
    desk: RunningStudio, home: Home, tmp_path: Path
) -> None:
    server = home.server
    inventory = tmp_path / "hosts.ini"
    inventory.write_text(
        f"[lab]\nboard ansible_host=127.0.0.1 ansible_port={server.port}\n"
        f"stranger ansible_host=localhost ansible_port={server.port}\n"
        f"gone ansible_host=127.0.0.1 ansible_port={free_port()}\nhere ansible_connection=local\n"
        f"[lab:vars]\nansible_become=yes\nansible_ssh_private_key_file={server.key_file}\n"
    )
    env = {"PARTITION_STUDIO_URL": desk.url, "PARTITION_STUDIO_TOKEN": desk.token}
    said = call("device", "import", inventory, "--yes", f"board={server.fingerprint()}", "--json", env=env)
    assert said.code == 1
    results = {line["name"]: line for line in json.loads(said.out)["devices"]}
    assert results["board"]["result"].startswith("ready")
    assert results["here"]["result"].startswith("ready")
    assert results["stranger"]["problem"]["code"] == "unknown_host_key"
    assert results["stranger"]["problem"]["details"]["fingerprint"] == server.fingerprint()
    assert results["gone"]["problem"]["code"] == "unreachable"
    assert any("ansible_become" in ignored for ignored in json.loads(said.out)["ignored"])
    again = call("device", "import", inventory, env=env)
    assert again.code == 1
    assert again.out.count("there already") == 2
    listed = call("device", "list", env=env)
    assert "ready" in listed.out
    wrong = call("device", "import", inventory, "--yes", "board", env=env)
    assert wrong.code == 2
    removed = call("device", "remove", "board", "--json", env=env)
    assert json.loads(removed.out) == {"removed": "board", "uninstalled": True, "note": "", "forgotten_keys": 1}


def test_a_device_that_another_studio_uses_is_forgotten_and_left_alone(
    desk: RunningStudio, home: Home, tmp_path: Path
) -> None:
    add(desk, "board", "ssh://attic", home.server.fingerprint())
    first = desk.services.devices.session("board")
    first.hold_agent("work", lambda _step, _text: None, lambda _report: None)
    with pytest.raises(ConflictError) as busy:
        desk.client.remove("/api/devices/board", RemovedOut)
    assert busy.value.code == "device_in_use"
    with RunningStudio(tmp_path / "other") as second:
        add(second, "theirs", "ssh://attic", home.server.fingerprint())
        removed = second.client.remove("/api/devices/theirs", RemovedOut)
        assert not removed.uninstalled
        assert "in use by the studio" in removed.note
        assert second.client.get("/api/devices", list[DeviceOut]) == []
    assert first.agent_running
    assert home.server.home.joinpath(".local/share/partition-studio").exists()
    first.release_agent("work", End(deployment="work"))
    assert not first.agent_running


def test_a_frozen_device_that_is_known_is_reported_sooner_than_a_channel_may_take_and_seen_when_it_is_back(
    desk: RunningStudio, home: Home
) -> None:
    add(desk, "board", "ssh://attic", home.server.fingerprint())
    home.server.freeze()
    answers: list[DeviceOut] = []
    asking = threading.Thread(
        target=lambda: answers.append(desk.client.post("/api/devices/board/check", DeviceOut)), daemon=True
    )
    asking.start()
    asking.join(SshTimeouts().channel_s)
    home.server.thaw()
    asking.join()
    (frozen,) = answers
    assert frozen.problem is not None
    assert (frozen.state, frozen.problem.code) == ("unreachable", "no_banner"), "it hung until the board was back"

    def is_back() -> bool:
        (device,) = desk.client.get("/api/devices", list[DeviceOut])
        return device.state in ("ready", "limited") and device.problem is None

    wait_for(is_back, what="the studio sees by itself that the board is back")


def test_a_refused_login_is_not_tried_again_by_itself(desk: RunningStudio, home: Home) -> None:
    add(desk, "board", "ssh://attic", home.server.fingerprint())
    add(desk, "witness", "ssh://attic", None)
    keys = home.server.folder / "authorized_keys"
    kept = keys.read_text()
    keys.write_text("")
    home.server.cut()
    refused = desk.client.post("/api/devices/board/check", DeviceOut)
    assert refused.problem is not None
    assert refused.problem.code == "auth_failed"
    keys.write_text(kept)
    home.server.freeze()
    assert desk.client.post("/api/devices/witness/check", DeviceOut).state == "unreachable"
    home.server.thaw()

    def states() -> dict[str, str]:
        return {device.name: device.state for device in desk.client.get("/api/devices", list[DeviceOut])}

    wait_for(lambda: states()["witness"] != "unreachable", what="the other device is seen again")
    assert states()["board"] == "unreachable"


def test_another_board_at_the_address_of_a_removed_one_can_be_added(desk: RunningStudio, home: Home) -> None:
    server = home.server
    before = server.fingerprint()
    add(desk, "board", "ssh://attic", before)
    add(desk, "twin", "ssh://attic", None)
    assert desk.client.remove("/api/devices/twin", RemovedOut).forgotten_keys == 0, "the other one needs it"
    server.stop()
    removed = desk.client.remove("/api/devices/board", RemovedOut)
    assert not removed.uninstalled
    assert "~/.local/share/partition-studio" in removed.note
    assert removed.forgotten_keys == 1
    server.new_host_key()
    server.start()
    with pytest.raises(StudioError) as asked:
        add(desk, "board", "ssh://attic", None)
    assert asked.value.code == "unknown_host_key"


def test_the_way_out_of_a_changed_key_is_the_command_that_is_named(desk: RunningStudio, home: Home) -> None:
    server = home.server
    add(desk, "board", "ssh://attic", server.fingerprint())
    server.stop()
    server.new_host_key()
    server.start()
    assert desk.client.post("/api/devices/board/check", DeviceOut).state == "unreachable"
    env = {"PARTITION_STUDIO_URL": desk.url, "PARTITION_STUDIO_TOKEN": desk.token}
    said = call("device", "check", "board", env=env)
    assert said.code == 1
    assert said.out == ""
    first, *rest = said.err.splitlines()
    assert first.startswith("board is unreachable: ")
    assert "another host key" in first
    command = re.search(r"`partition-studio (device forget-key [^`]+)`", " ".join(rest))
    assert command is not None
    assert "1 key(s) forgotten" in call(*shlex.split(command[1]), env=env).out
    trusting = CheckIn(trusted_fingerprint=server.fingerprint())
    assert desk.client.post("/api/devices/board/check", DeviceOut, trusting).state in ("ready", "limited")
    # The connection that stands was made with the key that is forgotten.
    call("device", "forget-key", f"ssh://127.0.0.1:{server.port}", env=env)
    asked = desk.client.post("/api/devices/board/check", DeviceOut)
    assert asked.problem is not None
    assert asked.problem.code == "unknown_host_key"
