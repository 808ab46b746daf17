"""The agent's control conversation and its life, with the real process."""

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.agent.rig import DEADLINE_S, AgentProcess, Control, Rig, chain, wait_until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from partition_agent.lease import RELEASE_S, Lease, Visitor
from partition_agent.protocol import (
    AgentInfo,
    Call,
    Configure,
    Connect,
    Done,
    End,
    Failed,
    Hello,
    PeerAddress,
    PowerModel,
    Prepared,
    Progress,
    Reply,
)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[AgentProcess]:
    with AgentProcess(tmp_path / "one", "--cpus", str(min(os.sched_getaffinity(0)))) as running:
        yield running


def refusal(answer: object) -> Failed:
    assert isinstance(answer, Failed), answer
    return answer


def test_the_state_file_and_folder_are_for_this_user_only(agent: AgentProcess) -> None:
    assert stat.S_IMODE(agent.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((agent.data_dir / "agent.json").stat().st_mode) == 0o600
    assert agent.state.pid == agent.process.pid
    assert agent.state.token not in agent.data_dir.with_suffix(".log").read_text()


def test_hello_says_who_is_there(agent: AgentProcess) -> None:
    info = agent.control.call(Hello())
    assert isinstance(info, AgentInfo)
    assert info.pid == agent.process.pid
    assert info.incarnation == agent.state.incarnation
    assert info.onnxruntime_version[0].isdigit()
    assert info.usable_cores <= 1, "pinned to one core"
    assert info.memory_limit_bytes > 0
    assert refusal(agent.control.call(Hello(99))).code == "protocol_version"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}])
def test_a_wrong_token_is_refused_in_the_handshake(agent: AgentProcess, headers: dict[str, str]) -> None:
    address = f"ws://127.0.0.1:{agent.state.control_port}/"
    with pytest.raises(InvalidStatus) as refused, connect(address, additional_headers=headers, proxy=None):
        pass
    assert refused.value.response.status_code == 401


