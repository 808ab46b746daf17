"""Stable names for nodes that have none, or share one: they are the keys of every plan."""

import onnx


def spelled_name(name: str) -> str:
    r"""Return a node's name with what cannot be seen spelled out: `a\u202eb`; empty where nothing shows.

    Such characters turn the text around a name, hide that two names differ, or steer a terminal.
    """
    if name.isprintable():
        return name if name.strip() else ""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name)


def name_nodes(model: onnx.ModelProto) -> None:
    """Give every node a name of its own that can be seen, in place.

    The first node of a name keeps it. The others are called after their operator and first output, which do not
    depend on the order of nodes in the file: `Conv_12` makes the tensor `12`.
    """
    taken: set[str] = set()
    nameless = []
    for node in model.graph.node:
        name = spelled_name(node.name)
        if name and name not in taken:
            taken.add(name)
            node.name = name
        else:
            nameless.append(node)
    for node in nameless:
        first = next((name for name in node.output if name), "")
        base = spelled_name(f"{node.op_type}_{first}")
        name, count = base, 2
        while name in taken:
            name, count = f"{base}_{count}", count + 1
        taken.add(name)
        node.name = name
