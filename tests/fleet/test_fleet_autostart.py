"""What starts the agent again after a reboot: the decision, the unit's text, and what is done on a device.

No systemd is PID 1 where these run: the device's `systemctl`, `loginctl` and `crontab` are scripts that note what
they are asked.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from partition_agent.protocol import PROTOCOL_VERSION
from partition_studio.fleet.errors import AgentStartError
from partition_studio.fleet.install.agent_process import autostart_of, find_running, start_agent, stop_agent
from partition_studio.fleet.install.autostart import (
    AutostartFacts,
    autostart_plan,
    decide_autostart,
    script_text,
    unit_text,
)
from partition_studio.fleet.install.device_python import call_device
from partition_studio.fleet.install.install import Installed, uninstall
from partition_studio.fleet.on_device.device_autostart import undo
from partition_studio.fleet.on_device.device_packages import in_use
from partition_studio.fleet.ssh.connect import SshConnection
from tests.sshd import SshServer

ALL = AutostartFacts(systemd=252, systemd_full="252.30", user_manager=True, linger=True, crontab=True, cron_runs=True)


def changed(**facts: object) -> AutostartFacts:
    return msgspec.structs.replace(ALL, **facts)


@pytest.mark.parametrize(
    ("facts", "kind", "says"),
    [
        (ALL, "systemd", "unit"),
        (changed(linger=False), "systemd", "lingering"),
        (changed(systemd_full="255.4"), "cron", "255.4 may end services at logout"),
        (changed(systemd_full="256.2", systemd=256), "cron", "logout"),
        (changed(systemd_full="256.3", systemd=256), "systemd", "unit"),
        (changed(systemd=237, systemd_full="237"), "cron", "older than 240"),
        (changed(systemd=None, systemd_full="", user_manager=False), "cron", "no systemd"),
        (changed(user_manager=False, cron_runs=False), "none", "its cron does not run"),
        (changed(user_manager=False, crontab=False), "none", "no crontab"),
    ],
)
def test_a_unit_comes_first_then_cron_then_nothing_and_the_reason_is_said(
    facts: AutostartFacts, kind: str, says: str
) -> None:
    decided = decide_autostart(facts)
    assert (decided.kind, decided.survives_reboot) == (kind, kind != "none")
    assert says in decided.note


def test_the_unit_restarts_after_failures_is_limited_and_gains_no_rights() -> None:
    text = unit_text("/home/x/data", ["/usr/bin/python3", "-m", "partition_agent"], {"A": "b"}, 123456)
    lines = text.splitlines()
    for line in (
        "Restart=on-failure",
        "NoNewPrivileges=yes",
        "MemoryMax=123456",
        "WantedBy=default.target",
        'Environment="A=b"',
        'ExecStart="/usr/bin/python3" "-m" "partition_agent"',
        "StandardOutput=append:/home/x/data/agent.log",
    ):
        assert line in lines
    assert "MemoryMax" not in unit_text("/home/x/data", ["/bin/true"], {}, None)


def test_odd_paths_mean_themselves_in_a_unit() -> None:
    text = unit_text('/home/a b/50%"$HOME\\', ["/bin/echo", '50%"$HOME\\'], {}, None)
    assert 'ExecStart="/bin/echo" "50%%\\"$$HOME\\\\"' in text.splitlines()
    assert 'WorkingDirectory=/home/a b/50%%"$HOME\\' in text.splitlines()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_itself_finds_no_fault_with_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "partition-studio-agent-x.service"
    unit.write_text(unit_text(str(tmp_path), ["/bin/echo", "50%$HOME"], {"A": "b c"}, 1 << 28))
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(unit)], capture_output=True, text=True, check=False, env=environment
    )
    assert unit.name not in verified.stderr, verified.stderr


def test_the_script_for_cron_runs_the_command_with_its_words(tmp_path: Path) -> None:
    folder = tmp_path / "a 'b' $(c)"
    folder.mkdir()
    code = "import os, sys; print(sys.argv[1:], os.environ['WORD'])"
    script = script_text(str(folder), [sys.executable, "-c", code, "x y", "$HOME"], {"WORD": "a'b"})
    subprocess.run(["sh", "-c", script], check=True, capture_output=True)
    assert (folder / "agent.log").read_text() == "['x y', '$HOME'] a'b\n"


# --- on a device -----------------------------------------------------------------------------------------------------

SYSTEMCTL = """
echo "systemctl $*" >>{notes}
case "$*" in
--version) echo "systemd 252 (252.30-1)"; echo +PAM;;
"--user show-environment") exit 0;;
"--user enable --now "*)
  shift 3; file=$HOME/.config/systemd/user/$1
  mkdir -p "$HOME/.config/systemd/user/default.target.wants"
  ln -s "$file" "$HOME/.config/systemd/user/default.target.wants/$1"
  {start} "$file";;
