"""`partition-studio plan`: plans, offline."""

from typing import TYPE_CHECKING, Annotated

import typer

from partition_studio.cli import plan_auto, plan_codec, plan_import, plan_pareto, plan_predict, plan_shard
from partition_studio.cli.output import JsonOption, bytes_text, complaints, count_text, print_json, say, table
from partition_studio.cli.plan_files import (
    DimOption,
    ModelArgument,
    OutOption,
    PlanArgument,
    SimplifyOption,
    give_plan,
    load_form,
    load_planned,
    names,
)
from partition_studio.schemas import PlanReportOut

if TYPE_CHECKING:
    from partition_studio.partition.plan import Plan, Sharding

__all__ = ["ModelArgument", "PlanArgument", "app", "print_report"]

app = typer.Typer(help="Plans: search, predict, check, divide, codecs, import, export.", no_args_is_help=True)
app.command("auto")(plan_auto.auto)
app.command("pareto")(plan_pareto.pareto)
app.command("predict")(plan_predict.predict)
app.command("shard")(plan_shard.shard)
app.command("codec")(plan_codec.codec)
app.add_typer(plan_codec.app, name="codecs")
app.command("import-autodice")(plan_import.import_autodice)
app.command("export-autodice")(plan_import.export_autodice)
app.command("import-map")(plan_import.import_map)
app.command("import-cuts")(plan_import.import_cuts)

#: No table of parts is longer, for people.
MOST_PARTS = 200


@app.command("check")
def check(model: ModelArgument, plan: PlanArgument, as_json: JsonOption = False) -> None:
    """Say what is wrong with a plan, or what it costs; needs no studio. Exit code 2 when it cannot be applied."""
    from partition_studio.partition.check import check_plan
    from partition_studio.services.plan_reports import report_out

    network, document = load_planned(model, plan)
    report = report_out(check_plan(network, document), network, document)
    if as_json:
        print_json(report)
    else:
        print_report(report)
    if any(problem.severity == "error" for problem in report.problems):
        raise typer.Exit(2)


@app.command("show")
def show(model: ModelArgument, plan: PlanArgument, as_json: JsonOption = False) -> None:
    """Show a plan: its network, stages, divided layers and their parts, and the weights of each device."""
    from partition_studio.partition.check import check_plan
    from partition_studio.services.plan_reports import report_out

    network, document = load_planned(model, plan)
    report = report_out(check_plan(network, document), network, document)
    if as_json:
        print_json({"plan": document, "report": report})
        return
    form = document.network
    said = [f"{name} = {size}" for name, size in form.dims.items()] + ["simplified"] * form.simplified
    say(f"{document.name or 'plan'} for {form.name} {form.sha256[:12]}" + (f" ({', '.join(said)})" if said else ""))
    if document.notes:
        say(document.notes)
    for name, resource in document.resources.items():
        cores = f", cores {', '.join(map(str, resource.cores))}" if resource.cores else ""
        say(f"{name}: {resource.processor or 'a part'} of {resource.device}{cores}")
    for name, group in document.replicas.items():
        say(f"{name}: {', '.join(group.places)} share the frames")
    for index, sharding in enumerate(document.shards):
        say(f"shard {index}: {_sharding_text(sharding)}")
    for entry in document.codecs:
        say(f"codec {plan_codec.entry_text(entry)}")
    print_report(report)


def _sharding_text(sharding: "Sharding") -> str:
    if sharding.strategy == "output_channels" or sharding.strategy == "input_channels":
        how = f"{_numbers(sharding.shares)} channels" if sharding.shares else "equal channels"
    else:
        how = f"rows {_numbers(sharding.rows)}, columns {_numbers(sharding.columns)}"
    if sharding.strategy == "spatial" and sharding.exchange_before:
        how += f", halos exchanged before {', '.join(sharding.exchange_before)}"
    layers = sharding.layers
    run = layers[0] if len(layers) == 1 else f"{layers[0]} ... {layers[-1]} ({len(layers)} layers)"
    return f"{sharding.strategy} of {run} over {', '.join(sharding.devices)}: {how} ({sharding.unit})"


def _numbers(numbers: list[float]) -> str:
    return ":".join(f"{number:g}" for number in numbers)


@app.command("spread")
def spread(
    model: ModelArgument,
    devices: Annotated[str, typer.Option(help="Names of the devices, with commas.")],
    out: OutOption = None,
    # As the studio does when a network is added.
    simplify: SimplifyOption = True,
    dim: DimOption = None,
) -> None:
    """Write a first plan: contiguous runs of layers, balanced by estimated cost; needs no studio."""
    from partition_studio.planner.spread import spread as spread_layers

    plan: Plan = spread_layers(load_form(model, simplify, dim), names(devices))
    give_plan(plan, out, as_json=False)


def print_report(report: PlanReportOut) -> None:
    """Print what is wrong, what the divided layers became, then what it costs."""
    for problem in report.problems:
        complaints.print(f"{problem.severity}: {problem.message}", markup=False)
        if problem.next_step:
            complaints.print(f"  {problem.next_step}", markup=False, style="dim")
    _print_parts(report)
    if not report.devices:
        return
    table(
        ("device", "layers", "MACs", "parameters", "weights", "activations", "memory", "in", "out"),
        (
            (
                cost.device,
                str(cost.layers),
                count_text(cost.macs),
                count_text(cost.parameters),
                bytes_text(cost.weight_bytes),
                bytes_text(cost.activation_bytes),
                bytes_text(cost.bound_bytes),
                bytes_text(cost.received_bytes),
                bytes_text(cost.sent_bytes),
            )
            for cost in report.devices
        ),
        right=("layers", "MACs", "parameters", "weights", "activations", "memory", "in", "out"),
    )
    say("memory: the most that the agent takes, with its runtime, loading, and frames that wait (--json has the parts)")
    say("")
    _print_cuts(report)


def _print_cuts(report: PlanReportOut) -> None:
    """Print what crosses the cuts; codecs where the plan names any."""
    coded = any(cut.codecs for cut in report.cuts)
    table(
        ("cut", "tensors", "bytes a frame", *(["codecs"] if coded else [])),
        (
            (
                f"{cut.producer} -> {cut.consumer}",
                ", ".join(cut.tensors),
                bytes_text(cut.size_bytes),
                *([", ".join(dict.fromkeys(cut.codecs.values())) or "none"] if coded else []),
            )
            for cut in report.cuts
        ),
        right=("bytes a frame",),
    )


def _print_parts(report: PlanReportOut) -> None:
    if not report.divided:
        return
    strategy = {shard.index: shard.strategy for shard in report.shards}
    rows = [
        (layer.layer, ", ".join(strategy[index] for index in layer.shards), part.name, part.op_type, part.device)
        for layer in report.divided
        for part in layer.parts
    ]
    table(("divided layer", "strategy", "part", "op", "device"), rows[:MOST_PARTS])
    if len(rows) > MOST_PARTS:
        say(f"... and {len(rows) - MOST_PARTS} more (--json lists all)")
    say("")
