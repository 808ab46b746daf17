"""The command itself, as a person's shell would call it."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.forked import call_command
from tests.studio import RunningStudio

TIMEOUT_S = 120


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.err)["error"]
        return found


Command = Callable[..., Said]


def call(*words: str | Path, env: dict[str, str] | None = None) -> Said:
    environment = {**os.environ, **(env or {})}
    done = call_command([str(word) for word in words], environment, timeout_s=TIMEOUT_S)
    assert "Traceback" not in done.stderr, done.stderr
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def offline(tmp_path: Path) -> Command:
    """Call a command where no studio is."""
    return lambda *words: call(*words, env={"PARTITION_STUDIO_DATA_DIR": str(tmp_path / "nowhere")})


@pytest.fixture
def command(studio: RunningStudio) -> Command:
    """Call a command that finds the test's studio."""
    env = {
        "PARTITION_STUDIO_URL": studio.url,
        "PARTITION_STUDIO_TOKEN": studio.token,
        "PARTITION_STUDIO_DATA_DIR": str(studio.data_dir.path),
    }
    return lambda *words: call(*words, env=env)
