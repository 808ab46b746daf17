"""An output that is the same for every frame is no device's work, and still part of the answer."""

import io

import numpy as np
from onnx import helper

from partition_studio.schemas import ModelSummaryOut, RunOut
from tests.core.networks import make_model, value, weight
from tests.system.conftest import Desk


def test_a_run_gives_constant_outputs_with_every_frame(desk: Desk) -> None:
    shape = (1, 2, 4, 4)
    always = np.array([3, 1, 2], np.float32)
    large = np.random.default_rng(0).standard_normal((8, 2, 24, 24)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[12, 12, 11, 11]),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    outputs = [value("always", (3,)), value("y", (1, 8, 4, 4))]
    model = make_model(nodes, [value("x", shape)], outputs, [weight("w", large), weight("always", always)])
    files = [("file", ("net.onnx", bytes(model.SerializeToString())))]
    added = desk.client.post_form("/api/models", ModelSummaryOut, {}, files)
    desk.local_devices("a", "b")
    deployment = desk.deploy(added, desk.spread(added, "a", "b"))
    frame = io.BytesIO()
    np.save(frame, np.ones(shape, np.float32))
    run = desk.ended(
        desk.client.post_form(
            f"/api/deployments/{deployment.id}/runs",
            RunOut,
            {"source": "files"},
            [("files", ("one.npy", frame.getvalue())), ("files", ("two.npy", frame.getvalue()))],
        )
    )
    assert (run.state, run.delivered) == ("finished", 2)
    answers = np.load(io.BytesIO(desk.client.get_bytes(f"/api/runs/{run.id}/outputs.npz")))
    assert sorted(answers.files) == ["0:always", "0:y", "1:always", "1:y"]
    assert np.array_equal(answers["1:always"], always)
    assert answers["0:y"].shape == (1, 8, 4, 4)
