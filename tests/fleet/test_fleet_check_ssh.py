"""The check over real SSH servers, in doctored environments: each fault is told in words, and nothing stays behind."""

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from partition_studio.errors import DeviceError
from partition_studio.fleet.check.check import DeviceCheck, check_device, require_ready
from partition_studio.fleet.check.parse import decode_lines, parse_facts
from partition_studio.fleet.check.probe_bundle import check_script
from partition_studio.fleet.errors import BadAnswerError, DeviceFileError, DiskFullError, PythonTooOldError
from partition_studio.fleet.ssh.connect import connect_ssh
from tests.dropbear import DropbearServer, why_not
from tests.fleet.conftest import PATIENCE
from tests.sshd import SshServer, find_sftp_server

pytestmark = pytest.mark.ssh

Look = Callable[[str], DeviceCheck]


def can_unshare() -> bool:
    program = shutil.which("unshare")
    return (
        os.geteuid() == 0
        and program is not None
        and subprocess.run([program, "-m", "true"], capture_output=True).returncode == 0
    )


needs_mounts = pytest.mark.skipif(not can_unshare(), reason="needs root, for mounts that only the device sees")


@pytest.fixture
def look(tmp_path: Path) -> Iterator[Look]:
    """Check a server whose every command has some shell text ahead of it."""
    with ExitStack() as stack:

        def checked(before: str) -> DeviceCheck:
            server = stack.enter_context(SshServer(tmp_path / "sshd", before=before))
            connection = connect_ssh(server.address, server.credentials, server.trusting_host_keys(), PATIENCE)
            stack.callback(connection.close)
            return check_device(connection)

        yield checked


def tools(folder: Path, **scripts: str) -> str:
    """Return shell text that puts these programs in front of the system's."""
    folder.mkdir(exist_ok=True)
    for name, script in scripts.items():
        path = folder / name.replace("_", ".")
        path.write_text("#!/bin/sh\n" + script + "\n")
        path.chmod(0o755)
    return f"PATH={shlex.quote(str(folder))}:$PATH"


def inside(mounts: str) -> str:
    """Return shell text that runs the command where these mounts hold, for it alone."""
    script = f'mount --make-rprivate /\n{mounts}\nexec sh -c "$SSH_ORIGINAL_COMMAND"'
    return f"exec unshare -m sh -c {shlex.quote(script)}"


#: No Python of the system can be started.
NO_PYTHON = "for p in /usr/bin/python3* /usr/local/bin/python3*; do [ -f $p ] && mount --bind /dev/null $p; done"


def codes(check: DeviceCheck, severity: str) -> set[str]:
    return {reason.code for reason in check.reasons if reason.severity == severity}


def test_a_board_is_seen_as_it_is_and_nothing_is_left_on_it(look: Look, tmp_path: Path) -> None:
    check = look("")
    facts = check.facts
    assert check.verdict != "cannot", check.reasons
    assert check.python is not None
    assert check.onnxruntime is not None
    assert facts.kernel == os.uname().release
    assert facts.affinity_cores == len(os.sched_getaffinity(0))
    assert facts.cpu_flags
    assert facts.autostart is not None
    # It is this machine: its clock is no other than ours.
    assert facts.clock_offset_s is not None
    assert facts.clock_uncertainty_s is not None
    assert abs(facts.clock_offset_s) <= facts.clock_uncertainty_s
    assert facts.power_sources is not None
    assert not list((tmp_path / "sshd" / "home").iterdir())


@pytest.mark.skipif(find_sftp_server() is None, reason="there is no SFTP server here")
@pytest.mark.parametrize(
    ("before", "offered"), [("", True), ('case "$SSH_ORIGINAL_COMMAND" in *sftp-server*) exit 127;; esac', False)]
)
def test_it_is_told_whether_there_is_sftp(look: Look, before: str, offered: bool) -> None:
    assert look(before).facts.has_sftp is offered


@pytest.mark.skipif(why_not() is not None, reason=why_not() or "")
def test_a_dropbear_is_checked_and_stays_connected(tmp_path: Path) -> None:
    with DropbearServer(tmp_path / "dropbear") as server:
        connection = connect_ssh(server.address, server.credentials, server.trusting_host_keys(), PATIENCE)
        try:
            check = check_device(connection)
            # Whether it finds one depends on what else is installed; that it says so does not.
            assert check.facts.has_sftp is not None
            assert check.python is not None
            assert connection.run(["echo", "still here"], timeout_s=20).stdout == b"still here\n"
        finally:
            connection.close()


