"""Where glue runs: a piece is cut off where its tensor is made, so that it alone travels; a join where it is read.

A join that several devices read is repeated on each of them: every part then travels once to whoever needs it,
instead of all parts to one device and the whole from there to the others. A sum of partial results is not repeated:
each of its parts is as large as the whole.
"""

from collections.abc import Mapping

from onnx import NodeProto

from partition_studio.graph.walk import captured_names
from partition_studio.partition.draft import Draft


def place_glue(draft: Draft, placement: Mapping[str, str]) -> None:
    """Give every glue node of a draft its device, and repeat joins that several devices read.

    `placement` holds the other nodes, and such glue as the plan itself places. Where no reader or maker is placed, the
    glue stays without a device.
    """
    known = {**placement, **draft.devices}
    order = _from_the_end(draft)
    for name in order:
        node = draft.nodes[name]
        if name not in known and node.op_type != "Slice":
            _place_join(draft, node, known)
    for name in reversed(order):
        if name not in known:
            maker = draft.maker(draft.nodes[name].input[0])
            device = known.get(maker.name) if maker is not None else None
            _place(draft, name, device or _device_after(draft, draft.nodes[name], known), known)


def _place_join(draft: Draft, node: NodeProto, known: dict[str, str]) -> None:
    tensor = node.output[0]
    readers: dict[str, list[str]] = {}
    # What a subgraph captures keeps its name: such a reader gets the join from where the first one is.
    direct = [reader for reader in draft.readers(tensor) if tensor not in captured_names(reader)]
    for reader in direct or draft.readers(tensor):
        device = known.get(reader.name) or _device_after(draft, reader, known)
        if device is not None:
            readers.setdefault(device, []).append(reader.name)
    if not readers:
        return
    first, *others = readers
    _place(draft, node.name, first, known)
    if node.op_type != "Concat" or not direct:
        return
    for device in others:
        copy = draft.fresh(f"{tensor}@{device}")
        origin = draft.origin(tensor)
        draft.join(list(node.input), copy, next(int(a.i) for a in node.attribute if a.name == "axis"))
        if origin is not None:
            draft.origins[copy] = origin
        if tensor in draft.approximate:
            draft.approximate.add(copy)
        maker = draft.maker(copy)
        assert maker is not None
        _place(draft, maker.name, device, known)
        for name in readers[device]:
            draft.reconnect(name, tensor, copy)


def _place(draft: Draft, name: str, device: str | None, known: dict[str, str]) -> None:
    if device is not None:
        draft.devices[name] = known[name] = device


def _from_the_end(draft: Draft) -> list[str]:
    """Return the glue, each node after all glue that reads it."""
    order: dict[str, None] = {}
    pending = [(name, False) for name in reversed(draft.glue)]
    while pending:
        name, ready = pending.pop()
        if name in order:
            continue
        if ready:
            order[name] = None
            continue
        pending.append((name, True))
        for tensor in draft.nodes[name].output:
            pending.extend((reader.name, False) for reader in draft.readers(tensor) if reader.name in draft.glue)
    return list(order)


def _device_after(draft: Draft, node: NodeProto, known: Mapping[str, str]) -> str | None:
    """Return the device of the first placed node that reads what a node makes, directly or through others."""
    pending = [tensor for tensor in node.output if tensor]
    seen: set[str] = set()
    for tensor in pending:
        for reader in draft.readers(tensor):
            if reader.name in known:
                return known[reader.name]
            if reader.name not in seen:
                seen.add(reader.name)
                pending.extend(name for name in reader.output if name)
    return None
