"""Fixtures that every folder may use."""

import signal
from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path

import pytest

from tests.studio import RunningStudio

# A shell that starts the tests in its background has them ignore Ctrl+C, and with them every process that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several workers, deal the files of the folders in turn: what waits runs beside what computes.

    The folders of most files are those of short ones, so that no long one is waited for at the end.
    """
    if not hasattr(config, "workerinput"):
        return
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    folders: dict[Path, list[Path]] = {}
    for path in files:
        folders.setdefault(path.parent, []).append(path)
    dealt = chain.from_iterable(zip_longest(*folders.values()))
    items[:] = [item for path in dealt if path is not None for item in files[path]]


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[RunningStudio]:
    with RunningStudio(tmp_path / "studio") as running:
        yield running
