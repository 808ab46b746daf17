"""`partition-studio plan`: plans, offline."""

from pathlib import Path
from typing import Annotated

import typer

from partition_studio.cli.model import read_bytes
from partition_studio.cli.output import JsonOption, bytes_text, complaints, count_text, print_json, say, table
from partition_studio.schemas import PlanReportOut

app = typer.Typer(help="Plans: check, spread.", no_args_is_help=True)

ModelArgument = Annotated[Path, typer.Argument(help="The network's ONNX file.", metavar="MODEL")]
PlanArgument = Annotated[Path, typer.Argument(help="The plan's JSON file.", metavar="PLAN")]


@app.command("check")
def check(model: ModelArgument, plan: PlanArgument, as_json: JsonOption = False) -> None:
    """Say what is wrong with a plan, or what it costs; needs no studio. Exit code 2 when it cannot be applied."""
    from partition_studio.graph.load import load_network
    from partition_studio.partition.check import check_plan
    from partition_studio.partition.plan import parse_plan
    from partition_studio.services.plan_reports import report_out

    network, document = load_network(model), parse_plan(read_bytes(plan))
    report = report_out(check_plan(network, document), network, document)
    if as_json:
        print_json(report)
    else:
        print_report(report)
    if any(problem.severity == "error" for problem in report.problems):
        raise typer.Exit(2)


@app.command("spread")
def spread(
    model: ModelArgument,
    devices: Annotated[str, typer.Option(help="Names of the devices, with commas.")],
    out: Annotated[Path | None, typer.Option(help="File to write; standard output when left out.")] = None,
) -> None:
    """Write a first plan: contiguous runs of layers, balanced by estimated cost; needs no studio."""
    from partition_studio.graph.load import load_network
    from partition_studio.planner.spread import spread as spread_layers

    document = spread_layers(load_network(model), [name for name in devices.split(",") if name]).to_json()
    if out is None:
        typer.echo(document, nl=False)
    else:
        out.write_text(document)


def print_report(report: PlanReportOut) -> None:
    """Print what is wrong, then what it costs."""
    for problem in report.problems:
        complaints.print(f"{problem.severity}: {problem.message}", markup=False)
    if not report.devices:
        return
    table(
        ("device", "layers", "MACs", "parameters", "weights", "activations", "in", "out"),
        (
            (
                cost.device,
                str(cost.layers),
                count_text(cost.macs),
                count_text(cost.parameters),
                bytes_text(cost.weight_bytes),
                bytes_text(cost.activation_bytes),
                bytes_text(cost.received_bytes),
                bytes_text(cost.sent_bytes),
            )
            for cost in report.devices
        ),
        right=("layers", "MACs", "parameters", "weights", "activations", "in", "out"),
    )
    say("")
    table(
        ("cut", "tensors", "bytes a frame"),
        (
            (f"{cut.producer} -> {cut.consumer}", ", ".join(cut.tensors), bytes_text(cut.size_bytes))
            for cut in report.cuts
        ),
        right=("bytes a frame",),
    )
