"""Sub-models say where they belong, and every runtime still takes them."""

import onnx
import onnxruntime

from partition_studio.partition.extract import extract
from partition_studio.partition.metadata import CONFIGURATION, PREFIX, annotate
from partition_studio.partition.partition import partition
from partition_studio.partition.plan import Resource
from tests.formats.cnn import LAYERS, loaded, plan_of


def annotated() -> dict[str, onnx.ModelProto]:
    network, _ = loaded()
    placement = {name: "nx01_cpu45" if index < 4 else "pi" for index, name in enumerate(LAYERS)}
    resources = {"nx01_cpu45": Resource(device="jetson", cores=[4, 5], processor="cpu")}
    graph = partition(network, plan_of(placement, resources=resources)).graph
    models = {}
    for stage in graph.stages:
        models[stage.name] = extract(network, stage)
        annotate(models[stage.name], network, graph, stage)
    return models


def test_every_node_has_the_pipeline_stage_and_the_model_its_devices() -> None:
    models = annotated()
    assert len(models) > 1
    for number, model in enumerate(models.values()):
        (configuration,) = model.configuration
        assert (configuration.name, configuration.num_devices) == (CONFIGURATION, 2)
        assert list(configuration.device) == ["jetson", "pi"]
        told = [(c.configuration_id, c.pipeline_stage) for node in model.graph.node for c in node.device_configurations]
        assert told == [(CONFIGURATION, number)] * len(model.graph.node)


def test_properties_name_network_stage_and_device() -> None:
    network, _ = loaded()
    first = next(iter(annotated().values()))
    facts = {entry.key.removeprefix(PREFIX): entry.value for entry in first.metadata_props}
    assert (facts["network"], facts["network_sha256"]) == (network.name, network.digest)
    assert (facts["stage"], facts["stage_number"], facts["device"]) == ("nx01_cpu45-0", "0", "jetson")
    assert facts["cores"] == "4,5"


def test_the_models_version_stays_low_and_checker_and_runtime_take_it() -> None:
    """The fields came with IR 11; to older readers they are unknown fields, which protobuf passes over."""
    network, _ = loaded()
    for model in annotated().values():
        assert model.ir_version == network.ir_version < 11
        onnx.checker.check_model(model, full_check=True)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        assert session.get_modelmeta().custom_metadata_map[PREFIX + "network_sha256"] == network.digest


def test_writing_it_twice_changes_nothing_and_other_properties_stay() -> None:
    network, _ = loaded()
    graph = partition(network, plan_of(dict.fromkeys(LAYERS, "p"))).graph
    model = extract(network, graph.stages[0])
    model.metadata_props.add(key="theirs", value="kept")
    annotate(model, network, graph, graph.stages[0])
    once = model.SerializeToString(deterministic=True)
    annotate(model, network, graph, graph.stages[0])
    assert model.SerializeToString(deterministic=True) == once
    assert {entry.key: entry.value for entry in model.metadata_props}["theirs"] == "kept"
