"""How the power of a device is known: settings, calibration, meter readings."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest

from partition_studio.errors import StudioError
from partition_studio.schemas import (
    CalibrationIn,
    DeviceIn,
    DeviceOut,
    HistoryOut,
    JobOut,
    MeterIn,
    MeterReadingIn,
    MeterReadingOut,
    PowerSettingsIn,
    PowerSettingsOut,
)
from partition_studio.services.calibration import WHOLE_DEVICE
from tests.studio import RunningStudio, wait_for

TYPED = {"0": 2.0, "0.25": 3.1, "0.5": 3.9, "0.75": 5.0, "1": 6.0}


@pytest.fixture
def device(studio: RunningStudio) -> RunningStudio:
    studio.client.post("/api/devices", DeviceOut, DeviceIn(name="a", address="local:"))
    return studio


def power(studio: RunningStudio, **settings: object) -> PowerSettingsOut:
    return studio.client.put("/api/devices/a/power", PowerSettingsOut, PowerSettingsIn.model_validate(settings))


def calibrate(studio: RunningStudio, **request: object) -> JobOut:
    begun = studio.client.post("/api/devices/a/calibration", JobOut, CalibrationIn.model_validate(request))
    return ended(studio, begun)


def ended(studio: RunningStudio, job: JobOut) -> JobOut:
    def look() -> JobOut | None:
        now = studio.client.get(f"/api/jobs/{job.id}", JobOut)
        return now if now.ended_at is not None else None

    return wait_for(look, what="the job's end", deadline_s=120)


def kept(studio: RunningStudio) -> PowerSettingsOut:
    return studio.client.get("/api/devices", list[DeviceOut])[0].power


def burning() -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if "partition_agent.load.burn" in (p.info["cmdline"] or [])]


# --- settings --------------------------------------------------------------------------------------------------------


def test_settings_replace_what_was_set_before(device: RunningStudio) -> None:
    first = power(device, meter=MeterIn(kind="shelly", host="plug.lan"), shunt_ohm=0.1, idle_power_w=2, busy_power_w=6)
    assert first.meter is not None
    assert (first.meter.host, first.meter.port, first.shunt_ohm) == ("plug.lan", 80, 0.1)
    assert first.model is not None
    assert (first.model.idle_w, first.model.busy_w, first.model.source) == (2, 6, "declared")
    assert kept(device) == first
    assert power(device) == PowerSettingsOut(meter=None, shunt_ohm=None, model=None)


WRONG: list[dict[str, object]] = [
    {"idle_power_w": 2},
    {"busy_power_w": 2},
    {"idle_power_w": 5, "busy_power_w": 2},
    {"idle_power_w": 5, "busy_power_w": 1e9},
    {"meter": MeterIn(kind="shelly", host="169.254.169.254")},
    {"meter": MeterIn(kind="shelly", host="::ffff:169.254.169.254")},
    {"meter": MeterIn(kind="tasmota", host="224.0.0.1")},
    {"meter": MeterIn(kind="tasmota", host="0.0.0.0")},  # noqa: S104 - refused, not bound
    {"meter": MeterIn(kind="tasmota", host="2130706433")},
    {"meter": MeterIn(kind="tasmota", host="-oProxy")},
    {"meter": MeterIn(kind="tasmota", host="plug/../x")},
    {"meter": MeterIn(kind="tasmota", host="a@b")},
    {"meter": MeterIn(kind="tasmota", host="plug", user="a\nb")},
    {"meter": MeterIn(kind="tasmota", host="plug", user="a", password="x\r\ny")},
]


def test_settings_that_cannot_be_are_refused_and_nothing_is_kept(device: RunningStudio) -> None:
    for wrong in WRONG:
        with pytest.raises(StudioError) as caught:
            power(device, **wrong)
        assert caught.value.code == "bad_power_settings", wrong
    assert kept(device) == PowerSettingsOut(meter=None, shunt_ohm=None, model=None)


def test_the_meters_password_is_shown_and_written_nowhere(device: RunningStudio) -> None:
    plug = MeterIn(kind="shelly", host="plug.lan", user="admin", password="open-sesame-4711")
    shown = power(device, meter=plug)
    assert shown.meter is not None
    assert shown.meter.has_password
    assert "4711" not in shown.model_dump_json() + device.client.get_bytes("/api/devices").decode()
    written = b"".join(path.read_bytes() for path in device.data_dir.path.rglob("*") if path.is_file())
    assert b"open-sesame" not in written
    assert "4711" not in repr(plug)
    # What was meant for one plug is not told to another, and is not said to be known of it.
    other = power(device, meter=MeterIn(kind="shelly", host="other.lan", user="admin"))
    assert other.meter is not None
    assert not other.meter.has_password


# --- calibration -----------------------------------------------------------------------------------------------------


def test_typed_watts_become_a_model_with_its_band(device: RunningStudio) -> None:
    assert calibrate(device, typed_w=TYPED).state == "done"
    model = kept(device).model
    assert model is not None
    assert model.source == "calibrated"
    assert (model.idle_w, model.busy_w) == pytest.approx((2.02, 5.98))
    assert model.residual_w == pytest.approx(0.1, abs=0.02)
    assert [(p.level, p.power_w, p.source) for p in model.points] == [(float(u), w, "typed") for u, w in TYPED.items()]
    assert all(point.assumed for point in model.points)
    assert model.calibrated_at is not None
    (told,) = device.client.get("/api/devices", list[DeviceOut])
    assert told.check is not None
    assert not any("calibrate it" in reason.next_step for reason in told.check.reasons), "that was done"
    # It outlives other settings, until it is to be forgotten.
    assert power(device, shunt_ohm=0.1).model == model
    assert power(device, keep_calibration=False).model is None


NO_LINE: list[tuple[dict[str, object], str]] = [
    ({"typed_w": {"0": 2.0}}, "bad_calibration"),
    ({"typed_w": {"0": 2.0, "2": 5.0}}, "bad_calibration"),
    ({"typed_w": {"idle": 2.0, "1": 5.0}}, "bad_calibration"),
    ({"typed_w": {"0": 6.0, "1": 5.0}}, "power_fit"),
    ({"typed_w": {"0.5": 1.0, "1": 5.0}}, "power_fit"),
    ({"levels": [0.5]}, "bad_calibration"),
    ({"levels": [0, 7]}, "bad_calibration"),
]


def test_watts_or_levels_that_make_no_line_are_refused(device: RunningStudio) -> None:
    for request, code in NO_LINE:
        with pytest.raises(StudioError) as caught:
            calibrate(device, **request)
        assert caught.value.code == code, request
    assert kept(device).model is None


class Plug(BaseHTTPRequestHandler):
    """A Shelly plug by its documented answer: what is plugged in takes 3 W, and 7 W under load."""

    def do_GET(self) -> None:
        body = json.dumps({"id": 0, "output": True, "apower": 7.0 if burning() else 3.0}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be silent."""