@pytest.mark.skipif(why_not() is not None, reason=why_not() or "")
def test_asking_for_sftp_leaves_the_next_command_its_channel(tmp_path: Path) -> None:
    # Dropbear 2022.83 closes the next channel now and then where one is closed while its program still runs.
    with DropbearServer(tmp_path / "dropbear") as server:
        connection = connect_ssh(server.address, server.credentials, server.trusting_host_keys(), PATIENCE)
        try:
            for round_ in range(60):
                assert connection.offers_sftp() is not None
                said = connection.run(["echo", str(round_)], timeout_s=20).stdout
                assert said == f"{round_}\n".encode()
        finally:
            connection.close()


def test_a_32_bit_system_below_a_64_bit_kernel_is_32_bit(look: Look, tmp_path: Path) -> None:
    script = 'case "$1" in LONG_BIT) echo 32;; *) echo "glibc 2.36";; esac'
    check = look(tools(tmp_path / "bin", getconf=script, uname='case "$1" in -s) echo Linux;; *) echo aarch64;; esac'))
    assert check.verdict == "cannot"
    assert check.reasons[0].code == "unsupported_platform"
    assert "32-bit below a 64-bit kernel" in check.reasons[0].text
    assert "64-bit system" in check.reasons[0].next_step


def test_musl_is_told_with_its_version(look: Look, tmp_path: Path) -> None:
    musl = "echo 'musl libc (x86_64)' >&2; echo 'Version 1.2.4' >&2; exit 1"
    check = look(tools(tmp_path / "bin", getconf='[ "$1" = LONG_BIT ] && echo 64', ldd=musl))
    assert check.facts.libc == "musl"
    assert "musl 1.2.4" in check.reasons[0].text


@needs_mounts
def test_without_any_python_the_shell_tells_what_it_can(look: Look, tmp_path: Path) -> None:
    late = tools(tmp_path / "bin", date="echo $(($(/usr/bin/date +%s) + 3600))")
    check = look(f"{late}\n{inside(NO_PYTHON)}")
    facts = check.facts
    assert codes(check, "cannot") == {"python_missing"}
    assert facts.cores
    assert facts.memory_total_bytes
    assert facts.disk_free_bytes
    assert facts.writable
    # A clock that says whole seconds alone is known to a second.
    assert facts.clock_offset_s == pytest.approx(3600, abs=2)
    assert "clock_off" in codes(check, "note")


@needs_mounts
def test_a_python_that_is_too_old_is_told_with_its_version_and_what_to_do(look: Look, tmp_path: Path) -> None:
    old = 'case "$3" in *platform*) echo "3.6.9 CPython 64 /usr/bin/python3.6";; *) exit 1;; esac'
    check = look(f"{tools(tmp_path / 'bin', python3_6=old)}\n{inside(NO_PYTHON)}")
    with pytest.raises(PythonTooOldError, match=r"3\.6\.9") as caught:
        require_ready(check, "nano")
    assert "3.8" in caught.value.next_step
    assert check.facts.disk_free_bytes


@needs_mounts
def test_a_read_only_home_is_told(look: Look) -> None:
    check = look(inside('mount --bind "$HOME" "$HOME" && mount -o remount,ro,bind "$HOME"'))
    assert codes(check, "cannot") == {"not_writable"}
    with pytest.raises(DeviceFileError, match="read-only"):
        require_ready(check, "pi")


@needs_mounts
def test_a_full_disk_that_runs_no_programs_is_told_with_what_is_missing(look: Look) -> None:
    check = look(inside('mount -t tmpfs -o noexec,size=1m none "$HOME"'))
    assert codes(check, "cannot") == {"disk_full", "noexec"}
    assert "has 1.05 MB free, and the agent needs 367.00 MB" in check.reasons[0].text
    with pytest.raises(DiskFullError):
        require_ready(check, "pi")


def test_noise_and_control_characters_of_a_device_reach_nobody(look: Look, tmp_path: Path) -> None:
    loud = tools(
        tmp_path / "bin",
        uname=r"printf '\033[2J\033]0;gotcha\007Linux\342\200\256'; head -c 300000 /dev/zero | tr '\0' x",
    )
    check = look(f"echo 'Welcome!'; {loud}")
    assert check.verdict == "cannot"
    texts = [check.facts.system, check.facts.machine, check.facts.kernel, *(reason.text for reason in check.reasons)]
    assert all(text.isprintable() for text in texts)
    assert max(map(len, texts)) < 1000


