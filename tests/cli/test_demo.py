"""`partition-studio demo`, as `make demo` starts it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from tests.cli.conftest import call


def test_the_demo_stands_ready_and_other_commands_find_it(tmp_path: Path) -> None:
    env = {**os.environ, "PARTITION_STUDIO_DATA_DIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "partition_studio.cli.main", "demo", "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )
    with process:
        try:
            assert process.stdout is not None
            told = json.loads("".join(iter(lambda: process.stdout.readline() if process.stdout else "", "}\n")) + "}")
            with httpx.Client(base_url=told["url"], trust_env=False) as browser:
                assert browser.get(told["link"]).status_code == 303
                model = browser.get("/api/studio").json()["demo_model_id"]
                plan = browser.get(f"/api/models/{model}/plans").json()[0]["plan"]
            assert set(plan["placement"].values()) == {"board-1", "board-2", "board-3"}
            mine = {"PARTITION_STUDIO_DATA_DIR": str(tmp_path)}
            devices = call("device", "list", "--json", env=mine).document
            assert [device["state"] for device in devices] == ["ready"] * 3
            file = tmp_path / "plan.json"
            file.write_text(json.dumps(plan))
            assert call("deploy", "digits", file, "--json", env=mine).document["state"] == "running"
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    # Nothing of it goes on.
    left = [p for p in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path).encode() in _read(p)]
    assert left == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
