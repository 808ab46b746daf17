"""Fixtures that every folder may use."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.studio import RunningStudio

# A shell that starts the tests in its background has them ignore Ctrl+C, and with them every process that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[RunningStudio]:
    with RunningStudio(tmp_path / "studio") as running:
        yield running
