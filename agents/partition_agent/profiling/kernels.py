"""From ONNX Runtime's own profile to the time of each layer, and of each kernel that layers were fused into.

Kernels of the optimised graph are named by the runtime; which layers of the original one each stands for follows from
the tensors that it makes: a kernel covers its tensor's layer and, going backwards, all layers up to tensors that other
kernels make. Kernels that the runtime added (changes of the memory layout) count to the kernel that they serve.
"""

import re
from statistics import median
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Sequence, Set, Tuple

from partition_agent.profiling.graph import Graph, Node
from partition_agent.protocol import LayerTime

_SUFFIX = "_kernel_time"

#: What the runtime appends to, or puts before, the name of the tensor or node that a kernel stands for.
_MARKS = re.compile(r"(_nchwc|_nhwc|_token_\d+|_transformed|_fused|_quant)(_token_\d+|_\d+)*$")
#: A kernel that took so many times its lower quartile was interrupted.
_FAR = 1.5

_PREFIXES = ("fused ", "fused_")


class Times(NamedTuple):
    """The runs of one kernel: seconds of each, in order, and bytes of what it reads of weights and writes."""

    seconds: Tuple[float, ...]
    weight_bytes: int
    output_bytes: int


def _by_the_wall(begin_us: int, end_us: int) -> float:
    return (end_us - begin_us) / 1e6


def kernel_times(
    events: Sequence[Dict[str, Any]], runs: int, lasted: Callable[[int, int], float] = _by_the_wall
) -> Dict[str, Times]:
    """Return the time of each kernel in each of `runs` runs by its name, in order of execution.

    Kernels of a subgraph run inside that of the node which holds it, and are in its time. `lasted` tells the seconds
    between two moments of the profiler's clock.
    """
    seconds: Dict[str, List[float]] = {}
    sizes: Dict[str, Tuple[int, int]] = {}
    kernels = [e for e in events if e.get("cat") == "Node" and str(e.get("name", "")).endswith(_SUFFIX)]
    until_us = -1
    # The outer one of two that begin together is the longer.
    for event in sorted(kernels, key=lambda e: (int(e["ts"]), -int(e["dur"]))):
        start_us, long_us = int(event["ts"]), int(event["dur"])
        if start_us < until_us and start_us + long_us <= until_us and long_us > 0:
            continue
        until_us = max(until_us, start_us + long_us)
        name = str(event["name"])[: -len(_SUFFIX)]
        seconds.setdefault(name, []).append(lasted(start_us, start_us + long_us))
        if name not in sizes:
            sizes[name] = (_size(event, "parameter_size"), _size(event, "output_size"))
    return {name: Times(_by_run(values, runs), *sizes[name]) for name, values in seconds.items()}


def _by_run(seconds: List[float], runs: int) -> Tuple[float, ...]:
    """Add up what ran more than once in each run, as kernels of the same name do."""
    each, rest = divmod(len(seconds), runs)
    if rest or each < 2:
        return tuple(seconds)
    return tuple(sum(seconds[start : start + each]) for start in range(0, len(seconds), each))


def _size(event: Dict[str, Any], name: str) -> int:
    text = str(event.get("args", {}).get(name, ""))
    return int(text) if text.isdigit() else 0


def layer_times(graph: Graph, times: Dict[str, Times], factor: float) -> Tuple[LayerTime, ...]:
    """Return the time of each node of an unoptimised graph, scaled, in the graph's order.

    What the runtime made of a node (a function's body) counts to the node whose name it begins with.
    """
    names = [node.name for node in graph.nodes]
    of_node: Dict[str, List[Times]] = {}
    before = names[0] if names else ""
    known = set(names)
    for name, value in times.items():
        if name in known:
            before = name
        else:
            begun = [other for other in names if other and name.startswith(other)]
            before = max(begun, key=len) if begun else before
        of_node.setdefault(before, []).append(value)
    return tuple(_layer_time((name,), of_node[name], factor) for name in names if name in of_node)


def fused_times(graph: Graph, optimised: Graph, times: Dict[str, Times], factor: float) -> Tuple[LayerTime, ...]:
    """Return the time of each kernel of the optimised graph with the nodes of the original one that it covers.

    Every node of the original is in exactly one, as long as there is any; the sum of times is that of `times`.
    """
    nodes = {node.name: node for node in optimised.nodes}
    order = {node.name: position for position, node in enumerate(graph.nodes)}
    covered = _covered(graph, [nodes[name] for name in times if name in nodes])
    owners = _owners(optimised, covered)
    gathered: Dict[str, List[Times]] = {name: [] for name in covered}
    before = next(iter(covered), "")
    for name, value in times.items():
        if name in owners:
            before = owners[name]
        gathered.setdefault(before, []).append(value)
    kernels = []
    for name, found in gathered.items():
        layers = tuple(sorted(covered.get(name, ()), key=lambda layer: order[layer]))
        if found:
            kernels.append(_layer_time(layers, found, factor))
    return tuple(kernels)


