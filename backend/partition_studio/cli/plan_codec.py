"""`partition-studio plan codec` and `plan codecs auto`: how tensors travel between devices."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from partition_studio.cli.jobs import run_job
from partition_studio.cli.model import find_model, read_bytes
from partition_studio.cli.options import DataDirOption, UrlOption, open_client
from partition_studio.cli.output import JsonOption, bytes_text, complaints, print_json, say, table
from partition_studio.cli.plan_files import OutOption, PlanArgument, give_plan, write_texts
from partition_studio.errors import BadInputError
from partition_studio.schemas import CutCodecsOut, JobOut, PlanCodecsOut

if TYPE_CHECKING:
    from partition_studio.partition.plan import CodecChoice, Plan

app = typer.Typer(help="Codecs: let the studio choose them.", no_args_is_help=True)

#: What a person reads of each codec.
MEANINGS = {
    "none": "as it is",
    "lz4": "LZ4: fast, packs zeros",
    "zstd": "Zstandard: smaller, slower",
    "rle": "leaves out zeros",
    "fp16": "halves: 11 bits of precision",
    "fp16+lz4": "halves, packed by LZ4",
    "fp16+zstd": "halves, packed by Zstandard",
    "int8": "8 bits, with a scale for each channel",
    "int8+lz4": "8 bits, packed by LZ4",
    "int8+zstd": "8 bits, packed by Zstandard",
    "clip2+rle": "clipped to low ... high, 4 levels, without zeros",
    "clip4+rle": "clipped to low ... high, 16 levels, without zeros",
    "clip8+rle": "clipped to low ... high, 256 levels, without zeros",
    "auto": "the fastest that keeps the outputs within max_change",
}


def codec(
    plan: Annotated[Path | None, typer.Argument(help="The plan's JSON file.", metavar="PLAN")] = None,
    name: Annotated[str | None, typer.Option("--codec", help="The codec; `auto` lets the studio choose.")] = None,
    producer: Annotated[
        str, typer.Option("--from", help="Device, resource or replica group it comes from; `studio` for inputs.")
    ] = "*",
    consumer: Annotated[str, typer.Option("--to", help="Where it goes; `studio` for outputs.")] = "*",
    tensor: Annotated[list[str] | None, typer.Option(help="Only this tensor; may be given several times.")] = None,
    low: Annotated[float, typer.Option(help="For codecs that clip: what is below counts as nothing.")] = 0.0,
    high: Annotated[
        float | None, typer.Option(help="For codecs that clip: the upper bound; else each frame's largest value.")
    ] = None,
    max_change: Annotated[
        float | None,
        typer.Option(help="How much `auto` may change the outputs, as a share of their largest value.", min=0, max=10),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take such an entry out of the plan instead.")] = False,
    list_all: Annotated[bool, typer.Option("--list", help="List the codecs that there are.")] = False,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how tensors travel from one place to another; of entries that fit a tensor, the last one counts."""
    if list_all:
        _list(as_json)
        return
    if plan is None:
        raise typer.BadParameter("give the plan's file, or --list", param_hint="PLAN")
    from partition_studio.partition.plan import parse_plan

    before = parse_plan(read_bytes(plan))
    if name is None and not remove and max_change is None:
        _show(before, as_json)
        return
    entries, told = list(before.codecs), "changed"
    if name is not None or remove:
        same = [entry for entry in entries if _is_for(entry, producer, consumer, tensor or [])]
        if remove and not same:
            raise BadInputError(f"The plan has no codec from {producer} to {consumer} for {_tensors(tensor or [])}.")
        entries = [entry for entry in entries if entry not in same]
        told = f"{producer} -> {consumer}, {_tensors(tensor or [])}: {name or 'no entry any more'}"
        if name is not None:
            entries.append(_entry(name, producer, consumer, tensor or [], low, high))
    changed = before.max_change if max_change is None else max_change
    after = before.model_copy(update={"codecs": entries, "max_change": changed})
    give_plan(after, out, as_json, what=told)


def _entry(
    name: str, producer: str, consumer: str, tensors: list[str], low: float, high: float | None
) -> "CodecChoice":
    from partition_studio.partition.plan import CodecChoice

    if name not in MEANINGS:
        raise typer.BadParameter(f"there is no codec {name!r}; --list lists them", param_hint="--codec")
    if not math.isfinite(low) or (high is not None and not math.isfinite(high)):
        raise typer.BadParameter("must be a number", param_hint="--low")
    if high is not None and high <= low:
        raise typer.BadParameter(f"must be above --low, which is {low:g}", param_hint="--high")
    return CodecChoice.model_validate(
        {"producer": producer, "consumer": consumer, "tensors": tensors, "codec": name, "low": low, "high": high}
    )


