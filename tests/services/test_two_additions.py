"""Two requests that register one name at the same time."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from partition_studio.errors import ConflictError
from partition_studio.schemas import DeviceIn
from partition_studio.services import Services
from partition_studio.settings import open_data_dir


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    monkeypatch.setenv("HOME", str(tmp_path))
    opened = Services(open_data_dir(tmp_path / "studio"))
    yield opened
    opened.close()


def test_the_password_of_a_refused_request_is_kept_for_nobody(services: Services) -> None:
    for number in range(4):
        name, begin = f"d{number}", threading.Barrier(2)
        refused: list[int] = []

        def add(memory_bytes: int, name: str = name, begin: threading.Barrier = begin) -> None:
            begin.wait()
            request = DeviceIn(name=name, address="local:", password=f"of-{memory_bytes}", memory_bytes=memory_bytes)
            try:
                services.devices.add(request)
            except ConflictError:
                refused.append(memory_bytes)  # noqa: B023 - the threads end within this round.

        threads = [threading.Thread(target=add, args=(size,)) for size in (10**9, 2 * 10**9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 1
        assert (
            services.devices.sessions.passwords.get(name, "memory") == f"of-{services.devices.row(name).memory_bytes}"
        )
