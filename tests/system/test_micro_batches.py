"""Micro-batches on a real pipeline: stages that take several frames in one go answer each as the whole network does."""

import io
from itertools import pairwise

import numpy as np

from partition_studio.graph.frames import read_frame
from partition_studio.graph.load import original_model
from partition_studio.graph.runtime import open_session
from partition_studio.schemas import RunOut
from tests.system.conftest import Desk


def test_stages_that_take_several_frames_answer_each_as_the_whole_does(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices("a", "b")
    plan = desk.spread(model, "a", "b").model_copy(update={"micro_batch": 4})
    deployment = desk.deploy(model, plan)
    assert not [note for note in deployment.notes if "one by one" in note or "one frame at a time" in note]
    assert all(1 <= stage.batch <= 4 for stage in deployment.stages)
    services = desk.studio.services
    frames = {name: services.models.sample(model.id, name) for name in model.samples}
    files = [("files", (name, data)) for name, data in frames.items()]
    begun = desk.client.post_form(f"/api/deployments/{deployment.id}/runs", RunOut, {"source": "files"}, files)
    run = desk.ended(begun)
    assert (run.state, run.delivered, run.lost) == ("finished", len(frames), 0)
    outputs = np.load(io.BytesIO(desk.client.get_bytes(f"/api/runs/{run.id}/outputs.npz")))
    network = services.models.network(model.id)
    preprocessing = services.models.preprocessing(model.id)
    whole = open_session(original_model(services.models.path(model.id)))
    answers = []
    for number, (name, data) in enumerate(frames.items()):
        (answer,) = whole.run(["logits"], read_frame(data, name, network.inputs, preprocessing))
        np.testing.assert_allclose(outputs[f"{number}:logits"], answer, rtol=1e-4, atol=1e-4)
        answers.append(answer)
    # Frames that were mixed up would be seen.
    assert all(np.abs(a - b).max() > 1e-2 for a, b in pairwise(answers))
