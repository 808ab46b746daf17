"""The rest talks to the running studio."""

import ipaddress
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from partition_studio.cli.client import StudioAddress, StudioClient
from partition_studio.graph.examples import example
from partition_studio.schemas import DeploymentOut, RunOut
from tests.cli.conftest import Command, Said, call
from tests.studio import RunningStudio, wait_for

DIGITS = example("digits").path
SAMPLES = sorted(DIGITS.with_name("digits-samples").glob("*.png"))[::10]


def test_from_a_file_to_results_and_back(command: Command, tmp_path: Path) -> None:
    about = json.loads(DIGITS.with_suffix(".json").read_text())["preprocessing"]
    images = ["--scale", str(about["scale"]), "--mean", str(about["mean"][0]), "--std", str(about["std"][0])]
    model = command("model", "add", DIGITS, *images, "--json").document
    assert [m["id"] for m in command("model", "list", "--json").document] == [model["id"]]
    shown = command("model", "show", "digits", "--json").document
    assert {layer["name"] for layer in shown["layers"]} > {"conv1", "fc"}
    assert "conv1" in command("model", "show", "digits").out
    for name in ("a", "b"):
        assert command("device", "add", name, "local:", "--json").document["state"] == "ready"
    assert command("device", "check", "a").code == 0
    assert len(command("device", "list", "--json").document) == 2
    plan = tmp_path / "plan.json"
    command("plan", "spread", DIGITS, "--devices", "a,b", "--out", plan)
    deployment = command("deploy", "digits", plan, "--json").document
    assert deployment["state"] == "running"
    out = tmp_path / "outputs.npz"
    inputs = [word for sample in SAMPLES for word in ("--input", str(sample))]
    run = command("run", deployment["id"], *inputs, "--out", out, "--json").document
    answers = {frame["input_name"]: frame["classes"][0]["index"] for frame in run["recent"]}
    assert answers == {sample.name: int(sample.name[0]) for sample in SAMPLES}
    assert len(np.load(out).files) == len(SAMPLES)
    said = command("run", "latest", "--input", SAMPLES[0])
    assert f"{SAMPLES[0].name}: " in said.out
    bench = command("bench", "latest", "--seconds", "1", "--json").document
    assert bench["frames_per_s"] > 0
    assert bench["lost"] == 0
    assert command("status", "--json").document[0]["state"] == "running"
    assert "agent_started" in command("logs", "a").out
    assert command("stop", "latest", "--json").document["state"] == "stopped"
    assert command("device", "remove", "a").code == 0
    assert command("model", "remove", "digits").code == 0
    assert command("model", "list", "--json").document == []


@pytest.mark.parametrize(
    ("words", "code", "word"),
    [
        (("model", "show", "nope"), 3, "nope"),
        (("model", "remove", "nope"), 3, "nope"),
        (("device", "check", "nope"), 3, "nope"),
        (("device", "add", "x", "gopher://x"), 2, "gopher"),
        (("device", "add", "x", "ssh://user@127.0.0.1:1"), 1, "127.0.0.1"),
        (("device", "add", "x", "local:", "--cpus", "one"), 2, "one"),
        (("device", "add", "x", "local:", "--memory", "lots"), 2, "lots"),
        (("device", "add", "x", "local:", "--idle-watts", "2"), 2, "power"),
        (("stop", "nope"), 3, "nope"),
        (("run", "nope", "--input", "/nowhere/x.png"), 2, "x.png"),
        (("logs", "nope"), 3, "nope"),
    ],
)
def test_what_cannot_be_is_said_by_name(command: Command, words: tuple[str, ...], code: int, word: str) -> None:
    said = command(*words)
    assert said.code == code
    assert "error:" in said.err
    assert word in said.err
    assert command(*words, "--json").error["next_step"]


def test_a_wrong_token_is_refused(studio: RunningStudio) -> None:
    said = call("status", "--json", env={"PARTITION_STUDIO_URL": studio.url, "PARTITION_STUDIO_TOKEN": "x" * 40})
    assert (said.code, said.error["code"]) == (5, "not_signed_in")


