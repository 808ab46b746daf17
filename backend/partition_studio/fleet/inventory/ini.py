"""Ansible's INI inventories: sections of hosts, of children and of variables."""

import re
import shlex

from partition_studio.fleet.inventory.inventory import MAX_MENTIONS, Group, InventoryError, expand

_SECTION = re.compile(r"\[([^\[\]:]+)(?::(children|vars|hosts))?\]\s*(?:[#;].*)?")
_RANGES = re.compile(r"\[[^\[\]]*:[^\[\]]*\]")


def looks_like_ini(text: str) -> bool:
    """Return whether the first line that says something is a section, or a host with variables."""
    for line in text.splitlines():
        line = line.strip()
        if line and line[0] not in "#;" and line != "---":
            first, *rest = line.split()
            host = first[0] not in "{[-'\"" and not first.endswith(":") and all("=" in word for word in rest[:1])
            return host or _SECTION.fullmatch(line) is not None
    return False


def read_ini(text: str) -> dict[str, Group]:
    """Return the groups of an INI inventory. Raises InventoryError that names the line."""
    groups = {"ungrouped": Group()}
    name, kind, hosts = "ungrouped", "hosts", 0
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        section = _SECTION.fullmatch(line)
        if section is not None:
            name, kind = section[1].strip(), section[2] or "hosts"
            groups.setdefault(name, Group())
            continue
        group = groups[name]
        if kind == "children":
            child = line.split()[0]
            groups.setdefault(child, Group())
            group.children.append(child)
        elif kind == "vars":
            key, separator, value = line.partition("=")
            if not separator:
                raise InventoryError(f"Line {number} is no `name=value`")
            group.variables[key.strip()] = _unquoted(value.strip())
        else:
            hosts += _add_hosts(group, line, number)
            if hosts > MAX_MENTIONS:
                raise InventoryError(f"The inventory names hosts more than {MAX_MENTIONS} times")
    return groups


def _add_hosts(group: Group, line: str, number: int) -> int:
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        raise InventoryError(f"Line {number} cannot be read ({error})") from error
    if not words:
        return 0
    variables: dict[str, object] = {}
    for word in words[1:]:
        key, separator, value = word.partition("=")
        if not separator:
            raise InventoryError(f"Line {number}: {word[:80]!r} is no `name=value`")
        variables[key] = value
    pattern = words[0]
    # `host:port`, where the colon is none of a range.
    host, separator, port = pattern.rpartition(":")
    if separator and port.isdecimal() and ":" not in _RANGES.sub("", host) and _RANGES.sub("", pattern).count(":"):
        pattern = host
        variables.setdefault("ansible_port", port)
    names = expand(pattern)
    for name in names:
        group.hosts.setdefault(name, {}).update(variables)
    return len(names)


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
