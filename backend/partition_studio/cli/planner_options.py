"""What `plan auto` and `plan pareto` share: limits as options, and following a search to its end."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from partition_studio.cli.client import StudioClient
from partition_studio.cli.interrupts import follow_begun
from partition_studio.cli.jobs import cancel_job, follow_job
from partition_studio.cli.output import complaints
from partition_studio.cli.plan_files import names, pairs
from partition_studio.errors import ConflictError, StudioError
from partition_studio.schemas import JobOut, LimitsIn, SearchOut

if TYPE_CHECKING:
    from partition_studio.planner.search.question import Strategy

ModelWord = Annotated[str, typer.Argument(help="The model's id or name in the studio, or its file.", metavar="MODEL")]
DevicesOption = Annotated[
    str | None, typer.Option(help="Names of the devices that may be used, with commas; all when left out.")
]
MaxMemoryOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Most memory of a device, such as a=256M or a=1.5GiB; may be given again.", metavar="DEVICE=SIZE"
    ),
]
PinOption = Annotated[
    list[str] | None,
    typer.Option(help="Where a layer must lie, such as conv1=a; may be given again.", metavar="LAYER=DEVICE"),
]
ExcludeOption = Annotated[str | None, typer.Option(help="Names of devices that get nothing, with commas.")]
MaxDevicesOption = Annotated[int | None, typer.Option(help="Use so many devices at most.", min=1, max=1000)]
InputOnOption = Annotated[str | None, typer.Option(help="The only device that may see the network's inputs.")]
StrategiesOption = Annotated[
    str | None,
    typer.Option(
        help="What may be done with layers, with commas: layers (whole, always allowed), replicas, spatial, "
        "spatial_independent, output_channels, input_channels."
    ),
]
ContiguousOption = Annotated[
    bool,
    typer.Option("--contiguous", help="Give each device one run of layers: few messages, and the best is proved soon."),
]
CodecsOption = Annotated[
    str | None, typer.Option(help="Codecs that links may use, with commas (see `plan codec`); auto: whichever is best.")
]
MaxChangeOption = Annotated[
    float,
    typer.Option(help="How much codecs may change the outputs, as a share of their largest value.", min=0, max=10),
]
MinThroughputOption = Annotated[float | None, typer.Option(help="Least frames a second.")]
MaxLatencyOption = Annotated[float | None, typer.Option(help="Most seconds for a frame that is alone.")]
MaxEnergyOption = Annotated[float | None, typer.Option(help="Most joules per frame of each device.")]
MaxTotalEnergyOption = Annotated[float | None, typer.Option(help="Most joules per frame of all devices together.")]
SecondsOption = Annotated[
    float, typer.Option(help="The longest that the search may take; Ctrl+C stops it and keeps the best.", max=3600)
]

#: Codes of searches that did what they could: no plan keeps the limits, or none was found in time.
_NO_PLAN = frozenset({"no_feasible_plan", "nothing_found_yet"})

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)


def devices_of(text: str | None) -> list[str] | None:
    """Return the devices that an option names; None where it was not given."""
    return None if text is None else names(text)


def size_bytes(text: str, option: str) -> int:
    """Return the bytes that a size says: K, M, G in powers of ten, Ki, Mi, Gi in powers of two."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no size; write 256M or 1.5GiB", param_hint=option)
    number, unit, binary = found.groups()
    size = float(number) * (1024 if binary else 1000) ** " kmgt".index(unit.lower() or " ")
    if not 1 <= size <= 2**50:
        raise typer.BadParameter(f"{text!r} is no size of memory", param_hint=option)
    return int(size)


def limits_in(
    *,
    max_memory: list[str] | None,
    pin: list[str] | None,
    exclude: str | None,
    max_devices: int | None,
    input_on: str | None,
    strategies: str | None,
    contiguous: bool,
    codecs: str | None,
    max_change: float,
    min_throughput: float | None,
    max_latency: float | None,
    max_energy: float | None,
    max_total_energy: float | None,
) -> LimitsIn:
    """Return the limits that the options say."""
    for option, figure in (
        ("--min-throughput", min_throughput),
        ("--max-latency", max_latency),
        ("--max-energy", max_energy),
        ("--max-total-energy", max_total_energy),
    ):
        if figure is not None and not 0 < figure < float("inf"):
            raise typer.BadParameter("must be above 0", param_hint=option)
    memory = pairs(max_memory, "--max-memory")
    return LimitsIn(
        min_throughput_per_s=min_throughput,
        max_latency_s=max_latency,
        max_energy_j=max_energy,
        max_total_energy_j=max_total_energy,
        memory_bytes={device: size_bytes(size, "--max-memory") for device, size in memory.items()},
        pins=pairs(pin, "--pin"),
        excluded=names(exclude),
        max_devices=max_devices,
        input_on=input_on,
        strategies=_strategies(strategies),
        contiguous=contiguous,
        codecs=["none", *(name for name in names(codecs) if name != "none")],
        max_change=max_change,
    )


def _strategies(text: str | None) -> "list[Strategy]":
    from partition_studio.planner.search.question import STRATEGIES

    wanted = names(text)
    for name in wanted:
        if name not in STRATEGIES:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(STRATEGIES)}", param_hint="--strategies")
    return [strategy for strategy in STRATEGIES if strategy in wanted or strategy == "layers"]


def above_zero(seconds: float) -> float:
    """Return a time that a search may take."""
    if not seconds > 0:
        raise typer.BadParameter("must be above 0", param_hint="--seconds")
    return seconds


def run_search(client: StudioClient, model_id: str, begin: Callable[[], JobOut], *, quiet: bool) -> SearchOut:
    """Begin a search and follow it to its end; Ctrl+C stops it and keeps the best.

    Raises StudioError when it fails; exits with 130 when it was stopped before anything was found.
    """
    job = follow_begun(
        begin, lambda begun: follow_job(client, begun, quiet=quiet), lambda begun: cancel_job(client, begun)
    )
    if job.problem is not None:
        raise _failure(job, quiet=quiet)
    found = client.get(f"/api/models/{model_id}/searches/{job.id}", SearchOut)
    if job.state == "cancelled":
        if found.answer is None and not found.front:
            complaints.print("stopped before a plan was found")
            raise typer.Exit(130)
        complaints.print("stopped: this is the best until then")
    return found


def _failure(job: JobOut, *, quiet: bool) -> StudioError:
    """Return the error of a search that failed; what stands in the way of a plan is told one by one."""
    problem = job.problem
    assert problem is not None
    family = ConflictError if problem.code in _NO_PLAN else StudioError
    error = family(problem.message, next_step=problem.next_step, **problem.details)
    error.code = problem.code
    obstacles = problem.details.get("obstacles")
    if not quiet and isinstance(obstacles, list):
        for obstacle in obstacles:
            complaints.print(f"  {obstacle}", markup=False)
    return error


def objective_of(word: str) -> str:
    """Return the objective of a word; dashes do for underscores."""
    from partition_studio.planner.search.question import Objective

    found = word.replace("-", "_")
    if found not in get_args(Objective):
        raise typer.BadParameter(f"{word!r} is none of {', '.join(get_args(Objective))}", param_hint="--objective")
    return found
