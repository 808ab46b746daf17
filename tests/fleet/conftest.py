"""What the tests of the fleet share: servers, a wheelhouse cache that is filled once, and a stand-in for the agent."""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from partition_agent.protocol import PROTOCOL_VERSION
from partition_studio.fleet.ssh.connect import SshConnection, SshTimeouts, connect_ssh
from tests.sshd import SshServer
from tests.studio import wheel_cache

#: Short, so that a test of a frozen device does not take long.
PATIENCE = SshTimeouts(banner_s=4.0, ping_interval_s=0.2, ping_deadline_s=3.0)

#: For everything else: a busy machine may hold an answer up for seconds.
LONG_PATIENCE = SshTimeouts(banner_s=20.0, ping_interval_s=0.2, ping_deadline_s=30.0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    with SshServer(tmp_path / "sshd") as running:
        yield running


@pytest.fixture
def connection(server: SshServer) -> Iterator[SshConnection]:
    opened = connect_ssh(server.address, server.credentials, server.trusting_host_keys(), LONG_PATIENCE)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture(scope="session")
def wheelhouse_folder() -> Path:
    return wheel_cache()


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """A folder with a package that starts like the agent and misbehaves on request, by the deployment's name."""
    package = tmp_path / "stand-in" / "partition_agent"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(textwrap.dedent(_STAND_IN).replace("PROTOCOL_VERSION", str(PROTOCOL_VERSION)))
    return package.parent


_STAND_IN = """
import json, os, signal, sys, time
from websockets.sync.server import serve

NASTY = "\\x1b[2Jno\\u202e such\\nmodel"
data_dir = sys.argv[sys.argv.index("--data-dir") + 1]
print("stand-in starts with", sys.argv[1:], flush=True)
print("telemetry off:", os.environ.get("ORT_DISABLE_TELEMETRY"), flush=True)
if os.path.exists(os.path.join(data_dir, "refuse")):
    print("\\x1b[31mno\\x1b[0m runtime here", flush=True)
    sys.exit(3)
if os.path.exists(os.path.join(data_dir, "hang")):
    print("still thinking", flush=True)
    time.sleep(600)


def check(socket, request):
    if request.headers.get("Authorization") != "Bearer sesame":
        return socket.respond(401, "no")


def talk(socket):
    for message in socket:
        call = json.loads(message)
        what, number = call["request"], call["id"]
        name = what.get("deployment", "")
        if name == "silence":
            continue
        if name == "garbage":
            socket.send("{not json")
        elif name == "no text":
            socket.send(b"\\xff\\xfe", text=True)
        elif name == "deep":
            socket.send('{"type": "fault", "x": ' + "[" * 1000000)
        elif name == "hang up":
            socket.close()
        elif name == "refuse":
            failed = {"type": "failed", "code": "bad_digest", "message": NASTY, "stage": "s0"}
            socket.send(json.dumps({"type": "reply", "id": number, "result": failed}))
        elif name == "odd code":
            failed = {"type": "failed", "code": "<b>Oh!", "message": "x" * 100000}
            socket.send(json.dumps({"type": "reply", "id": number, "result": failed}))
        elif name == "huge":
            socket.send("x" * (17 * 1024 * 1024))
        else:
            socket.send(json.dumps({"type": "fault", "code": "odd", "message": "a\\u0007b"}))
            socket.send(json.dumps({"type": "reply", "id": number + 1000, "result": {"type": "done"}}))
            socket.send(json.dumps({"type": "reply", "id": number, "result": {"type": "done"}}))


with serve(talk, "127.0.0.1", 0, process_request=check) as server:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    with open("/proc/self/stat") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    state = {"protocol_version": PROTOCOL_VERSION, "pid": os.getpid(), "pid_start_ticks": ticks, "token": "sesame",
             "control_port": server.socket.getsockname()[1], "incarnation": "one"}
    with open(os.path.join(data_dir, "agent.json.new"), "w") as file:
        json.dump(state, file)
    os.replace(os.path.join(data_dir, "agent.json.new"), os.path.join(data_dir, "agent.json"))
    server.serve_forever()
"""
