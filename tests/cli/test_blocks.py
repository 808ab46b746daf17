"""Lists of layers may name blocks, recognised or the plan's own."""

import json
from pathlib import Path

from partition_studio.graph.examples import example
from tests.cli.conftest import Command

DIGITS = example("digits").path
BLOCK = ["block2.conv1", "block2.relu1", "block2.conv2", "block2.add", "block2.relu2"]


def test_a_block_is_divided_by_its_name(offline: Command, tmp_path: Path) -> None:
    plan, out = tmp_path / "plan.json", tmp_path / "divided.json"
    offline("plan", "spread", DIGITS, "--devices", "a,b", "--out", plan)
    options = ("--strategy", "spatial", "--devices", "a,b", "--out", out)
    assert offline("plan", "shard", DIGITS, plan, "--layers", "block:block2", *options).code == 0
    divided = json.loads(out.read_text())
    assert divided["shards"][0]["layers"] == BLOCK
    document = json.loads(plan.read_text())
    document["blocks"] = {"mine": BLOCK[:2]}
    plan.write_text(json.dumps(document))
    assert offline("plan", "shard", DIGITS, plan, "--layers", "block:mine", *options).code == 0
    assert json.loads(out.read_text())["shards"][0]["layers"] == BLOCK[:2]
    said = offline("plan", "shard", DIGITS, plan, "--layers", "block:nope", *options, "--json")
    assert said.code == 2
    assert "'nope'" in said.error["message"]
    assert said.error["code"] == "bad_block"
