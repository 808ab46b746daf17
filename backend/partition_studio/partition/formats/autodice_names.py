"""AutoDiCE's names: of layers, after their first output tensor, and of hosts with a resource (`nx01_arm0123`)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from partition_studio.errors import PlanError
from partition_studio.graph.network import Network
from partition_studio.partition.formats.outline import Outline

_RESOURCE = re.compile(r"(?:(?:cpu|arm)(?P<cores>[0-9]*)|(?P<gpu>gpu[0-9]*))")
_ALMOST = re.compile(r"(?:cpu|arm|gpu)[^a-zA-Z]")


class AutodiceError(PlanError):
    """AutoDiCE's files do not fit the network or each other, or a plan cannot be said in them."""

    code = "bad_autodice"
    next_step = "Correct the files (see the documentation of plans) and import them again."


@dataclass(frozen=True, slots=True)
class HostResource:
    """What a key of the mapping names: a host, and there some cores, its GPU, or nothing particular."""

    host: str
    cores: tuple[int, ...] = ()
    processor: Literal["cpu", "gpu", ""] = ""


def host_resource(key: str) -> HostResource:
    """Return what `<host>_<resource>` names; a name without resource is a host. Raises AutodiceError."""
    host, _, resource = key.rpartition("_")
    found = _RESOURCE.fullmatch(resource) if host else None
    if found is None:
        if host and _ALMOST.match(resource):
            raise AutodiceError(
                f"{key!r}: {resource!r} is not a resource. Cores are single digits after `cpu` or `arm`, as in "
                f"`{host}_cpu012`.",
                host=key,
            )
        return HostResource(key)
    if found["gpu"]:
        return HostResource(host, (), "gpu")
    cores = tuple(int(digit) for digit in found["cores"])
    if len(set(cores)) < len(cores):
        raise AutodiceError(f"{key!r} names a core twice.", host=key)
    return HostResource(host, cores, "cpu")


def host_of(name: str) -> str | None:
    """Return the host that a name is a resource of, as `nx01_gpu` is of `nx01`; None for any other name."""
    host, _, resource = name.rpartition("_")
    return host if host and _RESOURCE.fullmatch(resource) else None


def plain(tensor: str) -> str:
    """Return the name that AutoDiCE gives to what makes a tensor."""
    return tensor.replace("/", "_")


def layers_by_their_names(network: Network, original: Outline) -> Mapping[str, str]:
    """Return our name of each layer by AutoDiCE's. Raises AutodiceError where two layers have one name there."""
    found: dict[str, str] = {}
    made = {layer.outputs[0] for layer in network.layers}
    for layer in network.layers:
        name = plain(original.first_output(layer, made))
        if name in found:
            raise AutodiceError(
                f"The layers {found[name]!r} and {layer.name!r} have the same name in AutoDiCE's files: {name!r}, "
                "after their first outputs with '/' as '_'.",
                next_step="Rename one of the two tensors in the ONNX file.",
                layer=layer.name,
            )
        found[name] = layer.name
    return found
