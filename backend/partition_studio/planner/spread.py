"""First placements, before anything was measured: contiguous runs of layers, one for each device.

A layer's estimated cost is its multiply-accumulates plus `MACS_PER_BYTE` for each byte of activations it reads and
writes and of weights it reads: layers without arithmetic still move bytes, and fully connected layers are bound by
theirs. The unit is arbitrary (MAC-equivalents); only ratios count, and only between equal devices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partition_studio.errors import PlanError
from partition_studio.graph.network import Layer, Network
from partition_studio.partition.plan import NetworkRef, Plan

#: Small on purpose: of 0, 1, 4, 8 and 16, 1 balanced the measured times of the example architectures best.
MACS_PER_BYTE = 1

#: Local response normalisation raises every element to a power, which took as long as some 400 multiply-accumulates.
MACS_PER_ELEMENT = {"LRN": 400}

#: Among placements whose busiest device costs at most this much more than the best, the one with fewest cut bytes wins.
SLACK = 0.05


class NoDeviceError(PlanError):
    """There is no device to place layers on."""

    code = "no_device"
    next_step = "Add a device first."


@dataclass(frozen=True, slots=True)
class SingleCut:
    """The best place to cut a network in two.

    `index` layers (in topological order) come before the cut; `first_s` and `second_s` are the sums of the measured
    seconds on each side; `tensors` cross it (network inputs that both sides need not among them).
    """

    plan: Plan
    index: int
    first_s: float
    second_s: float
    tensors: tuple[str, ...]
    cut_bytes: int


def layer_cost(network: Network, layer: Layer) -> int:
    """Return the estimated cost of a layer in MAC-equivalents."""
    read_bytes = sum(network.tensors[tensor].size_bytes for tensor in layer.inputs)
    elements = sum(kind.elements for kind in layer.output_types)
    moved_bytes = read_bytes + layer.activation_bytes + layer.weight_bytes
    return layer.macs + MACS_PER_ELEMENT.get(layer.op_type, 0) * elements + MACS_PER_BYTE * moved_bytes


def live_bytes(network: Network) -> list[int]:
    """Return, for each place between two layers (index i: before layer i), the bytes of activations that cross it.

    Only what layers make counts; entries 0 and len(layers) are 0.
    """
    return [sum(network.tensors[t].size_bytes for t in tensors) for tensors in _live_tensors(network)]


def _live_tensors(network: Network) -> list[tuple[str, ...]]:
    count = len(network.layers)
    live: list[list[str]] = [[] for _ in range(count + 1)]
    for index, layer in enumerate(network.layers):
        for tensor in layer.outputs:
            last = max((network.position[reader.name] for reader in network.consumers[tensor]), default=index)
            for place in range(index + 1, last + 1):
                live[place].append(tensor)
    return [tuple(tensors) for tensors in live]


def spread(network: Network, devices: Sequence[str], *, name: str = "") -> Plan:
    """Place contiguous runs of layers on `devices`, in their order, so that the busiest has least to do.

    Near-equals (`SLACK`) are decided by the fewest bytes over the cuts. Devices beyond the number of layers stay
    empty. Raises NoDeviceError without devices.
    """
    if not devices:
        raise NoDeviceError("There is no device to place the network's layers on.")
    ends = _best_ends(
        np.array([layer_cost(network, layer) for layer in network.layers], dtype=np.float64),
        np.array(live_bytes(network), dtype=np.float64),
        min(len(devices), len(network.layers)),
    )
    placement: dict[str, str] = {}
    start = 0
    for device, end in zip(devices, ends, strict=False):
        placement.update((layer.name, device) for layer in network.layers[start:end])
        start = end
    return Plan(network=NetworkRef.of(network), placement=placement, name=name)


def _best_ends(costs: NDArray[np.float64], cut_bytes: NDArray[np.float64], parts: int) -> list[int]:
    """Return the end of each of `parts` non-empty ranges: least maximum first, then least bytes within the slack.

    Two rounds of dynamic programming over "the first k ranges end at j".
    """
    count = len(costs)
    if count == 0 or parts == 0:
        return []
    total = np.concatenate(([0.0], np.cumsum(costs)))
    # range_cost[i, j]: cost of the layers [i, j); not a range where j <= i.
    range_cost = total[None, :] - total[:, None]
    range_cost[np.tril_indices(count + 1)] = np.inf
    worst = range_cost[0]
    for _ in range(parts - 1):
        worst = np.maximum(worst[:, None], range_cost).min(axis=0)
    allowed = np.where(range_cost <= worst[count] * (1 + SLACK), 0.0, np.inf)
    # The busiest device breaks ties between equally cheap cuts, far below one byte.
    tie = range_cost / (total[-1] or 1.0) * 1e-3
    spent = (allowed + np.where(np.isfinite(tie), tie, 0.0) ** 2)[0]
    choices = []
    for _ in range(parts - 1):
        step = (spent + cut_bytes)[:, None] + allowed + np.where(np.isfinite(tie), tie, 0.0) ** 2
        choices.append(step.argmin(axis=0))
        spent = step.min(axis=0)
    ends = [count]
    for choice in reversed(choices):
        ends.append(int(choice[ends[-1]]))
    return ends[::-1]


def best_single_cut(network: Network, layer_seconds: Mapping[str, float], devices: tuple[str, str]) -> SingleCut:
    """Return the cut into two contiguous runs whose slower half takes least, by measured seconds of each layer.

    Layers without a measurement count 0. Ties go to the cut with fewer bytes. Raises PlanError for a network of
    fewer than two layers.
    """
    if len(network.layers) < 2:
        raise PlanError(f"The network {network.name!r} has {len(network.layers)} layers; it cannot be cut in two.")
    seconds = [layer_seconds.get(layer.name, 0.0) for layer in network.layers]
    live = _live_tensors(network)
    sizes = live_bytes(network)
    total_s = sum(seconds)
    best: tuple[float, int, int, float] | None = None
    first_s = 0.0
    for index in range(1, len(seconds)):
        first_s += seconds[index - 1]
        candidate = (max(first_s, total_s - first_s), sizes[index], index, first_s)
        if best is None or candidate < best:
            best = candidate
    if best is None:
        raise PlanError(f"The network {network.name!r} cannot be cut in two.")
    _, cut_bytes, index, first_s = best
    placement = {layer.name: devices[0 if i < index else 1] for i, layer in enumerate(network.layers)}
    plan = Plan(network=NetworkRef.of(network), placement=placement)
    return SingleCut(plan, index, first_s, total_s - first_s, live[index], cut_bytes)
