"""What a deployment would send is known before it begins; a device that fails on the way is tried again by itself."""

import os
import signal

import pytest

from partition_studio.errors import StudioError
from partition_studio.schemas import DeploymentIn, DeploymentOut, DryRunOut
from tests.studio import wait_for
from tests.system.conftest import Desk


def test_a_device_that_fails_is_tried_again_while_the_others_keep_what_they_have(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices("a", "b")
    plan = desk.spread(model, "a", "b")
    folder = desk.studio.block_device("b")
    request = DeploymentIn(model_id=model.id, plan=plan, wait_for_retry=True)
    begun = desk.client.post("/api/deployments", DeploymentOut, request)
    waiting = wait_for(lambda: now if (now := desk.shown(begun)).retry_until else None, what="b to fail")
    rows = {row.device: row for row in waiting.devices}
    assert waiting.state == "deploying"
    assert rows["b"].step == "failed" and rows["b"].problem is not None
    assert [step.step for step in rows["b"].steps][-1] in ("connect", "check", "install")
    folder.unlink()
    desk.client.post(f"/api/deployments/{begun.id}/retry?device=b", DeploymentOut)
    ended = desk.settled(begun)
    assert ended.state == "running", ended.problem
    for row in ended.devices:
        done = [step.step for step in row.steps]
        assert done[0] == "connect" and done[-3:] == ["load", "verify", "start"]
        assert all(step.elapsed_s >= 0 for step in row.steps)
        pushed = next(step for step in row.steps if step.step == "push")
        assert pushed.done_bytes == pushed.total_bytes and pushed.total_bytes
    with pytest.raises(StudioError, match="waiting"):
        desk.client.post(f"/api/deployments/{begun.id}/retry", DeploymentOut)

    # What runs there already is not sent again, and a plan that differs at one device is sent to that alone.
    same = desk.client.post("/api/deployments/dry-run", DryRunOut, DeploymentIn(model_id=model.id, plan=plan))
    assert (same.send_bytes, same.replaces, same.leaves) == (0, begun.id, [])
    sent = sum(step.total_bytes or 0 for row in ended.devices for step in row.steps if step.step == "push")
    assert sum(device.total_bytes for device in same.devices) == sent
    alone = desk.client.post(
        "/api/deployments/dry-run", DryRunOut, DeploymentIn(model_id=model.id, plan=desk.spread(model, "a"))
    )
    assert alone.leaves == ["b"] and alone.send_bytes > 0

    # Who knows only of what was before is not let over what somebody else has deployed since.
    late = DeploymentIn(model_id=model.id, plan=plan, seen_epoch=begun.epoch - 1)
    with pytest.raises(StudioError) as refused:
        desk.client.post("/api/deployments", DeploymentOut, late)
    assert refused.value.code == "deployed_since"
    again = desk.settled(
        desk.client.post("/api/deployments", DeploymentOut, late.model_copy(update={"seen_epoch": begun.epoch}))
    )
    assert again.state == "running"
    desk.stop(again)


def test_a_deployment_that_waits_for_a_device_can_be_cancelled(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices("a", "b")
    plan = desk.spread(model, "a", "b")
    folder = desk.studio.block_device("b")
    begun = desk.client.post(
        "/api/deployments", DeploymentOut, DeploymentIn(model_id=model.id, plan=plan, wait_for_retry=True)
    )
    wait_for(lambda: desk.shown(begun).retry_until, what="b to fail")
    ended = desk.client.post(f"/api/deployments/{begun.id}/cancel", DeploymentOut)
    assert (ended.state, ended.retry_until) == ("cancelled", None)
    assert not any(device.agent_running for device in desk.studio.services.devices.all())
    folder.unlink()


def test_a_device_that_is_lost_while_another_is_waited_for_is_brought_up_again(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices("a", "b")
    folder = desk.studio.block_device("b")
    request = DeploymentIn(model_id=model.id, plan=desk.spread(model, "a", "b"), wait_for_retry=True)
    begun = desk.client.post("/api/deployments", DeploymentOut, request)
    wait_for(lambda: desk.shown(begun).retry_until, what="b to fail")
    session = desk.studio.services.devices.session("a")

    def is_reached() -> bool:
        row = next(row for row in desk.shown(begun).devices if row.device == "a")
        return row.detail == "waiting for the other devices"

    wait_for(is_reached, what="a to be reached")
    (agent,) = desk.studio.agents("a")
    os.kill(agent.pid, signal.SIGKILL)
    wait_for(lambda: not session.holds(f"{begun.id}/{begun.epoch}") or None, what="the loss of a")
    folder.unlink()
    desk.client.post(f"/api/deployments/{begun.id}/retry?device=b", DeploymentOut)
    ended = desk.settled(begun)
    assert ended.state == "running", ended.problem
    assert desk.run(ended, source="samples").lost == 0
    desk.stop(ended)
