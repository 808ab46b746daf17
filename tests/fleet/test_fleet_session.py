"""One device in use by several at once, and by two studios, with real agents on this machine."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from partition_agent.protocol import AgentInfo, End, Hello
from partition_studio.errors import ConflictError, DeviceError
from partition_studio.fleet.address import LocalAddress
from partition_studio.fleet.errors import (
    AgentUnreachableError,
    DeviceHeldError,
    DeviceInUseError,
    DeviceLeavingError,
    OperationCancelledError,
)
from partition_studio.fleet.install.wheelhouse import WheelhouseCache
from partition_studio.fleet.progress import ignore_progress
from partition_studio.fleet.session.session import DeviceSession, DeviceSpec, FleetFiles, SessionStep
from partition_studio.fleet.ssh.auth import SshCredentials
from partition_studio.fleet.ssh.hostkeys import HostKeys

DEADLINE_S = 60.0


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.02)


def ignore_step(_step: SessionStep, _text: str) -> None:
    return


class Desk:
    """Sessions on this machine, of one or of several studios, and what they tell."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.sessions: list[DeviceSession] = []
        self.lost: list[str] = []
        self.ended: list[str] = []

    def session(self, studio: str = "a" * 32, host: str = "desk-a") -> DeviceSession:
        files = FleetFiles(
            HostKeys(self._folder / "known_hosts"),
            WheelhouseCache(self._folder / "wheels"),
            self._folder / "local",
            studio=studio,
            studio_host=host,
        )
        made = DeviceSession(
            DeviceSpec("here", LocalAddress(), SshCredentials(use_agent=False, ssh_dir=None)),
            files,
            on_event=lambda _device, _event: None,
            on_lost=lambda _device, reason: self.lost.append(reason),
            on_ended=self.ended.append,
        )
        self.sessions.append(made)
        return made

    def hold(self, session: DeviceSession, holder: str = "one") -> AgentInfo:
        return session.hold_agent(holder, ignore_step, ignore_progress)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    for session in made.sessions:
        session.close()


