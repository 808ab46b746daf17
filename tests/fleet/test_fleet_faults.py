"""Every fault of a device that a person meets, over the REST API and real servers, from the first contact to the agent.

Each is told in a sentence with what to do, leaves nothing half-installed, and the next try succeeds.
"""

import contextlib
import dataclasses
import os
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from partition_agent.protocol import AgentInfo, End
from partition_studio.errors import DeviceError, StudioError
from partition_studio.fleet.errors import OperationCancelledError
from partition_studio.fleet.progress import Progress
from partition_studio.schemas import DeviceIn, DeviceOut, RemovedOut
from tests.fleet.test_fleet_check_ssh import NO_PYTHON, inside, needs_mounts, tools
from tests.fleet.test_fleet_release import power_cut, processes_of, tree
from tests.sshd import SshServer
from tests.studio import RunningStudio, wait_for

pytestmark = pytest.mark.ssh

MIB = 1024 * 1024


@dataclasses.dataclass
class Bench:
    """A studio, a board, and a person who adds the one to the other."""

    studio: RunningStudio
    board: SshServer

    def add(self, **other: object) -> DeviceOut:
        """Add the board, with what the person typed otherwise."""
        fields = {
            "name": "board",
            "address": str(self.board.address),
            "key_file": str(self.board.key_file),
            "trusted_fingerprint": self.board.fingerprint(),
            **other,
        }
        return self.studio.client.post("/api/devices", DeviceOut, DeviceIn.model_validate(fields))

    def listed(self) -> list[DeviceOut]:
        return self.studio.client.get("/api/devices", list[DeviceOut])

    def hold(self, holder: str = "work", progress: Callable[[Progress], None] = lambda _: None) -> AgentInfo:
        """Install and start what is needed, as a deployment does."""
        return self.studio.services.devices.session("board").hold_agent(holder, lambda _step, _text: None, progress)

    def let_go(self, holder: str = "work") -> None:
        self.studio.services.devices.session("board").release_agent(holder, End(deployment=holder))

    def remove(self) -> RemovedOut:
        return self.studio.client.remove("/api/devices/board", RemovedOut)

    @property
    def base(self) -> Path:
        return self.board.home / ".local" / "share" / "partition-studio"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    studio = RunningStudio(tmp_path / "studio")
    with SshServer(tmp_path / "sshd") as board, studio:
        yield Bench(studio, board)


def assert_clear(message: str, next_step: str, *words: str) -> None:
    """It is a sentence for a person: it says these words, and what to do, in plain characters of a bounded number."""
    for word in words:
        assert word in message
    assert message.isprintable()
    assert len(message) < 600
    assert next_step.endswith(".")


# --- not reached, or not let in: nothing is registered, and nothing is done on the device -----------------------------


@contextlib.contextmanager
def wrong_key(bench: Bench) -> Iterator[dict[str, object]]:
    other = SshServer(bench.board.folder.with_name("other"))
    with other:
        pass
    yield {"key_file": str(other.key_file)}


@contextlib.contextmanager
def typed(**fields: object) -> Iterator[dict[str, object]]:
    yield fields


def wrong_user(bench: Bench) -> contextlib.AbstractContextManager[dict[str, object]]:
    return typed(address=f"ssh://no-such-user@127.0.0.1:{bench.board.port}")


def unknown_host(_bench: Bench) -> contextlib.AbstractContextManager[dict[str, object]]:
    return typed(address="ssh://edge@no-such-board.invalid")


def unknown_key(_bench: Bench) -> contextlib.AbstractContextManager[dict[str, object]]:
    return typed(trusted_fingerprint=None)


@contextlib.contextmanager
def changed_key(bench: Bench) -> Iterator[dict[str, object]]:
    """Another machine answers, when the person has confirmed the key of this one."""
    before = bench.board.fingerprint()
    bench.board.stop()
    bench.board.new_host_key()
    bench.board.start()
    yield {"trusted_fingerprint": before}


