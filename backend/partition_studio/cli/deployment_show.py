"""`partition-studio show`: one deployment, its stages, the ways of its frames, and what stands still."""

import time
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from partition_studio.cli.client import StudioClient
from partition_studio.cli.deployment import DeploymentArgument, find_deployment, run_text
from partition_studio.cli.options import DataDirOption, UrlOption, open_client
from partition_studio.cli.output import JsonOption, bytes_text, console, print_json
from partition_studio.errors import NotFoundError
from partition_studio.schemas import PLAINTEXT_NOTE, CutOut, DeploymentOut, DeviceLiveOut, LiveSnapshotOut

#: How often `--watch` asks; devices tell once a second.
WATCH_S = 1.0

#: A link that has not moved for as long is spoken of.
STALLED_S = 2.0


def show(
    deployment: DeploymentArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing it until Ctrl+C.")] = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a deployment: its stages, its links and their ways, and what the person should know of it."""
    client = open_client(url, data_dir)
    found = _find(client, deployment)
    if as_json:
        print_json(found)
        return
    if not watch:
        console.print(_drawn(found, _stalled(client, found)))
        return
    try:
        with Live(_drawn(found, _stalled(client, found)), console=console, auto_refresh=False) as live:
            while found.state in ("deploying", "running", "stopping"):
                time.sleep(WATCH_S)
                found = client.get(f"/api/deployments/{found.id}", DeploymentOut)
                live.update(_drawn(found, _stalled(client, found)), refresh=True)
    except KeyboardInterrupt:
        return


def _find(client: StudioClient, word: str) -> DeploymentOut:
    """Return an active deployment by any of its names, or else the newest of those that have ended."""
    try:
        return find_deployment(client, word)
    except NotFoundError as error:
        ended = newest_named(client.get("/api/deployments", list[DeploymentOut]), word)
        if ended is not None:
            return ended
        try:
            return client.get(f"/api/deployments/{word}", DeploymentOut)
        except NotFoundError:
            raise error from None


def newest_named(deployments: list[DeploymentOut], word: str) -> DeploymentOut | None:
    """Return the newest deployment of a model with this name or id, or the newest of all for `latest`."""
    named = (d for d in deployments if word in (d.model_id, d.model_name, "latest"))
    return max(named, key=lambda d: d.created_at, default=None)


def _stalled(client: StudioClient, deployment: DeploymentOut) -> list[str]:
    if deployment.state != "running":
        return []
    return stalled_sentences(deployment, client.get("/api/live", LiveSnapshotOut).devices)


def stalled_sentences(deployment: DeploymentOut, devices: list[DeviceLiveOut]) -> list[str]:
    """Say of each link that stands still, or is broken, from which device to which, each pair once."""
    longest: dict[tuple[str, str], float] = {}
    broken: dict[tuple[str, str], None] = {}
    ends = {f"{cut.producer}->{cut.consumer}": cut for cut in deployment.cuts}
    for device in devices:
        for link in device.links:
            if link.deployment != deployment.id:
                continue
            pair = _ends_of(link.link, ends, deployment)
            if link.stalled_s >= STALLED_S:
                longest[pair] = max(longest.get(pair, 0.0), link.stalled_s)
            if not link.connected:
                broken[pair] = None
    told = [f"{a} -> {b}: nothing has moved for {seconds:.0f} s" for (a, b), seconds in longest.items()]
    return told + [f"{a} -> {b}: not connected" for a, b in broken if (a, b) not in longest]


def _ends_of(link: str, cuts: dict[str, CutOut], deployment: DeploymentOut) -> tuple[str, str]:
    """Return the devices at the ends of a link; of a replica (`stage@device`) its own."""
    cut = cuts.get(link)
    if cut is not None:
        return cut.producer_device, cut.consumer_device
    devices = {stage.name: stage.device for stage in deployment.stages}
    producer, _, consumer = link.partition("->")

    def place(end: str) -> str:
        stage, _, replica = end.partition("@")
        return replica or devices.get(stage, "studio" if stage in ("source", "sink") else stage)

    return place(producer), place(consumer)


def _drawn(deployment: DeploymentOut, stalled: list[str]) -> RenderableType:
    lines: list[RenderableType] = [_headline(deployment)]
    if deployment.plaintext:
        lines.append(Text(PLAINTEXT_NOTE, style="bold red"))
    lines.append(_stages(deployment))
    lines.append(_cuts(deployment))
    # What goes on in plain text has been said, in red.
    lines += [Text(f"note: {note}") for note in deployment.notes if note != PLAINTEXT_NOTE]
    lines += [Text(sentence, style="yellow") for sentence in stalled]
    if deployment.problem is not None:
        lines.append(Text(f"{deployment.problem.message}\n  {deployment.problem.next_step}", style="red"))
    return Group(*lines)


def _headline(deployment: DeploymentOut) -> Text:
    took = "" if deployment.deploy_s is None else f", up after {deployment.deploy_s:.1f} s"
    return Text(f"{deployment.id}  {deployment.model_name}  {deployment.state}{took}; run: {run_text(deployment.run)}")


def _stages(deployment: DeploymentOut) -> Table:
    table = _table("stage", "devices", "layers", "runs on", "batch")
    for stage in deployment.stages:
        devices = ", ".join(stage.devices or [stage.device])
        batch = str(stage.batch) if stage.batch > 1 else "-"
        table.add_row(escape(stage.name), escape(devices), str(len(stage.layers)), stage.provider or "-", batch)
    return table


def _cuts(deployment: DeploymentOut) -> Table:
    table = _table("from", "to", "tensors", "bytes", "on the link", "codecs", "way")
    for cut in deployment.cuts:
        codecs = ", ".join(sorted(set(cut.codecs.values()))) or "-"
        way = "through the studio" if cut.way == "studio" else cut.way or "-"
        row = (f"{cut.producer} ({cut.producer_device})", f"{cut.consumer} ({cut.consumer_device})")
        sizes = (str(len(cut.tensors)), bytes_text(cut.size_bytes), bytes_text(cut.wire_bytes))
        table.add_row(*(escape(cell) for cell in (*row, *sizes, codecs, way)))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