class Stopped:
    """A bring-up that stands still at its last step until it is told to go on."""

    def __init__(self, session: DeviceSession, holder: str = "one") -> None:
        self._session, self._holder = session, holder
        self.reached, self.go_on, self.cancel = threading.Event(), threading.Event(), threading.Event()
        self.outcome: AgentInfo | DeviceError | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Stopped":
        self._thread.start()
        assert self.reached.wait(DEADLINE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self.join()

    def join(self) -> None:
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.outcome = self._session.hold_agent(self._holder, self._step, ignore_progress, self.cancel.is_set)
        except DeviceError as error:
            self.outcome = error

    def _step(self, step: SessionStep, _text: str) -> None:
        if step == "install":
            self.reached.set()
            self.go_on.wait(DEADLINE_S)


def test_nothing_else_waits_for_a_bring_up(desk: Desk) -> None:
    session = desk.session()
    with Stopped(session) as bring_up:
        assert session.check().verdict in ("ready", "limited")
        assert session.read_log(10) == []
        session.release_agent("somebody else", End(deployment="d"))
        with pytest.raises(AgentUnreachableError):
            session.call(Hello())
        assert not session.agent_running
    assert isinstance(bring_up.outcome, AgentInfo)


def test_whoever_wants_the_agent_meanwhile_joins_and_shares_the_outcome(desk: Desk) -> None:
    session = desk.session()
    with Stopped(session) as first, Stopped(session, "two") as second:
        # The second is told at once what the first is doing.
        first.go_on.set()
        first.join()
    assert isinstance(first.outcome, AgentInfo)
    assert isinstance(second.outcome, AgentInfo)
    assert first.outcome.incarnation == second.outcome.incarnation
    session.release_agent("one", End(deployment="one"))
    assert session.agent_running, "the other still holds it"
    session.release_agent("two", End(deployment="two"))
    assert not session.agent_running
    assert desk.ended == ["here"]


def test_one_who_joined_may_give_up_alone(desk: Desk) -> None:
    session = desk.session()
    with Stopped(session) as first:
        with pytest.raises(OperationCancelledError):
            session.hold_agent("two", ignore_step, ignore_progress, lambda: True)
        cancelled = threading.Event()
        outcome: list[DeviceError] = []

        def join() -> None:
            try:
                session.hold_agent("three", lambda _s, _t: cancelled.set(), ignore_progress, cancelled.is_set)
            except DeviceError as error:
                outcome.append(error)

        thread = threading.Thread(target=join)
        thread.start()
        thread.join(DEADLINE_S)
        assert [type(error) for error in outcome] == [OperationCancelledError]
    assert isinstance(first.outcome, AgentInfo)


def test_when_the_first_gives_up_whoever_still_wants_it_goes_on(desk: Desk) -> None:
    session = desk.session()
    with Stopped(session) as first:
        joined = threading.Event()
        infos: list[AgentInfo] = []
        thread = threading.Thread(
            target=lambda: infos.append(session.hold_agent("two", lambda _s, _t: joined.set(), ignore_progress))
        )
        thread.start()
        assert joined.wait(DEADLINE_S)
        first.cancel.set()
        first.go_on.set()
        thread.join(DEADLINE_S)
    assert isinstance(first.outcome, OperationCancelledError | AgentInfo)
    assert len(infos) == 1
    assert session.agent_running


def test_a_device_that_is_being_removed_refuses_at_once_and_ends_what_was_begun(desk: Desk) -> None:
    session = desk.session()
    with Stopped(session) as bring_up:
        remover = threading.Thread(target=session.uninstall)
        remover.start()

        def is_refused() -> bool:
            try:
                session.hold_agent("two", ignore_step, ignore_progress, lambda: True)
            except DeviceLeavingError as error:
                return isinstance(error, ConflictError)
            except OperationCancelledError:
                return False
            return False

        wait_until(is_refused, "the removal")
        bring_up.go_on.set()
        remover.join(DEADLINE_S)
    assert not remover.is_alive()
    assert isinstance(bring_up.outcome, DeviceLeavingError)
    assert not session.agent_running


def test_a_device_that_somebody_holds_is_not_uninstalled(desk: Desk) -> None:
    session = desk.session()
    desk.hold(session)
    with pytest.raises(DeviceInUseError, match="one"):
        session.uninstall()
    assert isinstance(session.call(Hello(studio="a" * 32)), AgentInfo)


def test_an_agent_that_was_killed_is_reported_lost_once(desk: Desk) -> None:
    session = desk.session()
    info = desk.hold(session)
    os.kill(info.pid, signal.SIGKILL)
    wait_until(lambda: bool(desk.lost), "the loss")
    assert "ended" in desk.lost[0]
    again = desk.hold(session)
    assert again.incarnation != info.incarnation
    assert len(desk.lost) == 1


def test_a_device_in_use_by_another_studio_says_by_whom_and_is_left_alone(desk: Desk) -> None:
    first, second = desk.session(), desk.session("b" * 32, "desk-b")
    info = desk.hold(first)
    with pytest.raises(DeviceHeldError, match="desk-a") as refused:
        desk.hold(second)
    assert str(info.pid) in refused.value.next_step
    with pytest.raises(DeviceHeldError, match="desk-a"):
        second.reattach("x")
    assert first.agent_running
    answer = first.call(Hello(studio="a" * 32))
    assert isinstance(answer, AgentInfo)
    assert answer.incarnation == info.incarnation
    assert desk.lost == []
    first.release_agent("one", End(deployment="one"))
    assert desk.hold(second).incarnation != info.incarnation


def test_the_same_studio_finds_its_agent_again_after_a_restart(desk: Desk) -> None:
    before = desk.session()
    info = desk.hold(before)
    after = desk.session()
    found = after.reattach("one")
    assert found is not None
    assert found.incarnation == info.incarnation
