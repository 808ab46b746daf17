"""Other tools' files speak of the file's own nodes; simplification computes some of them into others."""

import json
from functools import cache

import pytest

from partition_studio.graph.network import Network
from partition_studio.partition.formats.autodice import AutodiceFiles, import_autodice
from partition_studio.partition.formats.autodice_export import export_autodice
from partition_studio.partition.formats.cut_list import CutListError, import_cuts
from partition_studio.partition.formats.device_map import import_map
from partition_studio.partition.formats.outline import Outline
from tests.formats.cnn import load_file, normalised_model

NAMES = ["conv_1", "norm_1", "relu_1", "conv_2", "y"]


@cache
def simplified(*node_names: str) -> tuple[Network, Outline]:
    return load_file(normalised_model(*node_names), simplified=True)


@pytest.mark.parametrize("node_names", [(), ("a", "b", "c", "d", "e"), ("same",) * 5])
def test_a_merged_layer_is_the_node_that_does_its_work(node_names: tuple[str, ...]) -> None:
    network, original = simplified(*node_names)
    assert len(network.layers) == 3
    mapping = {"p": ["conv_1"], "q": ["norm_1", "relu_1", "conv_2", "y"]}
    horizontal = {"conv_2": ["lop", [1, 65535], ["p", "q"]]}
    files = AutodiceFiles(json.dumps({**mapping, "p": ["conv_1", "conv_2"]}), json.dumps(horizontal))
    imported = import_autodice(network, files, original=original)
    first, middle, last = (layer.name for layer in network.layers)
    assert imported.plan.placement == {first: "p", middle: "q"}
    assert imported.plan.shards[0].layers == [last]
    assert imported.plan.network.simplified
    assert imported.notes[0].startswith("2 nodes")


@pytest.mark.parametrize("node_names", [(), ("a", "b", "c", "d", "e")])
def test_what_was_merged_is_exported_where_its_layer_runs(node_names: tuple[str, ...]) -> None:
    network, original = simplified(*node_names)
    files = AutodiceFiles(json.dumps({"p": NAMES[:2], "q": NAMES[2:]}))
    plan = import_autodice(network, files, original=original).plan
    exported = export_autodice(network, plan, original=original)
    assert json.loads(exported.mapping) == {"p": NAMES[:2], "q": NAMES[2:]}
    assert import_autodice(network, exported, original=original).plan == plan


def test_a_map_by_names_may_list_what_was_merged() -> None:
    network, original = simplified("a", "b", "c", "d", "e")
    imported = import_map(network, json.dumps(dict.fromkeys("abcde", "p")), original=original.names)
    assert list(imported.plan.placement) == ["a", "c", "d"]
    assert imported.notes[0].startswith("2 nodes")


def test_a_cut_at_a_tensor_that_was_merged_away_says_what_to_do() -> None:
    with pytest.raises(CutListError, match="no tensor 'conv/1'") as caught:
        import_cuts(simplified()[0], ["conv/1"], ["p", "q"])
    assert "as it is in the file" in caught.value.next_step
