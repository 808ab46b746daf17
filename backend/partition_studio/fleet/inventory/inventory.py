"""Devices of an inventory file: Ansible's YAML and INI, and a plain list.

Read, never evaluated: templates and vaults are told, and options that would change what SSH runs are left out.
"""

import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from partition_studio.errors import BadInputError, StudioError
from partition_studio.fleet.address import parse_address, parse_device_name
from partition_studio.fleet.errors import AddressError

MAX_HOSTS = 1000
MAX_GROUPS = 1000

#: How often hosts may be named, in all groups together.
MAX_MENTIONS = 20_000

_MAX_RANGES = 8
_MAX_PATTERN = 1000
_MAX_DIGITS = 18

Format = Literal["yaml", "ini"]

#: Variables by name.
Said = Mapping[str, object]

_RANGE = re.compile(r"\[(\w+):(\w+)(?::(\d{1,4}))?\]")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")

_HOST = ("ansible_host", "ansible_ssh_host")
_PORT = ("ansible_port", "ansible_ssh_port")
_USER = ("ansible_user", "ansible_ssh_user")
_KEY = ("ansible_ssh_private_key_file", "ansible_private_key_file")
_PASSWORD = ("ansible_password", "ansible_ssh_password", "ansible_ssh_pass")
_CONNECTION = ("ansible_connection",)
_USED = frozenset((*_HOST, *_PORT, *_USER, *_KEY, *_PASSWORD, *_CONNECTION))
_OPTIONS = frozenset({"ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_executable"})


class InventoryError(BadInputError):
    """The inventory file cannot be read."""

    code = "bad_inventory"
    next_step = "Give an Ansible inventory (YAML or INI), or YAML with a list `devices` of `name` and `address`."


@dataclass(frozen=True, slots=True)
class Unevaluated:
    """A value that only Ansible could tell: a vault, or another tag of its own."""

    tag: str


@dataclass(slots=True)
class Group:
    """A group of hosts. `hosts` has what is said of each host here."""

    hosts: dict[str, dict[str, object]] = field(default_factory=dict)
    variables: dict[str, object] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class InventoryHost:
    """What a host would be registered as, or why it cannot be; `name` is the file's own."""

    name: str
    group: str | None
    device: Mapping[str, object] | None = field(default=None, repr=False)
    problem: StudioError | None = None


@dataclass(frozen=True, slots=True)
class Inventory:
    """The hosts in the order of the file, and what of it was not used."""

    hosts: tuple[InventoryHost, ...]
    ignored: tuple[str, ...]


def read_inventory(text: str, kind: Format | None = None) -> Inventory:
    """Read an inventory; without `kind`, the text itself tells what it is. Raises InventoryError."""
    # Loaded here: most studios never read one.
    from partition_studio.fleet.inventory.ini import looks_like_ini, read_ini
    from partition_studio.fleet.inventory.yaml_file import read_yaml

    if kind == "ini" or (kind is None and looks_like_ini(text)):
        return resolve(read_ini(text))
    found = read_yaml(text)
    return plain_list(found) if isinstance(found, list) else resolve(found)


def expand(pattern: str) -> list[str]:
    """Return the names that a host pattern stands for: `pi[01:03]` is pi01, pi02 and pi03. Raises InventoryError."""
    found = list(itertools.islice(_RANGE.finditer(pattern), _MAX_RANGES + 1))
    if not found:
        return [pattern]
    if len(found) > _MAX_RANGES or len(pattern) > _MAX_PATTERN:
        raise InventoryError(
            f"{pattern[:80]!r} has more than {_MAX_RANGES} ranges, or more than {_MAX_PATTERN} characters"
        )
    ranges = [_range(match[1], match[2], int(match[3] or 1), pattern) for match in found]
    # Counted before anything is written out: small texts stand for very many.
    if math.prod(len(values) for values, _ in ranges) > MAX_HOSTS:
        raise InventoryError(f"{pattern[:80]!r} stands for more than {MAX_HOSTS} hosts")
    begins = (0, *(match.end() for match in found))
    ends = (*(match.start() for match in found), len(pattern))
    fixed = [pattern[begin:end] for begin, end in zip(begins, ends, strict=True)]
    written = [[text(value) for value in values] for values, text in ranges]
    return [
        fixed[0] + "".join(part + rest for part, rest in zip(parts, fixed[1:], strict=True))
        for parts in itertools.product(*written)
    ]


