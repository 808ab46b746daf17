"""`partition-studio jobs`: long tasks, such as profiles, link measurements and calibrations."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from partition_studio.cli.client import StudioClient
from partition_studio.cli.interrupts import follow_begun
from partition_studio.cli.options import DataDirOption, UrlOption, open_client
from partition_studio.cli.output import JsonOption, bytes_text, complaints, print_json, say, table
from partition_studio.errors import DeviceError, StudioError
from partition_studio.schemas import JobOut, JobUnit

app = typer.Typer(help="Long tasks: list, follow, cancel.", no_args_is_help=True)

#: How often the studio is asked while a job goes on.
POLL_S = 0.2

JobArgument = Annotated[str, typer.Argument(help="The job's id.", metavar="JOB")]


def run_job(client: StudioClient, begin: Callable[[], JobOut], *, quiet: bool) -> JobOut:
    """Begin a job and follow it to its end with a bar; Ctrl+C cancels it.

    Raises StudioError when it fails; exits 130 if cancelled. `quiet` draws nothing, nor is anything drawn into a file.
    """
    job = follow_begun(
        begin, lambda begun: follow_job(client, begun, quiet=quiet), lambda begun: cancel_job(client, begun)
    )
    if job.state != "done":
        for text in job.warnings:
            complaints.print(text, style="yellow", markup=False)
    if job.state == "cancelled":
        complaints.print("cancelled")
        raise typer.Exit(130)
    if job.problem is not None:
        error: StudioError = DeviceError(job.problem.message, next_step=job.problem.next_step, **job.problem.details)
        error.code = job.problem.code
        raise error
    return job


def cancel_job(client: StudioClient, job: JobOut) -> JobOut:
    """Cancel a job; return it as it ended."""
    client.post(f"/api/jobs/{job.id}/cancel", JobOut)
    return follow_job(client, job, quiet=True)


def follow_job(client: StudioClient, job: JobOut, *, quiet: bool) -> JobOut:
    """Wait until a job has ended, with a bar; return it as it ended."""
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        console=complaints,
        transient=True,
    )
    with nullcontext() if quiet or not complaints.is_terminal else bar:
        task = bar.add_task(job.title, total=None)
        while job.ended_at is None:
            time.sleep(POLL_S)
            job = client.get(f"/api/jobs/{job.id}", JobOut)
            bar.update(task, description=job.step or job.title, completed=job.done, total=job.total)
    return job


@app.command("list")
def list_jobs(url: UrlOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """List the jobs, newest first; those that ended long ago are forgotten."""
    found = open_client(url, data_dir).get("/api/jobs", list[JobOut])
    if as_json:
        print_json(found)
        return
    table(
        ("job", "kind", "what", "state", "progress", "started"),
        (
            (job.id, job.kind, job.title, job.state, _progress(job), f"{job.started_at:%Y-%m-%d %H:%M:%S}")
            for job in found
        ),
    )


def _progress(job: JobOut) -> str:
    if job.ended_at is not None:
        return f"{(job.ended_at - job.started_at).total_seconds():.1f} s"
    share = "" if job.total is None else f"{_amount(job.done, job.unit)} of {_amount(job.total, job.unit)}, "
    return f"{share}{job.step}"


def _amount(count: int, unit: JobUnit) -> str:
    if unit == "bytes":
        return bytes_text(count)
    return f"{count} s" if unit == "seconds" else str(count)


@app.command("show")
def show(
    job: JobArgument,
    follow: Annotated[bool, typer.Option("--follow", help="Wait for its end; Ctrl+C leaves it alone.")] = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a job; exit code 1 when it failed."""
    client = open_client(url, data_dir)
    found = client.get(f"/api/jobs/{job}", JobOut)
    if follow:
        found = follow_job(client, found, quiet=as_json)
    _tell(found, as_json=as_json)
    if found.state == "failed":
        raise typer.Exit(1)


@app.command("cancel")
def cancel(
    job: JobArgument, url: UrlOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """Ask a job to end, and wait until it has; one that has ended stays as it is."""
    client = open_client(url, data_dir)
    found = client.post(f"/api/jobs/{job}/cancel", JobOut)
    _tell(follow_job(client, found, quiet=as_json), as_json=as_json)


def _tell(job: JobOut, *, as_json: bool) -> None:
    if as_json:
        print_json(job)
        return
    say(f"{job.id}  {job.title}  {job.state}  {_progress(job)}")
    for text in job.warnings:
        say(f"  warning: {text}")
    if job.problem is not None:
        say(f"  {job.problem.message}\n  {job.problem.next_step}")
