"""Stable names for nodes that have none, or share one: they are the keys of every plan."""

import onnx


def name_nodes(model: onnx.ModelProto) -> None:
    """Give every node a name of its own, in place.

    The first node of a name keeps it. The others are called after their operator and first output, which do not
    depend on the order of nodes in the file: `Conv_12` makes the tensor `12`.
    """
    taken: set[str] = set()
    nameless = []
    for node in model.graph.node:
        if node.name and node.name not in taken:
            taken.add(node.name)
        else:
            nameless.append(node)
    for node in nameless:
        first = next((name for name in node.output if name), "")
        base = f"{node.op_type}_{first}"
        name, count = base, 2
        while name in taken:
            name, count = f"{base}_{count}", count + 1
        taken.add(name)
        node.name = name
