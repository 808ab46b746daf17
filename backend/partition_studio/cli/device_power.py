"""`partition-studio device power`, `calibrate`, `meter`, `history`: how a device's power is known, and what it was."""

import re
from typing import Annotated
from urllib.parse import unquote

import typer
from rich.markup import escape

from partition_studio.cli.client import StudioClient
from partition_studio.cli.jobs import run_job
from partition_studio.cli.options import DataDirOption, UrlOption, open_client
from partition_studio.cli.output import JsonOption, bytes_text, complaints, print_json, say, table
from partition_studio.errors import BadInputError, NotFoundError
from partition_studio.schemas import (
    CalibrationIn,
    DeviceLiveOut,
    DeviceOut,
    EnergyOut,
    HistoryOut,
    JobOut,
    LiveSnapshotOut,
    MeterIn,
    MeterReadingIn,
    MeterReadingOut,
    PowerOut,
    PowerSettingsIn,
    PowerSettingsOut,
)

#: Levels of a calibration in percent.
LEVELS = (0, 25, 50, 75, 100)

JOULES = {"j": 1.0, "wh": 3600.0, "kwh": 3.6e6}

NameArgument = Annotated[str, typer.Argument(help="The device's name.")]


def energy_text(energy: EnergyOut) -> str:
    """Return energy with where it comes from: per frame where that is known, else of the whole window."""
    if energy.gross_per_frame_j is None:
        text = f"{energy.gross_j:.2f} J in {energy.window_s:.1f} s"
    else:
        text = f"{energy.gross_per_frame_j:.4g} J/frame"
        if energy.net_per_frame_j is not None:
            text += f", {energy.net_per_frame_j:.4g} J/frame above idle ({energy.idle_w:.2f} W)"
        text += f" over {energy.frames} frames in {energy.window_s:.1f} s"
    return f"{text}; {_provenance(energy)}"


def _provenance(figure: EnergyOut | PowerOut) -> str:
    text = f"{figure.source}, {figure.scope}, {'estimated' if figure.method == 'estimated' else figure.method}"
    if figure.uncertainty is not None:
        text += f", ±{figure.uncertainty:.0%}"
    return text if figure.coverage >= 0.995 else f"{text}, of {figure.coverage:.0%} of the time"


