"""Codecs on a real pipeline: devices answer what was proven, with the plan's codecs or those that `auto` chose."""

import io

import numpy as np

from partition_studio.graph.frames import read_frame
from partition_studio.graph.load import original_model
from partition_studio.partition.codecs import LOSSLESS, settled_codecs
from partition_studio.partition.extract import Contents, submodels
from partition_studio.partition.partition import partition
from partition_studio.partition.plan import CodecChoice
from partition_studio.partition.verify import verify
from partition_studio.schemas import CutOut, DeploymentOut, RunOut
from partition_studio.store.links import Figure, LinkStore
from tests.system.conftest import Desk


def between(deployment: DeploymentOut) -> CutOut:
    return next(cut for cut in deployment.cuts if (cut.producer_device, cut.consumer_device) == ("a", "b"))


def test_devices_answer_what_the_parts_with_their_codecs_do(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices("a", "b")
    codecs = [CodecChoice(codec="zstd"), CodecChoice(producer="a", consumer="b", codec="int8+zstd")]
    plan = desk.spread(model, "a", "b").model_copy(update={"codecs": codecs})
    deployment = desk.deploy(model, plan)
    assert set(between(deployment).codecs.values()) == {"int8+zstd"}
    services = desk.studio.services
    name = model.samples[0]
    data = services.models.sample(model.id, name)
    run = desk.client.post_form(
        f"/api/deployments/{deployment.id}/runs", RunOut, {"source": "files"}, [("files", (name, data))]
    )
    desk.ended(run)
    outputs = np.load(io.BytesIO(desk.client.get_bytes(f"/api/runs/{run.id}/outputs.npz")))
    network = services.models.network(model.id)
    parted = partition(network, plan)
    proof = verify(
        original_model(services.models.path(model.id)),
        parted,
        Contents(submodels(parted.network, parted.graph)),
        read_frame(data, name, network.inputs, services.models.preprocessing(model.id)),
        codecs=settled_codecs(parted.graph, plan),
    )
    answer = outputs["0:logits"]
    np.testing.assert_allclose(answer, proof.part_outputs["logits"], rtol=1e-4, atol=1e-5)
    # What int8 changes is seen: it is not the answer of the whole.
    assert np.abs(answer - proof.outputs["logits"]).max() > 1e-3


def test_auto_is_chosen_while_a_plan_is_brought_up_and_the_deployment_tells_why(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices("a", "b")
    store = LinkStore(desk.studio.services._database)
    for way in [("studio", "a"), ("a", "b"), ("b", "studio")]:
        store.keep(way, "measured", Figure(20_000.0, 0.001, 0.001))
    entries = {"codecs": [CodecChoice(codec="auto")], "max_change": 0.02}
    deployment = desk.deploy(model, desk.spread(model, "a", "b").model_copy(update=entries))
    cut = between(deployment)
    assert set(cut.codecs.values()) - LOSSLESS
    assert cut.wire_bytes is not None and cut.wire_bytes < cut.size_bytes / 3
    assert "0.16 Mbit/s" in cut.why[0]
    run = desk.run(deployment, source="samples")
    assert (run.state, run.delivered, run.lost) == ("finished", len(model.samples), 0)
    right = [result.classes[0].label == result.input_name[0] for result in run.recent]
    assert sum(right) >= len(right) - 2
