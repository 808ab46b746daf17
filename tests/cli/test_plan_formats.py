"""`plan import-...`, `export-autodice`, `shard` and `show` need no studio; nothing is written halfway."""

import json
from pathlib import Path

import pytest

from partition_studio.graph.examples import example
from partition_studio.graph.load import load_network
from partition_studio.planner.spread import spread
from tests.cli.conftest import Command
from tests.formats.cnn import normalised_model

DIGITS = example("digits").path
NETWORK = load_network(DIGITS)
LAYERS = {layer.outputs[0].replace("/", "_"): layer for layer in NETWORK.layers}
NAMES = list(LAYERS)
CONV = NAMES[0]


def written(path: Path, document: object) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    return written(tmp_path / "mapping.json", {"nx01_arm01": NAMES[:6], "nx02": [CONV, *NAMES[6:]]})


@pytest.fixture
def horizontal(tmp_path: Path) -> Path:
    return written(tmp_path / "horizontal.json", {CONV: ["lop", [5, 65535], ["nx01_arm01", "nx02"]]})


def test_an_autodice_plan_is_split_and_proven_under_the_files_own_names(
    offline: Command, mapping: Path, horizontal: Path, tmp_path: Path
) -> None:
    plan, platform = tmp_path / "plan.json", written(tmp_path / "platform.txt", "nx01, arm, slots=0-5\nnx02, x86\n")
    said = offline(
        "plan", "import-autodice", DIGITS, "--mapping", mapping, "--horizontal", horizontal, "--platform", platform,
        "--out", plan,
    )  # fmt: skip
    assert said.code == 0, said.err
    shown = offline("plan", "show", DIGITS, plan)
    assert shown.code == 0, shown.err
    for words in ("nx01_arm01: cpu of nx01_arm01, cores 0, 1", "output_channels", f"{LAYERS[CONV].name}#1", "nx02"):
        assert words in shown.out
    split = offline("split", DIGITS, plan, "--out", tmp_path / "parts", "--json")
    assert split.code == 0, split.err
    assert {stage["device"] for stage in split.document["stages"]} == {"nx01_arm01", "nx02"}


def test_export_writes_files_that_import_as_the_same_plan(
    offline: Command, mapping: Path, horizontal: Path, tmp_path: Path
) -> None:
    plan, again = tmp_path / "plan.json", tmp_path / "again.json"
    renamed = ("--device", "nx01=jetson")
    offline(
        "plan", "import-autodice", DIGITS, "--mapping", mapping, "--horizontal", horizontal, *renamed, "--out", plan
    )
    out = (tmp_path / "m.json", tmp_path / "h.json")
    said = offline("plan", "export-autodice", DIGITS, plan, "--out-mapping", out[0], "--out-horizontal", out[1])
    assert said.code == 0, said.err
    assert "--device nx01_arm01=jetson" in said.out
    options = ("--mapping", out[0], "--horizontal", out[1], "--device", "nx01_arm01=jetson")
    assert offline("plan", "import-autodice", DIGITS, *options, "--out", again).code == 0
    assert again.read_text() == plan.read_text()
    alone = offline("plan", "export-autodice", DIGITS, plan, "--out-mapping", tmp_path / "alone.json")
    assert (alone.code, (tmp_path / "alone.json").exists()) == (2, False)
    assert "--out-horizontal" in alone.err


def test_a_map_and_cuts_become_plans(offline: Command, tmp_path: Path) -> None:
    layers = list(LAYERS.values())
    placement = {layer.name: "a" if index < 6 else "theirs" for index, layer in enumerate(layers)}
    file = written(tmp_path / "map.json", placement)
    mapped = offline("plan", "import-map", DIGITS, "--map", file, "--device", "theirs=b")
    cut = offline("plan", "import-cuts", DIGITS, "--cuts", layers[5].outputs[0], "--devices", "a,b")
    assert (mapped.code, cut.code) == (0, 0), (mapped.err, cut.err)
    assert mapped.document == cut.document
    assert set(mapped.document["placement"].values()) == {"a", "b"}


def test_an_import_that_the_simplified_network_cannot_follow_is_for_the_file_as_it_is(
    offline: Command, tmp_path: Path
) -> None:
    model = tmp_path / "net.onnx"
    model.write_bytes(normalised_model().SerializeToString())
    words = ("plan", "import-cuts", model, "--cuts", "conv/1", "--devices", "a,b")
    said = offline(*words)
    assert said.code == 0, said.err
    assert said.document["network"]["simplified"] is False
    assert "no tensor 'conv/1'" in said.err
    assert offline(*words, "--simplify").code == 2


