"""A plan of AutoDiCE's files runs: two resources of one device are two stages on its one agent."""

import json

from partition_studio.schemas import AutodiceIn, ImportedPlanOut, ModelOut
from tests.system.conftest import Desk


def test_resources_of_one_device_are_pipelined_on_it_and_a_divided_layer_runs_over_two_devices(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices("a", "b")
    layers = desk.client.get(f"/api/models/{model.id}", ModelOut).layers
    names = [layer.outputs[0].replace("/", "_") for layer in layers]
    mapping = {"nx01_cpu0": names[:4], "nx01_cpu1": names[4:8], "nx02": [names[0], *names[8:]]}
    horizontal = {names[0]: ["lop", [5, 65535], ["nx01_cpu0", "nx02"]]}
    request = AutodiceIn(
        mapping=json.dumps(mapping), horizontal=json.dumps(horizontal), devices={"nx01": "a", "nx02": "b"}
    )
    plan = desk.client.post(f"/api/models/{model.id}/plans/import-autodice", ImportedPlanOut, request).plan
    deployment = desk.deploy(model, plan)
    homes = {stage.name.rpartition("-")[0]: stage.device for stage in deployment.stages}
    assert homes == {"nx01_cpu0": "a", "nx01_cpu1": "a", "b": "b"}
    run = desk.run(deployment, source="samples")
    assert (run.state, run.delivered, run.lost) == ("finished", len(model.samples), 0)
    right = [result.classes[0].label == result.input_name[0] for result in run.recent]
    assert sum(right) >= len(right) - 1
    desk.stop(deployment)
