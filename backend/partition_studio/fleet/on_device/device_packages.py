# ruff: noqa: UP006, UP035 - this file runs on the device, on Python 3.8.
"""The agent's packages on a device. See `device_script`.

    BASE/packages/<sha256>/     each wheel, unpacked once
    BASE/releases/<digest>/     `site`, made of links to files of packages, and `complete`
    BASE/current                a link to the release that was put in place last
    BASE/incoming/<sender>/     wheels on their way, of each studio its own

A release is there when its `complete` is; whatever else is there is of an attempt that ended, and is removed.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tarfile
import tempfile
import time
import zipfile
from typing import Any, Callable, Dict, List, Set, Tuple

from partition_studio.fleet.on_device.device_files import DeviceProblemError, locked, names_in, remove, remove_tree

KEPT_RELEASES = 2
#: What another studio began to send is thrown away when it has not gone on for so long.
FORGOTTEN_S = 24 * 3600.0
_SPREAD = ("purelib", "platlib")
_CHUNK_BYTES = 1024 * 1024

#: Proves the packages in a folder, or raises DeviceProblemError.
Proof = Callable[[str], None]


def releases(base: str) -> List[str]:
    """Return the names of the complete releases, the latest used first."""
    folder = os.path.join(base, "releases")
    complete = [name for name in names_in(folder) if os.path.isfile(os.path.join(folder, name, "complete"))]
    return sorted(complete, key=lambda name: os.path.getmtime(os.path.join(folder, name, "complete")), reverse=True)


def packages(base: str) -> List[str]:
    """Return the SHA-256 of every wheel that is unpacked."""
    return sorted(name for name in names_in(os.path.join(base, "packages")) if not name.startswith("."))


def look(base: str) -> Dict[str, Any]:
    """Tell what is installed and how much room there is."""
    folder = base
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    status = os.statvfs(folder)
    current = os.path.basename(os.path.realpath(os.path.join(base, "current")))
    return {
        "releases": releases(base),
        "packages": packages(base),
        "current": current,
        "free_bytes": status.f_bavail * status.f_frsize,
    }


def install(base: str, release: str, wheels: List[str], incoming: str, prove: Proof) -> Dict[str, Any]:
    """Make a release of wheels (SHA-256 each) that are unpacked or lie in `incoming` as `<sha256>.whl`.

    It becomes the current one when `prove` accepts it; until then, the one before stays it.
    """
    with locked(base):
        target = os.path.join(base, "releases", release)
        made = release not in releases(base)
        if made:
            _clear(base)
            fresh: List[Tuple[str, str]] = []
            try:
                _unpack_missing(base, wheels, incoming, fresh)
                _put_together(base, target, wheels, fresh, prove)
            except BaseException:
                _drop_packages(base)
                raise
            finally:
                for work, _ in fresh:
                    remove_tree(work)
                remove_tree(incoming)
                _forget_incoming(base)
        else:
            os.utime(os.path.join(target, "complete"))
        _make_current(base, release)
        _prune(base, release)
    return {"release": target, "made": made}


def discard(base: str, incoming: str) -> Dict[str, Any]:
    """Throw away what was sent so far: there is no room for the rest."""
    remove_tree(incoming)
    _forget_incoming(base)
    return {}


def install_bundle(base: str, release: str, bundle: str) -> Dict[str, Any]:
    """Make a release of the wheels in a tar, and remove the tar."""
    incoming = os.path.dirname(bundle)
    wheels = []
    if release not in releases(base):
        with tarfile.open(bundle) as tar:
            for member in tar:
                source = tar.extractfile(member) if member.isfile() else None
                if source is None or not member.name.endswith(".whl"):
                    raise DeviceProblemError("install_failed", f"the bundle holds {member.name!r}, which is no wheel")
                temporary = os.path.join(incoming, ".whl")
                with open(temporary, "wb") as out:
                    shutil.copyfileobj(source, out, _CHUNK_BYTES)
                wheels.append(sha256_of(temporary))
                os.replace(temporary, os.path.join(incoming, wheels[-1] + ".whl"))
        remove(bundle)
    return install(base, release, wheels, incoming, lambda _site: None)


def sha256_of(path: str) -> str:
    """Return the SHA-256 (hex) of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK_BYTES), b""):
            digest.update(chunk)
    return digest.hexdigest()


def _clear(base: str) -> None:
    """Remove what attempts left that were cut off."""
    for kind in ("packages", "releases"):
        folder = os.path.join(base, kind)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        for name in names_in(folder):
            if name.startswith(".new-"):
                remove_tree(os.path.join(folder, name))
    for name in names_in(base):
        if name.startswith(".current-"):
            remove(os.path.join(base, name))


def _unpack_missing(base: str, wheels: List[str], incoming: str, fresh: List[Tuple[str, str]]) -> None:
    """Unpack what is not there into folders of other names; `fresh` gets each, with the name that it is to have."""
    folder = os.path.join(base, "packages")
    for sha256 in wheels:
        place = os.path.join(folder, sha256)
        if os.path.isdir(place):
            continue
        wheel = os.path.join(incoming, sha256 + ".whl")
        if not os.path.isfile(wheel):
            raise DeviceProblemError("packages_gone", f"the wheel {sha256} is not here")
        fresh.append((tempfile.mkdtemp(dir=folder, prefix=".new-"), place))
        unpack_wheel(wheel, sha256, fresh[-1][0])
        remove(wheel)


