"""Which host keys are known: the studio's own file, beside the user's, which is only read.

A key is never accepted silently. A device that was never seen raises UnknownHostKeyError with its fingerprint, which
a person confirms by `trust`; a device that shows another key than before is refused.
"""

import base64
import binascii
import copy
import fnmatch
import hashlib
import hmac
import os
import shlex
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from partition_studio.fleet.address import SshAddress
from partition_studio.fleet.errors import ChangedHostKeyError, UnknownHostKeyError

_MAX_FILE_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class HostKey:
    """A public host key: its type as OpenSSH names it, and its bytes on the wire."""

    key_type: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """The fingerprint as OpenSSH prints it: `SHA256:` and unpadded base64."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key of a known_hosts file, and where it stands; lines are counted from 1."""

    key: HostKey
    file: Path
    line: int
    revoked: bool


class HostKeys:
    """The known host keys of a studio. May be used from several threads."""

    def __init__(self, own_file: Path, user_file: Path | None = None, system_file: Path | None = None) -> None:
        """Read `own_file`, which the studio writes (0600), and the user's and the system's, which it never writes."""
        self._own_file = own_file
        self._user_files: tuple[Path, ...] = () if user_file is None else (user_file,)
        self._system_files = () if system_file is None else (system_file,)
        self._lock = threading.Lock()

    def beside(self, user_files: Sequence[Path] | None) -> "HostKeys":
        """Return the same keys, beside other files of the user's (UserKnownHostsFile); None leaves the usual one."""
        if user_files is None:
            return self
        other = copy.copy(self)
        other._user_files = tuple(user_files)
        return other

    def known(self, address: SshAddress) -> list[KnownKey]:
        """Return the keys that are known for this address, the studio's own first."""
        files = [self._own_file, *self._user_files, *self._system_files]
        return [known for file in files for known in _keys_in(file, address.known_hosts_name)]

    def verify(self, address: SshAddress, presented: HostKey) -> None:
        """Return when `presented` is a known key of this address.

        Raises UnknownHostKeyError when none is known, ChangedHostKeyError when another one is, or this one is revoked.
        """
        known = self.known(address)
        revoked = next((entry for entry in known if entry.revoked and entry.key == presented), None)
        if revoked is not None:
            raise _changed(address, presented, revoked, "shows a key that is marked as revoked", None)
        current = [entry for entry in known if not entry.revoked]
        if any(entry.key == presented for entry in current):
            return
        if not current:
            raise UnknownHostKeyError(
                f"{address} was never seen before; its {presented.key_type} key has the fingerprint "
                f"{presented.fingerprint}",
                address=str(address),
                fingerprint=presented.fingerprint,
                key_type=presented.key_type,
            )
        same_type = [entry for entry in current if entry.key.key_type == presented.key_type]
        known_one = (same_type or current)[0]
        raise _changed(
            address,
            presented,
            known_one,
            "shows another host key than the known one",
            self._forgetting(address, known_one),
        )

    def _forgetting(self, address: SshAddress, known: KnownKey) -> str:
        """Return the command that forgets a known key: only the studio's own file is the studio's to change."""
        if known.file == self._own_file:
            return f"partition-studio device forget-key {shlex.quote(str(address))}"
        return f"ssh-keygen -R {shlex.quote(address.known_hosts_name)} -f {shlex.quote(str(known.file))}"

    def trust(self, address: SshAddress, presented: HostKey, fingerprint: str) -> None:
        """File `presented` as the key of this address, when it is the one whose fingerprint the person confirmed.

        Raises ChangedHostKeyError when it has another fingerprint or another key is known already.
        """
        if not hmac.compare_digest(presented.fingerprint.encode(), fingerprint.strip().encode()):
            raise ChangedHostKeyError(
                f"{address} now shows the fingerprint {presented.fingerprint}, not the confirmed {fingerprint[:100]}",
                next_step="Look at the device again and confirm the fingerprint that it shows now, if it is its own.",
                address=str(address),
                presented_fingerprint=presented.fingerprint,
                known_fingerprint=fingerprint[:100],
            )
        with self._lock:
            try:
                self.verify(address, presented)
            except UnknownHostKeyError:
                encoded = base64.b64encode(presented.blob).decode()
                self._rewrite([*self._own_lines(), f"{address.known_hosts_name} {presented.key_type} {encoded}"])

    def forget(self, address: SshAddress) -> int:
        """Remove this address's keys from the studio's own file and return how many there were."""
        with self._lock:
            doomed = {known.line for known in _keys_in(self._own_file, address.known_hosts_name)}
            if doomed:
                lines = self._own_lines()
                self._rewrite([line for number, line in enumerate(lines, 1) if number not in doomed])
            return len(doomed)

    def _own_lines(self) -> list[str]:
        return _read_lines(self._own_file)

    def _rewrite(self, lines: list[str]) -> None:
        self._own_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(dir=self._own_file.parent, prefix=".known_hosts-")
        try:
            with os.fdopen(descriptor, "w") as file:
                file.writelines(line + "\n" for line in lines)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._own_file)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise


