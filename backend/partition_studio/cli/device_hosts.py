"""Registering devices from the command line: the question about each host key, and whole inventories."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

import typer
from rich.markup import escape

from partition_studio.cli.client import StudioClient
from partition_studio.cli.device_check import VERDICTS, describe_check
from partition_studio.cli.output import complaints, print_json, say, table
from partition_studio.errors import BadInputError, StudioError
from partition_studio.schemas import (
    CheckIn,
    DeviceIn,
    DeviceOut,
    InventoryEntryOut,
    InventoryIn,
    InventoryOut,
    ProblemOut,
)

STATES = {
    "unknown": "not checked",
    "ready": "ready",
    "limited": "ready with limits",
    "cannot": "cannot",
    "unreachable": "unreachable",
}

#: Jump hosts and the device: as many questions as one device may ask.
_MAX_QUESTIONS = 10
_MAX_FILE_BYTES = 1_000_000


def device_path(name: str, *rest: str) -> str:
    """Return the API's path of a device; a name is one part of it, whatever it is made of."""
    return "/".join(("/api/devices", quote(name, safe=""), *rest))


def may_ask(as_json: bool) -> bool:
    """Return whether somebody sits there who can be asked."""
    return sys.stdin.isatty() and not as_json


def add_device(client: StudioClient, request: DeviceIn, trusted: Sequence[str], *, may_ask: bool) -> DeviceOut:
    """Register a device, asking about each host key on the way that is not known."""

    def send(fingerprint: str | None) -> DeviceOut:
        return client.post("/api/devices", DeviceOut, request.model_copy(update={"trusted_fingerprint": fingerprint}))

    return with_confirmed_keys(send, trusted, may_ask=may_ask)


def check_device(client: StudioClient, name: str, trusted: Sequence[str], *, may_ask: bool) -> DeviceOut:
    """Check a device, asking about each host key on the way that is not known."""
    seen: list[DeviceOut] = []

    def send(fingerprint: str | None) -> DeviceOut:
        device = client.post(device_path(name, "check"), DeviceOut, CheckIn(trusted_fingerprint=fingerprint))
        seen.append(device)
        problem = device.problem
        if problem is not None and problem.code == "unknown_host_key":
            error = StudioError(problem.message, next_step=problem.next_step, **problem.details)
            error.code = problem.code
            raise error
        return device

    try:
        return with_confirmed_keys(send, trusted, may_ask=may_ask)
    except StudioError:
        # What is wrong with a registered device is shown with it, unless it could not even be asked.
        if not seen:
            raise
        return seen[-1]


def with_confirmed_keys(send: Callable[[str | None], DeviceOut], trusted: Sequence[str], *, may_ask: bool) -> DeviceOut:
    """Answer each question about a host key, for that host alone; each fingerprint of `trusted` answers one."""
    left = list(trusted)
    confirmed: str | None = None
    for _ in range(_MAX_QUESTIONS):
        try:
            return send(confirmed)
        except StudioError as error:
            if error.code != "unknown_host_key":
                raise
            shown, address = str(error.details.get("fingerprint", "")), str(error.details.get("address", ""))
            if shown in left:
                left.remove(shown)
            elif left and not error.details.get("jump_host"):
                # The studio says that the device shows another key than the one given.
                shown = left.pop(0)
            elif not may_ask:
                raise
            else:
                say(error.message)
                say(f"The fingerprint of {address or 'its host key'} is {shown}")
                if not typer.confirm("Is this the host's own fingerprint?"):
                    raise
            confirmed = f"{address}={shown}"
    return send(confirmed)


def describe(device: DeviceOut) -> None:
    """Print what is known of a device, its verdict first; of one that cannot be reached, why."""
    if device.state == "unreachable":
        _describe_unreachable(device)
        return
    if device.check is not None:
        describe_check(device.name, device.address, device.check)
    else:
        say(f"{device.name}  {device.address}  {STATES[device.state]}")
    if device.reached_as:
        say(f"  reached as {device.reached_as}")
    if device.problem is not None and device.check is None:
        say(f"  {device.problem.message}\n  {device.problem.next_step}")


def _describe_unreachable(device: DeviceOut) -> None:
    """Say on standard error why a device cannot be used now; what an earlier check found is but mentioned."""
    problem = device.problem
    why = "it was not reached" if problem is None else problem.message
    complaints.print(f"[bold red]{escape(device.name)} is unreachable:[/] {escape(why)}")
    if problem is not None and problem.next_step:
        complaints.print(escape(problem.next_step), style="dim")
    if device.check is not None:
        when = device.check.checked_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        complaints.print(
            escape(f"As of {when} it was {VERDICTS[device.check.verdict]} (--json tells more)."),
            style="dim",
        )


def import_file(client: StudioClient, file: str, yes: Sequence[str], *, as_json: bool) -> None:
    """Register what an inventory file holds; raises typer.Exit with 1 when something of it failed."""
    trusted = _trusted(yes)
    found = client.post("/api/devices/inventory", InventoryOut, InventoryIn(text=_read(file)))
    unknown = trusted.keys() - {entry.device.name for entry in found.entries if entry.device is not None}
    if unknown:
        raise BadInputError(f"The inventory has no {', '.join(sorted(unknown))}", next_step="Correct --yes.")
    results = [_import_one(client, entry, trusted, as_json) for entry in found.entries]
    if as_json:
        print_json({"devices": results, "ignored": found.ignored})
    else:
        table(
            ("name", "address", "result", "why"),
            ((str(r["name"]), str(r["address"]), str(r["result"]), _why(r["problem"])) for r in results),
        )
        for ignored in found.ignored:
            say(f"not followed: {ignored}")
    if not results or any(result["result"] == "failed" for result in results):
        raise typer.Exit(1)


def _import_one(
    client: StudioClient, entry: InventoryEntryOut, trusted: dict[str, list[str]], as_json: bool
) -> dict[str, object]:
    device = entry.device
    line: dict[str, object] = {"name": entry.name, "address": "-", "result": "failed", "problem": entry.problem}
    if device is None:
        return line
    line |= {"name": device.name, "address": device.address}
    if entry.registered:
        return line | {"result": "there already"}
    if not as_json:
        say(f"{device.name}: connecting to {device.address}")
    try:
        added = add_device(client, device, trusted.get(device.name, []), may_ask=may_ask(as_json))
    except StudioError as error:
        return line | {"problem": ProblemOut.of(error)}
    return line | {"result": STATES[added.state], "problem": added.problem}


def _why(problem: object) -> str:
    return f"{problem.message} {problem.next_step}" if isinstance(problem, ProblemOut) else ""


def _trusted(yes: Sequence[str]) -> dict[str, list[str]]:
    trusted: dict[str, list[str]] = {}
    for text in yes:
        name, separator, fingerprint = text.partition("=")
        if not separator or not fingerprint.startswith("SHA256:"):
            raise BadInputError(f"{text[:200]!r} is no NAME=SHA256:...", next_step="See `device import --help`.")
        trusted.setdefault(name, []).append(fingerprint)
    return trusted


def _read(file: str) -> str:
    try:
        if file == "-":
            data = sys.stdin.buffer.read(_MAX_FILE_BYTES + 1)
        else:
            with Path(file).open("rb") as stream:
                data = stream.read(_MAX_FILE_BYTES + 1)
        if len(data) > _MAX_FILE_BYTES:
            raise BadInputError(f"{file} is larger than {_MAX_FILE_BYTES} bytes", next_step="Import it in parts.")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise BadInputError(f"{file} cannot be read ({error.strerror})", next_step="Give another file.") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{file} is no text in UTF-8", next_step="Give an inventory file.") from error