def unpack_wheel(wheel: str, sha256: str, into: str) -> None:
    """Unpack a wheel as PEP 427 says, without its scripts.

    pip is not needed for it, which a minimal system has not, and which would have to be sent.
    """
    found = sha256_of(wheel)
    if found != sha256:
        remove(wheel)
        raise DeviceProblemError("install_failed", f"the wheel {sha256} was changed on the device")
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                path = _place_of(member.filename)
                if path and not member.filename.endswith("/"):
                    target = os.path.join(into, path)
                    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
                    with archive.open(member) as source, open(target, "wb") as out:
                        shutil.copyfileobj(source, out, _CHUNK_BYTES)
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        raise DeviceProblemError("install_failed", f"a wheel cannot be unpacked: {error}") from error


def _place_of(name: str) -> str:
    """Return where a wheel's file goes below the site folder; empty for what is not needed to import it."""
    parts = name.rstrip("/").split("/")
    if name.startswith("/") or "\\" in name or any(part in ("", ".", "..") for part in parts):
        raise DeviceProblemError("install_failed", f"a wheel holds the file name {name!r}")
    if parts[0].endswith(".data"):
        return "/".join(parts[2:]) if len(parts) > 2 and parts[1] in _SPREAD else ""
    return "/".join(parts)


def _put_together(base: str, target: str, wheels: List[str], fresh: List[Tuple[str, str]], prove: Proof) -> None:
    work = tempfile.mkdtemp(dir=os.path.dirname(target), prefix=".new-")
    unpacked = {os.path.basename(place): folder for folder, place in fresh}
    try:
        site = os.path.join(work, "site")
        for sha256 in wheels:
            _link_tree(unpacked.get(sha256, os.path.join(base, "packages", sha256)), site)
        prove(site)
        # Packages and releases count as soon as they have their names: their content must be on the disk before.
        os.sync()
        for folder, place in fresh:
            os.rename(folder, place)
        with open(os.path.join(work, "complete"), "w") as marker:
            json.dump({"python": sys.executable, "packages": wheels, "installed_unix_s": time.time()}, marker)
            marker.flush()
            os.fsync(marker.fileno())
        remove_tree(target)
        os.rename(work, target)
    finally:
        remove_tree(work)


def _link_tree(source: str, into: str) -> None:
    """Give every file below `source` a name below `into`; where files have one name only, copy it."""
    for folder, _, names in os.walk(source):
        target = os.path.normpath(os.path.join(into, os.path.relpath(folder, source)))
        os.makedirs(target, mode=0o700, exist_ok=True)
        for name in names:
            place = os.path.join(target, name)
            remove(place)
            try:
                os.link(os.path.join(folder, name), place)
            except OSError:
                shutil.copyfile(os.path.join(folder, name), place)


def _make_current(base: str, release: str) -> None:
    """Point `current` at a release, without a moment in which it points nowhere."""
    temporary = os.path.join(base, f".current-{os.getpid()}")
    remove(temporary)
    os.symlink(os.path.join("releases", release), temporary)
    os.replace(temporary, os.path.join(base, "current"))


def _prune(base: str, release: str) -> None:
    """Remove all but the current release, those before it that are kept, and those in which an agent runs or will."""
    others = [name for name in releases(base) if name != release]
    used = in_use(base)
    for name in others[KEPT_RELEASES - 1 :]:
        if name not in used:
            remove_tree(os.path.join(base, "releases", name))
    _drop_packages(base)


def _drop_packages(base: str) -> None:
    """Remove the packages of no release."""
    needed: Set[str] = set()
    for name in releases(base):
        with contextlib.suppress(OSError, ValueError), open(os.path.join(base, "releases", name, "complete")) as file:
            needed.update(json.load(file).get("packages", ()))
    for name in names_in(os.path.join(base, "packages")):
        if name not in needed:
            remove_tree(os.path.join(base, "packages", name))


def in_use(base: str) -> Set[str]:
    """Return the releases from which a process of this user runs, or one will be started by the system."""
    begin = os.path.join(os.path.realpath(base), "releases") + os.sep
    begins = {begin.encode(), os.path.join(base, "releases").encode() + b"/"}
    found = set()
    for pid in names_in("/proc"):
        if pid.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
                found.update(_releases_in(file.read(), begins))
    with contextlib.suppress(OSError), open(os.path.join(base, "data", "autostart.json"), "rb") as file:
        found.update(_releases_in(file.read(), begins))
    return found


def _releases_in(text: bytes, begins: Set[bytes]) -> Set[str]:
    found = set()
    for begin in begins:
        for rest in text.split(begin)[1:]:
            found.add(rest.split(b"/", 1)[0].decode("utf-8", "replace"))
    return found


def _forget_incoming(base: str) -> None:
    folder = os.path.join(base, "incoming")
    for name in names_in(folder):
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError):
            times = [os.path.getmtime(one) for one in (path, *(os.path.join(path, name) for name in names_in(path)))]
            if time.time() - max(times) > FORGOTTEN_S:
                remove_tree(path)
    with contextlib.suppress(OSError):
        os.rmdir(folder)
