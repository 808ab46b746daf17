"""AutoDiCE's platform file: one host a line, `nx01, arm, slots=0-5, gpu=NVIDIAVolta (CUDA)`."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from partition_studio.partition.formats.autodice_names import AutodiceError, host_resource
from partition_studio.partition.formats.imported import shown, suggestion

#: A host's name; one with blanks is a line that lacks its commas.
_NAME = re.compile(r"[^\s=]+")
_FORM = "`nx01, arm, slots=0-5, gpu=NVIDIAVolta (CUDA)`"
_SLOTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Host:
    """One line: the cores that may be used (None: not told), and what GPU it has, if any."""

    line: int
    name: str
    slots: range | None
    gpu: str


def read_platform(text: str) -> dict[str, Host]:
    """Return the hosts by name; empty and `#` lines are passed over. Raises AutodiceError, which names the line."""
    hosts: dict[str, Host] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        host = _host(number, [word.strip() for word in line.split(",")])
        if host.name in hosts:
            raise AutodiceError(
                f"The platform file names {host.name!r} twice, in the lines {hosts[host.name].line} and {number}.",
                line=number,
            )
        hosts[host.name] = host
    if not hosts:
        raise AutodiceError("The platform file names no host.")
    return hosts


def _host(number: int, words: list[str]) -> Host:
    name, *rest = words
    if not _NAME.fullmatch(name):
        raise AutodiceError(
            f"Line {number} of the platform file does not begin with a host and a comma ({shown(name)}): it must be "
            f"as in {_FORM}.",
            line=number,
        )
    if not rest:
        raise AutodiceError(
            f"Line {number} of the platform file says nothing of {shown(name)}: it must be as in {_FORM}.", line=number
        )
    facts: dict[str, str] = {}
    for word in rest:
        key, sign, value = word.partition("=")
        key = key.strip() if sign else "architecture"
        if key not in ("architecture", "slots", "gpu") or key in facts or not word:
            raise AutodiceError(
                f"Line {number} of the platform file ({name}) cannot be read at {word!r}: after the host come its "
                "architecture, `slots=` and `gpu=`, each once.",
                line=number,
            )
        facts[key] = value.strip() if sign else word
    slots = _slots(number, name, facts["slots"]) if "slots" in facts else None
    gpu = facts.get("gpu", "")
    return Host(number, name, slots, "" if gpu.lower() in ("none", "no") else gpu)


def _slots(number: int, name: str, text: str) -> range:
    found = _SLOTS.fullmatch(text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if last < first:
        raise AutodiceError(
            f"Line {number} of the platform file ({name}): {text!r} are no slots; write the first and last core, as in "
            "`slots=0-5`.",
            line=number,
        )
    return range(first, last + 1)


def check_keys(hosts: dict[str, Host], keys: Collection[str]) -> None:
    """Check the mapping's keys against the hosts. Raises AutodiceError, which names key and line."""
    for key in keys:
        wanted = host_resource(key)
        host = hosts.get(wanted.host)
        if host is None:
            hint = suggestion(wanted.host, hosts)
            raise AutodiceError(
                f"The mapping uses {key!r}, but the platform file has no host {wanted.host!r}.{hint}", host=key
            )
        beyond = [core for core in wanted.cores if host.slots is not None and core not in host.slots]
        if beyond and host.slots is not None:
            raise AutodiceError(
                f"The mapping uses core {beyond[0]} of {wanted.host!r} ({key!r}), which has the slots "
                f"{host.slots[0]}-{host.slots[-1]} (line {host.line} of the platform file).",
                host=key,
                line=host.line,
            )
        if wanted.processor == "gpu" and not host.gpu:
            raise AutodiceError(
                f"The mapping uses {key!r}, but {wanted.host!r} has no `gpu=` (line {host.line} of the platform file).",
                host=key,
                line=host.line,
            )
