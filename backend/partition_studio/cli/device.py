"""`partition-studio device` and `logs`: the boards."""

import getpass
import re
from typing import Annotated

import typer

from partition_studio.cli import device_links, device_power, device_profile
from partition_studio.cli.device_hosts import (
    STATES,
    add_device,
    check_device,
    describe,
    device_path,
    import_file,
    may_ask,
)
from partition_studio.cli.options import DataDirOption, UrlOption, open_client
from partition_studio.cli.output import JsonOption, bytes_text, print_json, say, table
from partition_studio.errors import BadInputError
from partition_studio.schemas import (
    DeviceIn,
    DeviceOut,
    ForgetAddressIn,
    ForgetKeyIn,
    ForgottenKeyOut,
    LogOut,
    PasswordIn,
    RemovedOut,
)

app = typer.Typer(help="Devices: add, import, list, check, remove.", no_args_is_help=True)

app.command("profile")(device_profile.profile)
app.command("profiles")(device_profile.profiles)
app.command("links")(device_links.links)
app.command("power")(device_power.power)
app.command("calibrate")(device_power.calibrate)
app.command("meter")(device_power.meter)
app.command("history")(device_power.history)

TrustOption = Annotated[
    list[str] | None,
    typer.Option("--trust", help="Accept this host key fingerprint (SHA256:...) without asking; repeatable."),
]
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
    address: Annotated[
        str, typer.Argument(help="ssh://user@host[:port], ssh://ALIAS of ~/.ssh/config, or local: for this machine.")
    ],
    key: Annotated[str | None, typer.Option(help="Private key file on the studio's machine.")] = None,
    password: Annotated[bool, typer.Option("--password", help="Ask for a password (kept in memory only).")] = False,
    keep_password: Annotated[
        bool, typer.Option("--keep-password", help="Ask for a password, and keep it in the system's keyring.")
    ] = False,
    trust: TrustOption = None,
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
        password=getpass.getpass(f"password for {address}: ") if password or keep_password else None,
        keep_password=keep_password,
        cpus=_cores(cpus),
        memory_bytes=_size(memory),
        idle_power_w=idle_watts,
        busy_power_w=busy_watts,
    )
    device = add_device(client, request, trust or [], may_ask=may_ask(as_json))
    if as_json:
        print_json(device)
    else:
        describe(device)


@app.command("import")
def import_inventory(
    file: Annotated[str, typer.Argument(help="Ansible inventory (YAML or INI) or a plain list in YAML; - is stdin.")],
    yes: Annotated[
        list[str] | None,
        typer.Option("--yes", metavar="NAME=SHA256:...", help="Accept this fingerprint for this device; repeatable."),
    ] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register the devices of an inventory file, one after the other; exit code 1 when any failed."""
    import_file(open_client(url, data_dir), file, yes or [], as_json=as_json)


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
                STATES[device.state],
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
    name: NameArgument,
    trust: TrustOption = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at a device anew: system, Python, usable cores and memory; exit code 1 when it cannot run the agent."""
    client = open_client(url, data_dir)
    device = check_device(client, name, trust or [], may_ask=may_ask(as_json))
    _show(device, as_json)


@app.command("password")
def password(
    name: NameArgument,
    keep: Annotated[bool, typer.Option("--keep", help="Keep it in the system's keyring.")] = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a device's password again, as after a restart of the studio, and check the device with it."""
    client = open_client(url, data_dir)
    request = PasswordIn(password=getpass.getpass(f"password for {name}: "), keep=keep)
    _show(client.post(device_path(name, "password"), DeviceOut, request), as_json)


@app.command("forget-key")
def forget_key(
    name: Annotated[str, typer.Argument(help="The device's name, or an address: ssh://[user@]host[:port].")],
    jump_hosts: Annotated[bool, typer.Option("--jump-hosts", help="Forget those of its jump hosts as well.")] = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget the host key of a device or of an address; the next `device check` or `add` asks about the new one."""
    client = open_client(url, data_dir)
    is_address = "://" in name
    if is_address:
        if jump_hosts:
            raise BadInputError("An address alone names no jump hosts", next_step="Give each address, or the device.")
        forgotten = client.post("/api/host-keys/forget", ForgottenKeyOut, ForgetAddressIn(address=name))
    else:
        forgotten = client.post(device_path(name, "forget-key"), ForgottenKeyOut, ForgetKeyIn(jump_hosts=jump_hosts))
    if as_json:
        print_json(forgotten)
        return
    say(f"{name}: {forgotten.removed} key(s) forgotten")
    for known in forgotten.elsewhere:
        say(f"  {known.file}, line {known.line} still holds {known.fingerprint}: remove it there if it is the old one")
    say(f"See the new one with `partition-studio device {'add NAME' if is_address else 'check'} {name}`")


@app.command("remove")
def remove(
    name: NameArgument, url: UrlOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """Remove a device, and everything of ours on it."""
    removed = open_client(url, data_dir).remove(device_path(name), RemovedOut)
    if as_json:
        print_json({"removed": name, **removed.model_dump(mode="json", exclude={"name"})})
        return
    say(f"removed {name}")
    if removed.note:
        say(f"  {removed.note}")
    if removed.forgotten_keys:
        say("  the host key of its address is forgotten: a device that is added there is asked about anew")


def _show(device: DeviceOut, as_json: bool) -> None:
    if as_json:
        print_json(device)
    else:
        describe(device)
    if device.state not in ("ready", "limited"):
        raise typer.Exit(1)


def logs(
    name: NameArgument,
    lines: Annotated[int, typer.Option(help="How many of the last lines.", min=1, max=5000)] = 200,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the last lines of a device's agent log."""
    log = open_client(url, data_dir).get(device_path(name, "log"), LogOut, lines=lines)
    if as_json:
        print_json(log)
    else:
        for line in log.lines:
            say(line)