class Confirmation:
    """A fingerprint that a person confirmed of one host on the way to a device: it is filed for that one alone.

    `text` is `ADDRESS=SHA256:...`, with the address that the question named. Without an address it is filed for the
    first host that shows it, and for no other: a jump host that shows its key again, as the device's, is asked about.
    """

    def __init__(self, text: str) -> None:
        """Take what was confirmed."""
        address, _, fingerprint = text.strip().rpartition("=")
        self._address = address.strip() or None
        self._fingerprint = fingerprint.strip()
        self._met = self._filed = False

    def verify(self, keys: HostKeys, address: SshAddress, presented: HostKey, *, is_jump_host: bool) -> None:
        """Return when `presented` is known, or is what the person confirmed of this host; then it is filed.

        Raises UnknownHostKeyError where another host of the way was meant, else what `HostKeys.verify` and
        `HostKeys.trust` raise.
        """
        matches = hmac.compare_digest(presented.fingerprint.encode(), self._fingerprint.encode())
        try:
            keys.verify(address, presented)
        except UnknownHostKeyError:
            if not self._is_meant(address, matches, is_jump_host):
                raise
            keys.trust(address, presented, self._fingerprint)
            self._filed = True
        self._met = self._met or matches

    def _is_meant(self, address: SshAddress, matches: bool, is_jump_host: bool) -> bool:
        if self._address is not None:
            return self._address == str(address) and not self._filed
        return not self._met and (matches or not is_jump_host)


def _changed(
    address: SshAddress, presented: HostKey, known: KnownKey, what: str, forgetting: str | None
) -> ChangedHostKeyError:
    return ChangedHostKeyError(
        f"{address} {what}: known {known.key.fingerprint} ({known.key.key_type}), "
        f"shown {presented.fingerprint} ({presented.key_type}). Somebody may be in between. "
        f"The known key is line {known.line} of {known.file}",
        next_step=None
        if forgetting is None
        else f"If another board has this address now, or it was reinstalled, forget the old key (`{forgetting}`) and "
        "compare the new one; otherwise do not connect.",
        address=str(address),
        known_fingerprint=known.key.fingerprint,
        known_key_type=known.key.key_type,
        presented_fingerprint=presented.fingerprint,
        presented_key_type=presented.key_type,
        file=str(known.file),
        line=known.line,
    )


def _read_lines(file: Path) -> list[str]:
    try:
        with file.open("rb") as stream:
            return stream.read(_MAX_FILE_BYTES).decode("utf-8", errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError, PermissionError, IsADirectoryError):
        # Nothing is known from a file that nobody can read: the key is asked about, never taken.
        return []


def _keys_in(file: Path, name: str) -> Iterator[KnownKey]:
    for number, line in enumerate(_read_lines(file), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else ""
        # Certificate authorities sign keys; they are none themselves.
        if len(words) < 3 or marker not in {"", "@revoked"} or not _matches(words[0], name):
            continue
        try:
            blob = base64.b64decode(words[2], validate=True)
        except binascii.Error:
            continue
        yield KnownKey(HostKey(words[1], blob), file, number, revoked=marker == "@revoked")


def _matches(patterns: str, name: str) -> bool:
    if patterns.startswith("|1|"):
        return _matches_hashed(patterns, name)
    found = False
    for pattern in patterns.lower().split(","):
        if pattern.startswith("!"):
            if _matches_pattern(pattern[1:], name):
                return False
        else:
            found = found or _matches_pattern(pattern, name)
    return found


def _matches_pattern(pattern: str, name: str) -> bool:
    if pattern == name:
        return True
    # In known_hosts brackets are part of the name, not a set of characters as in fnmatch.
    return ("*" in pattern or "?" in pattern) and fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def _matches_hashed(pattern: str, name: str) -> bool:
    try:
        _, _, salt, digest = pattern.split("|")
        # SHA-1 is OpenSSH's format for hashed host names (HashKnownHosts); it protects nothing here.
        computed = hmac.new(base64.b64decode(salt), name.encode(), hashlib.sha1).digest()
        return hmac.compare_digest(computed, base64.b64decode(digest))
    except (ValueError, binascii.Error):
        return False
