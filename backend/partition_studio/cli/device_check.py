"""What a check found, as a page for people; at most 100 columns wide."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from partition_studio.cli.output import bytes_text, console
from partition_studio.schemas import DeviceCheckOut, PowerSourceOut, ReasonOut

#: A terminal beside an editor is not wider.
WIDTH = 100

VERDICTS = {"ready": "ready", "limited": "ready with limits", "cannot": "cannot run the agent"}
_COLOURS = {"ready": "green", "limited": "yellow", "cannot": "red"}
_MARKS = {"cannot": "cannot", "limit": "limit", "note": "note"}

Row = tuple[str, str]

#: What was looked for in vain is said as well: silence would leave open whether anybody looked.
NONE_FOUND: Sequence[Row] = (("none found", ""),)
NONE_MISSING: Sequence[Row] = (("none missing", ""),)


def describe_check(name: str, address: str, check: DeviceCheckOut) -> None:
    """Print everything that a check found."""
    console.print(check_page(name, address, check), soft_wrap=False, width=min(WIDTH, console.width))


def check_page(name: str, address: str, check: DeviceCheckOut) -> Group:
    """Return the page: verdict, reasons, then one section after the other."""
    verdict = Text.assemble((name, "bold"), f"  {address}  ", (VERDICTS[check.verdict], _COLOURS[check.verdict]))
    verdict.append(f"\nchecked {_when(check.checked_at)}", style="dim")
    parts: list[Text | Table] = [verdict]
    if check.reasons:
        parts.append(_reasons(check.reasons))
    for title, rows in (
        ("System", list(_system(check))),
        ("Resources", list(_resources(check))),
        ("Runtime", list(_runtime(check))),
        ("CPU flags", [("missing", ", ".join(check.cpu_flags_missing))] if check.cpu_flags_missing else NONE_MISSING),
        ("Accelerators", [(entry.name, entry.detail) for entry in check.accelerators] or NONE_FOUND),
        ("ONNX Runtime's providers", [(p.name, f"{'yes' if p.works else 'no'}: {p.why}") for p in check.providers]),
        ("Power sources", [row for source in check.power_sources for row in _power(source)] or NONE_FOUND),
        ("Heat", list(_heat(check))),
        ("Network", list(_network(check))),
    ):
        if rows:
            parts += [Text(f"\n{title}", style="bold"), _rows(rows)]
    return Group(*parts)


def _rows(rows: Sequence[Row]) -> Table:
    drawn = Table.grid(padding=(0, 2, 0, 0))
    drawn.add_column(min_width=18, max_width=28, overflow="fold", style="dim")
    drawn.add_column(overflow="fold", ratio=1)
    for name, text in rows:
        drawn.add_row("  " + escape(name), escape(text))
    return drawn


def _reasons(reasons: Sequence[ReasonOut]) -> Table:
    drawn = Table.grid(padding=(0, 2, 0, 0))
    drawn.add_column(min_width=8, style="bold")
    drawn.add_column(overflow="fold", ratio=1)
    for reason in reasons:
        drawn.add_row("  " + _MARKS[reason.severity], escape(reason.text))
        if reason.next_step:
            drawn.add_row("", Text(reason.next_step, style="dim"))
    return drawn


def _system(check: DeviceCheckOut) -> Iterator[Row]:
    if check.model:
        yield "board", check.model
    yield "system", check.os
    if check.kernel:
        yield "kernel", check.kernel
    bits = f", {check.bits}-bit" if check.bits else ""
    yield "architecture", f"{check.architecture}{bits}"
    yield "C library", check.libc or "unknown"
    if check.clock_offset_s is not None:
        yield "clock", f"{check.clock_offset_s:+.3f} s from the studio's (± {check.clock_uncertainty_s or 0:.3f} s)"


def _resources(check: DeviceCheckOut) -> Iterator[Row]:
    why = [f"{check.affinity_cores} by affinity"] if check.affinity_cores is not None else []
    if check.quota_cores is not None:
        why.append(f"{check.quota_cores:g} by quota")
    elif not check.limits_known:
        why.append("quota not known")
    yield "usable cores", f"{check.usable_cores:g}" + (f" ({', '.join(why)})" if why else "")
    limits = [f"{bytes_text(check.memory_physical_bytes)} in the machine"] if check.memory_physical_bytes else []
    if check.memory_cgroup_bytes is not None:
        limits.append(f"{bytes_text(check.memory_cgroup_bytes)} by its control group")
    elif not check.limits_known:
        limits.append("its control group's limit not known")
    if check.memory_available_bytes is not None:
        limits.append(f"{bytes_text(check.memory_available_bytes)} free now")
    yield "usable memory", bytes_text(check.memory_bytes) + (f" ({', '.join(limits)})" if limits else "")
    yield "disk", f"{bytes_text(check.disk_free_bytes)} free where the agent goes"


def _runtime(check: DeviceCheckOut) -> Iterator[Row]:
    for python in check.pythons:
        chosen = check.python is not None and python.path == check.python.path
        said = "used" if chosen else "usable" if python.usable else f"not usable: {python.why}"
        yield f"Python {python.version}".strip(), f"{python.path} ({said})"
    if not check.pythons:
        yield "Python", "none found"
    yield "ONNX Runtime", check.onnxruntime or "none"
    yield "starts by", "a systemd user service" if check.starts_by == "systemd" else "itself, detached"
    yield "after a reboot", f"{'yes' if check.restarts_after_reboot else 'no'}: {check.restart_note}"


def _power(source: PowerSourceOut) -> Iterator[Row]:
    usable = "usable" if source.usable else "not usable"
    yield source.source, f"{source.scope}, {source.method}, {usable}" + (f": {source.detail}" if source.detail else "")
    if source.admin_step is not None:
        yield "  to open it", source.admin_step.command
        yield "  what that exposes", source.admin_step.exposes


def _heat(check: DeviceCheckOut) -> Iterator[Row]:
    thermal = check.thermal
    if thermal is None:
        return
    if thermal.temperature_c is not None:
        yield "temperature", f"{thermal.temperature_c:.1f} °C"
    if thermal.frequency_ratio is not None:
        yield "frequency now", f"{100 * thermal.frequency_ratio:.0f} % of the highest"
    yield "slowed down now", _names(thermal.throttled)
    yield "since it was on", _names(thermal.throttled_before)


def _network(check: DeviceCheckOut) -> Iterator[Row]:
    yield "addresses", ", ".join(check.addresses) or "none found"
    if check.has_sftp is not None:
        yield "SFTP", "yes" if check.has_sftp else "no; files go through a shell channel"


def _names(names: Sequence[str]) -> str:
    return ", ".join(name.replace("_", " ") for name in names) or "no"


def _when(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
