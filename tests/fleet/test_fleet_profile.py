"""Networks to be profiled travel without their weights, in pieces that fit, and come back as one profile."""

import hashlib
import json
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from partition_agent.protocol import CarryFigures, CodecFigures, LayerTime, PowerOfRun, Profiled
from partition_studio.fleet.errors import BadAnswerError
from partition_studio.fleet.profiling.merge import merge
from partition_studio.fleet.profiling.model import Piece, build_piece, largest_bytes, piece_ranges, pieces, safe_bytes
from partition_studio.graph.load import load_network
from partition_studio.graph.network import Network
from partition_studio.graph.weights import HELD_BYTES
from partition_studio.partition.runtimes import RuntimeTooOldError, limits_of
from partition_studio.planner.figures.profile import CarrySpeed, CodecSpeed, profile_of_json, profile_to_json

MIB = 2**20


def chain(folder: Path, *, layers: int = 6, features: int = 256) -> Network:
    """Fully connected layers one after the other, each with its own weights, bias and a ReLU."""
    generator = np.random.default_rng(5)
    nodes, weights, last = [], [], "x"
    for number in range(layers):
        weight = generator.standard_normal((features, features), dtype=np.float32) * np.float32(0.25)
        weights += [
            numpy_helper.from_array(weight, f"w{number}"),
            numpy_helper.from_array(np.arange(features, dtype=np.float32), f"b{number}"),
        ]
        nodes.append(helper.make_node("Gemm", [last, f"w{number}", f"b{number}"], [f"g{number}"], name=f"fc{number}"))
        nodes.append(helper.make_node("Relu", [f"g{number}"], [f"r{number}"], name=f"relu{number}"))
        last = f"r{number}"
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, features]) for name in ("x", last))
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "chain.onnx"
    onnx.save(model, path)
    return load_network(path)


def test_large_weights_stay_here_and_small_ones_travel_with_their_values(tmp_path: Path) -> None:
    network = chain(tmp_path)
    piece = build_piece(network, 0, len(network.layers))
    assert len(piece.data) < network.weight_bytes / 10
    model = onnx.ModelProto.FromString(piece.data)
    held = {t.name: t for t in model.graph.initializer if t.data_location != TensorProto.EXTERNAL}
    assert set(held) == {f"b{n}" for n in range(6)}
    assert list(numpy_helper.to_array(held["b3"])) == list(range(256))
    assert [fill.count for fill in piece.fills] == [256 * 256] * 6
    # Weights are made up with the deviation that the real ones have.
    assert all(fill.std == pytest.approx(0.25, rel=0.05) for fill in piece.fills)
    assert piece.digest == hashlib.sha256(piece.data).hexdigest()


def test_made_up_weights_do_not_overlap_and_begin_on_pages(tmp_path: Path) -> None:
    piece = build_piece(chain(tmp_path, features=100), 0, 12)
    ends = [fill.offset + 4 * fill.count for fill in piece.fills]
    assert all(fill.offset % 4096 == 0 for fill in piece.fills)
    assert all(end <= fill.offset for end, fill in zip(ends, piece.fills[1:], strict=False))


def test_integers_travel_as_they_are_for_they_may_be_indices(tmp_path: Path) -> None:
    indices = np.arange(64 * 64, dtype=np.int64).reshape(64, 64) % 7
    assert indices.nbytes > HELD_BYTES
    node = helper.make_node("Gather", ["x", "i"], ["y"], name="gather")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [7])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [64, 64])
    graph = helper.make_graph([node], "g", [x], [y], [numpy_helper.from_array(indices, "i")])
    path = tmp_path / "gather.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    piece = build_piece(load_network(path), 0, 1)
    assert piece.fills == ()
    model = onnx.ModelProto.FromString(piece.data)
    assert (numpy_helper.to_array(model.graph.initializer[0]) == indices).all()


def test_a_piece_is_written_for_the_runtime_of_the_device(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], name="relu"),
        helper.make_node("Swish", ["r"], ["y"], name="swish"),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8]) for name in ("x", "y"))
    graph = helper.make_graph(nodes, "g", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=11), tmp_path / "n.onnx")
    network = load_network(tmp_path / "n.onnx")
    old = limits_of("1.19.2")
    opsets = [
        onnx.ModelProto.FromString(build_piece(network, 0, 1, device="pi", runtime=runtime).data)
        .opset_import[0]
        .version
        for runtime in (None, limits_of("1.31.1"), old)
    ]
    assert opsets == [24, 24, 21]
    with pytest.raises(RuntimeTooOldError, match=r"'swish' .*pi has ONNX Runtime 1\.19\.2"):
        build_piece(network, 1, 2, device="pi", runtime=old)


