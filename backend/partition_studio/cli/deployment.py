"""`partition-studio deploy`, `status`, `run`, `bench`, `stop`: pipelines on devices."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from partition_studio.cli.client import StudioClient
from partition_studio.cli.device_power import energy_text
from partition_studio.cli.interrupts import follow_begun
from partition_studio.cli.model import find_model, read_bytes
from partition_studio.cli.options import DataDirOption, UrlOption, open_client
from partition_studio.cli.output import JsonOption, bytes_text, complaints, console, print_json, say, table
from partition_studio.errors import BadInputError, ConflictError, DeploymentError, NotFoundError, StudioError
from partition_studio.partition.plan import parse_plan
from partition_studio.schemas import PLAINTEXT_NOTE, DeploymentIn, DeploymentOut, ProblemOut, RunOut

#: How often the studio is asked while something goes on.
POLL_S = 0.2

DeploymentArgument = Annotated[
    str, typer.Argument(help="The deployment's id, the model's name, or `latest`.", metavar="DEPLOYMENT")
]


def _raise(problem: ProblemOut | None, otherwise: str) -> None:
    if problem is None:
        raise DeploymentError(otherwise)
    error: StudioError = DeploymentError(problem.message, next_step=problem.next_step, **problem.details)
    error.code = problem.code
    raise error


def find_deployment(client: StudioClient, word: str) -> DeploymentOut:
    """Return the deployment with this id, or the newest of the model with this name or id, or the newest of all."""
    deployments = client.get("/api/deployments", list[DeploymentOut])
    for deployment in deployments:
        if deployment.id == word:
            return deployment
    active = [d for d in deployments if d.state in ("deploying", "running")]
    named = [d for d in active if word in (d.model_id, d.model_name, "latest")]
    if not named:
        raise NotFoundError(
            f"No deployment {word!r} is running", next_step="List the deployments with `partition-studio status`."
        )
    return named[0]


def _progress_table(deployment: DeploymentOut) -> Table:
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("device", "step", "", "seconds"):
        drawn.add_column(column)
    for row in deployment.devices:
        sent = f"{bytes_text(row.done_bytes)} of {bytes_text(row.total_bytes)}" if row.total_bytes else ""
        drawn.add_row(row.device, row.step, f"{row.detail} {sent}".strip(), f"{row.elapsed_s:.1f}")
    return drawn


def _follow(client: StudioClient, deployment: DeploymentOut, *, drawn: bool) -> DeploymentOut:
    live = Live(_progress_table(deployment), console=console, refresh_per_second=8)
    with live if drawn else nullcontext():
        while deployment.state == "deploying":
            time.sleep(POLL_S)
            deployment = client.get(f"/api/deployments/{deployment.id}", DeploymentOut)
            live.update(_progress_table(deployment))
    return deployment


def deploy(
    model: Annotated[str, typer.Argument(help="The model's id or name, or an ONNX file.", metavar="MODEL")],
    plan: Annotated[Path, typer.Argument(help="The plan's JSON file.", metavar="PLAN")],
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a plan onto its devices and wait until frames can run. Ctrl+C gives it up."""
    document = parse_plan(read_bytes(plan))
    client = open_client(url, data_dir)
    request = DeploymentIn(model_id=find_model(client, model).id, plan=document)
    before = client.get("/api/deployments", list[DeploymentOut])
    replaced = next((d.id for d in before if d.model_id == request.model_id and d.state == "running"), None)
    if replaced is not None and not as_json:
        say(f"deployment {replaced} of this model runs: it is replaced when the new one is ready")
    deployment = follow_begun(
        lambda: client.post("/api/deployments", DeploymentOut, request),
        lambda begun: _follow(client, begun, drawn=not as_json and console.is_terminal),
        lambda begun: client.post(f"/api/deployments/{begun.id}/cancel", DeploymentOut),
    )
    if as_json:
        print_json(deployment)
    if deployment.state != "running":
        _raise(deployment.problem, f"the deployment {deployment.id} is {deployment.state}")
    if not as_json:
        say(f"deployment {deployment.id} runs on {len(deployment.devices)} devices after {deployment.deploy_s:.1f} s")
        for note in deployment.notes:
            console.print(f"  {escape(note)}", style="bold red" if note == PLAINTEXT_NOTE else None)
        if replaced is not None:
            # The new one runs a moment before its predecessor begins to end.
            old = client.get(f"/api/deployments/{replaced}", DeploymentOut)
            say(f"  it replaced {replaced}, which {'is stopped' if old.state == 'stopped' else 'is being stopped'}")


