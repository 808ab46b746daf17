"""The agent's lock file, and what of it one kind of device needs.

pip evaluates markers for the Python that runs pip, even when it downloads for another; so we evaluate them here.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import resources

from packaging.requirements import Requirement
from packaging.version import Version

from partition_studio.fleet.check.facts import ARCHITECTURES, DeviceCheck
from partition_studio.fleet.errors import UnsupportedPlatformError

_OLDEST_MANYLINUX_MINOR = 5

#: What ONNX Runtime's wheels require for tools of theirs (conversion, quantisation, symbolic shapes, coloured logs),
#: and those in turn. Running a network imports none of it, as a test proves; it is up to 8 MB for each device.
NOT_FOR_INFERENCE = frozenset(
    ("coloredlogs", "flatbuffers", "humanfriendly", "mpmath", "packaging", "protobuf", "sympy")
)

_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of device, as far as packages go. `architecture` is `x86_64` or `aarch64`."""

    python: tuple[int, int, int]
    architecture: str
    glibc: tuple[int, int]

    @property
    def key(self) -> str:
        """A short name for folders; the patch version chooses no wheel."""
        return f"cp{self.python[0]}{self.python[1]}-{self.architecture}-glibc{self.glibc[0]}.{self.glibc[1]}"

    @property
    def platform_tags(self) -> tuple[str, ...]:
        """Every manylinux tag that this device takes, newest first: pip matches them literally."""
        newest = self.glibc[1] if self.glibc[0] == 2 else 99
        tags = [f"manylinux_2_{minor}_{self.architecture}" for minor in range(newest, _OLDEST_MANYLINUX_MINOR - 1, -1)]
        if newest >= 17:
            tags.append(f"manylinux2014_{self.architecture}")
        return tuple(tags)

    @property
    def marker_environment(self) -> dict[str, str]:
        """What environment markers see on this device."""
        full = ".".join(str(part) for part in self.python)
        return {
            "extra": "",
            "implementation_name": "cpython",
            "implementation_version": full,
            "os_name": "posix",
            "platform_machine": self.architecture,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": full,
            "python_version": f"{self.python[0]}.{self.python[1]}",
            "sys_platform": "linux",
        }


def target_of(check: DeviceCheck) -> Target:
    """Return what kind of device was checked.

    Raises UnsupportedPlatformError when it cannot run the agent at all.
    """
    facts = check.facts
    architecture = ARCHITECTURES.get(facts.machine)
    if check.python is None or architecture is None or facts.libc_version is None:
        raise UnsupportedPlatformError(
            f"There are no packages for {facts.machine or 'this processor'} with {facts.libc}",
        )
    return Target(check.python.version, architecture, facts.libc_version)


@dataclass(frozen=True)
class Lock:
    """A requirements file with exact versions, markers and hashes."""

    text: str

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the file."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def requirements_for(self, target: Target) -> tuple[str, ...]:
        """Return the lines (`name==version --hash=...`) of what `target` needs, in the lock's order.

        That is what its markers allow, without `NOT_FOR_INFERENCE`: what is installed is installed without looking at
        the requirements that packages state themselves.
        """
        environment = target.marker_environment
        chosen = []
        for entry in self._entries():
            requirement = Requirement(entry.split("--hash", 1)[0].strip())
            if requirement.name in NOT_FOR_INFERENCE:
                continue
            if requirement.marker is None or requirement.marker.evaluate(environment):
                hashes = " ".join(f"--hash={found}" for found in _HASH.findall(entry))
                chosen.append(f"{requirement.name}{requirement.specifier} {hashes}")
        return tuple(chosen)

    def version_for(self, target: Target, package: str) -> str | None:
        """Return the version of a package that `target` gets; None when it gets none."""
        for line in self.requirements_for(target):
            name, found, rest = line.partition("==")
            if name == package and found:
                return rest.split()[0]
        return None

    def _entries(self) -> list[str]:
        joined = re.sub(r"\\\n", " ", self.text)
        lines = (line.strip() for line in joined.splitlines())
        return [line for line in lines if line and not line.startswith("#")]


def read_agent_lock() -> Lock:
    """Return the lock that travels in the agent's package."""
    return Lock(resources.files("partition_agent").joinpath("requirements.lock").read_text(encoding="utf-8"))


def oldest_runtime(targets: Iterable[Target]) -> str | None:
    """Return the oldest ONNX Runtime that one of these targets gets; None without any."""
    lock = read_agent_lock()
    versions = [version for target in targets if (version := lock.version_for(target, "onnxruntime")) is not None]
    return min(versions, key=Version, default=None)
