"""Starting, finding, ending and talking with an agent, over SSH and on this machine, also one that misbehaves."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from partition_agent.protocol import PROTOCOL_VERSION, AgentState, Done, End, Event, Fault, Hello
from partition_studio.errors import DeviceError
from partition_studio.fleet.connection import DeviceConnection
from partition_studio.fleet.errors import (
    AgentFaultError,
    AgentStartError,
    AgentUnreachableError,
    BadAnswerError,
    ConnectionLostError,
    DeviceTimeoutError,
    PythonMissingError,
)
from partition_studio.fleet.install.agent_process import find_running, kill_agent, read_log, start_agent, stop_agent
from partition_studio.fleet.install.install import Installed, uninstall
from partition_studio.fleet.local import LocalConnection
from partition_studio.fleet.session.agent_client import AgentClient
from partition_studio.fleet.ssh.connect import SshConnection
from tests.sshd import SshServer


@pytest.fixture(params=["local", pytest.param("ssh", marks=pytest.mark.ssh)])
def device(request: pytest.FixtureRequest, tmp_path: Path) -> DeviceConnection:
    if request.param == "local":
        return LocalConnection(tmp_path / "device", "local device")
    opened: SshConnection = request.getfixturevalue("connection")
    return opened


@pytest.fixture
def installed(device: DeviceConnection, stand_in: Path, tmp_path: Path) -> Iterator[Installed]:
    base = tmp_path / "device"
    layout = Installed(str(base), str(stand_in), str(stand_in), sys.executable, str(base / "data"))
    yield layout
    # Also when the connection under test is gone.
    stop_agent(LocalConnection(base), layout, grace_s=0)


class Ears:
    """What a client heard."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.ends: list[DeviceError | None] = []
        self.ended = threading.Event()

    def on_closed(self, reason: DeviceError | None) -> None:
        self.ends.append(reason)
        self.ended.set()


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture
def client(device: DeviceConnection, installed: Installed, ears: Ears) -> Iterator[AgentClient]:
    state = start_agent(device, installed)
    with AgentClient(device, state, ears.events.append, ears.on_closed) as opened:
        yield opened


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


# --- the process -----------------------------------------------------------------------------------------------------


def test_an_agent_starts_once_is_found_and_ends(device: DeviceConnection, installed: Installed) -> None:
    assert find_running(device, installed) is None
    state = start_agent(device, installed, cpus=[0], parent_pid=os.getpid())
    assert find_running(device, installed) == state
    assert start_agent(device, installed) == state
    assert stop_agent(device, installed)
    assert is_gone(state.pid)
    assert find_running(device, installed) is None
    assert not stop_agent(device, installed)


def test_the_agent_is_told_its_folder_cores_and_parent(device: DeviceConnection, installed: Installed) -> None:
    start_agent(device, installed, cpus=[0, 1], parent_pid=7)
    said = read_log(device, installed)
    assert f"['--data-dir', '{installed.data_dir}', '--cpus', '0,1', '--parent-pid', '7']" in said
    assert Path(installed.data_dir).stat().st_mode & 0o777 == 0o700


def test_the_runtime_on_a_device_sends_no_usage_events(device: DeviceConnection, installed: Installed) -> None:
    start_agent(device, installed)
    assert "telemetry off: 1" in read_log(device, installed)


def test_an_agent_outlives_the_connection_that_started_it(
    server: SshServer, connection: SshConnection, stand_in: Path, tmp_path: Path
) -> None:
    base = tmp_path / "device"
    layout = Installed(str(base), None, str(stand_in), sys.executable, str(base / "data"))
    state = start_agent(connection, layout)
    connection.close()
    server.cut()
    local = LocalConnection(base)
    assert find_running(local, layout) == state
    assert kill_agent(local, layout)
    assert is_gone(state.pid)


def test_an_agent_that_ends_at_once_is_reported_with_its_last_words(
    device: DeviceConnection, installed: Installed
) -> None:
    Path(installed.data_dir).mkdir(parents=True)
    Path(installed.data_dir, "refuse").touch()
    with pytest.raises(AgentStartError, match="no runtime here") as failed:
        start_agent(device, installed)
    assert "\x1b" not in failed.value.message
    assert "status 3" in failed.value.message


def test_an_agent_that_does_not_come_up_is_ended_and_reported(device: DeviceConnection, installed: Installed) -> None:
    Path(installed.data_dir).mkdir(parents=True)
    Path(installed.data_dir, "hang").touch()
    with pytest.raises(AgentStartError, match="still thinking"):
        start_agent(device, installed, deadline_s=1.5)
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert installed.data_dir not in listed


def test_a_process_that_only_has_the_agents_number_is_left_alone(
    device: DeviceConnection, installed: Installed
) -> None:
    with subprocess.Popen(["sleep", "60"]) as bystander:
        Path(installed.data_dir).mkdir(parents=True)
        state = AgentState(PROTOCOL_VERSION, bystander.pid, 1, 1, "token", "old")
        Path(installed.data_dir, "agent.json").write_bytes(msgspec.json.encode(state))
        assert find_running(device, installed) is None
        assert not stop_agent(device, installed)
        assert bystander.poll() is None
        bystander.kill()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', "null"])
def test_a_broken_state_file_means_that_no_agent_runs(
    device: DeviceConnection, installed: Installed, text: str
) -> None:
    Path(installed.data_dir).mkdir(parents=True)
    Path(installed.data_dir, "agent.json").write_text(text)
    assert find_running(device, installed) is None