@contextlib.contextmanager
def closed_port(bench: Bench) -> Iterator[dict[str, object]]:
    bench.board.stop()
    yield {}
    bench.board.start()


@contextlib.contextmanager
def no_banner(bench: Bench) -> Iterator[dict[str, object]]:
    bench.board.freeze()
    yield {}
    bench.board.thaw()


@contextlib.contextmanager
def slow_banner(bench: Bench) -> Iterator[dict[str, object]]:
    ended = threading.Event()

    def greet() -> None:
        with contextlib.suppress(OSError):
            peer, _ = listener.accept()
            with peer:
                for letter in b"SSH-2.0-" + b"x" * 1000:
                    if ended.wait(0.05):
                        return
                    peer.sendall(bytes([letter]))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=greet)
        thread.start()
        yield {"address": f"ssh://edge@127.0.0.1:{listener.getsockname()[1]}"}
        ended.set()
        thread.join(20)


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (wrong_key, "auth_failed", ("key",)),
        (wrong_user, "auth_failed", ("no-such-user",)),
        (unknown_host, "unreachable", ("no-such-board.invalid",)),
        (unknown_key, "unknown_host_key", ("SHA256:",)),
        (changed_key, "changed_host_key", ("SHA256:",)),
        (closed_port, "unreachable", ("127.0.0.1",)),
        (no_banner, "no_banner", ("no SSH server greets",)),
        (slow_banner, "no_banner", ("no SSH server greets",)),
    ],
)
def test_a_device_that_cannot_be_reached_is_not_registered_and_the_next_try_succeeds(
    bench: Bench,
    fault: Callable[[Bench], contextlib.AbstractContextManager[dict[str, object]]],
    code: str,
    words: tuple[str, ...],
) -> None:
    with fault(bench) as fields:
        with pytest.raises(StudioError) as told:
            bench.add(**fields)
        assert told.value.code == code
        assert_clear(told.value.message, told.value.next_step, *words)
        assert bench.listed() == []
        assert tree(bench.board.home) == []
    assert bench.add().state in ("ready", "limited")


@pytest.mark.parametrize(
    ("field", "text"),
    [
        *(("name", text) for text in ("it's", 'a"b', "a b", "-rf", "a\nb", "$(touch owned)", "`id`", "<b>", "../up")),
        *(
            ("address", f"ssh://edge@{host}")
            for host in ("it's", 'a"b', "a b", "-oProxyCommand=id", "a\nb", "$(touch owned)", "`id`", "a;b")
        ),
        *(("address", f"ssh://{user}@127.0.0.1") for user in ("it's", "-l", "a b", "a\nb", "$(touch owned)")),
        *(
            ("address", f"ssh://edge@{host}")
            for host in ("169.254.169.254", "169.254.1.1", "[fe80::1]", "224.0.0.1", "[ff02::1]", "[fd00:ec2::254]")
        ),
    ],
)
def test_names_that_are_commands_and_addresses_that_must_not_be_reached_are_refused(
    bench_without_board: RunningStudio, field: str, text: str
) -> None:
    studio = bench_without_board
    fields = {"name": "board", "address": "ssh://edge@board.invalid", field: text}
    with pytest.raises(StudioError) as told:
        studio.client.post("/api/devices", DeviceOut, DeviceIn.model_validate(fields))
    assert told.value.code in ("bad_address", "bad_input")
    assert_clear(told.value.message, told.value.next_step)
    assert studio.client.get("/api/devices", list[DeviceOut]) == []


@pytest.fixture(scope="module")
def bench_without_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with RunningStudio(tmp_path_factory.mktemp("studio")) as studio:
        yield studio


# --- reached, but it cannot run the agent: registered with the reason, and refused before anything is sent ------------


def old_python(folder: Path) -> str:
    script = 'case "$3" in *platform*) echo "3.6.9 CPython 64 /usr/bin/python3.6";; *) exit 1;; esac'
    return f"{tools(folder, python3_6=script)}\n{inside(NO_PYTHON)}"