@pytest.mark.parametrize("limit_bytes", [1, MIB // 2, MIB, 100 * MIB])
def test_pieces_are_consecutive_and_hold_every_layer_once(tmp_path: Path, limit_bytes: int) -> None:
    network = chain(tmp_path)
    ranges = piece_ranges(network, limit_bytes)
    assert [layer for start, stop in ranges for layer in range(start, stop)] == list(range(len(network.layers)))
    assert all(start < stop for start, stop in ranges)


def test_a_network_that_fits_is_one_piece_and_one_that_does_not_is_several(tmp_path: Path) -> None:
    network = chain(tmp_path)
    assert len(piece_ranges(network, 100 * MIB)) == 1
    assert len(piece_ranges(network, MIB // 2)) > 3


def test_pieces_for_half_of_what_the_largest_takes_are_smaller(tmp_path: Path) -> None:
    network = chain(tmp_path)
    limit_bytes, sizes = 100 * MIB, []
    while len(piece_ranges(network, limit_bytes)) < len(network.layers) / 2:
        sizes.append(largest_bytes(network, limit_bytes))
        limit_bytes = min(limit_bytes, sizes[-1]) // 2
    assert len(sizes) > 1
    assert sizes == sorted(set(sizes), reverse=True)


def test_of_a_layer_too_large_for_the_device_a_share_of_the_outputs_is_measured(tmp_path: Path) -> None:
    network = chain(tmp_path, layers=1, features=512)
    piece = next(iter(pieces(network, MIB // 2)))
    assert piece.stop - piece.start == 1
    assert 0 < piece.share < 1
    model = onnx.ModelProto.FromString(piece.data)
    kept = round(512 * piece.share)
    assert sorted(list(t.dims) for t in model.graph.initializer) == [[kept], [512, kept]]
    assert piece.fills[0].count == 512 * kept
    assert [d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim] == [1, kept]


def test_some_memory_is_left_to_others_and_some_is_always_tried() -> None:
    assert safe_bytes(512 * MIB) < 400 * MIB
    assert safe_bytes(1) > 0


NAN, HUGE = float("nan"), 1e308


def profiled(names: tuple[str, ...], seconds: float, *, power: PowerOfRun | None = None) -> Profiled:
    layers = tuple(LayerTime((name,), seconds, 0.0, 5, 0, 0) for name in names)
    return Profiled(
        layers=layers,
        kernels=(LayerTime(names, seconds, 0.0, 5, 0, 0),),
        run_s=seconds + 0.5,
        run_spread_s=0.0,
        runs=5,
        session_s=0.5,
        load_s=1.0,
        weight_bytes=0,
        peak_bytes=10,
        load_peak_bytes=20,
        power=power,
        threads=1,
        provider="CPUExecutionProvider",
        onnxruntime_version="1.2.3",
        temperature_c=50.0,
        throttled=(),
    )


def names_of(network: Network, start: int, stop: int) -> tuple[str, ...]:
    return tuple(layer.name for layer in network.layers[start:stop])


def test_times_that_scatter_are_warned_of(tmp_path: Path) -> None:
    network = chain(tmp_path)
    quiet = profiled(names_of(network, 0, 12), 2.0)

    def warned(measured: Profiled) -> bool:
        profile = merge(network, "board", [(Piece(0, 12, b"", (), ()), measured)], 1.0)
        return any("kept the device busy" in text and "30%" in text for text in profile.warnings)

    scattered = tuple(msgspec.structs.replace(layer, spread_s=0.3 * layer.median_s) for layer in quiet.layers)
    assert not warned(quiet)
    assert warned(msgspec.structs.replace(quiet, layers=scattered))
    assert warned(msgspec.structs.replace(quiet, run_spread_s=0.3 * (quiet.run_s)))
    # A single layer among many is no sign.
    assert not warned(msgspec.structs.replace(quiet, layers=(scattered[0], *quiet.layers[1:])))


def test_pieces_add_up_and_what_every_run_takes_counts_once(tmp_path: Path) -> None:
    network = chain(tmp_path)
    parts = [
        (Piece(0, 4, b"", (), ()), profiled(names_of(network, 0, 4), 2.0)),
        (Piece(4, 12, b"", (), ()), profiled(names_of(network, 4, 12), 3.0)),
    ]
    profile = merge(network, "board", parts, 9.0)
    assert profile.run_s == pytest.approx(0.5 + 2.0 + 3.0)
    assert profile.kernels_s == pytest.approx(5.0)
    assert [figures.layer for figures in profile.layers] == list(names_of(network, 0, 12))
    assert profile.pieces == 2
    assert any("2 pieces" in text for text in profile.warnings)


def test_a_layer_measured_in_part_counts_as_a_whole_and_that_is_said(tmp_path: Path) -> None:
    network = chain(tmp_path, layers=1)
    parts = [(Piece(0, 1, b"", (), (), 0.25), profiled(names_of(network, 0, 1), 2.0))]
    profile = merge(network, "board", parts, 9.0)
    assert profile.layers[0].median_s == pytest.approx(8.0)
    assert profile.run_s == pytest.approx(8.5)
    assert any("fc0" in text and "25%" in text for text in profile.warnings)


def test_energy_is_power_by_time_and_absent_where_a_piece_has_another_source(tmp_path: Path) -> None:
    network = chain(tmp_path)
    rapl = PowerOfRun(10.0, 4.0, "rapl", "package", "counter", 0.03)
    wall = PowerOfRun(20.0, 9.0, "shelly", "wall", "sampled", 0.02)

    def energy(first: PowerOfRun | None, second: PowerOfRun | None) -> object:
        parts = [
            (Piece(0, 4, b"", (), ()), profiled(names_of(network, 0, 4), 2.0, power=first)),
            (Piece(4, 12, b"", (), ()), profiled(names_of(network, 4, 12), 3.0, power=second)),
        ]
        power = merge(network, "board", parts, 9.0).power
        return None if power is None else (power.gross_j, power.net_j, power.scope)

    assert energy(rapl, rapl) == (pytest.approx(55.0), pytest.approx(33.0), "package")
    assert energy(rapl, wall) is None
    assert energy(rapl, None) is None


def test_a_codecs_speed_is_the_median_of_the_pieces_and_nonsense_is_not_known(tmp_path: Path) -> None:
    network = chain(tmp_path)
    odd = (
        CodecFigures("zstd", 1.0, -1.0),
        CodecFigures("lz4", 0.0, HUGE),
        CodecFigures("none", 1e18, 1.0),
        CodecFigures("brotli", 1.0, 1.0),
    )
    said = [
        (CodecFigures("rle", 1e8, 3e8),),
        (CodecFigures("rle", 3e8, 1e8),),
        (CodecFigures("rle", 2e8, 2e8), *odd),
        (CodecFigures("rle", NAN, 1.0), *odd),
    ]
    parts = [
        (
            Piece(at, at + 3, b"", (), ()),
            msgspec.structs.replace(profiled(names_of(network, at, at + 3), 2.0), codecs=codecs),
        )
        for at, codecs in zip((0, 3, 6, 9), said, strict=True)
    ]
    profile = merge(network, "board", parts, 9.0)
    assert profile.codecs == {"rle": CodecSpeed(2e8, 2e8)}
    assert profile_of_json(json.loads(json.dumps(profile_to_json(profile)))) == profile


@pytest.mark.parametrize(
    "nonsense",
    [
        CarryFigures(-1e-4, 1e-9),
        CarryFigures(1e-4, -1e-9),
        CarryFigures(NAN, 1e-9),
        CarryFigures(1e-4, HUGE),
        CarryFigures(HUGE, 1e-9),
        CarryFigures(0.0, 0.0),
        None,
    ],
)
def test_what_carrying_costs_is_the_median_of_the_pieces_and_nonsense_is_not_known(
    tmp_path: Path, nonsense: CarryFigures | None
) -> None:
    network = chain(tmp_path)

    def carry(*said: CarryFigures | None) -> CarrySpeed | None:
        parts = [
            (
                Piece(at, at + 3, b"", (), ()),
                msgspec.structs.replace(profiled(names_of(network, at, at + 3), 2.0), carry=carried),
            )
            for at, carried in zip((0, 3, 6, 9), said, strict=True)
        ]
        profile = merge(network, "board", parts, 9.0)
        assert profile_of_json(json.loads(json.dumps(profile_to_json(profile)))) == profile
        return profile.carry

    told = [CarryFigures(1e-4, 3e-9), CarryFigures(3e-4, 1e-9), CarryFigures(2e-4, 2e-9)]
    assert carry(*told, nonsense) == CarrySpeed(2e-4, 2e-9)
    assert carry(*[nonsense] * 4) is None


def test_a_stored_profile_whose_messages_cost_less_than_nothing_is_none(tmp_path: Path) -> None:
    network = chain(tmp_path, layers=1)
    document = profile_to_json(merge(network, "board", [(Piece(0, 1, b"", (), ()), profiled(("fc0",), 1.0))], 9.0))
    told = {"message_s": 0.0, "byte_s": 1e-9}
    kept = profile_of_json({**document, "carry": told})
    assert kept is not None
    assert kept.carry == CarrySpeed(0.0, 1e-9)
    assert profile_of_json({**document, "carry": {**told, "message_s": -1.0}}) is None
    assert profile_of_json({**document, "carry": {**told, "byte_s": -1.0}}) is None


def test_a_profile_of_an_older_agent_has_no_codecs_and_is_read(tmp_path: Path) -> None:
    network = chain(tmp_path, layers=1)
    profile = merge(network, "board", [(Piece(0, 1, b"", (), ()), profiled(("fc0",), 1.0))], 9.0)
    document = profile_to_json(profile)
    assert document.pop("codecs") == {}
    assert document.pop("carry") is None
    assert profile_of_json(document) == profile
    assert profile_of_json({**document, "codecs": {"rle": {"encode_bytes_per_s": 0, "decode_bytes_per_s": 1}}}) is None


ODD_POWER = PowerOfRun(10.0, NAN, "rapl\x1b[31m" * 100, "package", "counter", -1.0)


@pytest.mark.parametrize(
    "said",
    [
        {"run_s": NAN},
        {"run_s": -5.0},
        {"run_spread_s": HUGE},
        {"load_s": float("inf")},
        {"layers": (LayerTime(("fc0",), -1.0, 0.0, 3, 0, 0),)},
        {"kernels": (LayerTime(("fc0",), HUGE, 0.0, 3, 0, 0),) * 2},
        {"kernels": (LayerTime(("nobody",), 0.1, NAN, 3, 0, 0),)},
    ],
    ids=str,
)
def test_times_that_cannot_be_are_no_profile(tmp_path: Path, said: dict[str, object]) -> None:
    network = chain(tmp_path, layers=1)
    measured = msgspec.structs.replace(profiled(("fc0",), 1.0), **said)
    with pytest.raises(BadAnswerError, match="cannot be"):
        merge(network, "board", [(Piece(0, 1, b"", (), ()), measured)], 9.0)


def test_what_else_a_device_says_is_bounded_and_can_be_read_again(tmp_path: Path) -> None:
    network = chain(tmp_path, layers=1)
    measured = msgspec.structs.replace(
        profiled(("fc0",), 1.0, power=ODD_POWER),
        peak_bytes=-(10**18),
        load_peak_bytes=10**18,
        runs=-3,
        onnxruntime_version="1" * 10**6,
        temperature_c=NAN,
        throttled=("throttled", "x" * 10**6),
        warnings=("w" * 1000,) * 1000,
    )
    profile = merge(network, "board", [(Piece(0, 1, b"", (), ()), measured)], 9.0)
    assert (profile.peak_bytes, profile.load_peak_bytes, profile.runs) == (0, 2**53, 0)
    assert profile.power is not None
    assert (profile.power.net_j, profile.power.uncertainty) == (None, None)
    assert profile.temperature_c is None
    assert profile.throttled == ("throttled",)
    assert len(json.dumps(profile_to_json(profile), allow_nan=False)) < 20_000
    assert profile_of_json(profile_to_json(profile)) == profile


@pytest.mark.parametrize(
    "power",
    [
        PowerOfRun(NAN, 1.0, "a", "package", "counter", None),
        PowerOfRun(1.0, 1.0, "a", "moon", "counter", None),
        PowerOfRun(1.0, 1.0, "a", "wall", "guessed", None),
    ],
    ids=str,
)
def test_power_that_nobody_could_read_is_absent(tmp_path: Path, power: PowerOfRun) -> None:
    network = chain(tmp_path, layers=1)
    assert (
        merge(network, "board", [(Piece(0, 1, b"", (), ()), profiled(("fc0",), 1.0, power=power))], 9.0).power is None
    )