def test_layers_are_divided_and_the_parts_shown(offline: Command, tmp_path: Path) -> None:
    plan = written(tmp_path / "plan.json", spread(NETWORK, ["a"]).to_json())
    divided, twice = tmp_path / "divided.json", tmp_path / "twice.json"
    first, last = LAYERS[CONV].name, LAYERS[NAMES[1]].name
    tiles = ("--strategy", "spatial", "--from", first, "--to", last, "--devices", "a,b", "--rows", "2,1")
    said = offline("plan", "shard", DIGITS, plan, *tiles, "--out", divided, "--json")
    assert said.code == 0, said.err
    entry = json.loads(divided.read_text())["shards"][0]
    assert (entry["layers"], entry["rows"], entry["unit"]) == ([first, last], [2.0, 1.0], "share")
    end = list(LAYERS.values())[-1].name
    lop = ("--strategy", "lop", "--layers", end, "--devices", "b,c", "--sizes", "6,4")
    assert offline("plan", "shard", DIGITS, divided, *lop, "--out", twice).code == 0
    shown = offline("plan", "check", DIGITS, twice, "--json")
    assert shown.code == 0, shown.err
    assert [shard["strategy"] for shard in shown.document["shards"]] == ["spatial", "output_channels"]
    assert [layer["layer"] for layer in shown.document["divided"]] == [first, last, end]
    assert {device["device"] for device in shown.document["devices"]} == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--strategy", "lop", "--layers", "nowhere", "--devices", "a,b"), "nowhere"),
        (("--strategy", "diagonal", "--layers", LAYERS[CONV].name, "--devices", "a,b"), "no strategy 'diagonal'"),
        (("--strategy", "lop", "--layers", LAYERS[CONV].name, "--devices", "a"), "2 to 16 devices"),
        (("--strategy", "lop", "--layers", LAYERS[CONV].name, "--devices", "a,b", "--sizes", "36,0"), "above 0"),
        (("--strategy", "lop", "--layers", LAYERS[CONV].name, "--devices", "a,b", "--shares", "1,2,3"), "not 3"),
        (("--strategy", "lop", "--layers", LAYERS[CONV].name, "--devices", "a,b", "--unit", "rows"), "share or size"),
        (
            ("--strategy", "fdsp", "--layers", LAYERS[CONV].name, "--devices", "a,b", "--exchange-before", "x"),
            "halos are exchanged",
        ),
        (("--strategy", "lop", "--layers", LAYERS[CONV].name, "--devices", "a,b", "--sizes", "1,1"), "sum to 2"),
        (("--strategy", "lop", "--layers", LAYERS[CONV].name, "--devices", "a,b", "--rows", "1,1"), "spatial"),
        (("--strategy", "spatial", "--layers", LAYERS[CONV].name, "--devices", "a,b", "--rows", "1,x"), "--rows"),
        (("--strategy", "spatial", "--from", LAYERS[CONV].name, "--devices", "a,b"), "--to"),
        (("--strategy", "spatial", "--devices", "a,b"), "--layers"),
    ],
)
def test_a_division_that_cannot_be_is_told_and_not_written(
    offline: Command, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    plan, out = written(tmp_path / "plan.json", spread(NETWORK, ["a"]).to_json()), tmp_path / "out.json"
    said = offline("plan", "shard", DIGITS, plan, *options, "--out", out)
    assert said.code == 2
    assert words in said.err
    assert not out.exists()


@pytest.mark.parametrize("options", [("--layers", LAYERS[CONV].name), ("--layers", "nowhere")])
def test_a_plan_for_another_network_is_not_divided(offline: Command, tmp_path: Path, options: tuple[str, ...]) -> None:
    foreign = spread(NETWORK, ["a"])
    foreign = foreign.model_copy(update={"network": foreign.network.model_copy(update={"sha256": "0" * 64})})
    plan, out = written(tmp_path / "plan.json", foreign.to_json()), tmp_path / "out.json"
    words = ("plan", "shard", DIGITS, plan, "--strategy", "lop", *options, "--devices", "a,b")
    for said in (offline(*words, "--out", out), offline(*words)):
        assert (said.code, said.out) == (2, "")
        assert "for another network" in said.err
    assert not out.exists()


def test_what_was_written_is_told(offline: Command, tmp_path: Path) -> None:
    plan, divided = tmp_path / "plan.json", tmp_path / "divided.json"
    said = offline("plan", "spread", DIGITS, "--devices", "b,a", "--out", plan)
    assert f"wrote {plan}: {len(LAYERS)} layers on b, a" in said.out
    tiles = ("--strategy", "spatial", "--layers", LAYERS[CONV].name, "--devices", "c,a,b")
    said = offline("plan", "shard", DIGITS, plan, *tiles, "--out", divided)
    assert f"wrote {divided}: {LAYERS[CONV].name} divided by spatial into 3 parts on c, a, b" in said.out


def test_a_file_that_is_wrong_leaves_what_was_there(offline: Command, mapping: Path, tmp_path: Path) -> None:
    out = written(tmp_path / "plan.json", "mine")
    said = offline("plan", "import-autodice", DIGITS, "--mapping", mapping, "--out", out, "--json")
    assert said.code == 2
    assert (said.error["code"], said.error["details"]["layer"]) == ("bad_autodice", LAYERS[CONV].name)
    assert CONV in said.error["message"]
    assert out.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("words", "code", "said_words"),
    [
        (("--mapping", "{missing}"), 2, "cannot be read"),
        (("--mapping", "{binary}"), 2, "not a text file"),
        (("--mapping", "{mapping}", "--device", "nx01"), 2, "NAME=VALUE"),
        (("--mapping", "{mapping}", "--device", "a=b", "--device", "a=c"), 2, "twice"),
        (("--mapping", "{mapping}", "--horizontal", "{horizontal}", "--out", "{folder}/no/plan.json"), 4, "cannot be"),
        (("--mapping", "{mapping}", "--horizontal", "{horizontal}", "--out", "{folder}"), 4, "is a folder"),
    ],
)
def test_files_and_options_that_cannot_be_used_are_named(
    offline: Command,
    mapping: Path,
    horizontal: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    code: int,
    said_words: str,
) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    places = {
        "missing": tmp_path / "missing",
        "binary": binary,
        "mapping": mapping,
        "horizontal": horizontal,
        "folder": tmp_path,
    }
    said = offline("plan", "import-autodice", DIGITS, *(word.format(**places) for word in words))
    assert said.code == code, said.err
    assert said_words in said.err
