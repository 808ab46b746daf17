"""`plan codec`, `plan codecs auto`, and what `plan show` and `verify` say of codecs."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from partition_studio.cli.main import app
from partition_studio.cli.plan_codec import MEANINGS
from partition_studio.errors import StudioError
from partition_studio.graph.examples import example
from partition_studio.graph.load import load_network
from partition_studio.partition.plan import CodecChoice
from partition_studio.planner.spread import spread
from partition_studio.schemas import DeviceIn, DeviceOut
from partition_studio.store.links import Figure, LinkStore
from tests.cli.conftest import Command
from tests.studio import RunningStudio

DIGITS = example("digits").path


@dataclass(frozen=True)
class Answer:
    """What a command said, in this process: a process for each would take most of the test's time."""

    code: int
    out: str
    error: StudioError | None

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def call(*words: str | Path) -> Answer:
    result = CliRunner().invoke(app, [str(word) for word in words])
    error = result.exception
    assert error is None or isinstance(error, StudioError | SystemExit), result.output
    return Answer(result.exit_code, result.stdout, error if isinstance(error, StudioError) else None)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    path.write_text(spread(load_network(DIGITS), ["a", "b"]).to_json())
    return path


def test_every_codec_of_plans_is_listed_and_explained() -> None:
    listed = call("plan", "codec", "--list", "--json").document
    assert {one["codec"] for one in listed} == set(MEANINGS)
    for name in MEANINGS:
        assert CodecChoice.model_validate({"codec": name}).codec == name
    assert {one["codec"] for one in listed if one["lossless"]} == {"none", "lz4", "zstd", "rle"}
    assert "int8+zstd" in call("plan", "codec", "--list").out


def test_an_entry_is_added_replaced_shown_and_removed(plan: Path) -> None:
    ends = ("--from", "a", "--to", "b")
    assert call("plan", "codec", plan, *ends, "--codec", "int8+zstd", "--out", plan).code == 0
    assert call("plan", "codec", plan, *ends, "--codec", "fp16", "--out", plan).code == 0
    said = call("plan", "codec", plan, "--codec", "clip4+rle", "--tensor", "pool1", "--high", "3", "--out", plan)
    assert said.code == 0, said
    assert call("plan", "codec", plan, "--max-change", "0.02", "--out", plan).code == 0
    document = call("plan", "codec", plan, "--json").document
    assert document["max_change"] == 0.02
    assert [(one["producer"], one["consumer"], one["codec"]) for one in document["codecs"]] == [
        ("a", "b", "fp16"),
        ("*", "*", "clip4+rle"),
    ]
    assert "* -> *, pool1: clip4+rle from 0 to 3" in call("plan", "codec", plan).out
    shown = call("plan", "show", DIGITS, plan).out
    assert "codec a -> b, all tensors: fp16" in shown
    assert "fp16" in next(line for line in shown.splitlines() if line.startswith("a-0 -> b-0"))
    assert call("plan", "codec", plan, *ends, "--remove", "--out", plan).code == 0
    assert len(json.loads(plan.read_text())["codecs"]) == 1
    gone = call("plan", "codec", plan, *ends, "--remove", "--json")
    assert gone.error is not None and "from a to b" in gone.error.message


@pytest.mark.parametrize("words", [("--codec", "gzip"), ("--codec", "clip4+rle", "--low", "2", "--high", "1"), ()])
def test_what_no_entry_can_say_is_refused(plan: Path, words: tuple[str, ...]) -> None:
    target = (plan,) if words else ()
    assert call("plan", "codec", *target, *words).code == 2


def test_verify_tells_what_codecs_change_and_how_small_tensors_become(plan: Path) -> None:
    call("plan", "codec", plan, "--from", "a", "--to", "b", "--codec", "int8+zstd", "--out", plan)
    call("plan", "codec", plan, "--to", "studio", "--codec", "auto", "--out", plan)
    said = call("verify", DIGITS, plan, "--seed", "3", "--json")
    assert said.code == 0, said
    found = said.document
    assert (found["ok"], found["equal"], found["unsettled_codecs"]) == (True, False, 1)
    assert 0 < found["codecs"]["max_rel"] < 0.1
    assert found["codecs"]["frames"] == 4
    assert {one["cut"] for one in found["codecs"]["tensors"]} == {"a-0->b-0"}
    assert all(one["wire_bytes"] < one["size_bytes"] / 3 for one in found["codecs"]["tensors"])
    text = call("verify", DIGITS, plan, "--seed", "3").out
    assert "The codecs change the outputs on 4 frames" in text
    assert "the best class stays on" in text
    assert "with the codec auto went as they are" in text
    call("plan", "codec", plan, "--from", "a", "--to", "b", "--codec", "zstd", "--out", plan)
    assert "The codecs change nothing in the outputs" in call("verify", DIGITS, plan, "--seed", "3").out


def test_auto_is_chosen_by_the_studio_told_with_its_reasons_and_written(
    command: Command, studio: RunningStudio, plan: Path, tmp_path: Path
) -> None:
    studio.services.models.add_example("digits")
    for name in ("a", "b"):
        studio.client.post("/api/devices", DeviceOut, DeviceIn(name=name, address="local:"))
    store = LinkStore(studio.services._database)
    for way in [("studio", "a"), ("a", "b"), ("b", "studio")]:
        store.keep(way, "measured", Figure(20_000.0, 0.001, 0.001))
    out = tmp_path / "coded.json"
    said = command("plan", "codecs", "auto", "digits", plan, "--max-change", "0.02", "--out", out)
    assert said.code == 0, said.err
    assert "0.16 Mbit/s" in said.out
    assert "allowed 2 %" in said.out
    assert "Predicted: a frame every" in said.out
    written = json.loads(out.read_text())
    assert written["codecs"] and all(entry["codec"] != "auto" for entry in written["codecs"])
    found = command("plan", "codecs", "auto", "digits", plan, "--json").document
    # The plan itself allows no change.
    assert (found["change"], found["max_change"]) == (0.0, 0.0)