def _range(first: str, last: str, step: int, pattern: str) -> tuple[range, Callable[[int], str]]:
    """Return the values of a range, and how one is written."""
    if step > 0 and first.isdecimal() and last.isdecimal() and max(len(first), len(last)) <= _MAX_DIGITS:
        width = len(first) if first.startswith("0") else 0
        return range(int(first), int(last) + 1, step), lambda number: str(number).zfill(width)
    if step > 0 and len(first) == len(last) == 1 and (first + last).isascii() and (first + last).isalpha():
        return range(ord(first), ord(last) + 1, step), chr
    raise InventoryError(f"{pattern[:80]!r} has a range that cannot be read")


def resolve(groups: Mapping[str, Group]) -> Inventory:
    """Return the hosts with what all their groups say: the nearer group wins, and the host over every group."""
    order: dict[str, str | None] = {}
    for name, group in groups.items():
        for host in group.hosts:
            if order.get(host) is None:
                order[host] = None if name in ("all", "ungrouped") else name
    if len(order) > MAX_HOSTS:
        raise InventoryError(f"The inventory has more than {MAX_HOSTS} hosts")
    if len(groups) > MAX_GROUPS:
        raise InventoryError(f"The inventory has more than {MAX_GROUPS} groups")
    depths, ancestors = _depths(groups), _ancestors(groups)
    above: dict[str, list[set[str]]] = {host: [] for host in order}
    for name, members in ancestors.items():
        for host in groups[name].hosts:
            above[host].append(members)
    ignored = _not_followed(groups.values())
    taken: set[str] = set()
    # Those that can name a device come first: none of them loses its name to one that is made safe.
    found = {
        host: _host(host, order[host], _variables(host, groups, above[host], depths), taken, ignored)
        for host in sorted(order, key=lambda host: not _can_name(host))
    }
    return Inventory(tuple(found[host] for host in order), tuple(ignored))


def _depths(groups: Mapping[str, Group]) -> dict[str, int]:
    """Return how far below the top each group is; a group that contains itself stays where it was found first."""
    depths = {name: 1 for name in groups}
    depths["all"] = 0
    for _ in range(min(len(groups), 20)):
        for name, group in groups.items():
            for child in group.children:
                if child in depths and child != "all":
                    depths[child] = max(depths[child], min(depths[name] + 1, 20))
    return depths


def _ancestors(groups: Mapping[str, Group]) -> dict[str, set[str]]:
    """Return what each group that has hosts is part of: itself, and every group above it."""
    parents: dict[str, set[str]] = {name: set() for name in groups}
    for name, group in groups.items():
        for child in set(group.children) & parents.keys():
            parents[child].add(name)
    found: dict[str, set[str]] = {}
    for name, group in groups.items():
        if group.hosts:
            members, fresh = {name, "all"} & groups.keys(), {name}
            while fresh:
                fresh = set().union(*(parents[one] for one in fresh)) - members
                members |= fresh
            found[name] = members
    return found


def _variables(host: str, groups: Mapping[str, Group], above: Sequence[set[str]], depths: Mapping[str, int]) -> Said:
    """Return what counts for a host, of which `above` are the groups that it is in."""
    members = sorted(set().union(*above), key=lambda name: (depths[name], name))
    merged: dict[str, object] = {}
    for said in (
        *(groups[name].variables for name in members),
        *(groups[name].hosts.get(host, {}) for name in members),
    ):
        merged |= {key: said[key] for key in _USED & said.keys()}
    return merged


def _not_followed(groups: Iterable[Group]) -> dict[str, None]:
    ignored: dict[str, None] = {}
    for group in groups:
        for said in (group.variables, *group.hosts.values()):
            for key in said:
                if key in _OPTIONS:
                    ignored[
                        f"{key}: the studio takes no SSH options from inventories; jump hosts go into ~/.ssh/config"
                    ] = None
                elif key.startswith("ansible_") and key not in _USED:
                    ignored[f"{key[:80]}: not used"] = None
    return ignored


