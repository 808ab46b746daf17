"""A device that was removed leaves nothing behind: one that takes its name has no past."""

from partition_studio.schemas import (
    DeviceIn,
    DeviceOut,
    HistoryOut,
    JobOut,
    LinksIn,
    LinksOut,
    MeterReadingIn,
    MeterReadingOut,
    ModelSummaryOut,
    ProfileIn,
    ProfileSummaryOut,
    RemovedOut,
)
from tests.studio import RunningStudio, wait_for


def add(studio: RunningStudio) -> None:
    studio.client.post("/api/devices", DeviceOut, DeviceIn(name="a", address="local:"))


def done(studio: RunningStudio, job: JobOut) -> None:
    def look() -> JobOut | None:
        now = studio.client.get(f"/api/jobs/{job.id}", JobOut)
        return now if now.ended_at is not None else None

    assert wait_for(look, what="the job's end").state == "done"


def known(studio: RunningStudio) -> dict[str, int]:
    client = studio.client
    return {
        "samples": len(client.get("/api/devices/a/history", HistoryOut, seconds=600).points),
        "readings": len(client.get("/api/devices/a/meter-readings", list[MeterReadingOut])),
        "profiles": len(client.get("/api/profiles", list[ProfileSummaryOut])),
        "links": len(client.get("/api/links", LinksOut).links),
    }


def test_a_device_of_the_same_name_has_no_past(studio: RunningStudio) -> None:
    client = studio.client
    add(studio)
    nothing = known(studio)
    assert set(nothing.values()) == {0}
    client.post("/api/devices/a/meter-readings", MeterReadingOut, MeterReadingIn(energy_j=1000))
    model = client.post("/api/examples/digits", ModelSummaryOut)
    done(studio, client.post("/api/links", JobOut, LinksIn(devices=["a"], seconds=0.2)))
    done(studio, client.post("/api/devices/a/profiles", JobOut, ProfileIn(model_id=model.id, threads=1)))
    assert wait_for(lambda: all(known(studio).values()), what="samples, readings, profiles and links")
    assert client.remove("/api/devices/a", RemovedOut).uninstalled
    assert client.get("/api/profiles", list[ProfileSummaryOut]) == []
    add(studio)
    assert known(studio) == nothing
