"""`partition-studio device` and `logs`: the boards."""

import getpass
import re
import sys
from typing import Annotated

import typer

from partition_studio.cli import device_power, device_profile
from partition_studio.cli.client import StudioClient
from partition_studio.cli.options import DataDirOption, UrlOption, open_client
from partition_studio.cli.output import JsonOption, bytes_text, print_json, say, table
from partition_studio.errors import BadInputError, StudioError
from partition_studio.schemas import DeviceIn, DeviceOut, LogOut

app = typer.Typer(help="Devices: add, list, check, remove.", no_args_is_help=True)

app.command("profile")(device_profile.profile)
app.command("profiles")(device_profile.profiles)
app.command("power")(device_power.power)
app.command("calibrate")(device_power.calibrate)
app.command("meter")(device_power.meter)
app.command("history")(device_power.history)

NameArgument = Annotated[str, typer.Argument(help="The device's name.")]


def _cores(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise BadInputError(f"{text!r} is no list of cores", next_step="Give core numbers such as 0,1.") from None


def _size(text: str | None) -> int | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)([KMG]?)", text.strip().upper())
    if match is None:
        raise BadInputError(f"{text!r} is no size", next_step="Give bytes, or a number with K, M or G.")
    return int(match[1]) * {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}[match[2]]


@app.command("add")
def add(
    name: NameArgument,
    address: Annotated[str, typer.Argument(help="ssh://user@host[:port], or local: for this machine.")],
    key: Annotated[str | None, typer.Option(help="Private key file on the studio's machine.")] = None,
    password: Annotated[bool, typer.Option("--password", help="Ask for a password (kept in memory only).")] = False,
    trust: Annotated[
        str | None, typer.Option(help="Accept this host key fingerprint (SHA256:...) without asking.")
    ] = None,
    cpus: Annotated[str | None, typer.Option(help="Cores that the agent may use, such as 0,1.")] = None,
    memory: Annotated[
        str | None, typer.Option(help="Memory that may be used, such as 512M, where the device cannot tell.")
    ] = None,
    idle_watts: Annotated[float | None, typer.Option(help="Declared power when idle, for estimates.")] = None,
    busy_watts: Annotated[float | None, typer.Option(help="Declared power when busy, for estimates.")] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a device: connect, compare its host key, check it."""
    client = open_client(url, data_dir)
    request = DeviceIn(
        name=name,
        address=address,
        key_file=key,
        password=getpass.getpass(f"password for {address}: ") if password else None,
        trusted_fingerprint=trust,
        cpus=_cores(cpus),
        memory_bytes=_size(memory),
        idle_power_w=idle_watts,
        busy_power_w=busy_watts,
    )
    try:
        device = client.post("/api/devices", DeviceOut, request)
    except StudioError as error:
        if error.code != "unknown_host_key" or not sys.stdin.isatty() or as_json:
            raise
        device = _ask_and_add(client, request, error)
    if as_json:
        print_json(device)
    else:
        _describe(device)


def _ask_and_add(client: StudioClient, request: DeviceIn, error: StudioError) -> DeviceOut:
    fingerprint = str(error.details.get("fingerprint", ""))
    say(error.message)
    say(f"Its host key's fingerprint is {fingerprint}")
    if not typer.confirm("Is this the device's own fingerprint?"):
        raise error
    return client.post("/api/devices", DeviceOut, request.model_copy(update={"trusted_fingerprint": fingerprint}))


def _describe(device: DeviceOut) -> None:
    say(f"{device.name}  {device.address}  {device.state}")
    check = device.check
    if check is not None:
        board = f"{check.model}, " if check.model else ""
        python = check.python.version if check.python else "none that will do"
        say(f"  {board}{check.os}, {check.architecture}, {check.libc or 'unknown libc'}, Python {python}")
        say(
            f"  {check.usable_cores:g} usable cores, {bytes_text(check.memory_bytes)} usable memory, "
            f"{bytes_text(check.disk_free_bytes)} free on disk"
        )
    if device.problem is not None:
        say(f"  {device.problem.message}\n  {device.problem.next_step}")


@app.command("list")
def list_devices(url: UrlOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """List the devices."""
    devices = open_client(url, data_dir).get("/api/devices", list[DeviceOut])
    if as_json:
        print_json(devices)
        return
    table(
        ("name", "address", "state", "cores", "memory", "deployment"),
        (
            (
                device.name,
                device.address,
                device.state,
                f"{device.check.usable_cores:g}" if device.check else "-",
                bytes_text(device.check.memory_bytes) if device.check else "-",
                device.deployment_id or "-",
            )
            for device in devices
        ),
        right=("cores", "memory"),
    )


@app.command("check")
def check(
    name: NameArgument, url: UrlOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """Look at a device anew: system, Python, usable cores and memory; exit code 1 when it cannot run the agent."""
    device = open_client(url, data_dir).post(f"/api/devices/{name}/check", DeviceOut)
    if as_json:
        print_json(device)
    else:
        _describe(device)
    if device.state not in ("ready", "limited"):
        raise typer.Exit(1)


@app.command("remove")
def remove(
    name: NameArgument, url: UrlOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """Remove a device, and everything of ours on it."""
    open_client(url, data_dir).delete(f"/api/devices/{name}")
    if as_json:
        print_json({"removed": name})
    else:
        say(f"removed {name}")


def logs(
    name: NameArgument,
    lines: Annotated[int, typer.Option(help="How many of the last lines.", min=1, max=5000)] = 200,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the last lines of a device's agent log."""
    log = open_client(url, data_dir).get(f"/api/devices/{name}/log", LogOut, lines=lines)
    if as_json:
        print_json(log)
    else:
        for line in log.lines:
            say(line)
