"""YAML inventories, within limits: what is small as text must not become large as data."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from partition_studio.fleet.inventory.inventory import (
    MAX_HOSTS,
    MAX_MENTIONS,
    Group,
    InventoryError,
    Unevaluated,
    expand,
)

_MAX_DEPTH = 40
_MAX_DIGITS = 100
_MAX_EVENTS = 200_000

#: Values that a document may have once its aliases are followed.
_MAX_VALUES = 200_000


class _Loader(yaml.SafeLoader):
    """Plain values only; Ansible's own tags become markers, and every other tag is refused."""


def _unevaluated(_loader: _Loader, _suffix: str, node: yaml.Node) -> Unevaluated:
    return Unevaluated(str(node.tag)[:40])


for _tag in ("!vault", "!unsafe", "!vault-encrypted"):
    # typeshed has no type for a constructor of several tags.
    yaml.add_multi_constructor(_tag, _unevaluated, Loader=_Loader)


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int:
    # Longer ones are of no use to anybody, and cannot even be written out.
    if len(node.value) > _MAX_DIGITS:
        raise yaml.constructor.ConstructorError(problem="a number is too large", problem_mark=node.start_mark)
    return int(loader.construct_yaml_int(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)


def read_yaml(text: str) -> dict[str, Group] | list[object]:
    """Return the groups of an Ansible inventory, or the entries of a plain list. Raises InventoryError."""
    document = _load(text)
    if isinstance(document, dict) and isinstance(document.get("devices"), list):
        return list(document["devices"])
    if isinstance(document, list):
        return document
    if not isinstance(document, dict):
        raise InventoryError("The file holds no hosts")
    groups: dict[str, Group] = {}
    mentions = itertools.count(1)
    for name, content in document.items():
        _add_group(groups, name, content, 0, mentions)
    return groups


def _load(text: str) -> Any:
    try:
        _require_small(text)
        node = yaml.compose(text, Loader=_Loader)
        if node is None:
            raise InventoryError("The file is empty")
        _require_bounded(node)
        loader = _Loader("")
        try:
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f" (line {mark.line + 1})"
        problem = str(getattr(error, "problem", None) or "it is no YAML")[:200]
        raise InventoryError(f"The file cannot be read as YAML{place}: {problem}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise InventoryError(f"The file cannot be read as YAML: {type(error).__name__}") from error


def _require_small(text: str) -> None:
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH or count > _MAX_EVENTS:
            raise InventoryError("The file is nested too deeply, or holds too much, for an inventory")


def _require_bounded(node: yaml.Node) -> None:
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in open_nodes:
            raise InventoryError("The file contains itself")
        if id(node) not in sizes:
            open_nodes.add(id(node))
            inner = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else []
            inner += node.value if isinstance(node, yaml.SequenceNode) else []
            sizes[id(node)] = 1 + sum(size(part) for part in inner)
            open_nodes.discard(id(node))
        return sizes[id(node)]

    if size(node) > _MAX_VALUES:
        raise InventoryError("The file's aliases stand for too much data")


def _add_group(groups: dict[str, Group], name: object, content: object, depth: int, mentions: Iterator[int]) -> None:
    if not isinstance(name, str):
        raise InventoryError(f"{str(name)[:80]!r} is read as no text", next_step="Put quotes around that group's name.")
    group = groups.setdefault(name, Group())
    if content is None:
        return
    if depth > _MAX_DEPTH:
        raise InventoryError("The groups are nested too deeply")
    for host, said in _mapping(content, "hosts", name).items():
        if not isinstance(host, str):
            raise InventoryError(f"The host {str(host)[:80]!r} is read as no text", next_step="Put quotes around it.")
        for one in expand(host):
            group.hosts.setdefault(one, {}).update(_variables(said, one))
            if len(group.hosts) > MAX_HOSTS:
                raise InventoryError(f"The inventory has more than {MAX_HOSTS} hosts")
            if next(mentions) > MAX_MENTIONS:
                raise InventoryError(f"The inventory names hosts more than {MAX_MENTIONS} times")
    group.variables.update(_variables(_mapping(content, "vars", name), name))
    for child, inner in _mapping(content, "children", name).items():
        _add_group(groups, child, inner, depth + 1, mentions)
        group.children.append(str(child))


def _mapping(content: object, key: str, group: str) -> Mapping[object, object]:
    if not isinstance(content, dict):
        raise InventoryError(f"The group {group[:80]!r} holds no mapping of hosts, vars and children")
    found = content.get(key)
    if found is None:
        return {}
    if isinstance(found, dict):
        return found
    raise InventoryError(f"`{key}` of the group {group[:80]!r} is no mapping")


def _variables(said: object, of: str) -> dict[str, object]:
    if said is None:
        return {}
    if not isinstance(said, dict):
        raise InventoryError(f"The variables of {of[:80]!r} are no mapping")
    return {str(key): value for key, value in said.items()}