def test_a_second_agent_in_the_same_folder_refuses_to_start(agent: AgentProcess) -> None:
    command = [sys.executable, "-m", "partition_agent", "--data-dir", str(agent.data_dir)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert second.returncode == 1
    assert "another agent runs" in second.stderr
    assert isinstance(agent.control.call(Hello()), AgentInfo)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_agent_in_order(agent: AgentProcess, number: signal.Signals) -> None:
    agent.process.send_signal(number)
    assert agent.process.wait(DEADLINE_S) == 0
    assert not (agent.data_dir / "agent.json").exists()


def test_an_agent_ends_with_its_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with AgentProcess(tmp_path / "one", "--parent-pid", str(parent.pid)) as agent:
        assert isinstance(agent.control.call(Hello()), AgentInfo)
        parent.communicate(b"\n")
        assert agent.process.wait(DEADLINE_S) == 0


@pytest.mark.parametrize("text", ["{", "[]", '{"id": "x"}', "\x00", '{"request": {"type": "hello"}}'])
def test_what_is_no_call_ends_that_connection_and_no_other(agent: AgentProcess, text: str) -> None:
    bad = Control(agent.state)
    bad.socket.send(text)
    with pytest.raises(ConnectionClosed):
        while True:
            bad.next()
    bad.close()
    assert isinstance(agent.control.call(Hello()), AgentInfo)


def test_a_call_that_cannot_be_read_is_answered_by_its_number(agent: AgentProcess) -> None:
    agent.control.socket.send(json.dumps({"id": 5, "request": {"type": "explode"}}))
    assert refusal(agent.control.reply(5)).code == "bad_request"
    assert isinstance(agent.control.call(Hello()), AgentInfo)


def test_every_studio_hears_of_progress(agent: AgentProcess) -> None:
    other = Control(agent.state)
    rig = Rig(chain("one"), {"one": agent})
    rig.prepare()
    steps: list[str] = []
    while len(steps) < 4:
        message = other.next()
        steps += [message.step] if isinstance(message, Progress) else []
    assert steps == ["verify", "load", "warm_up", "ready"]
    other.close()


def test_a_studio_that_does_not_listen_stalls_nobody(agent: AgentProcess) -> None:
    deaf = Control(agent.state)
    call = msgspec.json.encode(Call(1, Hello())).decode()
    os.set_blocking(deaf.socket.socket.fileno(), True)
    for _ in range(50):
        deaf.socket.send(call)
    assert isinstance(agent.control.call(Hello()), AgentInfo)
    assert agent.control.telemetry().sequence > 0
    deaf.close()


def test_a_sub_model_with_another_digest_is_never_loaded(agent: AgentProcess) -> None:
    rig = Rig(chain("one"), {"one": agent})
    request = rig.request("one")
    path = agent.models / f"{request.stages[0].digest}.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    answer = refusal(agent.control.call(request))
    assert (answer.code, answer.stage) == ("digest_mismatch", "s0")
    assert "'s0'" in answer.message
    assert not path.exists(), "nothing of it remains"
    info = agent.control.call(Hello())
    assert isinstance(info, AgentInfo) and info.deployments == ()


def test_a_missing_or_broken_sub_model_is_said_by_stage(agent: AgentProcess) -> None:
    rig = Rig(chain("one"), {"one": agent})
    missing = refusal(agent.control.call(rig.request("one", push=False)))
    assert (missing.code, missing.stage) == ("model_missing", "s0")
    request = rig.request("one")
    garbage = b"no model"
    spec = msgspec.structs.replace(request.stages[0], digest=hashlib.sha256(garbage).hexdigest())
    agent.push(garbage)
    broken = refusal(agent.control.call(msgspec.structs.replace(request, stages=(spec,))))
    assert (broken.code, broken.stage) == ("stage_not_loaded", "s0")


def test_a_stage_that_differs_from_its_description_is_refused(agent: AgentProcess) -> None:
    rig = Rig(chain("one"), {"one": agent})
    request = rig.request("one")
    stage, links = request.stages[0], request.links
    other = msgspec.structs.replace(stage.inputs[0], dtype="float64")
    links = (msgspec.structs.replace(links[0], tensors=(other,)), links[1])
    changed = msgspec.structs.replace(stage, inputs=(other,))
    answer = refusal(agent.control.call(msgspec.structs.replace(request, stages=(changed,), links=links)))
    assert answer.code == "stage_differs"
    assert "float64" in answer.message


def test_a_manifest_that_does_not_fit_together_is_refused(agent: AgentProcess) -> None:
    request = Rig(chain("one"), {"one": agent}).request("one")
    answer = refusal(agent.control.call(msgspec.structs.replace(request, links=request.links[1:])))
    assert answer.code == "bad_manifest"
    bad_digest = msgspec.structs.replace(request.stages[0], digest="../../etc/passwd")
    answer = refusal(agent.control.call(msgspec.structs.replace(request, stages=(bad_digest,))))
    assert answer.code == "model_unreadable"


def test_an_older_epoch_and_the_same_epoch_are_refused(agent: AgentProcess) -> None:
    rig = Rig(chain("one"), {"one": agent}, epoch=5)
    rig.prepare()
    assert refusal(agent.control.call(rig.request("one"))).code == "already_prepared"
    old = Rig(chain("one"), {"one": agent}, epoch=4)
    assert refusal(agent.control.call(old.request("one"))).code == "stale_epoch"
    assert refusal(agent.control.call(Connect("d", 4, ()))).code == "unknown_deployment"


def test_connect_needs_every_peer_that_shares_a_link(agent: AgentProcess) -> None:
    rig = Rig(chain("one"), {"one": agent})
    rig.prepare()
    answer = refusal(agent.control.call(Connect("d", 1, ())))
    assert answer.code == "not_connected" and "studio" in answer.message


def test_connect_with_a_key_that_is_none_is_refused(tmp_path: Path, agent: AgentProcess) -> None:
    with AgentProcess(tmp_path / "two") as two:
        rig = Rig(chain("one", "two"), {"one": agent, "two": two})
        rig.prepare()
        peers = (PeerAddress("two", "127.0.0.1", 1, "short"), PeerAddress("studio", "", 0, "0" * 40))
        answer = refusal(agent.control.call(Connect("d", 1, peers)))
        assert answer.code == "not_connected" and "two" in answer.message


def test_end_during_prepare_cancels_it_and_hello_is_answered_meanwhile(agent: AgentProcess) -> None:
    rig = Rig(chain(*["one"] * 200), {"one": agent})
    number = agent.control.post(rig.request("one"))
    other = Control(agent.state)
    started = False
    while not started:
        started = isinstance(agent.control.next(), Progress)
    assert isinstance(other.call(Hello()), AgentInfo)
    assert other.call(End("d")) == Done()
    answer = refusal(agent.control.reply(number))
    assert answer.code == "cancelled"
    info = other.call(Hello())
    assert isinstance(info, AgentInfo) and info.deployments == () and info.models == ()
    other.close()


def test_a_data_address_that_is_not_this_devices_is_said(agent: AgentProcess) -> None:
    request = msgspec.structs.replace(Rig(chain("one"), {"one": agent}).request("one"), bind_host="192.0.2.1")
    answer = refusal(agent.control.call(request))
    assert answer.code == "no_data_socket" and "192.0.2.1" in answer.message


def test_declared_watts_give_an_estimate_and_none_gives_nothing(agent: AgentProcess) -> None:
    sample = agent.control.telemetry()
    if sample.power:
        pytest.skip("this machine has a power sensor")
    assert agent.control.call(Configure("one", PowerModel(2.0, 6.0))) == Done()
    (power,) = agent.control.telemetry().power
    assert (power.source, power.scope, power.method) == ("declared", "model", "estimated")
    assert power.power_w is not None and 2.0 <= power.power_w <= 6.0
    assert agent.control.call(Configure("one")) == Done()
    assert agent.control.telemetry().power == ()


def test_telemetry_counts_on_and_stays_within_bounds(agent: AgentProcess) -> None:
    first, second = agent.control.telemetry(), agent.control.telemetry()
    assert second.sequence > first.sequence and second.monotonic_s > first.monotonic_s
    assert second.incarnation == agent.state.incarnation
    assert second.cpu_utilisation is None or 0 <= second.cpu_utilisation <= 1
    memory = second.memory
    assert 0 < memory.rss_bytes <= memory.peak_bytes <= memory.limit_bytes
    assert memory.pss_bytes is None or 0 < memory.pss_bytes <= memory.rss_bytes * 1.1


def test_a_prepared_deployment_is_found_by_a_studio_that_comes_later(agent: AgentProcess) -> None:
    rig = Rig(chain("one"), {"one": agent})
    answer = agent.control.call(rig.request("one"))
    assert isinstance(answer, Prepared)
    agent.control.close()
    agent.control = Control(agent.state)
    info = agent.control.call(Hello())
    assert isinstance(info, AgentInfo)
    (found,) = info.deployments
    assert (found.deployment, found.epoch, found.stages) == ("d", 1, ("s0",))
    assert (found.data_port, found.public_key) == (answer.data_port, answer.public_key)


def test_the_log_stays_bounded(tmp_path: Path) -> None:
    from partition_agent.log import MAX_LOG_BYTES

    script = (
        "import logging, pathlib, sys; from partition_agent import log; log.set_up(pathlib.Path(sys.argv[1]));"
        "[logging.getLogger('x').info('event', extra={'field': 'y\\n' * 5000}) for _ in range(2000)]"
    )
    path = tmp_path / "agent.log"
    with path.open("ab") as file:
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], stderr=file, check=True, timeout=DEADLINE_S)
    assert 0 < path.stat().st_size <= MAX_LOG_BYTES + 100_000
    assert (tmp_path / "agent.log.1").stat().st_size <= MAX_LOG_BYTES
    wait_until(lambda: path.read_bytes().endswith(b"}\n"), "whole lines")


