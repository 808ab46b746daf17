"""`partition-studio model add`: what it says when it does not add."""

from pathlib import Path

from partition_studio.graph.examples import example
from tests.cli.conftest import Command

DIGITS = example("digits").path


def test_a_word_that_is_no_file_is_answered_with_the_examples(command: Command) -> None:
    said = command("model", "add", "zork", "--json")
    assert said.code == 2
    assert "zork is no file and no example" in said.error["message"]
    assert "digits, " in said.error["next_step"]
    assert "squeezenet" in said.error["next_step"]


def test_a_form_asked_of_a_network_that_is_there_already_points_to_simplify(command: Command, tmp_path: Path) -> None:
    model = tmp_path / "mine.onnx"
    model.write_bytes(DIGITS.read_bytes())
    assert command("model", "add", model).code == 0
    plain, simplified, neither = (
        command("model", "add", model, *option, "--json") for option in (["--no-simplify"], ["--simplify"], [])
    )
    assert [said.error["code"] for said in (plain, simplified, neither)] == ["model_exists"] * 3
    assert "model simplify MODEL --undo" in plain.error["next_step"]
    assert "model simplify MODEL." in simplified.error["next_step"]
    assert "simplify" not in neither.error["next_step"]