def test_a_new_link_opens_the_studio_once(command: Command, studio: RunningStudio) -> None:
    link = command("link").out.strip()
    with studio.http() as client:
        assert client.get(link).status_code == 303
        assert client.get(link).status_code == 401


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = call("serve", "--port", port, "--data-dir", tmp_path, "--json")
    assert (said.code, said.error["code"]) == (1, "port_taken")
    assert port in said.error["message"]


def test_the_studio_does_not_open_itself_to_other_machines_unasked(tmp_path: Path) -> None:
    said = call("serve", "--host", str(ipaddress.IPv4Address(0)), "--port", "0", "--data-dir", tmp_path, "--json")
    assert (said.code, said.error["code"]) == (2, "open_to_all")


def test_a_data_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    said = call("serve", "--port", "0", "--data-dir", file / "below", "--json")
    assert (said.code, said.error["code"]) == (1, "data_dir_unusable")


def test_two_studios_do_not_share_a_data_folder(studio: RunningStudio) -> None:
    said = call("serve", "--port", "0", "--data-dir", studio.data_dir.path, "--json")
    assert (said.code, said.error["code"]) == (1, "data_dir_in_use")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_cleanly_when_told(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "partition_studio.cli.main", "serve", "--port", "0", "--data-dir", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            url = wait_for(lambda: (tmp_path / "url").exists() or None, what="the studio's start")
            assert url
            process.send_signal(number)
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert not (tmp_path / "url").exists()
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    assert "ticket" not in (tmp_path / "studio.log").read_text()


def test_what_a_killed_studio_and_a_killed_agent_leave_is_told_with_its_reason(tmp_path: Path) -> None:
    folder = tmp_path / "studio"

    env = {"PARTITION_STUDIO_DATA_DIR": str(folder)}

    def say(*words: str | Path) -> Said:
        return call(*words, env=env)

    plan = tmp_path / "plan.json"
    with subprocess.Popen(
        [sys.executable, "-m", "partition_studio.cli.main", "serve", "--port", "0", "--data-dir", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_for(lambda: (folder / "url").exists() or None, what="the studio's start")
            assert say("model", "add", "digits").code == 0
            assert say("device", "add", "a", "local:").code == 0
            assert say("plan", "spread", DIGITS, "--devices", "a", "--out", plan).code == 0
            first = say("deploy", "digits", plan, "--json").document["id"]
            again = say("deploy", "digits", plan)
            # The new one may be ready before its predecessor's last stage has ended.
            assert re.search(f"it replaced {first}, which is (being )?stopped$", again.out, re.MULTILINE), again.out
            (deployment, _) = say("status", "--json").document
            address = StudioAddress((folder / "url").read_text().strip(), (folder / "token").read_text().strip())
            client = StudioClient(address)

            def first_is_stopped() -> bool:
                return client.get(f"/api/deployments/{first}", DeploymentOut).state == "stopped"

            wait_for(first_is_stopped, what="the end of the first deployment")
            form = {"source": "random", "repeat": "true"}
            run = client.post_form(f"/api/deployments/{deployment['id']}/runs", RunOut, form, [])
            client.close()
        finally:
            process.kill()
    with RunningStudio(folder) as studio:
        env |= {"PARTITION_STUDIO_URL": studio.url, "PARTITION_STUDIO_TOKEN": studio.token}
        assert studio.client.get(f"/api/runs/{run.id}", RunOut).state == "interrupted"
        assert f"its run {run.id} is interrupted" in say("status").out
        begun = say("deploy", "digits", plan, "--json").document["id"]
        (agent,) = studio.agents()
        os.kill(agent.pid, signal.SIGKILL)

        def failed() -> bool:
            return studio.client.get(f"/api/deployments/{begun}", DeploymentOut).state == "failed"

        wait_for(failed, what="the deployment's failure")
        told = say("status").out
        assert f"{begun} failed: " in told
        assert "Traceback" not in told