def status(url: UrlOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """List the deployments, newest first."""
    deployments = open_client(url, data_dir).get("/api/deployments", list[DeploymentOut])
    if as_json:
        print_json(deployments)
        return
    table(
        ("deployment", "model", "state", "devices", "stages", "since", "run"),
        (
            (
                d.id,
                d.model_name,
                d.state,
                ", ".join(row.device for row in d.devices),
                str(len(d.stages)),
                f"{d.created_at:%Y-%m-%d %H:%M:%S}",
                run_text(d.run),
            )
            for d in deployments
        ),
        right=("stages",),
    )
    for deployment in deployments:
        if deployment.state == "failed" and deployment.problem is not None:
            say(f"{deployment.id} failed: {deployment.problem.message}\n  {deployment.problem.next_step}")
        run = deployment.run
        if run is not None and run.state in ("failed", "interrupted") and run.problem is not None:
            say(f"{deployment.id}: its run {run.id} is {run.state}: {run.problem.message}")


def run_text(run: RunOut | None) -> str:
    """Say how a run stands, in a few words."""
    if run is None:
        return "-"
    rate = "" if run.frames_per_s is None else f", {run.frames_per_s:.1f} frames/s"
    return f"{run.state}, {run.delivered} delivered, {run.lost} lost{rate}"


def _run(client: StudioClient, begin: Callable[[], RunOut]) -> RunOut:
    run = follow_begun(
        begin, lambda begun: _wait(client, begun), lambda begun: client.post(f"/api/runs/{begun.id}/stop", RunOut)
    )
    if run.state == "failed":
        complaints.print(f"{run.delivered} frames were delivered, {run.lost} lost")
        _raise(run.problem, f"the run {run.id} failed")
    return run


def _wait(client: StudioClient, run: RunOut) -> RunOut:
    while run.state == "running":
        time.sleep(POLL_S)
        run = client.get(f"/api/runs/{run.id}", RunOut)
    return run


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"


def _say_figures(run: RunOut) -> None:
    rate = "-" if run.frames_per_s is None else f"{run.frames_per_s:.2f}"
    say(
        f"{run.delivered} frames delivered, {run.lost} lost; {rate} frames/s; "
        f"latency {_milliseconds(run.latency_p50_s)} (median), {_milliseconds(run.latency_p95_s)} (95 %)"
    )
    for device, energy in run.energy.items():
        say(f"{device}: {energy_text(energy)}")


def run(
    deployment: DeploymentArgument,
    input: Annotated[  # the option's name is part of the command
        list[Path], typer.Option("--input", help="Frames: images, .npz, .npy or .pb files (repeatable).")
    ],
    out: Annotated[Path | None, typer.Option(help="Write every output to this .npz file.")] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send frames through a deployment and print each one's class and score."""
    files = [("files", (path.name, read_bytes(path))) for path in input]
    client = open_client(url, data_dir)
    found = find_deployment(client, deployment)
    path = f"/api/deployments/{found.id}/runs"
    result = _run(client, lambda: client.post_form(path, RunOut, {"source": "files"}, files))
    if out is not None:
        content = client.get_bytes(f"/api/runs/{result.id}/outputs.npz")
        try:
            out.write_bytes(content)
        except OSError as error:
            raise BadInputError(f"{out} cannot be written: {error.strerror}") from error
    if as_json:
        print_json(result)
    else:
        for frame in sorted(result.recent, key=lambda f: f.frame):
            best = frame.classes[0] if frame.classes else None
            answer = f"{best.label} ({best.score:.4f})" if best else "outputs " + ", ".join(frame.outputs)
            say(f"{frame.input_name}: {answer}")
        _say_figures(result)
    if result.lost:
        raise DeploymentError(f"{result.lost} of {result.submitted} frames were lost")


def bench(
    deployment: DeploymentArgument,
    seconds: Annotated[float, typer.Option(help="How long to send frames.", min=0.1, max=3600)] = 10.0,
    in_flight: Annotated[
        int | None,
        typer.Option(help="Frames under way at once; 1: one after the other. Else all that fit.", min=1, max=1000),
    ] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send random frames as fast as the pipeline takes them, and print throughput and latency."""
    client = open_client(url, data_dir)
    found = find_deployment(client, deployment)
    if found.run is not None and found.run.state == "running":
        raise ConflictError(f"A run is going on in {found.id}", next_step="Stop that run first.")
    form = {"source": "random", "repeat": "true", "seconds": str(seconds)}
    if in_flight is not None:
        form["in_flight"] = str(in_flight)
    path = f"/api/deployments/{found.id}/runs"
    result = _run(client, lambda: client.post_form(path, RunOut, form, []))
    if as_json:
        print_json(result)
    else:
        _say_figures(result)
    if result.delivered == 0:
        complaints.print("No frame came through")
        raise typer.Exit(1)


def stop(
    deployment: DeploymentArgument,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a deployment: its run, its stages, its agents and their files."""
    client = open_client(url, data_dir)
    result = client.post(f"/api/deployments/{find_deployment(client, deployment).id}/stop", DeploymentOut)
    if as_json:
        print_json(result)
    else:
        say(f"deployment {result.id} is {result.state}")