def test_reply_numbers_are_those_of_the_calls(agent: AgentProcess) -> None:
    # Each kind of answer is another one's, and some take longer than others: order does not tell whose it is.
    asked: dict[int, Hello | Configure] = {
        900: Hello(),
        3: Configure(device="d"),
        17: Hello(protocol_version=1),
        4: Configure(device="d"),
    }
    for number, request in asked.items():
        agent.control.socket.send(msgspec.json.encode(Call(number, request)).decode())
    found: dict[int, type] = {}
    while len(found) < len(asked):
        message = agent.control.next()
        if isinstance(message, Reply):
            assert message.id not in found, "each is answered once"
            found[message.id] = type(message.result)
    assert found == {900: AgentInfo, 3: Done, 17: Failed, 4: Done}


# --- whom it serves ---------------------------------------------------------------------------------------------------


def test_an_agent_serves_the_first_studio_and_tells_others_who_that_is(agent: AgentProcess) -> None:
    first, second = Control(agent.state), Control(agent.state)
    mine = first.call(Hello(studio="a", studio_host="desk"))
    assert isinstance(mine, AgentInfo)
    assert mine.held_by == ""
    theirs = second.call(Hello(studio="b", studio_host="attic"))
    assert isinstance(theirs, AgentInfo)
    assert theirs.held_by == "desk"
    for request in (Configure(device="d"), End(deployment="d")):
        assert isinstance(first.call(request), Done)
        refused = refusal(second.call(request))
        assert refused.code == "held"
        assert "desk" in refused.message
    first.close()
    second.close()


