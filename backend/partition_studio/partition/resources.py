"""From the names that a plan has for parts of devices to the devices themselves.

Stages are built with the plan's names, so that two resources of one device are two stages, pipelined there; then each
goes to the registered device.
"""

from collections.abc import Mapping
from dataclasses import replace

from partition_studio.partition.plan import Resource
from partition_studio.partition.stages import StageGraph


def on_devices(graph: StageGraph, resources: Mapping[str, Resource]) -> StageGraph:
    """Return the graph with every stage on its registered device; names, order and cuts stay."""
    if not any(stage.device in resources for stage in graph.stages):
        return graph
    stages = tuple(
        replace(stage, device=resources[stage.device].device, cores=tuple(resources[stage.device].cores))
        if stage.device in resources
        else stage
        for stage in graph.stages
    )
    return replace(graph, stages=stages)
