"""Rate of the studio's upload against `scp` over the same link, in alternation.

    python -m bench.upload [--mebibytes 256] [--rounds 5] [--board HOST --port 22 --user U --key FILE --known-hosts F]

Without `--board`, the link is the loopback to an OpenSSH server that this starts: there the processor is what counts.
Both send the same random file, verified by its SHA-256 on arrival by ours; `scp` is given the same ciphers first. Of
both, what they take for an empty file is no part of the rate: `scp` logs in each time, and servers start shells slowly.
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


def ours(connection: SshConnection, file: Path, target: str) -> float:
    """Return the seconds that our upload takes, the verification on the device included."""
    with file.open("rb") as source:
        sha256 = hashlib.file_digest(source, "sha256").hexdigest()
        source.seek(0)
        begin_s = time.perf_counter()
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
    """Return the seconds that `scp` takes, from its start to its end."""
    address = link.address
    command = ["scp", "-q", "-B", "-P", str(address.port), "-i", str(link.key_file), "-F", "/dev/null"]
    command += ["-o", f"UserKnownHostsFile={link.known_hosts}", "-o", "StrictHostKeyChecking=yes"]
    command += ["-o", "IdentitiesOnly=yes", "-c", "aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr"]
    begin_s = time.perf_counter()
    subprocess.run([*command, str(file), f"{address.user}@{address.host}:{target}"], check=True)
    return time.perf_counter() - begin_s


@contextlib.contextmanager
def loopback() -> Iterator[Link]:
    """Start an OpenSSH server on this machine."""
    with tempfile.TemporaryDirectory() as folder, SshServer(Path(folder) / "sshd") as server:
        server.trusting_host_keys()
        yield Link("loopback", server.address, server.key_file, server.folder / "studio_known_hosts", str(server.home))


def measure(link: Link, mebibytes: int, rounds: int) -> float:
    """Print a table of both rates; return the median of their ratio."""
    print(f"{link.name}: {mebibytes} MiB, load average {os.getloadavg()[0]:.1f}")
    print("| round | ours, MB/s | scp, MB/s | start of ours, s | start of scp, s | ratio |\n|---|---|---|---|---|---|")
    credentials = SshCredentials(key_file=link.key_file, use_agent=False, ssh_dir=None)
    connection = connect_ssh(link.address, credentials, HostKeys(link.known_hosts))
    ratios: list[float] = []
    targets = [f"{link.folder}/bench-upload-{name}" for name in ("ours", "scp")]
    try:
        with tempfile.TemporaryDirectory() as folder:
            empty, file = Path(folder) / "empty", Path(folder) / "file"
            empty.touch()
            for number in range(1, rounds + 1):
                file.write_bytes(os.urandom(mebibytes * MIB))
                seconds = []
                for source in (empty, file):
                    connection.run(["rm", "-f", *targets], timeout_s=30)
                    seconds.append((ours(connection, source, targets[0]), by_scp(link, source, targets[1])))
                ours_s, scp_s = (max(full - start, 1e-6) for start, full in zip(*seconds, strict=True))
                size = file.stat().st_size
                ratios.append(scp_s / ours_s)
                starts = " | ".join(f"{start:.2f}" for start in seconds[0])
                rates = " | ".join(f"{size / taken_s / 1e6:.1f}" for taken_s in (ours_s, scp_s))
                print(f"| {number} | {rates} | {starts} | {ratios[-1]:.2f} |")
        connection.run(["rm", "-f", *targets], timeout_s=30)
    finally:
        connection.close()
    median = statistics.median(ratios)
    print(f"| median | | | | | **{median:.2f}** (required {REQUIRED}) |")
    return median


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; returns 1 when the required ratio was missed."""
    parser = argparse.ArgumentParser(description="Upload rate against scp.")
    parser.add_argument("--mebibytes", type=int, default=256)
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
