"""A board whose only Python is 3.8: its ONNX Runtime is old, and newer networks are written for it, or refused."""

import io
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from partition_studio.graph.runtime import run_model
from partition_studio.partition.plan import Plan
from partition_studio.schemas import DeviceIn, DeviceOut, JobOut, ModelSummaryOut, ProfileIn, ProfileSummaryOut, RunOut
from tests.core.networks import make_model, value, weight
from tests.sshd import SshServer
from tests.studio import wait_for
from tests.system.conftest import Desk

# It fetches a second set of packages.
pytestmark = [pytest.mark.ssh, pytest.mark.slow]

OLD_PYTHONS = sorted(Path.home().glob(".pyenv/versions/3.8.*/bin/python3.8"))


def hides_pythons() -> bool:
    program = shutil.which("unshare")
    return os.geteuid() == 0 and program is not None and subprocess.run([program, "-m", "true"]).returncode == 0


@pytest.fixture
def old_board(tmp_path: Path) -> Iterator[SshServer]:
    if not OLD_PYTHONS:
        pytest.skip("there is no Python 3.8 here")
    if not hides_pythons():
        pytest.skip("needs root, for mounts that only the device sees")
    hide = "for p in /usr/bin/python3* /usr/local/bin/python3*; do [ -f $p ] && mount --bind /dev/null $p; done"
    inner = f'mount --make-rprivate /\n{hide}\nexec sh -c "$SSH_ORIGINAL_COMMAND"'
    before = f"export PATH={shlex.quote(str(OLD_PYTHONS[-1].parent))}:$PATH\nexec unshare -m sh -c {shlex.quote(inner)}"
    with SshServer(tmp_path / "old", before=before) as server:
        yield server


def network(opset: int, last: str) -> onnx.ModelProto:
    generator = np.random.default_rng(3)
    return make_model(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c"], ["r"], name="relu"),
            helper.make_node(last, ["r"], ["y"], name="last"),
        ],
        [value("x", (1, 3, 8, 8))],
        [value("y", (1, 4, 8, 8))],
        [weight("w", generator.standard_normal((4, 3, 3, 3)).astype(np.float32))],
        opset=opset,
        ir=11,
    )


def add(desk: Desk, model: onnx.ModelProto, name: str) -> ModelSummaryOut:
    files = [("file", (f"{name}.onnx", model.SerializeToString()))]
    return desk.client.post_form("/api/models", ModelSummaryOut, {}, files)


def test_a_network_of_a_newer_opset_is_written_for_the_board_or_refused_before_anything_is_sent(
    desk: Desk, old_board: SshServer
) -> None:
    request = DeviceIn(
        name="old",
        address=str(old_board.address),
        key_file=str(old_board.key_file),
        trusted_fingerprint=old_board.fingerprint(),
    )
    device = desk.client.post("/api/devices", DeviceOut, request)
    assert device.check is not None
    assert device.check.python is not None
    assert device.check.python.version.startswith("3.8.")
    assert device.check.onnxruntime == "1.19.2"
    assert (device.state, [reason.code for reason in device.check.reasons if reason.severity == "limit"]) == (
        "limited",
        ["old_runtime"],
    )
    desk.local_devices("here")

    whole = network(24, "Sigmoid")
    model = add(desk, whole, "newer")
    plan = desk.spread(model, "old").model_copy(update={"placement": {"conv": "old", "relu": "old", "last": "here"}})
    deployment = desk.deploy(model, plan)
    frame = {"x": np.random.default_rng(5).standard_normal((1, 3, 8, 8)).astype(np.float32)}
    buffer = io.BytesIO()
    np.savez(buffer, **frame)  # type: ignore[arg-type]  # numpy's stub wants arrays alone, which these are
    run = desk.ended(
        desk.client.post_form(
            f"/api/deployments/{deployment.id}/runs",
            RunOut,
            {"source": "files"},
            [("files", ("0.npz", buffer.getvalue()))],
        )
    )
    outputs = np.load(io.BytesIO(desk.client.get_bytes(f"/api/runs/{run.id}/outputs.npz")))
    np.testing.assert_allclose(outputs["0:y"], run_model(whole, frame)["y"], rtol=1e-4, atol=1e-6)
    desk.stop(deployment)

    # Its layers are measured there as well.
    begun = desk.client.post("/api/devices/old/profiles", JobOut, ProfileIn(model_id=model.id))
    wait_for(lambda: desk.client.get(f"/api/jobs/{begun.id}", JobOut).ended_at, what="the profile")
    assert desk.client.get(f"/api/jobs/{begun.id}", JobOut).problem is None
    (profile,) = desk.client.get("/api/profiles", list[ProfileSummaryOut])
    assert (profile.device, profile.onnxruntime) == ("old", "1.19.2")

    later = add(desk, network(24, "Swish"), "later")
    placed: Plan = desk.spread(later, "old")
    failed = desk.settled(desk.begin(later, placed))
    assert failed.state == "failed"
    assert failed.problem is not None
    assert failed.problem.code == "runtime_too_old"
    for word in ("'last'", "Swish", "old", "1.19.2", "opset 21"):
        assert word in failed.problem.message
    models = old_board.home / ".local" / "share" / "partition-studio" / "data" / "models"
    assert not list(models.glob("*.onnx"))
    # On a device that has it, it runs.
    desk.stop(desk.deploy(later, placed.model_copy(update={"placement": dict.fromkeys(placed.placement, "here")})))
