"""Power of a device from the command line."""

import pytest

from partition_studio.cli.device_power import _joules, _meter, _typed, energy_text
from partition_studio.errors import BadInputError
from partition_studio.schemas import DeviceIn, DeviceOut, EnergyOut, MeterIn
from tests.cli.conftest import Command
from tests.studio import RunningStudio

ENERGY = EnergyOut(
    gross_j=40,
    net_j=20,
    idle_w=2,
    gross_per_frame_j=0.4,
    net_per_frame_j=0.2,
    window_s=10,
    frames=100,
    source="shelly",
    scope="wall",
    method="counter",
    uncertainty=0.01,
    coverage=1,
)


def test_power_is_set_shown_calibrated_and_forgotten(studio: RunningStudio, command: Command) -> None:
    studio.client.post("/api/devices", DeviceOut, DeviceIn(name="a", address="local:"))
    words = ("--idle-watts", "2", "--busy-watts", "6", "--meter", "shelly://127.0.0.1:1", "--json")
    document = command("device", "power", "a", *words).document
    assert (document["model"]["source"], document["model"]["busy_w"]) == ("declared", 6)
    assert document["meter"] == {
        "kind": "shelly",
        "host": "127.0.0.1",
        "port": 1,
        "user": "",
        "has_password": document["meter"]["has_password"],
    }
    # What is not given stays.
    assert command("device", "power", "a", "--shunt", "0.1", "--json").document["model"] == document["model"]
    assert "2.00 W idle to 6.00 W busy" in command("device", "power", "a").out
    document = command("device", "calibrate", "a", "--watts", "0=3,50=4.1,100=5", "--json").document
    assert document["model"]["source"] == "calibrated"
    assert len(document["model"]["points"]) == 3
    assert (document["meter"]["host"], document["shunt_ohm"]) == ("127.0.0.1", 0.1)
    assert command("device", "power", "a", "--meter", "none", "--json").document["meter"] is None
    assert command("device", "power", "a", "--forget-calibration", "--json").document["model"] is None
    refused = command("device", "calibrate", "a", "--watts", "0=5,100=3", "--json")
    assert (refused.code, refused.error["code"]) == (2, "power_fit")
    assert command("device", "power", "x", "--json").code == 3


def test_meter_readings_and_history_are_told(studio: RunningStudio, command: Command) -> None:
    studio.client.post("/api/devices", DeviceOut, DeviceIn(name="a", address="local:"))
    assert command("device", "meter", "a", "1.234kWh", "--json").document["energy_j"] == pytest.approx(4_442_400)
    assert "36 J in" in command("device", "meter", "a", "1234.01Wh").out
    assert len(command("device", "meter", "a", "--json").document) == 2
    lower = command("device", "meter", "a", "1kWh", "--json")
    assert (lower.code, lower.error["code"]) == (2, "bad_meter_reading")
    assert command("device", "meter", "a", "1kWh", "--reset", "--json").document["since_energy_j"] is None
    history = command("device", "history", "a", "--seconds", "60", "--json").document
    assert (history["points"], history["power_source"], history["missing_samples"]) == ([], None, 0)
    assert command("device", "history", "a").code == 0


@pytest.mark.parametrize(
    ("text", "meter"),
    [
        ("shelly://plug", MeterIn(kind="shelly", host="plug")),
        ("tasmota://192.168.1.7:8080/", MeterIn(kind="tasmota", host="192.168.1.7", port=8080)),
        ("shelly://[fd00::7]:81", MeterIn(kind="shelly", host="fd00::7", port=81)),
        ("none", None),
    ],
)
def test_a_plug_is_read_as_typed(text: str, meter: MeterIn | None) -> None:
    assert _meter(text) == meter


@pytest.mark.parametrize(
    "text", ["plug", "http://plug", "shelly://", "shelly://a@b@c", "shelly://plug/x", "kasa://plug"]
)
def test_what_is_no_plug_is_refused(text: str) -> None:
    with pytest.raises(BadInputError):
        _meter(text)


def test_levels_and_readings_are_read_as_people_write_them() -> None:
    assert _typed("0=2.7, 25% = 3.9W,100=6") == {"0.0": 2.7, "0.25": 3.9, "1.0": 6}
    assert (_joules("1,5 kWh"), _joules("2Wh"), _joules("4000J")) == (5.4e6, 7200, 4000)
    for text in ("", "0", "0=", "0=-1", "a=1"):
        with pytest.raises(BadInputError):
            _typed(text)
    for text in ("", "1", "1 W", "-1J", "1e3J"):
        with pytest.raises(BadInputError):
            _joules(text)


def test_energy_is_told_gross_and_net_with_its_provenance() -> None:
    text = energy_text(ENERGY)
    assert text == (
        "0.4 J/frame, 0.2 J/frame above idle (2.00 W) over 100 frames in 10.0 s; shelly, wall, counter, ±1%"
    )
    unknown = ENERGY.model_copy(
        update={"gross_per_frame_j": None, "net_per_frame_j": None, "coverage": 0.5, "method": "estimated"}
    )
    assert energy_text(unknown) == "40.00 J in 10.0 s; shelly, wall, estimated, ±1%, of 50% of the time"