def power(
    name: NameArgument,
    meter: Annotated[
        str | None, typer.Option(help="Its plug: shelly://[user@]host[:port] or tasmota://...; `none` forgets it.")
    ] = None,
    shunt: Annotated[float | None, typer.Option(help="Shunt of its INA219 or INA226, in ohm.")] = None,
    idle_watts: Annotated[float | None, typer.Option(help="Power when idle, for estimates.")] = None,
    busy_watts: Annotated[float | None, typer.Option(help="Power when busy, for estimates.")] = None,
    forget_calibration: Annotated[bool, typer.Option("--forget-calibration", help="Forget the fitted model.")] = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how a device's power is known, or set it; what is not given stays."""
    client = open_client(url, data_dir)
    device = _device(client, name)
    settings = device.power
    if meter is not None or shunt is not None or idle_watts is not None or busy_watts is not None or forget_calibration:
        request = _changed(settings, meter, shunt, idle_watts, busy_watts, forget=forget_calibration)
        settings = client.put(f"/api/devices/{name}/power", PowerSettingsOut, request)
    if as_json:
        print_json(settings)
        return
    _describe(device, settings)
    live = next((x for x in client.get("/api/live", LiveSnapshotOut).devices if x.device == name), None)
    if live is not None:
        _describe_live(live)


def _device(client: StudioClient, name: str) -> DeviceOut:
    for device in client.get("/api/devices", list[DeviceOut]):
        if device.name == name:
            return device
    raise NotFoundError(f"There is no device {name!r}", next_step="List them with `partition-studio device list`.")


def _changed(
    now: PowerSettingsOut,
    meter: str | None,
    shunt: float | None,
    idle_watts: float | None,
    busy_watts: float | None,
    *,
    forget: bool,
) -> PowerSettingsIn:
    kept = None
    if meter is None and now.meter is not None:
        kept = MeterIn(kind=now.meter.kind, host=now.meter.host, port=now.meter.port, user=now.meter.user)
    model = now.model
    if model is not None and model.source == "declared" and idle_watts is None and busy_watts is None and not forget:
        idle_watts, busy_watts = model.idle_w, model.busy_w
    return PowerSettingsIn(
        meter=kept if meter is None else _meter(meter),
        shunt_ohm=now.shunt_ohm if shunt is None else shunt,
        idle_power_w=idle_watts,
        busy_power_w=busy_watts,
        keep_calibration=not forget,
    )


def _meter(text: str) -> MeterIn | None:
    """Return a plug as typed; its password is asked for, so that it stands in no list of processes."""
    if text == "none":
        return None
    match = re.fullmatch(r"(shelly|tasmota)://(?:([^@/:]*)@)?(\[[^\]]*\]|[^:/@]+)(?::(\d{1,5}))?/?", text)
    if match is None:
        raise BadInputError(
            f"{text[:80]!r} is no meter", next_step="Give shelly://host or tasmota://host, with user@ where it has one."
        )
    user = unquote(match[2] or "")
    password = typer.prompt(f"password of {user} at {match[3]}", hide_input=True, default="") if user else None
    return MeterIn(
        kind="shelly" if match[1] == "shelly" else "tasmota",
        host=match[3].strip("[]"),
        port=int(match[4] or 80),
        user=user,
        password=password,
    )


def _describe(device: DeviceOut, settings: PowerSettingsOut) -> None:
    for source in device.check.power_sources if device.check is not None else []:
        state = "used where nothing wider is" if source.usable else "cannot be used"
        say(f"{source.source} ({source.scope}, {source.method}): {state}; {source.detail}")
        if source.admin_step is not None:
            say(f"  an administrator may run: {source.admin_step.command}\n  which {source.admin_step.exposes}")
    if settings.meter is not None:
        meter = settings.meter
        say(f"meter: {meter.kind} at {meter.host}:{meter.port}{f', user {meter.user}' if meter.user else ''} (wall)")
    if settings.shunt_ohm is not None:
        say(f"shunt: {settings.shunt_ohm:g} ohm")
    model = settings.model
    if model is None:
        say("no model: without a meter or sensor, power is absent")
        return
    band = "" if model.residual_w is None else f" ±{model.residual_w:.2f} W"
    say(f"model ({model.source}, estimated): {model.idle_w:.2f} W idle to {model.busy_w:.2f} W busy{band}")
    for point in model.points:
        say(f"  {point.level:4.0%}  utilisation {point.utilisation:4.0%}  {point.power_w:.2f} W  {point.source}")


def _describe_live(live: DeviceLiveOut) -> None:
    for figure in [live.power, *live.other_power]:
        if figure is not None and figure.power_w is not None:
            say(f"now: {figure.power_w:.2f} W; {_provenance(figure)}")
    if live.energy is not None:
        say(f"last seconds: {energy_text(live.energy)}")


def calibrate(
    name: NameArgument,
    seconds: Annotated[float, typer.Option(help="How long each level is kept.", min=2, max=120)] = 20.0,
    watts: Annotated[
        str | None, typer.Option(help="Watts that you read, by level in percent: 0=2.7,25=3.9,...; nothing is run.")
    ] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Keep each level, and ask for the watts that you read.")] = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a device's power model: idle, 25, 50, 75, 100 % of its cores, watts from its meter or from you."""
    client = open_client(url, data_dir)
    if watts is not None and ask:
        raise BadInputError("Watts are typed once", next_step="Give --watts or --ask, not both.")
    if ask:
        request = CalibrationIn(typed_w=_asked(client, name, seconds, quiet=as_json))
    elif watts is not None:
        request = CalibrationIn(typed_w=_typed(watts))
    else:
        request = CalibrationIn(levels=[level / 100 for level in LEVELS], seconds=seconds)
    _run(client, name, request, quiet=as_json)
    settings = _device(client, name).power
    if as_json:
        print_json(settings)
    elif settings.model is not None:
        model = settings.model
        say(f"{name}: {model.idle_w:.2f} W idle to {model.busy_w:.2f} W busy, ±{model.residual_w or 0:.2f} W")
        for point in model.points:
            say(f"  {point.level:4.0%}  utilisation {point.utilisation:4.0%}  {point.power_w:.2f} W  {point.source}")


def _typed(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%?\s*=\s*(\d+(?:\.\d+)?)\s*[Ww]?\s*", part)
        if match is None:
            raise BadInputError(
                f"{part[:40]!r} is no level with watts", next_step="Write 0=2.7,25=3.9,50=4.8 and so on."
            )
        found[str(float(match[1]) / 100)] = float(match[2])
    return found


def _asked(client: StudioClient, name: str, seconds: float, *, quiet: bool) -> dict[str, float]:
    found: dict[str, float] = {}
    for level in LEVELS:
        complaints.print(f"{name} is kept at {level} % for {seconds:g} s: read its meter")
        _run(client, name, CalibrationIn(seconds=seconds, hold_level=level / 100), quiet=quiet)
        found[str(level / 100)] = typer.prompt(f"watts at {level} %", type=float, err=True)
    return found


def _run(client: StudioClient, name: str, request: CalibrationIn, *, quiet: bool) -> None:
    """Run a calibration job to its end; Ctrl+C cancels it, and the load with it."""
    job = run_job(client, lambda: client.post(f"/api/devices/{name}/calibration", JobOut, request), quiet=quiet)
    for warning in job.warnings:
        complaints.print(escape(warning), style="yellow")


def meter(
    name: NameArgument,
    reading: Annotated[
        str | None, typer.Argument(help="What the meter's counter shows: 1.234kWh, 812Wh or 4000J; else list them.")
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="The meter was set back or changed.")] = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """File a reading of a meter without a network, and tell the energy since the one before; or list the readings."""
    client = open_client(url, data_dir)
    path = f"/api/devices/{name}/meter-readings"
    if reading is None:
        readings = client.get(path, list[MeterReadingOut])
        if as_json:
            print_json(readings)
        else:
            _list_readings(readings)
        return
    filed = client.post(path, MeterReadingOut, MeterReadingIn(energy_j=_joules(reading), reset=reset))
    if as_json:
        print_json(filed)
    else:
        say(_reading_text(filed))


def _joules(text: str) -> float:
    match = re.fullmatch(r"\s*(\d+(?:[.,]\d+)?)\s*(kwh|wh|j)\s*", text.lower())
    if match is None:
        raise BadInputError(f"{text[:40]!r} is no meter reading", next_step="Write 1.234kWh, 812Wh or 4000J.")
    return float(match[1].replace(",", ".")) * JOULES[match[2]]


def _reading_text(reading: MeterReadingOut) -> str:
    if reading.since_energy_j is None or reading.since_s is None or reading.mean_power_w is None:
        return f"{reading.energy_j / 3600:g} Wh; the next reading tells the energy from here on"
    text = f"{reading.since_energy_j:g} J in {reading.since_s:.0f} s, {reading.mean_power_w:.2f} W"
    if reading.energy_per_frame_j is not None:
        text += f"; {reading.frames} frames, {reading.energy_per_frame_j:.4g} J/frame"
    return f"{text} (typed, wall)"


def _list_readings(readings: list[MeterReadingOut]) -> None:
    table(
        ("read at", "Wh", "since the one before"),
        (
            (f"{reading.read_at:%Y-%m-%d %H:%M:%S}", f"{reading.energy_j / 3600:g}", _reading_text(reading))
            for reading in readings
        ),
        right=("Wh",),
    )


def history(
    name: NameArgument,
    seconds: Annotated[float, typer.Option(help="How far back.", min=1, max=7 * 86400)] = 600.0,
    points: Annotated[int, typer.Option(help="Lines at most.", min=2, max=2000)] = 60,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a device did: frames, utilisation, memory, power, heat; a gap is a line without figures."""
    found = open_client(url, data_dir).get(f"/api/devices/{name}/history", HistoryOut, seconds=seconds, points=points)
    if as_json:
        print_json(found)
        return
    table(
        ("at (UTC)", "frames/s", "CPU", "memory", "W", "°C", ""),
        (
            (
                f"{point.at:%H:%M:%S}" if seconds <= 86400 else f"{point.at:%m-%d %H:%M}",
                _text(point.frames_per_s, ".1f"),
                _text(point.cpu_utilisation, ".0%"),
                bytes_text(point.memory_bytes),
                _text(point.power_w, ".2f"),
                _text(point.temperature_c, ".0f"),
                "throttled" if point.throttled else "",
            )
            for point in found.points
        ),
        right=("frames/s", "CPU", "memory", "W", "°C"),
    )
    if found.power_source is not None:
        say(f"power: {found.power_source}, {found.power_scope}, {found.power_method}")
    if found.missing_samples:
        say(f"{found.missing_samples} samples are lost")


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
