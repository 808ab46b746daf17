"""What is written down of a deployment is enough to take it up again."""

from partition_agent.protocol import LinkCodec
from partition_studio.deployment.described import as_carried, cuts_out, decided, kept_notes
from partition_studio.deployment.spec import Given
from partition_studio.partition.carry import Carried, CodecEffect
from partition_studio.partition.partition import partition
from partition_studio.schemas import CutOut
from tests.core.networks import load, plan_for, relu_chain


def test_codecs_are_taken_up_again_with_their_bounds_as_they_were_settled() -> None:
    network = load(relu_chain(4))
    graph = partition(network, plan_for(network, {"l0": "a", "l1": "b", "l2": "c", "l3": "a"})).graph
    first, second, third, *_ = [(cut.id, tensor) for cut in graph.cuts for tensor in cut.tensors]
    settled = {
        first: LinkCodec("clip4+rle", 0.25, 7.5),
        second: LinkCodec("clip2+rle"),
        third: LinkCodec("int8+zstd"),
    }
    written = [cut.model_dump_json() for cut in cuts_out(graph, Given(settled))]
    assert decided([CutOut.model_validate_json(text) for text in written]) == settled


def test_what_an_earlier_studio_wrote_without_bounds_is_read() -> None:
    network = load(relu_chain(2))
    graph = partition(network, plan_for(network, {"l0": "a", "l1": "b"})).graph
    cut = next(cut for cut in cuts_out(graph) if (cut.producer_device, cut.consumer_device) == ("a", "b"))
    document = {**cut.model_dump(mode="json"), "codecs": {cut.tensors[0]: "clip8+rle"}}
    del document["bounds"]
    assert list(decided([CutOut.model_validate(document)]).values()) == [LinkCodec("clip8+rle")]


def test_bytes_on_the_link_and_what_codecs_change_are_told_as_the_proof_saw_them() -> None:
    network = load(relu_chain(2))
    graph = partition(network, plan_for(network, {"l0": "a", "l1": "b"})).graph
    between = next(cut for cut in graph.cuts if cut.tensors != tuple(network.inputs) and cut.consumer != "sink")
    (tensor,) = between.tensors
    settled = Given({(between.id, tensor): LinkCodec("int8")})
    size = graph.cut_bytes(between)
    effect = CodecEffect(0.1, 0.004, 1, 1, {(between.id, tensor): Carried("int8", size, 33)})
    carried, notes = as_carried(graph, settled, effect)
    told = {(cut.producer, cut.consumer): cut.wire_bytes for cut in cuts_out(graph, carried)}
    assert told[between.producer, between.consumer] == 33
    assert set(told.values()) == {33, None}
    assert carried.codecs == settled.codecs
    assert ["4.0e-03" in note for note in notes] == [True]
    assert as_carried(graph, settled, None) == (settled, ())
    assert as_carried(graph, settled, CodecEffect(0.0, 0.0, 1, 1, effect.carried))[1] == ()


def test_what_devices_said_is_kept_for_the_next_studio_and_ways_are_found_anew() -> None:
    said = "pi: the stage 'gpu-0' runs on the CPU: CUDAExecutionProvider is not in the device's ONNX Runtime"
    ways = (
        "Frames from pi to jetson go through the studio, which is slower: pi cannot reach 10.0.0.2:40001 ...",
        "Frames between the studio and pi go through its SSH connection, which is slower: ...",
    )
    assert kept_notes((ways[0], said, ways[1])) == (said,)