def test_a_log_is_shown_from_its_end_without_escapes(device: DeviceConnection, installed: Installed) -> None:
    assert read_log(device, installed) == ""
    Path(installed.data_dir).mkdir(parents=True)
    Path(installed.data_dir, "agent.log").write_text("first\n" * 50 + "\x1b[31mlast\x1b[0m\nline\n")
    assert read_log(device, installed, lines=2) == "last\nline"


def test_a_python_that_is_gone_is_named(device: DeviceConnection, installed: Installed) -> None:
    with pytest.raises(PythonMissingError, match="/no/python"):
        find_running(device, dataclasses.replace(installed, python="/no/python"))


def test_removal_ends_the_agent_and_leaves_nothing(device: DeviceConnection, installed: Installed) -> None:
    state = start_agent(device, installed)
    uninstall(device, installed)
    assert is_gone(state.pid)
    assert not Path(installed.base_dir).exists()


# --- the conversation ------------------------------------------------------------------------------------------------


def test_a_call_is_answered_by_its_own_reply_and_events_come_cleaned(client: AgentClient, ears: Ears) -> None:
    assert client.call(Hello(), 10) == Done()
    assert client.call(End("d"), 10) == Done()
    assert ears.events[0] == Fault("odd", "ab")


def test_a_listener_that_fails_is_not_the_end_of_the_conversation(
    device: DeviceConnection, installed: Installed, ears: Ears, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_event: Event) -> None:
        raise RuntimeError("a fault of the studio")

    with AgentClient(device, start_agent(device, installed), fail, ears.on_closed) as client:
        for _ in range(2):
            assert client.call(End("d"), 10) == Done()
        assert not ears.ends
    assert "event_failed" in caplog.text


def test_a_refusal_carries_the_agents_code_and_a_harmless_text(client: AgentClient) -> None:
    with pytest.raises(AgentFaultError, match=r"no such model") as refused:
        client.call(End("refuse"), 10)
    assert refused.value.code == "bad_digest"
    assert refused.value.details["stage"] == "s0"
    assert refused.value.message.isprintable()


def test_a_code_that_is_none_and_an_endless_text_are_not_passed_on(client: AgentClient) -> None:
    with pytest.raises(AgentFaultError) as refused:
        client.call(End("odd code"), 10)
    assert refused.value.code == "agent_fault"
    assert len(refused.value.message) < 3000


def test_an_answer_that_does_not_come_is_given_up_and_the_next_one_works(client: AgentClient) -> None:
    with pytest.raises(DeviceTimeoutError, match="End"):
        client.call(End("silence"), 0.3)
    assert client.call(Hello(), 10) == Done()


@pytest.mark.parametrize("what", ["garbage", "deep"])
def test_garbage_ends_the_conversation_with_an_error_not_a_crash(client: AgentClient, ears: Ears, what: str) -> None:
    with pytest.raises(BadAnswerError):
        client.call(End(what), 10)
    assert ears.ended.wait(10)
    assert [type(end) for end in ears.ends] == [BadAnswerError]
    with pytest.raises(BadAnswerError):
        client.call(Hello(), 10)


@pytest.mark.parametrize("what", ["hang up", "huge", "no text"])
def test_an_agent_that_hangs_up_or_talks_too_much_is_lost_once(client: AgentClient, ears: Ears, what: str) -> None:
    with pytest.raises(ConnectionLostError):
        client.call(End(what), 20)
    assert ears.ended.wait(10)
    assert [type(end) for end in ears.ends] == [ConnectionLostError]


def test_an_agent_that_dies_is_noticed(
    client: AgentClient, ears: Ears, device: DeviceConnection, installed: Installed
) -> None:
    state = find_running(device, installed)
    assert state is not None
    os.kill(state.pid, signal.SIGKILL)
    assert ears.ended.wait(20)
    assert isinstance(ears.ends[0], ConnectionLostError)


def test_closing_is_told_once_and_leaves_no_thread(device: DeviceConnection, installed: Installed, ears: Ears) -> None:
    state = start_agent(device, installed)
    before = set(threading.enumerate())
    client = AgentClient(device, state, ears.events.append, ears.on_closed)
    client.call(Hello(), 10)
    client.close()
    client.close()
    assert ears.ends == [None]
    with pytest.raises(ConnectionLostError):
        client.call(Hello(), 10)
    deadline = time.monotonic() + 20
    while not set(threading.enumerate()) <= before:
        assert time.monotonic() < deadline, set(threading.enumerate()) - before
        time.sleep(0.02)


def test_a_wrong_token_is_refused(device: DeviceConnection, installed: Installed, ears: Ears) -> None:
    state = start_agent(device, installed)
    wrong = AgentState(1, state.pid, state.pid_start_ticks, state.control_port, "guess", state.incarnation)
    with pytest.raises(AgentUnreachableError, match="401"):
        AgentClient(device, wrong, ears.events.append, ears.on_closed)


@pytest.mark.ssh
def test_a_lost_connection_ends_the_conversation(
    server: SshServer, connection: SshConnection, stand_in: Path, tmp_path: Path, ears: Ears
) -> None:
    base = tmp_path / "device"
    layout = Installed(str(base), None, str(stand_in), sys.executable, str(base / "data"))
    state = start_agent(connection, layout)
    with AgentClient(connection, state, ears.events.append, ears.on_closed) as client:
        server.cut()
        assert ears.ended.wait(20)
        with pytest.raises(ConnectionLostError):
            client.call(Hello(), 10)
    kill_agent(LocalConnection(base), layout)
