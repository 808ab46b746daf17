"""From the names that a plan has for parts of devices, and for several of them, to the devices themselves.

Stages are built with the plan's names, so that two resources of one device are two stages, pipelined there; then each
goes to the registered device, or to those of its group of replicas.
"""

from collections.abc import Mapping
from dataclasses import replace

from partition_studio.partition.plan import ReplicaGroup, Resource
from partition_studio.partition.stages import Instance, Stage, StageGraph

_PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "xnnpack": ("XnnpackExecutionProvider",),
    "acl": ("ACLExecutionProvider",),
    "openvino": ("OpenVINOExecutionProvider",),
    "cuda": ("CUDAExecutionProvider",),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider"),
}


def providers_of(resource: Resource) -> tuple[str, ...]:
    """Return ONNX Runtime's names of the execution providers that a resource asks for, by preference.

    None: the processor, which is what is left where none of them is there. A GPU without a provider asks for CUDA:
    TensorRT takes minutes to build its engine, which is for the person to choose.
    """
    wanted = resource.provider or ("cuda" if resource.processor == "gpu" else "")
    return _PROVIDERS[wanted] if wanted else ()


def on_devices(
    graph: StageGraph, resources: Mapping[str, Resource], replicas: Mapping[str, ReplicaGroup]
) -> StageGraph:
    """Return the graph with every stage on its registered devices; names, order and cuts stay."""
    if not any(stage.device in resources or stage.device in replicas for stage in graph.stages):
        return graph

    def there(stage: Stage) -> Stage:
        if stage.device in replicas:
            return replace(
                stage,
                instances=tuple(
                    _instance(f"{stage.name}@{place}", place, resources) for place in replicas[stage.device].places
                ),
            )
        only = _instance(stage.name, stage.device, resources)
        return replace(stage, device=only.device, cores=only.cores, instances=(only,))

    return replace(graph, stages=tuple(there(stage) for stage in graph.stages))


def _instance(name: str, place: str, resources: Mapping[str, Resource]) -> Instance:
    resource = resources.get(place)
    if resource is None:
        return Instance(name, place, place)
    return Instance(
        name, resource.device, place, cores=tuple(resource.cores), providers=providers_of(resource), lane=place
    )
