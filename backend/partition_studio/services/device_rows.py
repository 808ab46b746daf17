"""What is read from and written to a device's row: requests, settings, the last check."""

import os
import secrets
from pathlib import Path

from partition_studio.errors import BadInputError
from partition_studio.fleet.address import LocalAddress, parse_address
from partition_studio.fleet.check.facts import DeviceCheck
from partition_studio.fleet.errors import PasswordNeededError
from partition_studio.fleet.passwords import Kept
from partition_studio.schemas import (
    DeviceCheckOut,
    DeviceIn,
    MeterOut,
    PowerModelOut,
    PowerSettingsOut,
    ProblemOut,
)
from partition_studio.services.check_out import check_out
from partition_studio.settings import DataDir
from partition_studio.store.tables import DeviceRow, Json


def studio_id(data_dir: DataDir) -> str:
    """Return the name by which agents know this studio: random, and kept as long as its folder."""
    file = data_dir.path / "studio-id"
    try:
        known = file.read_text().strip()
    except FileNotFoundError:
        known = ""
    if not known:
        known = secrets.token_hex(16)
        file.write_text(known + "\n")
        file.chmod(0o600)
    return known


def kept_login(row: DeviceRow) -> Kept:
    """Return where a device's password is kept."""
    return "memory" if row.login == "memory" else "keyring" if row.login == "keyring" else "no"


def password_lost(device: str) -> PasswordNeededError:
    """Return what is said of a device whose password ended with an earlier studio."""
    return PasswordNeededError(f"{device} was registered with a password, which is not known any more", device=device)


def key_path(text: str) -> Path:
    """Return the path of a key file. Raises BadInputError."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise BadInputError(f"The key file {text[:200]!r} begins with an unknown user") from None


def check_request(request: DeviceIn) -> None:
    """Refuse figures and cores that cannot be. Raises BadInputError."""
    idle_w, busy_w = request.idle_power_w, request.busy_power_w
    if (idle_w is None) != (busy_w is None):
        raise BadInputError("Idle and busy power belong together", next_step="Give both, or neither.")
    if idle_w is not None and busy_w is not None and busy_w < idle_w:
        raise BadInputError(f"busy power ({busy_w} W) is below idle power ({idle_w} W)")
    if request.cpus is not None and (not request.cpus or min(request.cpus) < 0):
        raise BadInputError(f"{request.cpus} is no list of cores", next_step="Give core numbers such as 0,1.")
    if request.cpus is not None and parse_address(request.address) == LocalAddress():
        usable = os.sched_getaffinity(0)
        if not set(request.cpus) <= usable:
            raise BadInputError(f"This machine's usable cores are {sorted(usable)}, not {request.cpus}")


def declared_power(request: DeviceIn) -> Json:
    """Return the power settings of a device that is registered."""
    if request.idle_power_w is None or request.busy_power_w is None:
        return {}
    return {"model": {"idle_w": request.idle_power_w, "busy_w": request.busy_power_w, "source": "declared"}}


def power_out(power: Json, *, has_password: bool) -> PowerSettingsOut:
    """Tell the power settings as they are kept; `has_password` is of the meter."""
    meter, model = power.get("meter"), power.get("model")
    return PowerSettingsOut(
        meter=None if meter is None else MeterOut(**meter, has_password=has_password),
        shunt_ohm=power.get("shunt_ohm"),
        model=None
        if model is None
        else PowerModelOut.model_validate({"residual_w": None, "calibrated_at": None, **model}),
    )


def note_check(row: DeviceRow, check: DeviceCheck) -> None:
    """Put down what a check found."""
    row.state = check.verdict
    row.check = check_out(check, row.cpus, row.memory_bytes).model_dump(mode="json")
    row.problem = None
    against = [reason for reason in check.reasons if reason.severity == "cannot"]
    if against:
        row.problem = ProblemOut(
            code=against[0].code,
            message=f"{row.name} cannot run the agent: " + "; ".join(reason.text for reason in against),
            next_step=against[0].next_step or "Mend that on the device, then check it again.",
        ).model_dump(mode="json")


def check_now(row: DeviceRow) -> Json | None:
    """Return what the last check found, with its note on power as it is since then: by a meter, or by a model."""
    if row.check is None or not (row.power.get("meter") or row.power.get("model")):
        return row.check
    return {**row.check, "reasons": [told for reason in row.check["reasons"] if (told := _told_now(reason, row.power))]}


def _told_now(reason: Json, power: Json) -> Json | None:
    model = power.get("model")
    if reason["code"] != "no_sensor":
        return reason
    if power.get("meter") or model is None:
        return None
    text = (
        f"it has no power sensor that can be read: energy is an estimate by its {model['source']} model "
        f"({model['idle_w']:.2f} W idle to {model['busy_w']:.2f} W busy)"
    )
    return {**reason, "text": text, "next_step": ""}


def memory_of(row: DeviceRow) -> int | None:
    """Return the memory that the last check found usable."""
    if row.check is None:
        return None
    return DeviceCheckOut.model_validate(row.check).memory_bytes or None