def arm_32_bit(folder: Path) -> str:
    bits = 'case "$1" in LONG_BIT) echo 32;; *) echo "glibc 2.36";; esac'
    return tools(folder, getconf=bits, uname='case "$1" in -s) echo Linux;; *) echo armv7l;; esac')


@pytest.mark.parametrize(
    ("before", "code", "words"),
    [
        pytest.param(lambda _: inside(NO_PYTHON), "python_missing", ("Python",), marks=needs_mounts, id="no Python"),
        pytest.param(old_python, "python_too_old", ("3.6.9", "3.8"), marks=needs_mounts, id="Python 3.6"),
        pytest.param(arm_32_bit, "unsupported_platform", ("32-bit", "armv7l"), id="32-bit ARM"),
        pytest.param(
            lambda _: inside('mount --bind "$HOME" "$HOME" && mount -o remount,ro,bind "$HOME"'),
            "device_file",
            ("read-only",),
            marks=needs_mounts,
            id="read-only home",
        ),
        pytest.param(
            lambda _: inside('mount -t tmpfs -o size=9m none "$HOME"'),
            "disk_full",
            ("9.44 MB free", "367.00 MB"),
            marks=needs_mounts,
            id="full disk",
        ),
    ],
)
def test_a_device_that_cannot_run_the_agent_says_why_gets_nothing_and_is_ready_once_it_is_mended(
    bench: Bench, tmp_path: Path, before: Callable[[Path], str], code: str, words: tuple[str, ...]
) -> None:
    bench.board.set_before(before(tmp_path / "bin"))
    device = bench.add()
    assert device.state == "cannot"
    assert device.problem is not None
    assert_clear(device.problem.message, device.problem.next_step, *words)
    with pytest.raises(DeviceError) as told:
        bench.hold()
    assert told.value.code == code
    assert_clear(told.value.message, told.value.next_step, "board", *words)
    assert tree(bench.board.home) == []
    bench.board.set_before("")
    mended = bench.studio.client.post("/api/devices/board/check", DeviceOut)
    assert mended.state in ("ready", "limited")
    assert mended.problem is None


def test_the_next_deployment_looks_at_a_mended_device_anew_without_being_asked(bench: Bench, tmp_path: Path) -> None:
    bench.board.set_before(arm_32_bit(tmp_path / "bin"))
    assert bench.add().state == "cannot"
    bench.board.set_before("")
    steps: list[str] = []
    session = bench.studio.services.devices.session("board")
    with pytest.raises(OperationCancelledError):
        session.hold_agent("work", lambda step, _text: steps.append(step), lambda _: None, lambda: "install" in steps)
    assert steps == ["connect", "check", "install"]


def test_a_device_whose_clock_is_an_hour_off_is_told_so_and_used_all_the_same(bench: Bench, tmp_path: Path) -> None:
    shifted = "import sys, time; now = time.time; time.time = lambda: now() + 3600; exec(sys.argv.pop(1))"
    python = f'case "$2" in -c) shift 2; exec {sys.executable} -I -c {shlex.quote(shifted)} "$@";; esac; exit 1'
    late = tools(tmp_path / "bin", python3_14=python, date='exec /usr/bin/date -d "+1 hour" "$@"')
    bench.board.set_before(late)
    device = bench.add()
    assert device.state in ("ready", "limited")
    assert device.check is not None
    (note,) = (reason for reason in device.check.reasons if reason.code == "clock_off")
    assert_clear(note.text, note.next_step, "its clock is 60 min ahead of the studio's")
    bench.board.set_before("")
    again = bench.studio.client.post("/api/devices/board/check", DeviceOut)
    assert again.check is not None
    assert "clock_off" not in {reason.code for reason in again.check.reasons}


# --- while the agent is being installed -------------------------------------------------------------------------------


def assert_nothing_is_in_use(bench: Bench) -> None:
    """No release counts as installed, nothing points to one, and no agent runs."""
    assert not os.path.lexists(bench.base / "current")
    assert not list(bench.base.glob("releases/*/complete"))
    assert not bench.studio.services.devices.session("board").agent_running


