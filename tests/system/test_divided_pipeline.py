"""Plans whose layers are divided over devices, run for real on local devices."""

import io

import numpy as np
import pytest

from partition_studio.graph.frames import read_frame
from partition_studio.graph.load import original_model
from partition_studio.graph.runtime import run_model
from partition_studio.partition.plan import (
    IndependentSharding,
    InputChannelSharding,
    NetworkRef,
    OutputChannelSharding,
    Plan,
    Sharding,
    SpatialSharding,
)
from partition_studio.schemas import RunOut

from .conftest import Desk

DEVICES = ("a", "b", "c")


def plan_of(desk: Desk, model_id: str, *shards: Sharding) -> Plan:
    """Divide some layers of the digits CNN; the rest goes to the first and last device."""
    network = desk.studio.services.models.network(model_id)
    divided = {name for sharding in shards for name in sharding.layers}
    free = [layer.name for layer in network.layers if layer.name not in divided]
    placement = {name: "a" if number < len(free) // 2 else "c" for number, name in enumerate(free)}
    return Plan(network=NetworkRef.of(network), placement=placement, shards=list(shards))


def convolutions(desk: Desk, model_id: str) -> list[str]:
    network = desk.studio.services.models.network(model_id)
    return [layer.name for layer in network.layers if layer.op_type == "Conv"]


def differences(desk: Desk, plan: Plan, model_id: str) -> list[float]:
    """Deploy, run five samples, and return by how much each answer differs from the whole's largest value."""
    model = next(m for m in desk.studio.services.models.all() if m.id == model_id)
    deployment = desk.deploy(model, plan)
    services = desk.studio.services
    files = [(name, services.models.sample(model.id, name)) for name in model.samples[:5]]
    run = desk.client.post_form(
        f"/api/deployments/{deployment.id}/runs", RunOut, {"source": "files"}, [("files", part) for part in files]
    )
    run = desk.ended(run)
    assert (run.delivered, run.lost) == (5, 0)
    outputs = np.load(io.BytesIO(desk.client.get_bytes(f"/api/runs/{run.id}/outputs.npz")))
    network = services.models.network(model.id)
    whole = original_model(services.models.path(model.id))
    found = []
    for number, (name, data) in enumerate(files):
        frame = read_frame(data, name, network.inputs, services.models.preprocessing(model.id))
        for output, expected in run_model(whole, frame, list(network.outputs)).items():
            found.append(float(np.abs(outputs[f"{number}:{output}"] - expected).max() / np.abs(expected).max()))
    return found


@pytest.mark.parametrize("strategy", ["spatial", "output_channels", "pair"])
def test_a_divided_layer_runs_on_several_devices_and_answers_like_the_whole(desk: Desk, strategy: str) -> None:
    model = desk.example()
    desk.local_devices(*DEVICES)
    first, second, *_ = convolutions(desk, model.id)
    shards: dict[str, list[Sharding]] = {
        "spatial": [SpatialSharding(layers=[first], devices=list(DEVICES), rows=[1, 2, 1])],
        "output_channels": [OutputChannelSharding(layers=[first], devices=["a", "b"], shares=[1, 2])],
        "pair": [
            OutputChannelSharding(layers=[first], devices=["a", "b"]),
            InputChannelSharding(layers=[second], devices=["b", "c"]),
        ],
    }
    plan = plan_of(desk, model.id, *shards[strategy])
    assert max(differences(desk, plan, model.id)) < 1e-4


def test_independent_tiles_run_and_their_answer_is_near_the_whole(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices(*DEVICES)
    first = convolutions(desk, model.id)[0]
    plan = plan_of(desk, model.id, IndependentSharding(layers=[first], devices=["a", "b"], rows=[1, 1]))
    found = differences(desk, plan, model.id)
    assert 0 < max(found) < 0.8


def test_with_one_frame_in_flight_the_parts_run_one_after_the_other(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices(*DEVICES)
    deployment = desk.deploy(model, desk.spread(model, *DEVICES))
    form = {"source": "random", "repeat": "true", "seconds": "1", "in_flight": "1"}
    run = desk.client.post_form(f"/api/deployments/{deployment.id}/runs", RunOut, form, [])
    door = desk.studio.services.deployments.live(deployment.id).front_door
    assert door is not None
    seen = []
    while desk.client.get(f"/api/runs/{run.id}", RunOut).state == "running":
        seen.append(door.stats().in_flight)
    ended = desk.ended(run)
    assert (ended.in_flight, ended.lost) == (1, 0)
    assert ended.delivered == ended.submitted > 1
    assert set(seen) <= {0, 1}