@pytest.fixture
def plug() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Plug)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.alone
def test_a_calibration_fits_the_watts_that_the_devices_own_meter_tells(device: RunningStudio, plug: int) -> None:
    power(device, meter=MeterIn(kind="shelly", host="127.0.0.1", port=plug))
    for _ in range(3):
        job = calibrate(device, levels=[0, 1], seconds=4)
        if job.problem is None or job.problem.code != "power_fit":
            break
        # Something else kept the machine busy while it was to be idle.
    assert job.state == "done", job.problem
    model = kept(device).model
    assert model is not None
    assert [point.level for point in model.points] == [0, 1]
    assert {point.source for point in model.points} == {"shelly (wall)"}
    watts = [point.power_w for point in model.points]
    assert watts[0] == pytest.approx(3, abs=1)
    assert watts[1] == pytest.approx(7, abs=1)
    wait_for(lambda: not burning() or None, what="the end of the load")


def test_without_a_source_of_watts_it_is_said_what_to_do_and_cancelling_ends_a_load(device: RunningStudio) -> None:
    found = device.client.get("/api/devices", list[DeviceOut])[0].check
    assert found is not None
    if not any(source.usable and source.scope in WHOLE_DEVICE for source in found.power_sources):
        # A machine with a sensor of its own can be calibrated.
        with pytest.raises(StudioError) as refused:
            calibrate(device, levels=[0, 1], seconds=30)
        assert refused.value.code == "no_power_source"
        assert "--ask" in refused.value.next_step
        assert device.client.get("/api/jobs", list[JobOut]) == [], "it is refused before anything is run"
    assert kept(device).model is None
    request = CalibrationIn(hold_level=0.5, seconds=100)
    held = device.client.post("/api/devices/a/calibration", JobOut, request)
    wait_for(lambda: bool(burning()) or None, what="the load")
    with pytest.raises(StudioError) as caught:
        device.client.post("/api/devices/a/calibration", JobOut, request)
    assert caught.value.code == "job_busy"
    device.client.post(f"/api/jobs/{held.id}/cancel", JobOut)
    assert ended(device, held).state == "cancelled"
    wait_for(lambda: not burning() or None, what="the end of the load")


# --- meter readings --------------------------------------------------------------------------------------------------


def test_readings_tell_the_energy_since_the_one_before(device: RunningStudio) -> None:
    def read(energy_j: float, minutes: float, *, reset: bool = False) -> MeterReadingOut:
        at = datetime.now(UTC) - timedelta(hours=2) + timedelta(minutes=minutes)
        request = MeterReadingIn(energy_j=energy_j, read_at=at, reset=reset)
        return device.client.post("/api/devices/a/meter-readings", MeterReadingOut, request)

    assert device.client.get("/api/devices/a/meter-readings", list[MeterReadingOut]) == []
    first = read(7200, 0)
    assert (first.since_energy_j, first.mean_power_w, first.frames) == (None, None, None)
    second = read(7800, 10)
    assert second.since_energy_j == 600
    assert second.mean_power_w == pytest.approx(1, rel=1e-3)
    assert second.energy_per_frame_j is None
    for energy_j, minutes in ((7000, 20), (8000, 5), (8000, 500)):
        with pytest.raises(StudioError) as caught:
            read(energy_j, minutes)
        assert caught.value.code == "bad_meter_reading"
    assert read(10, 30, reset=True).since_energy_j is None
    assert read(16, 40).since_energy_j == 6
    listed = device.client.get("/api/devices/a/meter-readings", list[MeterReadingOut])
    assert [(r.energy_j, r.since_energy_j) for r in listed] == [(16, 6), (10, None), (7800, 600), (7200, None)]


# --- devices that are not there --------------------------------------------------------------------------------------


def test_power_of_a_device_that_is_not_there_is_not_found(studio: RunningStudio) -> None:
    for ask in (
        lambda: studio.client.put("/api/devices/x/power", PowerSettingsOut, PowerSettingsIn()),
        lambda: studio.client.post("/api/devices/x/calibration", JobOut, CalibrationIn()),
        lambda: studio.client.get("/api/devices/x/meter-readings", list[MeterReadingOut]),
        lambda: studio.client.post("/api/devices/x/meter-readings", MeterReadingOut, MeterReadingIn(energy_j=1)),
        lambda: studio.client.get("/api/devices/x/history", HistoryOut),
    ):
        with pytest.raises(StudioError) as caught:
            ask()
        assert caught.value.code == "device_not_found"
