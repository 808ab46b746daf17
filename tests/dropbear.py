"""A real Dropbear server on loopback for one test, without an SFTP server, as on small devices."""

import contextlib
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from partition_studio.fleet.address import SshAddress
from partition_studio.fleet.ssh.auth import SshCredentials
from partition_studio.fleet.ssh.hostkeys import HostKeys
from tests.sshd import free_port

START_DEADLINE_S = 10.0


def find_dropbear() -> str | None:
    """Return the server's program."""
    return shutil.which("dropbear", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def why_not() -> str | None:
    """Return why no Dropbear can be started here; None when one can."""
    if find_dropbear() is None:
        return "dropbear is not installed (as root: apt install dropbear-bin)"
    if os.geteuid() != 0:
        return "only root can give dropbear another home folder, where it looks for keys"
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0:
        return "no mount namespace can be made here, which gives dropbear another home folder"
    return None


class DropbearServer:
    """A Dropbear that takes one key for this user, whose home folder is `home`.

    Dropbear reads keys from the account's own home folder alone: in a mount namespace, another one lies over it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.account = pwd.getpwuid(os.getuid())
        self.home = folder / "home"
        self.port = free_port()
        self.key_file = folder / "id_client"
        self._host_key = folder / "host_key"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> SshAddress:
        return SshAddress(self.account.pw_name, "127.0.0.1", self.port)

    @property
    def credentials(self) -> SshCredentials:
        return SshCredentials(key_file=self.key_file, use_agent=False, ssh_dir=None)

    def trusting_host_keys(self) -> HostKeys:
        """Return host keys that know this server already."""
        shown = subprocess.run(
            ["dropbearkey", "-y", "-f", str(self._host_key)], capture_output=True, check=True, text=True
        ).stdout
        public = next(line for line in shown.splitlines() if line.startswith("ssh-")).split()
        file = self.folder / "studio_known_hosts"
        file.write_text(f"[127.0.0.1]:{self.port} {public[0]} {public[1]}\n")
        return HostKeys(file)

    def cut(self) -> None:
        """Break every connection at once; the server takes new ones."""
        for pid in self._children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        program = find_dropbear()
        assert program is not None
        (self.home / ".ssh").mkdir(parents=True, mode=0o700)
        self.home.chmod(0o700)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key_file)], check=True)
        shutil.copy(self.key_file.with_suffix(".pub"), self.home / ".ssh" / "authorized_keys")
        making = ["dropbearkey", "-t", "ed25519", "-f", str(self._host_key)]
        subprocess.run(making, check=True, capture_output=True)
        listen = ["-p", f"127.0.0.1:{self.port}", "-P", str(self.folder / "pid")]
        serve = [program, "-F", "-E", "-s", "-m", "-r", str(self._host_key), *listen]
        script = (
            f"mount --bind {shlex.quote(str(self.home))} {shlex.quote(self.account.pw_dir)} && exec {shlex.join(serve)}"
        )
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as sock:
                if sock.recv(4) == b"SSH-":
                    return self
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"dropbear did not start: {(self.folder / 'log').read_text()}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.cut()
            self._process.kill()
            self._process.wait()

    def _children(self) -> list[int]:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(word) for word in children.read_text().split()]
