"""Writes into a sub-model where it belongs: ONNX's multi-device fields (IR 11), and properties that any tool shows.

The fields are written whatever the model's IR version is: to an older runtime or checker they are unknown protobuf
fields, which it passes over (tried: ONNX Runtime 1.16 and onnx 1.14 with IR 4 to 9), whereas a model that says IR 11 is
refused by a runtime that does not know it. So the version stays the lowest that the operators allow.
"""

import onnx

from partition_studio.graph.network import Network
from partition_studio.partition.stages import Stage, StageGraph

#: Name of the one device configuration in a sub-model.
CONFIGURATION = "partition-studio"

#: Properties of the model begin so.
PREFIX = "partition_studio."


def annotate(model: onnx.ModelProto, network: Network, graph: StageGraph, stage: Stage) -> None:
    """Write into a stage's sub-model, in place: the devices of the plan, and which stage of it this is.

    Every node gets the stage's number along the stage order as its `pipeline_stage`. Calling it again changes nothing.
    """
    number = graph.position[stage.name]
    del model.configuration[:]
    model.configuration.add(name=CONFIGURATION, num_devices=len(graph.devices), device=list(graph.devices))
    for node in model.graph.node:
        del node.device_configurations[:]
        node.device_configurations.add(configuration_id=CONFIGURATION, pipeline_stage=number)
    kept = [entry for entry in model.metadata_props if not entry.key.startswith(PREFIX)]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    facts = {
        "network": network.name,
        "network_sha256": network.digest,
        "stage": stage.name,
        "stage_number": str(number),
        "stages": str(len(graph.stages)),
        "device": stage.device,
    }
    if stage.group is not None:
        facts["devices"] = ",".join(stage.devices)
    if stage.cores:
        facts["cores"] = ",".join(map(str, stage.cores))
    for key, value in facts.items():
        model.metadata_props.add(key=PREFIX + key, value=value)