def _covered(graph: Graph, kernels: Iterable[Node]) -> Dict[str, Set[str]]:
    """Return the original nodes that each kernel stands for; kernels that stand for none are left out."""
    makers = {tensor: node for node in graph.nodes for tensor in node.outputs}
    made: Dict[str, Tuple[str, ...]] = {}
    taken: Set[str] = set()
    for kernel in kernels:
        tensors = tuple(t for t in _result(kernel, graph, makers) if t not in taken)
        if tensors:
            made[kernel.name] = tensors
            taken.update(tensors)
    covered: Dict[str, Set[str]] = {}
    done: Set[str] = set()
    for name, tensors in made.items():
        mine: Set[str] = set()
        waiting = list(tensors)
        while waiting:
            node = makers.get(waiting.pop())
            if node is None or node.name in done:
                continue
            done.add(node.name)
            mine.add(node.name)
            waiting += [t for t in node.inputs if t not in taken]
        covered[name] = mine
    _add_left(graph, makers, covered, done)
    return {name: mine for name, mine in covered.items() if mine}


def _result(kernel: Node, graph: Graph, makers: Dict[str, Node]) -> List[str]:
    """Return the tensors of the original graph that a kernel makes; none for those that only change the layout."""
    if kernel.op_type.startswith("Reorder"):
        return []
    own = [t for t in kernel.outputs if t in makers]
    if own:
        return own
    plain = _MARKS.sub("", kernel.name)
    for prefix in _PREFIXES:
        plain = plain[len(prefix) :] if plain.startswith(prefix) else plain
    for name in (kernel.name, plain):
        if name in makers:
            return [name]
        for node in graph.nodes:
            if node.name == name:
                return list(node.outputs)
    return [t for t in (_MARKS.sub("", output) for output in kernel.outputs) if t in makers]


def _add_left(graph: Graph, makers: Dict[str, Node], covered: Dict[str, Set[str]], done: Set[str]) -> None:
    """Give nodes that no kernel covers (the runtime left them out) to the kernel of what they read, else read them."""
    kernel_of = {layer: name for name, mine in covered.items() for layer in mine}
    readers: Dict[str, List[str]] = {}
    for node in graph.nodes:
        for tensor in node.inputs:
            readers.setdefault(tensor, []).append(node.name)
    for nodes, backwards in ((graph.nodes, True), (graph.nodes[::-1], False)):
        for node in nodes:
            if backwards:
                near = [makers[t].name for t in node.inputs if t in makers]
            else:
                near = [name for t in node.outputs for name in readers.get(t, ())]
            found = [kernel_of[name] for name in near if name in kernel_of] if node.name not in done else []
            if found:
                done.add(node.name)
                kernel_of[node.name] = found[0]
                covered[found[0]].add(node.name)


def _owners(optimised: Graph, covered: Dict[str, Set[str]]) -> Dict[str, str]:
    """Return for every kernel the one that its time counts to: itself, or for an added one whom it serves."""
    makers = {tensor: node for node in optimised.nodes for tensor in node.outputs}
    readers: Dict[str, List[Node]] = {}
    for node in optimised.nodes:
        for tensor in node.inputs:
            readers.setdefault(tensor, []).append(node)
    owners = {name: name for name in covered}
    added = [node for node in optimised.nodes if node.name not in covered]
    for _ in range(2):
        for node in added:
            consumers = [r.name for t in node.outputs for r in readers.get(t, ())]
            producers = [makers[t].name for t in node.inputs if t in makers]
            # What brings a tensor back into the usual layout serves whoever made it.
            sides = producers + consumers if node.op_type == "ReorderOutput" else consumers + producers
            found = [owners[name] for name in sides if name in owners]
            if node.name not in owners and found:
                owners[node.name] = found[0]
    return owners


def _layer_time(layers: Tuple[str, ...], parts: Sequence[Times], factor: float) -> LayerTime:
    lowers, uppers = [], []
    for part in parts:
        lower, upper = quartiles(undisturbed(part.seconds))
        lowers.append(lower)
        uppers.append(upper)
    return LayerTime(
        layers,
        sum(median(undisturbed(part.seconds)) for part in parts) * factor,
        (sum(uppers) - sum(lowers)) * factor,
        min(len(undisturbed(part.seconds)) for part in parts),
        sum(part.weight_bytes for part in parts),
        parts[-1].output_bytes,
    )


def quartiles(values: Sequence[float]) -> Tuple[float, float]:
    """Return the lower and upper quartile of some values (of one: that one)."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return ordered[last // 4], ordered[last - last // 4]


def undisturbed(values: Sequence[float]) -> List[float]:
    """Return the values without those far above the lower quartile: of runs in which others took the core."""
    lower, _ = quartiles(values)
    return [value for value in values if value <= lower * _FAR]


def sum_of_medians(times: Dict[str, Times]) -> float:
    """Return the seconds of one run, kernels added up."""
    return sum(median(undisturbed(value.seconds)) for value in times.values())
