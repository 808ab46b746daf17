"""`partition-studio device links`: what the links between devices carry."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from partition_agent.protocol import STUDIO_PEER
from partition_studio.cli.jobs import run_job
from partition_studio.cli.options import DataDirOption, UrlOption, open_client
from partition_studio.cli.output import JsonOption, print_json, say, table
from partition_studio.errors import NotFoundError
from partition_studio.schemas import DeviceOut, JobOut, LinkProfileOut, LinksIn, LinksOut

#: Beyond so many peers a matrix is too wide, and the directions are listed.
MATRIX_PEERS = 6

METHODS = {"measured": "measured", "background": "in the background", "traffic": "from traffic"}

Way = tuple[str, str]


def links(
    devices: Annotated[list[str] | None, typer.Argument(help="Devices (all when left out).", metavar="[A B C]")] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Measure every pair now, one after the other.")] = False,
    seconds: Annotated[float, typer.Option(help="How long each direction may take.", min=0.11, max=10)] = 1.0,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show bandwidth and round-trip time between every pair, and between each device and the studio."""
    client = open_client(url, data_dir)
    known = [device.name for device in client.get("/api/devices", list[DeviceOut])]
    names = list(dict.fromkeys(devices or known))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise NotFoundError(
            f"There is no device {unknown[0]!r}", next_step="List the devices with `partition-studio device list`."
        )
    warnings: list[str] = []
    if measure:
        request = LinksIn(devices=names, seconds=seconds)
        warnings = run_job(client, lambda: client.post("/api/links", JobOut, request), quiet=as_json).warnings
    found = _among(client.get("/api/links", LinksOut), [STUDIO_PEER, *names])
    if as_json:
        print_json(found)
        return
    _describe(found, [STUDIO_PEER, *names])
    for text in warnings:
        say(f"warning: {text}")


def _among(found: LinksOut, names: Sequence[str]) -> LinksOut:
    """Return what concerns these peers alone."""
    return found.model_copy(
        update={
            "links": [link for link in found.links if {link.source, link.target} <= set(names)],
            "failures": [out for out in found.failures if {out.source, out.target} <= set(names)],
        }
    )


def _describe(found: LinksOut, names: Sequence[str]) -> None:
    now = datetime.now(UTC)
    cells: dict[Way, list[str]] = {(link.source, link.target): link_text(link, now) for link in found.links}
    failed = {(out.source, out.target): out for out in found.failures}
    for way, out in failed.items():
        cells[way] = [*cells.get(way, []), f"failed {age_text(now, out.at)}"]
    if not cells:
        say("Nothing is known of these links yet: measure them with `partition-studio device links --measure`.")
        return
    if len(names) <= MATRIX_PEERS:
        table(
            ("from \\ to", *names),
            ((one, *("\n".join(cells.get((one, other), ["-"])) for other in names)) for one in names),
        )
    else:
        table(("from", "to", "link"), ((*way, ", ".join(text)) for way, text in sorted(cells.items())))
    told: set[str] = set()
    for way, out in failed.items():
        pair = " - ".join(sorted(way))
        if pair not in told:
            told.add(pair)
            say(f"{pair}: {out.reason}")
    if any(link.method == "traffic" for link in found.links):
        say("at least: so much was seen to pass; the link may carry more.")


def link_text(link: LinkProfileOut, now: datetime) -> list[str]:
    """Return one direction in lines: rate and round trip, then how and when that was found."""
    rate = rate_text(link.bytes_per_s)
    rate = f"at least {rate}" if link.method == "traffic" else rate
    trip = "" if link.rtt_s is None else f", {trip_text(link.rtt_s)}"
    return [f"{rate}{trip}", f"{METHODS[link.method]}, {age_text(now, link.measured_at)}"]


def rate_text(bytes_per_s: float) -> str:
    """Return a rate in Mbit/s, to three figures."""
    mbit = bytes_per_s * 8 / 1e6
    return f"{mbit:,.0f} Mbit/s" if mbit >= 100 else f"{mbit:.3g} Mbit/s"


def trip_text(seconds: float) -> str:
    """Return a round trip in milliseconds."""
    milliseconds = seconds * 1e3
    return f"{milliseconds:.3g} ms" if milliseconds < 1000 else f"{milliseconds:.0f} ms"


def age_text(now: datetime, then: datetime) -> str:
    """Return how long ago something was."""
    seconds = max((now - then).total_seconds(), 0.0)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
