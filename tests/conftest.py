"""Fixtures that every folder may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.studio import RunningStudio


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[RunningStudio]:
    with RunningStudio(tmp_path / "studio") as running:
        yield running
