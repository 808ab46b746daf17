"""A plan's codecs: which tensor travels how, what is wrong with an entry, and what codecs do to the outputs."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partition_agent.protocol import LinkCodec
from partition_studio.graph.examples import example, preprocessing_of_file
from partition_studio.graph.frames import random_frame, read_frame
from partition_studio.graph.load import load_network, original_model
from partition_studio.graph.network import Network
from partition_studio.partition.accuracy import accuracy_change
from partition_studio.partition.carry import Carrier, carry
from partition_studio.partition.check import check_plan
from partition_studio.partition.codec_trial import CodecTrial
from partition_studio.partition.codecs import (
    LOSSLESS,
    Settled,
    auto_tensors,
    codec_problems,
    names_of_end,
    settled_codecs,
)
from partition_studio.partition.extract import submodels
from partition_studio.partition.labelled import read_labelled
from partition_studio.partition.partition import Partition, partition
from partition_studio.partition.plan import CodecChoice, Plan, ReplicaGroup, Resource
from partition_studio.partition.run_stages import run_stages_on
from partition_studio.partition.verify import verify
from partition_studio.planner.codecs.choice import choose_codecs
from partition_studio.planner.codecs.costs import CAUTIOUS_SPEEDS, LinkFigures
from partition_studio.planner.codecs.task import Measured, codec_task, resolved_plan
from partition_studio.planner.spread import spread
from tests.core.networks import cnn_models, load_both, plan_for, random_plan, relu_chain

ALL = [
    *("none", "lz4", "zstd", "rle", "fp16", "fp16+lz4", "fp16+zstd", "int8", "int8+lz4", "int8+zstd"),
    *("clip2+rle", "clip4+rle", "clip8+rle"),
]


def parts_of(parted: Partition) -> dict[str, bytes]:
    return {name: part.data for name, part in submodels(parted.network, parted.graph).items()}


def chain(*places: str, **more: object) -> tuple[Network, Plan]:
    """A chain of Relu layers, one on each place."""
    network, _ = load_both(relu_chain(len(places)))
    plan = plan_for(network, dict(zip([layer.name for layer in network.layers], places, strict=True)))
    return network, plan.model_copy(update=more)


def names(network: Network, plan: Plan) -> dict[str, str]:
    """The codec of each cut, by its id; every cut of the chain has one tensor."""
    return {cut: codec.name for (cut, _), codec in settled_codecs(partition(network, plan).graph, plan).items()}


# --- which tensor travels how ----------------------------------------------------------------------------------------


def test_the_last_entry_that_fits_counts() -> None:
    entries = [
        CodecChoice(codec="lz4"),
        CodecChoice(producer="a", consumer="b", codec="int8"),
        CodecChoice(consumer="studio", codec="none"),
    ]
    network, plan = chain("a", "b", "c", codecs=entries)
    assert names(network, plan) == {"source->a-0": "lz4", "a-0->b-0": "int8", "b-0->c-0": "lz4"}
    network, plan = chain("a", "b", "c", codecs=entries[::-1])
    assert set(names(network, plan).values()) == {"lz4"}


def test_an_entry_may_speak_of_the_studio_and_of_single_tensors() -> None:
    network, plan = chain("a", "b", codecs=[CodecChoice(producer="studio", codec="zstd")])
    assert names(network, plan) == {"source->a-0": "zstd"}
    graph = partition(network, plan).graph
    crossing = graph.cuts[1].tensors[0]
    plan = plan.model_copy(update={"codecs": [CodecChoice(codec="fp16", tensors=[crossing])]})
    assert names(network, plan) == {"a-0->b-0": "fp16"}


def test_bounds_of_an_entry_go_with_its_codec() -> None:
    entry = CodecChoice(producer="a", consumer="b", codec="clip4+rle", low=0.5, high=3)
    network, plan = chain("a", "b", codecs=[entry])
    assert list(settled_codecs(partition(network, plan).graph, plan).values()) == [LinkCodec("clip4+rle", 0.5, 3.0)]


def test_inside_a_device_and_inside_a_group_of_replicas_nothing_needs_a_codec() -> None:
    resources = {"a_cpu0": Resource(device="a", cores=[0]), "a_cpu1": Resource(device="a", cores=[1])}
    network, plan = chain("a_cpu0", "a_cpu1", codecs=[CodecChoice(codec="lz4")], resources=resources)
    assert set(names(network, plan)) == {"source->a_cpu0-0", "a_cpu1-0->sink"}


def test_resources_and_groups_are_spoken_of_by_their_names_and_by_their_devices() -> None:
    more = {
        "resources": {"fast": Resource(device="b", cores=[0])},
        "replicas": {"pair": ReplicaGroup(places=["c", "d"])},
    }
    network, plan = chain("a", "fast", "pair", **more)
    graph = partition(network, plan).graph
    assert names_of_end(graph, graph.order[1]) == {"fast", "b"}
    assert names_of_end(graph, graph.order[2]) == {"pair", "c", "d"}
    for place in ("pair", "c", "d"):
        told = plan.model_copy(update={"codecs": [CodecChoice(producer="b", consumer=place, codec="int8")]})
        assert names(network, told) == {"fast-0->pair-0": "int8"}


def test_auto_is_as_it_is_until_it_was_chosen() -> None:
    network, plan = chain("a", "b", codecs=[CodecChoice(codec="auto"), CodecChoice(consumer="studio", codec="lz4")])
    graph = partition(network, plan).graph
    undecided = list(auto_tensors(graph, plan))
    assert [cut for cut, _ in undecided] == ["source->a-0", "a-0->b-0"]
    assert names(network, plan) == {"b-0->sink": "lz4"}
    chosen = {key: LinkCodec("fp16") for key in undecided}
    found = settled_codecs(graph, plan, chosen)
    assert {cut: codec.name for (cut, _), codec in found.items()} == {
        "source->a-0": "fp16",
        "a-0->b-0": "fp16",
        "b-0->sink": "lz4",
    }


# --- what is wrong with an entry -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "code", "severity", "named"),
    [
        (CodecChoice(producer="x", codec="lz4"), "codec_place", "warning", "'x'"),
        (CodecChoice(codec="lz4", tensors=["gone"]), "codec_tensor", "warning", "'gone'"),
        (CodecChoice(producer="b", consumer="a", codec="lz4"), "codec_unused", "warning", "from 'b' to 'a'"),
        (CodecChoice(codec="clip4+rle", low=1, high=1), "codec_bounds", "error", "1 ... 1"),
        (CodecChoice(codec="lz4", low=1.0), "codec_bounds", "warning", "(lz4)"),
        (CodecChoice(codec="int8"), "lossy_codec", "warning", "int8"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_an_entry_is_named(entry: CodecChoice, code: str, severity: str, named: str) -> None:
    network, plan = chain("a", "b", codecs=[entry])
    found = {problem.code: problem for problem in check_plan(network, plan).problems}
    assert found[code].severity == severity
    assert named in found[code].message
    assert found[code].next_step


def test_good_lossless_entries_and_auto_are_no_problem() -> None:
    entries = [CodecChoice(codec="lz4"), CodecChoice(producer="a", codec="auto"), CodecChoice(codec="none")]
    network, plan = chain("a", "b", codecs=entries)
    assert codec_problems(partition(network, plan).graph, plan) == ()


def test_a_plans_report_names_the_codecs_of_its_cuts() -> None:
    network, plan = chain("a", "b", codecs=[CodecChoice(codec="auto"), CodecChoice(producer="studio", codec="zstd")])
    report = check_plan(network, plan)
    assert {cut.id: list(cut.codecs.values()) for cut in report.cuts} == {
        "source->a-0": ["zstd"],
        "a-0->b-0": ["auto"],
        "b-0->sink": ["auto"],
    }


# --- what codecs do --------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=15)
@given(
    model=cnn_models(),
    devices=st.integers(2, 4),
    seed=st.integers(0, 10**6),
    codec=st.sampled_from(sorted(LOSSLESS - {"none"})),
)
def test_codecs_without_loss_keep_every_bit_of_the_proof(
    model: onnx.ModelProto, devices: int, seed: int, codec: str
) -> None:
    network, original = load_both(model)
    entry = CodecChoice.model_validate({"codec": codec})
    plan = random_plan(network, devices, seed).model_copy(update={"codecs": [entry]})
    parted = partition(network, plan)
    codecs = settled_codecs(parted.graph, plan)
    frame = random_frame(network.inputs, seed)
    result = verify(original, parted, parts_of(parted), frame, codecs=codecs, optimise=False)
    assert result.ok and not result.approximate
    assert {d.tolerance for d in result.per_tensor} == {0.0}
    assert result.codec_effect is not None
    assert result.codec_effect.max_abs == 0.0
    assert set(result.codec_effect.carried) == set(codecs)


def digits(codec: str, *devices: str) -> tuple[onnx.ModelProto, Partition, Plan]:
    path = example("digits").path
    network = load_network(path)
    plan = spread(network, list(devices or ("a", "b"))).model_copy(
        update={"codecs": [CodecChoice.model_validate({"codec": codec})]}
    )
    return original_model(path), partition(network, plan), plan


def sample_frames(network: Network, count: int) -> list[dict[str, np.ndarray]]:
    files = example("digits").sample_files[:count]
    how = preprocessing_of_file(network.digest)
    return [read_frame(file.read_bytes(), file.name, network.inputs, how) for file in files]


@pytest.mark.parametrize("codec", ["fp16+zstd", "int8", "int8+zstd", "clip4+rle"])
def test_lossy_codecs_never_fail_the_proof_and_tell_what_they_change(codec: str) -> None:
    original, parted, plan = digits("none")
    # Behind a Relu: what is clipped at 0 has nothing below.
    entry = CodecChoice.model_validate({"producer": "a", "consumer": "b", "codec": codec})
    plan = plan.model_copy(update={"codecs": [entry]})
    frames = sample_frames(parted.whole, 4)
    codecs = settled_codecs(parted.graph, plan)
    result = verify(original, parted, parts_of(parted), frames[0], codecs=codecs, samples=frames[1:])
    effect = result.codec_effect
    assert result.ok and result.approximate
    assert effect is not None and effect.frames == 4
    assert 0.0 < effect.max_rel < 1.0
    assert effect.same_class is not None and effect.same_class >= 3
    assert result.device_slack == effect.max_rel
    # The answer of the parts is what devices will give: with the codecs.
    assert np.abs(result.part_outputs["logits"] - result.outputs["logits"]).max() > 1e-4
    assert all(one.wire_bytes <= one.size_bytes for one in effect.carried.values())


def test_a_plan_that_is_wrong_without_its_codecs_is_wrong_with_them() -> None:
    original, parted, plan = digits("int8")
    parts = parts_of(parted)
    model = onnx.ModelProto.FromString(parts["b-0"])
    next(node for node in model.graph.node if node.op_type == "Relu").op_type = "Sigmoid"
    parts["b-0"] = model.SerializeToString()
    frame = sample_frames(parted.whole, 1)[0]
    result = verify(original, parted, parts, frame, codecs=settled_codecs(parted.graph, plan))
    assert not result.ok


def test_half_precision_changes_less_than_eight_bits_and_those_less_than_two() -> None:
    _, parted, _ = digits("none", "a", "b", "c")
    trial = CodecTrial(parted.graph, parts_of(parted), sample_frames(parted.whole, 2))
    keys = [(cut.id, tensor) for cut in parted.graph.cuts for tensor in cut.tensors]
    changes = [trial.change({key: LinkCodec(name) for key in keys}) for name in ("fp16", "int8", "clip2+rle")]
    assert 0 < changes[0] < changes[1] < changes[2]
    assert trial.change({}) == trial.change({key: LinkCodec("zstd") for key in keys}) == 0.0


def test_a_trial_computes_what_the_parts_with_codecs_answer() -> None:
    original, parted, plan = digits("int8+zstd", "a", "b", "c")
    frames, codecs = sample_frames(parted.whole, 3), settled_codecs(parted.graph, plan)
    result = verify(original, parted, parts_of(parted), frames[0], codecs=codecs, samples=frames[1:])
    assert result.codec_effect is not None
    trial = CodecTrial(parted.graph, parts_of(parted), frames)
    assert trial.change(codecs) == pytest.approx(result.codec_effect.max_rel, rel=1e-3)
    for key, carried in result.codec_effect.carried.items():
        assert trial.carried(key, codecs[key]).codec == carried.codec


def test_what_a_codec_cannot_hold_travels_without_loss() -> None:
    whole = np.arange(64, dtype=np.int64)
    arrived, told = carry("t", whole, LinkCodec("int8+zstd"))
    assert np.array_equal(arrived, whole)
    assert told.codec in LOSSLESS
    wild = np.array([1.0, np.inf, -np.nan, 3.0], np.float32)
    arrived, told = carry("t", wild, LinkCodec("int8"))
    assert arrived.tobytes() == wild.tobytes()


def test_accuracy_is_that_of_the_parts_with_their_codecs(tmp_path: Path) -> None:
    original, parted, plan = digits("clip2+rle")
    frames = sample_frames(parted.whole, 12)
    np.savez(tmp_path / "set.npz", x=np.concatenate([frame["image"] for frame in frames]), y=np.arange(12) % 10)
    labelled = read_labelled(tmp_path / "set.npz", parted.whole.inputs, None)
    codecs = settled_codecs(parted.graph, plan)
    assert accuracy_change(original, parted, parts_of(parted), labelled).flipped == 0
    assert accuracy_change(original, parted, parts_of(parted), labelled, codecs=codecs).flipped > 0


# --- from a plan to its task, and back -------------------------------------------------------------------------------


def chosen_for(parted: Partition, plan: Plan, megabits: float, max_change: float) -> Settled:
    trial = CodecTrial(parted.graph, parts_of(parted), sample_frames(parted.whole, 2))
    peers = ["studio", *parted.graph.devices]
    links = {(one, other): LinkFigures(megabits * 125e3) for one in peers for other in peers if one != other}
    task = codec_task(parted.graph, plan, Measured(links=links), trial.carried)
    return choose_codecs(task, max_change, trial.change).codecs


def test_what_was_chosen_stands_in_the_plan_by_name_and_settles_the_same() -> None:
    _, parted, plan = digits("auto", "a", "b", "c")
    found = chosen_for(parted, plan, 0.5, 0.05)
    assert {codec.name for codec in found.values()} - LOSSLESS
    resolved = resolved_plan(plan, parted.graph, found)
    assert all(entry.codec != "auto" for entry in resolved.codecs)
    assert dict(settled_codecs(parted.graph, resolved)) == dict(found)


def test_what_was_chosen_speaks_of_resources_and_groups_by_their_names() -> None:
    more = {
        "resources": {"fast": Resource(device="b", cores=[0]), "slow": Resource(device="b", cores=[1])},
        "replicas": {"pair": ReplicaGroup(places=["c", "d"])},
        "codecs": [
            CodecChoice(codec="lz4"),
            CodecChoice(producer="a", codec="auto"),
            CodecChoice(consumer="pair", codec="auto"),
        ],
    }
    network, plan = chain("a", "fast", "a", "slow", "pair", **more)
    graph = partition(network, plan).graph
    codecs = ("int8", "fp16", "zstd")
    chosen = dict(zip(auto_tensors(graph, plan), map(LinkCodec, codecs), strict=True))
    resolved = resolved_plan(plan, graph, chosen)
    assert [(entry.producer, entry.consumer) for entry in resolved.codecs[1:]] == [
        ("a", "fast"),
        ("a", "slow"),
        ("slow", "pair"),
    ]
    assert names(network, resolved) == {
        "source->a-0": "lz4",
        "a-0->fast-0": "int8",
        "fast-0->a-1": "lz4",
        "a-1->slow-0": "fp16",
        "slow-0->pair-0": "zstd",
        "pair-0->sink": "lz4",
    }


def test_on_a_fast_link_the_choice_leaves_the_plan_as_it_is() -> None:
    _, parted, plan = digits("auto")
    assert chosen_for(parted, plan, 100_000, 0.05) == {}


def test_a_codec_that_one_of_the_devices_cannot_use_is_not_tried() -> None:
    _, parted, plan = digits("auto")
    trial = CodecTrial(parted.graph, parts_of(parted), sample_frames(parted.whole, 1))
    speeds = {name: speed for name, speed in CAUTIOUS_SPEEDS.items() if "zstd" not in name and "lz4" not in name}
    measured = Measured(links={("a", "b"): LinkFigures(1e5)}, speeds={"b": speeds})
    task = codec_task(parted.graph, plan, measured, trial.carried)
    tried = {option.codec.name for tensor in task.tensors for option in tensor.options if tensor.cut == "a-0->b-0"}
    assert "int8" in tried
    assert not [name for name in tried if "zstd" in name or "lz4" in name]
    # Nothing is tried on links of which nothing is known.
    assert {len(tensor.options) for tensor in task.tensors if tensor.cut != "a-0->b-0"} == {1}


def test_replicas_share_the_links_of_a_cut_and_have_one_codec() -> None:
    replicas = {"pair": ReplicaGroup(places=["b", "c"])}
    network, plan = chain("a", "pair", codecs=[CodecChoice(codec="auto")], replicas=replicas)
    parted = partition(network, plan)
    trial = CodecTrial(parted.graph, parts_of(parted), [random_frame(network.inputs, 1)])
    links = {("a", "b"): LinkFigures(1e4), ("a", "c"): LinkFigures(1e6)}
    task = codec_task(parted.graph, plan, Measured(links=links), trial.carried)
    assert {(hop.source, hop.target, hop.share) for hop in task.hops if hop.cut == "a-0->pair-0"} == {
        ("a", "b", 0.5),
        ("a", "c", 0.5),
    }
    assert sum(tensor.cut == "a-0->pair-0" for tensor in task.tensors) == 1


def test_frames_run_with_the_codecs_of_their_own_carrier() -> None:
    network, plan = chain("a", "b")
    parted = partition(network, plan)
    cut = parted.graph.cuts[1]
    frame = random_frame(network.inputs, 5)
    carriers = [Carrier(parted.graph), Carrier(parted.graph, {(cut.id, cut.tensors[0]): LinkCodec("clip2+rle")})]
    *_, (_, (plain, coded)) = run_stages_on(parted.graph, parts_of(parted), [frame, frame], carriers=carriers)
    (name,) = parted.graph.outputs
    assert not np.array_equal(plain[name], coded[name])
    assert carriers[0].carried == {} and list(carriers[1].carried) == [(cut.id, cut.tensors[0])]
