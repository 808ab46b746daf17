"""`partition-studio plan predict`: what a plan will do, and what would help it most."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from partition_studio.cli.client import StudioClient
from partition_studio.cli.model import find_model, read_bytes
from partition_studio.cli.options import DataDirOption, UrlOption, open_client
from partition_studio.cli.output import JsonOption, print_json, say
from partition_studio.cli.planner_options import ModelWord
from partition_studio.cli.planner_tables import print_gantt, print_prediction
from partition_studio.errors import ConflictError, NotFoundError
from partition_studio.planner.search.text import rate_text
from partition_studio.schemas import PlanPredictionOut, PredictIn, SavedPlanOut

if TYPE_CHECKING:
    from partition_studio.partition.plan import Plan


def predict(
    model: ModelWord,
    plan: Annotated[str, typer.Argument(help="A plan's JSON file, or the name of a saved plan.", metavar="PLAN")],
    gantt: Annotated[int, typer.Option(help="Simulate so many frames and draw what is busy when.", min=0, max=64)] = 0,
    next_move: Annotated[
        bool, typer.Option("--next-move/--no-next-move", help="Look for the change that brings most.")
    ] = True,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict a plan's throughput, latency, energy and memory by what was measured of devices and links."""
    with closing(open_client(url, data_dir)) as client:
        model_id = find_model(client, model).id
        request = PredictIn(plan=_plan(client, model_id, plan), gantt=gantt, next_move=next_move)
        found = client.post(f"/api/models/{model_id}/predictions", PlanPredictionOut, request)
    if as_json:
        print_json(found)
        return
    print_prediction(found.prediction)
    if found.gantt is not None:
        say("")
        print_gantt(found.gantt)
    if found.next_move is not None:
        move = found.next_move
        say(f"What would help most: {move.text} ({rate_text(move.throughput_per_s)}, {move.gain:.3g} times as many)")
    elif next_move:
        say("No single move of layers would make it faster.")


def _plan(client: StudioClient, model_id: str, word: str) -> "Plan":
    """Return the plan of a file, else the saved one of that name."""
    from partition_studio.partition.plan import parse_plan

    path = Path(word)
    if path.is_file():
        return parse_plan(read_bytes(path))
    saved = client.get(f"/api/models/{model_id}/plans", list[SavedPlanOut])
    named = [one for one in saved if one.name == word]
    if len(named) > 1:
        raise ConflictError(f"{len(named)} saved plans are called {word!r}", next_step="Rename one, or give a file.")
    if not named:
        raise NotFoundError(
            f"There is neither a file nor a saved plan {word!r}",
            next_step="Give a plan's file, or save the plan first.",
        )
    return named[0].plan