"--user disable --now "*) kill $(cat {folder}/pid) 2>/dev/null;;
"--user show "*) printf 'ActiveState=%s\\nExecMainStatus=3\\n' {active};;
esac
exit 0
"""

#: Starts what a unit's file says as systemd would, as far as our units go.
STARTER = """
import os, re, shlex, subprocess, sys
text = open(sys.argv[1]).read()
value = lambda name: re.findall(rf"^{name}=(.*)$", text, re.M)
environment = {**os.environ, **dict(shlex.split(line)[0].split("=", 1) for line in value("Environment"))}
log = open(value("StandardOutput")[0].split(":", 1)[1], "ab")
process = subprocess.Popen(shlex.split(value("ExecStart")[0]), env=environment, cwd=value("WorkingDirectory")[0],
                           stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
open(sys.argv[2], "w").write(str(process.pid))
"""


class Tools:
    """The device's system tools, and what they were asked."""

    def __init__(self, server: SshServer, folder: Path) -> None:
        folder.mkdir()
        self._server = server
        self._notes = folder / "notes"
        self._folder = folder
        (folder / "starter.py").write_text(STARTER)
        self.crontab = folder / "crontab"

    def have_systemd(self, *, active: str = "active", linger: str = "yes", may_linger: bool = True) -> None:
        start = f"{shlex.quote(sys.executable)} {self._folder}/starter.py"
        script = SYSTEMCTL.replace("{start}", start).replace("{notes}", str(self._notes))
        script = script.replace("{folder}", str(self._folder)).replace("{active}", active)
        self._server.put_tool("systemctl", script.replace('"$file";;', f'"$file" {self._folder}/pid;;'))
        answer = f"case $1 in show-user) echo Linger={linger};; *) exit {0 if may_linger else 1};; esac"
        self._server.put_tool("loginctl", f'echo "loginctl $*" >>{self._notes}\n{answer}')

    def have_cron(self) -> None:
        file = self.crontab
        self._server.put_tool(
            "crontab",
            f'case $1 in -l) [ -f {file} ] && exec cat {file}; echo "no crontab for x" >&2; exit 1;;'
            f" -r) rm {file};; -) cat >{file};; esac",
        )

    def asked(self) -> list[str]:
        return self._notes.read_text().splitlines() if self._notes.exists() else []


@pytest.fixture
def tools(server: SshServer, tmp_path: Path) -> Tools:
    return Tools(server, tmp_path / "tools")


@pytest.fixture
def installed(server: SshServer, connection: SshConnection, stand_in: Path) -> Iterator[Installed]:
    base = server.home / ".local" / "share" / "partition-studio"
    # The stand-in speaks protocol 1.
    main = stand_in / "partition_agent" / "__main__.py"
    main.write_text(re.sub('"protocol_version": [0-9]+', f'"protocol_version": {PROTOCOL_VERSION}', main.read_text()))
    layout = Installed(str(base), str(stand_in), str(stand_in), sys.executable, str(base / "data"))
    yield layout
    stop_agent(connection, layout, grace_s=0)


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.ssh
def test_where_systemd_serves_the_user_the_agent_is_a_unit_until_it_is_stopped(
    server: SshServer, connection: SshConnection, tools: Tools, installed: Installed
) -> None:
    tools.have_systemd()
    before = tree(server.home)
    state = start_agent(connection, installed, cpus=[0], memory_bytes=1 << 28)
    units = server.home / ".config" / "systemd" / "user"
    (unit,) = units.glob("partition-studio-agent-*.service")
    assert f"MemoryMax={1 << 28}" in unit.read_text()
    assert find_running(connection, installed) == state
    assert autostart_of(connection, installed).kind == "systemd"
    assert "loginctl --no-ask-password enable-linger" not in tools.asked(), "it lingers already"
    assert stop_agent(connection, installed)
    assert f"systemctl --user disable --now {unit.name}" in tools.asked()
    assert not (server.home / ".config").exists()
    uninstall(connection, installed)
    assert tree(server.home) == before
    assert "loginctl --no-ask-password disable-linger" not in tools.asked(), "it was not we who switched it on"


@pytest.mark.ssh
def test_lingering_that_we_switched_on_is_switched_off_with_the_removal(
    server: SshServer, connection: SshConnection, tools: Tools, installed: Installed
) -> None:
    tools.have_systemd(linger="no")
    start_agent(connection, installed)
    assert "loginctl --no-ask-password enable-linger" in tools.asked()
    uninstall(connection, installed)
    assert tools.asked()[-1] == "loginctl --no-ask-password disable-linger"
    assert tree(server.home) == []


@pytest.mark.ssh
def test_where_lingering_is_refused_the_agent_starts_all_the_same_and_that_is_said(
    server: SshServer, connection: SshConnection, tools: Tools, installed: Installed
) -> None:
    tools.have_systemd(linger="no", may_linger=False)
    state = start_agent(connection, installed)
    assert find_running(connection, installed) == state
    assert not (server.home / ".config").exists()
    assert stop_agent(connection, installed)


@pytest.mark.ssh
def test_a_unit_that_fails_is_reported_with_the_agents_words_and_removed(
    server: SshServer, connection: SshConnection, tools: Tools, installed: Installed
) -> None:
    tools.have_systemd(active="failed")
    Path(installed.data_dir).mkdir(parents=True)
    Path(installed.data_dir, "refuse").touch()
    with pytest.raises(AgentStartError, match="status 3"):
        start_agent(connection, installed)
    assert not (server.home / ".config").exists()


@pytest.mark.ssh
def test_cron_starts_the_agent_after_a_boot_and_other_lines_stay(
    server: SshServer, connection: SshConnection, tools: Tools, installed: Installed
) -> None:
    tools.have_cron()
    tools.crontab.write_text("@daily mine\n")
    facts = changed(systemd=None, user_manager=False)
    command = [installed.python, "-m", "partition_agent", "--data-dir", installed.data_dir]
    plan = autostart_plan(
        decide_autostart(facts),
        facts,
        data_dir=installed.data_dir,
        site_dir=installed.site_dir or "",
        command=command,
        memory_bytes=None,
    )
    arguments: dict[str, object] = {
        "data_dir": installed.data_dir,
        "command": command,
        "python_path": installed.site_dir,
        "deadline_s": 20.0,
        "autostart": plan,
    }
    started = call_device(connection, sys.executable, "start", arguments, answer=dict[str, object], timeout_s=40)
    assert started["autostart"] == "cron"
    mine, ours = tools.crontab.read_text().splitlines()
    assert mine == "@daily mine"
    first = find_running(connection, installed)
    assert first is not None
    # A boot: all that ran is gone, and cron runs its line.
    os.kill(first.pid, 9)
    line = ours.removeprefix("@reboot ")
    with subprocess.Popen(["sh", "-c", line], start_new_session=True):
        deadline = time.monotonic() + 30
        while (second := find_running(connection, installed)) is None:
            assert time.monotonic() < deadline
        assert second.pid != first.pid
        assert stop_agent(connection, installed)
    assert tools.crontab.read_text() == "@daily mine\n"
    assert not list(Path(installed.data_dir).glob("start-agent.sh"))


def test_the_record_names_the_release_so_that_it_is_kept(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    text = unit_text(str(tmp_path), ["x"], {"PYTHONPATH": f"{tmp_path}/releases/abc123/site"}, None)
    (tmp_path / "data" / "autostart.json").write_text(json.dumps({"kind": "systemd", "unit": "u", "text": text}))
    assert in_use(str(tmp_path)) == {"abc123"}


@pytest.mark.parametrize(
    "record",
    [
        {"kind": "cron"},
        {"kind": "cron", "mark": None},
        {"kind": "systemd", "unit": 5, "folders": 7},
        {"kind": "systemd", "unit": "../../notes", "folders": [3]},
        {"folders": "/"},
    ],
    ids=str,
)
def test_a_record_that_is_not_ours_is_undone_as_far_as_it_says_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: dict[str, object]
) -> None:
    home, data_dir = tmp_path / "home", tmp_path / "data"
    (home / ".config" / "systemd" / "user").mkdir(parents=True)
    (home / ".config" / "notes").write_text("mine")
    data_dir.mkdir()
    (data_dir / "autostart.json").write_text(json.dumps(record))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    undo(str(data_dir))
    assert (home / ".config" / "notes").read_text() == "mine"
    assert not (data_dir / "autostart.json").exists()