def _is_for(entry: "CodecChoice", producer: str, consumer: str, tensors: list[str]) -> bool:
    return (entry.producer, entry.consumer, entry.tensors) == (producer, consumer, tensors)


def _list(as_json: bool) -> None:
    from partition_studio.partition.codecs import LOSSLESS

    if as_json:
        print_json([{"codec": name, "lossless": name in LOSSLESS, "is": text} for name, text in MEANINGS.items()])
        return
    table(
        ("codec", "loss", "what it is"),
        (
            (name, "" if name == "auto" else "none" if name in LOSSLESS else "some", text)
            for name, text in MEANINGS.items()
        ),
    )


def _show(plan: "Plan", as_json: bool) -> None:
    if as_json:
        print_json({"codecs": list(plan.codecs), "max_change": plan.max_change})
        return
    if not plan.codecs:
        say("The plan names no codecs: everything travels as it is.")
    for entry in plan.codecs:
        say(entry_text(entry))
    if any(entry.codec == "auto" for entry in plan.codecs):
        say(f"auto may change the outputs by {100 * plan.max_change:g} % of their largest value")


def entry_text(entry: "CodecChoice") -> str:
    """Return one entry of a plan's codecs as people read it."""
    bounds = ""
    if entry.codec.startswith("clip") or entry.low or entry.high is not None:
        bounds = f" from {entry.low:g} to {'the largest value' if entry.high is None else f'{entry.high:g}'}"
    return f"{entry.producer} -> {entry.consumer}, {_tensors(entry.tensors)}: {entry.codec}{bounds}"


def _tensors(tensors: list[str]) -> str:
    return ", ".join(tensors) if tensors else "all tensors"


@app.command("auto")
def auto(
    model: Annotated[str, typer.Argument(help="The model's id or name in the studio.", metavar="MODEL")],
    plan: PlanArgument,
    max_change: Annotated[
        float | None,
        typer.Option(
            help="How much the outputs may change, as a share of their largest value; else what the plan says.",
            min=0,
            max=10,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="File for the plan with the chosen codecs.")] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Choose codecs by measured links, devices and frames; for all links where the plan does not say `auto` itself."""
    from partition_studio.partition.plan import CodecChoice, parse_plan

    document = parse_plan(read_bytes(plan))
    if all(entry.codec != "auto" for entry in document.codecs):
        document = document.model_copy(update={"codecs": [*document.codecs, CodecChoice(codec="auto")]})
    if max_change is not None:
        document = document.model_copy(update={"max_change": max_change})
    client = open_client(url, data_dir)
    model_id = find_model(client, model).id
    path = f"/api/models/{model_id}/plans/codecs"
    job = run_job(client, lambda: client.post(path, JobOut, document), quiet=as_json)
    found = client.get(f"/api/models/{model_id}/plans/codecs/{job.id}", PlanCodecsOut)
    if out is not None:
        write_texts({out: found.plan.to_json()})
    if as_json:
        print_json(found)
        return
    _describe(found)
    if out is not None:
        say(f"wrote {out}")
    else:
        complaints.print("Nothing was written: --out FILE keeps the plan with these codecs.", style="dim")


def _describe(found: PlanCodecsOut) -> None:
    table(
        ("cut", "bytes", "codec", "on the link", "link", "coding"),
        (
            (
                cut.cut,
                bytes_text(cut.size_bytes),
                ", ".join(dict.fromkeys(tensor.codec for tensor in cut.tensors)),
                bytes_text(cut.wire_bytes),
                "-" if cut.link_s is None else _ms(cut.link_s),
                _ms(cut.coding_s),
            )
            for cut in found.cuts
        ),
        right=("bytes", "on the link", "link", "coding"),
    )
    say("")
    for cut in found.cuts:
        _why(cut)
    if found.period_as_it_is_s > 0:
        say(
            f"Predicted: a frame every {_ms(found.period_s)} (as it is {_ms(found.period_as_it_is_s)}), "
            f"{_ms(found.latency_s)} for one frame (as it is {_ms(found.latency_as_it_is_s)}); busiest: "
            f"{found.bottleneck}."
        )
    change = "spoil the outputs" if found.change is None else f"change the outputs by {100 * found.change:.2g} %"
    say(
        f"On {found.frames} test frames the codecs {change} of their largest value "
        f"(allowed {100 * found.max_change:g} %)."
    )


def _why(cut: CutCodecsOut) -> None:
    for number, sentence in enumerate(cut.why):
        say(f"{cut.cut}: {sentence}" if number == 0 else f"  {sentence}")


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
