"""Which kinds of host a package brings wheels for."""

import platform
import re
import sys
from collections.abc import Sequence

from partition_studio.export.errors import UnknownPlatformError
from partition_studio.fleet.check.check import ARCHITECTURES, NEWEST_PYTHON, OLDEST_GLIBC, OLDEST_PYTHON
from partition_studio.fleet.install.lock import Target

#: Wheels for this C library fit every newer one too: Debian 11, Ubuntu 20.04, and what came after them.
USUAL_GLIBC = (2, 31)

_PLATFORM = re.compile(r"cp3(?P<minor>\d{1,2})-(?P<machine>[a-z0-9_]+?)(?:-glibc2\.(?P<glibc>\d{1,2}))?")

_KNOWN = " and ".join(sorted(set(ARCHITECTURES.values())))

NONE = "none"


def targets_of(names: Sequence[str]) -> tuple[Target, ...]:
    """Return the platforms of some names; without names, that of this machine. Raises UnknownPlatformError."""
    if NONE in names:
        if len(names) > 1:
            raise UnknownPlatformError("`--wheels none` goes with no other platform")
        return ()
    chosen = {target.key: target for target in (_target(name) for name in names or (here(),))}
    return tuple(chosen.values())


def here() -> str:
    """Return the name of this machine's platform."""
    return f"cp3{sys.version_info.minor}-{platform.machine().lower()}"


def _text(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)


def _target(name: str) -> Target:
    match = _PLATFORM.fullmatch(name)
    if match is None:
        raise UnknownPlatformError(f"{name!r} is no platform", platform=name)
    machine = ARCHITECTURES.get(match["machine"])
    python = (3, int(match["minor"]), 0)
    glibc = (2, int(match["glibc"])) if match["glibc"] else USUAL_GLIBC
    if machine is None:
        raise UnknownPlatformError(
            f"{name}: ONNX Runtime has no packages for {match['machine']}, only for {_KNOWN}",
            platform=name,
        )
    if not OLDEST_PYTHON <= python[:2] <= NEWEST_PYTHON or glibc < OLDEST_GLIBC:
        raise UnknownPlatformError(
            f"{name}: the agent needs Python {_text(OLDEST_PYTHON)} to {_text(NEWEST_PYTHON)} and glibc "
            f"{_text(OLDEST_GLIBC)} or newer",
            platform=name,
        )
    return Target(python, machine, glibc)