def _host(name: str, group: str | None, variables: Said, taken: set[str], ignored: dict[str, None]) -> InventoryHost:
    try:
        device = _device(name, variables)
        safe = _safe_name(name, taken)
    except (AddressError, InventoryError) as error:
        return InventoryHost(name, group, problem=error)
    if safe != name:
        ignored[f"{name[:80]!r} cannot name a device: {safe} is taken instead"] = None
    return InventoryHost(name, group, {"name": safe, **device})


def _device(name: str, variables: Said) -> dict[str, object]:
    connection = _text(variables, _CONNECTION) or "ssh"
    key_file, password = _text(variables, _KEY), _text(variables, _PASSWORD)
    if connection == "local":
        return {"address": "local:"}
    if connection not in ("ssh", "smart", "paramiko", "paramiko_ssh"):
        raise InventoryError(
            f"{name[:80]!r} is reached by {connection[:40]!r}", next_step="Devices are reached by SSH, or are local."
        )
    host = _text(variables, _HOST) or name
    user, port = _text(variables, _USER), _text(variables, _PORT)
    bracketed = f"[{host}]" if ":" in host and not host.startswith("[") else host
    address = f"ssh://{f'{user}@' if user else ''}{bracketed}{f':{port}' if port else ''}"
    return {"address": str(parse_address(address)), "key_file": key_file, "password": password}


def _text(variables: Mapping[str, object], keys: Iterable[str]) -> str | None:
    """Return the first of these variables as text. Raises InventoryError for what only Ansible could tell."""
    for key in keys:
        value = variables.get(key)
        if value is None:
            continue
        if isinstance(value, Unevaluated):
            raise InventoryError(
                f"{key} is kept as {value.tag}, which the studio does not open",
                next_step="Add this device by hand, or give the value in the clear (it is kept in memory only).",
            )
        if isinstance(value, str) and ("{{" in value or "{%" in value):
            raise InventoryError(
                f"{key} is a template, which the studio does not evaluate", next_step="Write the value itself."
            )
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise InventoryError(f"{key} is no text", next_step="Put quotes around it.")
        try:
            return str(value)
        except ValueError as error:
            raise InventoryError(f"{key} is a number that is too large") from error
    return None


def _can_name(host: str) -> bool:
    try:
        parse_device_name(host)
    except AddressError:
        return False
    return True


def _safe_name(name: str, taken: set[str]) -> str:
    """Return a device name for a host. Raises AddressError, InventoryError."""
    safe = name
    if not _can_name(name):
        safe = _UNSAFE.sub("-", name).strip("._-")[:63]
        if safe == name or not _can_name(safe):
            parse_device_name(name)
    if safe in taken:
        of = "" if safe == name else f" ({name[:80]!r} would be one)"
        raise InventoryError(f"There are two hosts {safe!r}{of}", next_step="Give one of them another name.")
    taken.add(safe)
    return safe


_PLAIN = frozenset({"name", "address", "key_file", "password", "cpus", "memory_bytes", "idle_power_w", "busy_power_w"})


def plain_list(entries: list[object]) -> Inventory:
    """Return the devices of a plain list; each entry has the fields of `POST /api/devices`."""
    if len(entries) > MAX_HOSTS:
        raise InventoryError(f"The inventory has more than {MAX_HOSTS} hosts")
    taken: set[str] = set()
    ignored: dict[str, None] = {}
    return Inventory(tuple(_entry(entry, taken, ignored) for entry in entries), tuple(ignored))


def _entry(entry: object, taken: set[str], ignored: dict[str, None]) -> InventoryHost:
    if not isinstance(entry, dict):
        return InventoryHost("?", None, problem=InventoryError("An entry of the list is no mapping"))
    name = str(entry.get("name", "?"))[:200]
    for key in entry.keys() - _PLAIN:
        ignored[f"{str(key)[:80]}: not used"] = None
    try:
        texts = {key: _text(entry, [key]) for key in ("name", "address", "key_file", "password")}
        if texts["name"] is None or texts["address"] is None:
            raise InventoryError(f"The entry {name!r} has no name, or no address")
        _safe_name(parse_device_name(texts["name"]), taken)
        texts["address"] = str(parse_address(texts["address"]))
    except (AddressError, InventoryError) as error:
        return InventoryHost(name, None, problem=error)
    rest = {key: entry[key] for key in _PLAIN & entry.keys() if key not in texts}
    return InventoryHost(name, None, {**texts, **rest})