def assert_whole(bench: Bench, info: AgentInfo) -> None:
    """The agent runs from a complete release, and nothing is left of the tries before."""
    current = (bench.base / "current").resolve()
    assert (current / "complete").is_file()
    assert str(current) in Path(f"/proc/{info.pid}/environ").read_text(errors="replace")
    left = [path for path in bench.base.rglob("*") if path.name.startswith((".new-", ".current-"))]
    assert [*left, *bench.base.rglob("*.whl*")] == []
    assert not (bench.base / "incoming").exists()


def test_a_full_disk_in_the_middle_cuts_at_each_tenth_and_a_reboot_leave_nothing_that_is_used(bench: Bench) -> None:
    bench.add()
    bench.board.set_before("ulimit -f 20000")
    with pytest.raises(DeviceError) as full:
        bench.hold()
    assert full.value.code == "disk_full"
    assert_clear(full.value.message, full.value.next_step, "no room", str(bench.base))
    assert_nothing_is_in_use(bench)
    assert not list(bench.base.rglob("*.whl*")), "what was sent is thrown away"
    bench.board.set_before("")

    there_bytes = 0
    for tenth in range(1, 10):
        there_bytes = cut_upload(bench, tenth, there_bytes)
    reboot_during_installation(bench)

    info = bench.hold()
    assert_whole(bench, info)
    bench.let_go()
    assert bench.remove().uninstalled
    assert tree(bench.board.home) == []


def cut_upload(bench: Bench, tenth: int, there_bytes: int) -> int:
    """Cut the connection when so many tenths of all were sent; return how much is there now.

    Of what was there it sends nothing again, and of what it sends at most a mebibyte does not get there.
    """
    seen: list[int] = []

    def watch(report: Progress) -> None:
        if report.step == "upload" and report.done_bytes is not None and report.total_bytes:
            seen.append(report.done_bytes)
            if report.done_bytes >= report.total_bytes * tenth // 10:
                bench.board.cut()

    with pytest.raises(DeviceError) as lost:
        bench.hold(progress=watch)
    assert lost.value.code == "connection_lost"
    assert_clear(lost.value.message, lost.value.next_step, "connection")
    assert_nothing_is_in_use(bench)
    # What the device took last may still be on its way to its disk.
    wait_for(lambda: not processes_of(bench.board) or None, what="the end of what took the upload")
    assert there_bytes in (0, *seen), lost.value.message
    now_bytes = sum(path.stat().st_size for path in bench.base.glob("incoming/*/*"))
    assert seen[-1] - now_bytes <= MIB
    return now_bytes


def reboot_during_installation(bench: Bench) -> None:
    """Switch the device off while it unpacks, and on again."""
    failed: list[DeviceError] = []

    def install() -> None:
        try:
            bench.hold()
        except DeviceError as error:
            failed.append(error)

    thread = threading.Thread(target=install)
    thread.start()
    wait_for(lambda: list(bench.base.glob("packages/.new-*/*")) or None, what="the unpacking")
    os.kill(bench.board.pid, signal.SIGSTOP)
    power_cut(bench.board)
    bench.board.stop()
    thread.join(60)
    assert not thread.is_alive()
    (error,) = failed
    assert_clear(error.message, error.next_step, "127.0.0.1")
    assert_nothing_is_in_use(bench)
    bench.board.start()


def test_a_home_folder_named_like_a_command_is_a_folder_and_nothing_more(bench: Bench) -> None:
    odd = bench.board.home / 'it\'s a "board" $(touch owned) `touch owned`;-x'
    odd.mkdir()
    bench.board.set_before(f"export HOME={shlex.quote(str(odd))}; cd")
    assert bench.add().state in ("ready", "limited")
    info = bench.hold()
    assert str(odd) in Path(f"/proc/{info.pid}/environ").read_text(errors="replace")
    bench.let_go()
    assert bench.remove().uninstalled
    assert tree(bench.board.home) == [odd.name]
