"""Rate of the studio's upload against `scp` over the same link, in alternation.

    python -m bench.upload [--mebibytes 64] [--rounds 5] [--board HOST --port 22 --user U --key FILE --known-hosts FILE]

Without `--board`, the link is the loopback to an OpenSSH server that this starts: there the processor is what counts.
Both send the same random file, verified by its SHA-256 on arrival by ours; `scp` is given the same ciphers first.
Required: at least 0.9 times the rate of `scp`.
"""

import argparse
import contextlib
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.sshd import SshServer, find_sshd

from partition_studio.fleet.address import SshAddress
from partition_studio.fleet.progress import never_cancelled
from partition_studio.fleet.ssh.auth import SshCredentials
from partition_studio.fleet.ssh.connect import SshConnection, connect_ssh
from partition_studio.fleet.ssh.hostkeys import HostKeys

REQUIRED = 0.9
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Link:
    """A device and how to log in there."""

    name: str
    address: SshAddress
    key_file: Path
    known_hosts: Path
    folder: str


def ours(connection: SshConnection, file: Path, sha256: str, target: str) -> float:
    """Return the seconds that our upload takes, the verification on the device included."""
    begin_s = time.perf_counter()
    with file.open("rb") as source:
        connection.upload(
            source,
            file.stat().st_size,
            target,
            sha256=sha256,
            progress=lambda _: None,
            cancelled=never_cancelled,
        )
    return time.perf_counter() - begin_s


def by_scp(link: Link, file: Path, target: str) -> float:
    """Return the seconds that `scp` takes, less those that it takes for an empty file: ours is connected already."""
    address = link.address
    command = ["scp", "-q", "-B", "-P", str(address.port), "-i", str(link.key_file), "-F", "/dev/null"]
    command += ["-o", f"UserKnownHostsFile={link.known_hosts}", "-o", "StrictHostKeyChecking=yes"]
    command += ["-o", "IdentitiesOnly=yes", "-c", "aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr"]
    seconds = []
    for source in (Path("/dev/null"), file):
        begin_s = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            empty = Path(folder) / "empty"
            empty.touch()
            name = empty if source == Path("/dev/null") else source
            subprocess.run([*command, str(name), f"{address.user}@{address.host}:{target}"], check=True)
        seconds.append(time.perf_counter() - begin_s)
    return max(seconds[1] - seconds[0], 1e-6)


@contextlib.contextmanager
def loopback() -> Iterator[Link]:
    """Start an OpenSSH server on this machine."""
    with tempfile.TemporaryDirectory() as folder, SshServer(Path(folder) / "sshd") as server:
        server.trusting_host_keys()
        yield Link("loopback", server.address, server.key_file, server.folder / "studio_known_hosts", str(server.home))


def measure(link: Link, mebibytes: int, rounds: int) -> float:
    """Print a table of both rates; return the median of their ratio."""
    print(f"{link.name}: {mebibytes} MiB, load average {os.getloadavg()[0]:.1f}")
    print("| round | ours, MB/s | scp, MB/s | ratio |\n|---|---|---|---|")
    credentials = SshCredentials(key_file=link.key_file, use_agent=False, ssh_dir=None)
    connection = connect_ssh(link.address, credentials, HostKeys(link.known_hosts))
    ratios = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            for number in range(1, rounds + 1):
                file = Path(folder) / "file"
                file.write_bytes(os.urandom(mebibytes * MIB))
                sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
                ours_s = ours(connection, file, sha256, f"{link.folder}/bench-upload-ours")
                scp_s = by_scp(link, file, f"{link.folder}/bench-upload-scp")
                size = file.stat().st_size
                ratios.append(scp_s / ours_s)
                print(f"| {number} | {size / ours_s / 1e6:.1f} | {size / scp_s / 1e6:.1f} | {ratios[-1]:.2f} |")
        names = [f"{link.folder}/bench-upload-{name}" for name in ("ours", "scp")]
        connection.run(["rm", "-f", *names], timeout_s=30)
    finally:
        connection.close()
    median = statistics.median(ratios)
    print(f"| median | | | **{median:.2f}** (required {REQUIRED}) |")
    return median


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; returns 1 when the required ratio was missed."""
    parser = argparse.ArgumentParser(description="Upload rate against scp.")
    parser.add_argument("--mebibytes", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--board", help="host of a device to measure instead of the loopback")
    parser.add_argument("--port", type=int, default=22)
    parser.add_argument("--user", default="root")
    parser.add_argument("--key", type=Path)
    parser.add_argument("--known-hosts", type=Path)
    parser.add_argument("--folder", default="/tmp")  # noqa: S108 - a folder of the device
    given = parser.parse_args(arguments)
    if given.board is not None:
        if given.key is None or given.known_hosts is None:
            parser.error("--board needs --key and --known-hosts")
        address = SshAddress(given.user, given.board, given.port)
        link = Link(given.board, address, given.key, given.known_hosts, given.folder)
        return int(measure(link, given.mebibytes, given.rounds) < REQUIRED)
    if find_sshd() is None:
        print("upload: openssh-server is not installed; nothing was measured")
        return 0
    with loopback() as link:
        return int(measure(link, given.mebibytes, given.rounds) < REQUIRED)


if __name__ == "__main__":
    sys.exit(main())
