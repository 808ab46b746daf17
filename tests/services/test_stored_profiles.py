"""Profiles as they are kept: one that cannot be read, or used, hides none of the others."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from partition_studio.planner.figures.profile import (
    KernelFigures,
    LayerFigures,
    PowerFigures,
    Profile,
    ProfileKey,
    profile_to_json,
)
from partition_studio.schemas import ProfileOut, ProfileSummaryOut
from partition_studio.settings import open_data_dir
from partition_studio.store.database import open_in
from partition_studio.store.tables import ProfileRow
from tests.studio import RunningStudio


def document(device: str, *, run_s: float = 1.0, kernel_s: float = 1.0, scope: str = "package") -> dict[str, object]:
    kernel = KernelFigures(("a",), kernel_s, 0.0, 3)
    return profile_to_json(
        Profile(
            key=ProfileKey("d" * 64, device, "1.2", 1, "CPUExecutionProvider"),
            layers=(LayerFigures("a", 1.0, 0.0, 3, 0, 0),),
            kernels=(kernel, kernel),
            run_s=run_s,
            run_spread_s=0.0,
            runs=3,
            session_s=0.0,
            load_s=0.0,
            weight_bytes=0,
            peak_bytes=0,
            load_peak_bytes=0,
            power=PowerFigures(1.0, None, "rapl", scope, "counter", None),
            temperature_c=None,
            throttled=(),
            warnings=(),
            pieces=1,
            duration_s=1.0,
        )
    )


def test_a_stored_profile_that_cannot_be_hides_none_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    documents = {
        "huge": document("huge", kernel_s=1e308),
        "moon": document("moon", scope="moon"),
        "tiny": document("tiny", run_s=5e-324),
        "other": {"format": 1},
        "older": {**document("older"), "format": 1},
        "good": document("good"),
    }
    with (
        contextlib.closing(open_in(open_data_dir(tmp_path / "studio").path)) as database,
        database.session() as session,
        session.begin(),
    ):
        for device, kept in documents.items():
            session.add(
                ProfileRow(
                    device=device,
                    model_id="m",
                    network_digest="d" * 64,
                    runtime="1.2",
                    threads=1,
                    provider="CPUExecutionProvider",
                    document=kept,
                    measured_at=datetime.now(UTC),
                )
            )
    with RunningStudio(tmp_path / "studio") as running:
        listed = {one.device: one for one in running.client.get("/api/profiles", list[ProfileSummaryOut])}
        assert listed.keys() == {"moon", "tiny", "good"}
        assert listed["moon"].energy is None
        assert listed["good"].energy is not None
        tiny = running.client.get(f"/api/profiles/{listed['tiny'].id}", ProfileOut)
        assert tiny.layers[0].energy_j is None