@pytest.mark.parametrize(
    "facts",
    [
        '{"base": "/h", "cores": NaN}',
        "[" * 100_000,
        '{"base": 1, "has_release": "no"}',
    ],
)
def test_a_device_that_answers_nonsense_is_named_with_it(look: Look, tmp_path: Path, facts: str) -> None:
    answer = tmp_path / "answer"
    answer.write_text(f"partition-studio\tfacts\t{facts}\n")
    liar = 'case "$3" in *platform*) echo "3.14.0 CPython 64 /usr/bin/python3.14";; *) cat ' + str(answer) + ";; esac"
    with pytest.raises(BadAnswerError, match=r"127\.0\.0\.1"):
        look(tools(tmp_path / "bin", python3_14=liar))


def test_a_python_that_never_answers_costs_ten_seconds_and_no_more(look: Look, tmp_path: Path) -> None:
    if shutil.which("timeout", path="/usr/bin") is None:
        pytest.skip("there is no timeout program")
    # A stand-in makes the ten seconds of this one short.
    quick = 'case "$2" in */python3.14) shift; set -- 0.2 "$@";; esac; exec /usr/bin/timeout "$@"'
    begun_s = time.monotonic()
    check = look(tools(tmp_path / "bin", python3_14="exec sleep 600", timeout=quick))
    assert time.monotonic() - begun_s < 60
    assert str(tmp_path / "bin" / "python3.14") in check.facts.broken_pythons
    assert check.verdict != "cannot"


def test_an_old_busybox_with_another_timeout_is_checked_without_it(look: Look, tmp_path: Path) -> None:
    check = look(tools(tmp_path / "bin", timeout='[ "$1" = -t ] || { echo "no such program: $1" >&2; exit 127; }'))
    assert check.python is not None
    assert check.facts.broken_pythons == ()


def test_what_a_device_fails_to_tell_is_logged_and_the_rest_is_told(
    look: Look, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answer = tmp_path / "answer"
    facts = (
        '{"base": "/h", "has_release": false, "cores": 2, "model": "odd", "addresses": [], "memory_total_bytes": 1, '
        '"memory_available_bytes": 1, "disk_free_bytes": 1, "noexec": false, "writable": true}'
    )
    answer.write_text(f"partition-studio\tfacts\t{facts}\npartition-studio\tpower_failed\tOSError: no such rail\n")
    odd = 'case "$3" in *platform*) echo "3.14.0 CPython 64 /usr/bin/python3.14";; *) cat ' + str(answer) + ";; esac"
    check = look(tools(tmp_path / "bin", python3_14=odd))
    assert (check.facts.model, check.facts.power_sources) == ("odd", None)
    (record,) = (record for record in caplog.records if record.message == "check_incomplete")
    assert "no such rail" in str(record.__dict__["reason"])


def test_python_3_6_can_tell_all_but_the_power_sources() -> None:
    candidates = [*Path.home().glob(".pyenv/versions/3.6.*/bin/python3.6"), Path("/usr/bin/python3.6")]
    found = next((path for path in candidates if path.exists()), None)
    if found is None:
        pytest.skip("there is no Python 3.6 here")
    script = check_script("").decode().replace("for minor in 14 13 12 11 10 9 8 7 6 any", "for minor in 6")
    environment = {"PATH": f"{found.parent}:/usr/bin:/bin", "HOME": "/nonexistent"}
    said = subprocess.run(["sh", "-s"], input=script.encode(), env=environment, capture_output=True, check=True)
    facts = parse_facts(decode_lines(said.stdout), "old")
    assert [python.version[:2] for python in facts.pythons] == [(3, 6)]
    assert facts.affinity_cores == len(os.sched_getaffinity(0))
    assert facts.thermal is not None
    # Its readers of power sources are written for 3.8: nobody could look.
    assert facts.power_sources is None


def test_the_error_is_one_of_ours_and_names_the_device(look: Look, tmp_path: Path) -> None:
    check = look(tools(tmp_path / "bin", uname="echo Darwin"))
    with pytest.raises(DeviceError, match="mac cannot run the agent: its system is Darwin"):
        require_ready(check, "mac")
