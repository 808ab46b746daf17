"""The digits network for independent tiles (FDSP): what the documentation says of it, measured again by the engine."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from partition_studio.graph.load import load_network
from partition_studio.partition.partition import Partition, partition

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "backend" / "partition_studio" / "graph" / "data"
MEASURED: dict[str, Any] = json.loads((DATA / "digits-fdsp.json").read_text(encoding="utf-8"))

#: One digit on the border may fall to the other side with another build of ONNX Runtime.
ONE_DIGIT = 1.5 / MEASURED["held_out_images"]

#: Sixteen tiles take some seconds: all of them by `make test-all`.
QUICK = {
    ("digits", "block1.relu2", (2, 2)),
    ("digits", "block2.relu2", (2, 1)),
    ("digits-fdsp", "block1.relu2", (2, 2)),
}


@pytest.fixture(scope="module")
def trainer() -> ModuleType:
    """The training script, imported without torch."""
    folder = str(ROOT / "scripts")
    sys.path.insert(0, folder)
    try:
        spec = importlib.util.spec_from_file_location("train_fdsp", ROOT / "scripts" / "train_fdsp.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return module


def rows_of(trainer: ModuleType, key: str) -> list[Any]:
    return [trainer.Row(**{**row, "tiles": tuple(row["tiles"])}) for row in MEASURED[key]]


def _kept() -> list[Any]:
    """The measurements of networks that are in the repository."""
    rows = []
    for row in (*MEASURED["first_blocks"], *MEASURED["all_blocks"]):
        if (row["network"], row["step"]) in (("digits", "untouched"), ("digits-fdsp", "quantised")):
            key = (row["network"], row["end"], tuple(row["tiles"]))
            rows.append(pytest.param(row, id="-".join(map(str, key)), marks=() if key in QUICK else pytest.mark.slow))
    return rows


@pytest.mark.parametrize("row", _kept())
def test_the_engines_tiles_recognise_as_many_digits_as_the_table_says(trainer: ModuleType, row: dict[str, Any]) -> None:
    model = (DATA / f"{row['network']}.onnx").read_bytes()
    run = MEASURED["tile_layers"] if row["network"] == "digits-fdsp" else trainer.run_of(row["end"])
    held_out = trainer.split_digits()[1]
    found = trainer.engine_accuracy(model, run, tuple(row["tiles"]), held_out)
    assert found.frames == MEASURED["held_out_images"]
    assert found.parts == pytest.approx(row["accuracy"], abs=ONE_DIGIT)


def test_retraining_brings_back_what_tiles_cost(trainer: ModuleType) -> None:
    rows = {(row.step, row.tiles): row.accuracy for row in rows_of(trainer, "first_blocks")}
    whole = rows["untouched", trainer.WHOLE]
    for tiles in trainer.TILINGS:
        assert rows["untouched", tiles] < whole - 0.1
        assert rows["quantised", tiles] > whole - 0.01, "less than one point, for every tiling with one network"


def test_the_documentation_shows_what_was_measured(trainer: ModuleType) -> None:
    text = (ROOT / "docs" / "fdsp.md").read_text(encoding="utf-8")
    for key in ("first_blocks", "all_blocks"):
        assert trainer.table(rows_of(trainer, key)) in text


def test_tiles_hand_on_a_quarter_of_the_bytes(trainer: ModuleType) -> None:
    def handed(parted: Partition) -> tuple[set[str], int]:
        cuts = [cut for cut in parted.graph.cuts if cut.producer.startswith("tile")]
        tensors = [parted.graph.tensors[name] for cut in cuts for name in cut.tensors]
        return {tensor.dtype for tensor in tensors}, sum(tensor.size_bytes for tensor in tensors)

    def tiled(name: str, run: list[str]) -> Partition:
        path = DATA / f"{name}.onnx"
        return partition(load_network(path), trainer.tiled_plan(path, run, (2, 2)))

    plain, plain_bytes = handed(tiled("digits", trainer.run_of("block1.relu2")))
    short, short_bytes = handed(tiled("digits-fdsp", MEASURED["tile_layers"]))
    assert (plain, short) == ({"float32"}, {"uint8"})
    assert plain_bytes == 4 * short_bytes == 16 * 16 * 16 * 4


def test_the_script_writes_the_committed_networks_from_their_weights(trainer: ModuleType) -> None:
    digits = (DATA / "digits.onnx").read_bytes()
    assert trainer.build_onnx(trainer.read_weights(digits)) == digits
    tiled = (DATA / "digits-fdsp.onnx").read_bytes()
    form = trainer.Form("block1.relu2", clip=(0.0, 1.0), quantised=True)
    assert trainer.build_onnx(trainer.read_weights(tiled), trainer.layers_of(form)) == tiled