def test_a_studio_keeps_its_agent_over_a_lost_connection_and_with_several(agent: AgentProcess) -> None:
    first = Control(agent.state)
    first.call(Hello(studio="a", studio_host="desk"))
    first.close()
    other, again = Control(agent.state), Control(agent.state)
    assert refusal(other.call(End(deployment="d"))).code == "held"
    assert isinstance(again.call(Hello(studio="a", studio_host="desk")), AgentInfo)
    assert isinstance(again.call(End(deployment="d")), Done)
    other.close()
    again.close()


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def visitor_of(lease: Lease, studio: str) -> Visitor:
    visitor = Visitor()
    lease.hello(visitor, studio, f"host of {studio}")
    return visitor


def test_a_studio_that_went_away_and_left_nothing_loses_the_agent_after_a_while() -> None:
    clock = Hands()
    lease = Lease(lambda: False, clock)
    owner = visitor_of(lease, "a")
    clock.now_s += 10 * RELEASE_S
    assert lease.held_by(visitor_of(lease, "b")) == "host of a", "it is still connected"
    lease.left(owner)
    clock.now_s += RELEASE_S
    assert lease.held_by(visitor_of(lease, "b")) == "host of a"
    clock.now_s += 1
    late = visitor_of(lease, "b")
    assert lease.held_by(late) is None
    assert lease.held_by(visitor_of(lease, "a")) == "host of b"


def test_a_studio_that_left_a_deployment_keeps_the_agent_until_it_is_back() -> None:
    clock = Hands()
    lease = Lease(lambda: True, clock)
    lease.left(visitor_of(lease, "a"))
    clock.now_s += 1000 * RELEASE_S
    assert lease.held_by(visitor_of(lease, "b")) == "host of a"
    assert lease.held_by(visitor_of(lease, "a")) is None


def test_who_says_no_name_is_served_as_long_as_nobody_owns_the_agent() -> None:
    lease = Lease(lambda: False, Hands())
    anonymous = visitor_of(lease, "")
    assert lease.held_by(anonymous) is None
    visitor_of(lease, "a")
    assert lease.held_by(anonymous) == "host of a"


def test_a_greeting_said_twice_counts_once() -> None:
    clock = Hands()
    lease = Lease(lambda: False, clock)
    owner = visitor_of(lease, "a")
    lease.hello(owner, "a", "host of a")
    lease.left(owner)
    clock.now_s += RELEASE_S + 1
    assert lease.held_by(visitor_of(lease, "b")) is None
