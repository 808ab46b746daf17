"""A real OpenSSH server on loopback for one test: own keys, own port, own home folder, root or not.

with SshServer(tmp_path) as server:
    connect_ssh(server.address, server.credentials, server.trusting_host_keys())
"""

import contextlib
import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from partition_studio.fleet.address import SshAddress
from partition_studio.fleet.ssh.auth import SshCredentials
from partition_studio.fleet.ssh.hostkeys import HostKeys

START_DEADLINE_S = 10.0

#: What would set something up on the machine that the tests run on, outside of the home folder; here it refuses.
SYSTEM_TOOLS = ("systemctl", "loginctl", "crontab")


def find_sshd() -> str | None:
    """Return the server's program, which must be called by its full path."""
    return shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def find_sftp_server() -> str | None:
    """Return the program that serves SFTP, which comes with sshd and lies beside no other."""
    return shutil.which("sftp-server", path="/usr/lib/openssh:/usr/libexec/openssh:/usr/lib/ssh:/usr/libexec")


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
        return port


class SshServer:
    """An sshd whose user lands in `home`; `before` is shell text that runs ahead of every command (limits, noise).

    With `passwords` it takes passwords, of which none is right: a test gives no account a password. `options` are
    further lines of its configuration. `host` is the loopback address that it listens on.
    """

    def __init__(
        self,
        folder: Path,
        *,
        before: str = "",
        key_type: str = "ed25519",
        passwords: bool = False,
        options: Sequence[str] = (),
        host: str = "127.0.0.1",
    ) -> None:
        self.folder = folder
        self.host = host
        self.home = folder / "home"
        self.tools = folder / "tools"
        self.port = free_port(host)
        self.key_file = folder / "id_client"
        self._host_key = folder / "host_key"
        self._before = before
        self._key_type = key_type
        self._passwords = passwords
        self._options = tuple(options)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> SshAddress:
        return SshAddress(getpass.getuser(), self.host, self.port)

    @property
    def credentials(self) -> SshCredentials:
        return SshCredentials(key_file=self.key_file, use_agent=False, ssh_dir=None)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def fingerprint(self) -> str:
        """What OpenSSH itself says the host key's fingerprint is."""
        listed = subprocess.run(["ssh-keygen", "-lf", str(self._host_key)], capture_output=True, check=True, text=True)
        return listed.stdout.split()[1]

    def public_key(self) -> str:
        """The host key as a known_hosts line has it: its type and its text."""
        return " ".join(self._host_key.with_suffix(".pub").read_text().split()[:2])

    def trusting_host_keys(self) -> HostKeys:
        """Return host keys that know this server already."""
        file = self.folder / "studio_known_hosts"
        public = self._host_key.with_suffix(".pub").read_text().split()
        file.write_text(f"[{self.host}]:{self.port} {public[0]} {public[1]}\n")
        return HostKeys(file)

    def new_host_key(self) -> None:
        """Show another key from the next start on."""
        for file in (self._host_key, self._host_key.with_suffix(".pub")):
            file.unlink(missing_ok=True)
        _keygen(self._host_key, self._key_type)

    def put_tool(self, name: str, script: str) -> None:
        """Have commands find this shell script as the program `name`."""
        file = self.tools / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def set_before(self, before: str) -> None:
        """Change what runs ahead of every command."""
        self._before = before
        self._write_wrapper()

    def start(self) -> Self:
        program = find_sshd()
        assert program is not None, "openssh-server is not installed"
        self.home.mkdir(parents=True, exist_ok=True)
        if not self.key_file.exists():
            _keygen(self.key_file, "ed25519")
        if not self._host_key.exists():
            _keygen(self._host_key, self._key_type)
        if os.geteuid() == 0:
            # The privilege separation folder that a packaged sshd expects; service managers make it at boot.
            Path("/run/sshd").mkdir(exist_ok=True)
        shutil.copy(self.key_file.with_suffix(".pub"), self.folder / "authorized_keys")
        self.tools.mkdir(exist_ok=True)
        for name in SYSTEM_TOOLS:
            if not (self.tools / name).exists():
                self.put_tool(name, "exit 1")
        self._write_wrapper()
        config = self.folder / "sshd_config"
        config.write_text(self._config())
        with (self.folder / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-D", "-e", "-f", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self._wait_until_it_greets()
        return self

    def stop(self) -> None:
        """End the server and every session of it."""
        if self._process is None:
            return
        for pid in self.session_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.send_signal(signal.SIGCONT)
        self._process.kill()
        self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """Stop the server and its sessions as a hanging board does: connections stay, nothing answers."""
        self._tell_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._tell_all(signal.SIGCONT)

    def _tell_all(self, number: signal.Signals) -> None:
        for pid in [self.pid, *self.session_pids()]:
            # A session that is at its end may be gone by now.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def cut(self) -> None:
        """Break every connection at once; the server takes new ones."""
        for pid in self.session_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def session_pids(self) -> list[int]:
        """The sshd processes of the open connections (not the commands that they run)."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                name = (entry / "comm").read_text().strip()
                if name.startswith("sshd") and self._descends(int(fields[1])):
                    found.append(int(entry.name))
        return found

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _descends(self, parent: int) -> bool:
        while parent > 1 and self._process is not None:
            if parent == self._process.pid:
                return True
            parent = int(Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1])
        return False

    def _wait_until_it_greets(self) -> None:
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), timeout=1) as sock:
                if sock.recv(4) == b"SSH-":
                    return
            assert self._process is not None
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"sshd did not start: {(self.folder / 'sshd.log').read_text()}")

    def _write_wrapper(self) -> None:
        home = shlex.quote(str(self.home))
        wrapper = self.folder / "wrapper.sh"
        wrapper.write_text(
            f"export HOME={home} PATH={shlex.quote(str(self.tools))}:/usr/local/bin:/usr/bin:/bin\n"
            f"unset XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_DATA_HOME\ncd {home}\n{self._before}\n"
            'exec sh -c "$SSH_ORIGINAL_COMMAND"\n'
        )

    def _config(self) -> str:
        lines = [
            f"Port {self.port}",
            f"ListenAddress {self.host}",
            f"HostKey {self._host_key}",
            f"AuthorizedKeysFile {self.folder / 'authorized_keys'}",
            f"PidFile {self.folder / 'sshd.pid'}",
            f"ForceCommand sh {shlex.quote(str(self.folder / 'wrapper.sh'))}",
            "StrictModes no",
            "PermitRootLogin yes",
            f"PasswordAuthentication {'yes' if self._passwords else 'no'}",
            "KbdInteractiveAuthentication no",
            "PubkeyAuthentication yes",
            "UsePAM no",
            "AllowTcpForwarding yes",
            "MaxSessions 20",
            # What bash takes for a shell within a shell reads no ~/.bashrc of whoever runs the tests.
            "SetEnv SHLVL=1",
            "LogLevel ERROR",
        ]
        if (sftp := find_sftp_server()) is not None:
            lines.append(f"Subsystem sftp {sftp}")
        return "\n".join([*self._options, *lines]) + "\n"


def _keygen(file: Path, key_type: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", key_type, "-N", "", "-f", str(file)], check=True)
