"""What a device measured while the studio was away comes when it is back: nothing twice, nothing missing."""

import sqlite3
from itertools import pairwise
from pathlib import Path

import pytest

from partition_studio.schemas import DeviceIn, DeviceOut, HistoryOut, LiveSnapshotOut
from tests.sshd import SshServer
from tests.studio import RunningStudio, wait_for
from tests.system.conftest import Desk

pytestmark = pytest.mark.ssh

#: Samples taken while nobody listens.
ALONE = 4


def kept(studio: RunningStudio) -> list[tuple[str, int, float]]:
    """Ring, sequence and time of every sample that the studio has, in their order."""
    with sqlite3.connect(studio.data_dir.path / "studio.db") as database:
        found = database.execute("SELECT ring, sequence, at_s FROM telemetry ORDER BY ring, sequence").fetchall()
    database.close()
    return [(str(ring), int(sequence), float(at_s)) for ring, sequence, at_s in found]


def ring_bytes(server: SshServer) -> int:
    return sum(path.stat().st_size for path in server.home.rglob("*.seg"))


def test_samples_of_a_time_without_the_studio_are_fetched_when_it_is_back(tmp_path: Path) -> None:
    with SshServer(tmp_path / "board") as server:
        with RunningStudio(tmp_path / "studio") as studio:
            desk = Desk(studio)
            request = DeviceIn(
                name="one",
                address=str(server.address),
                key_file=str(server.key_file),
                trusted_fingerprint=server.fingerprint(),
                idle_power_w=2,
                busy_power_w=6,
            )
            desk.client.post("/api/devices", DeviceOut, request)
            model = desk.example()
            deployment = desk.deploy(model, desk.spread(model, "one"))
            wait_for(lambda: len(kept(studio)) >= 3 or None, what="some samples")
        before = kept(studio)
        sample_bytes = ring_bytes(server) / before[-1][1]
        begun_bytes = ring_bytes(server)
        wait_for(
            lambda: ring_bytes(server) >= begun_bytes + ALONE * sample_bytes or None, what="samples that nobody hears"
        )
        with RunningStudio(tmp_path / "studio") as studio:
            desk = Desk(studio)
            assert desk.settled(deployment).state == "running"
            wait_for(lambda: len(kept(studio)) >= before[-1][1] + ALONE + 2 or None, what="the samples of that time")
            samples = kept(studio)
            assert samples[: len(before)] == before
            assert {ring for ring, _, _ in samples} == {before[0][0]}
            numbers = [sequence for _, sequence, _ in samples]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            times = [at_s for _, _, at_s in samples]
            assert all(earlier < later for earlier, later in pairwise(times))
            history = desk.client.get("/api/devices/one/history", HistoryOut, seconds=600)
            assert history.missing_samples == 0
            assert history.power_source == "declared"
            assert wait_for(lambda: desk.client.get("/api/live", LiveSnapshotOut).devices or None, what="live figures")
            assert desk.stop(deployment).state == "stopped"
