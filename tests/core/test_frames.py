"""Reading inputs, and reading classes from outputs."""

import io
import pickle
import zipfile

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from partition_studio.errors import FrameInputError
from partition_studio.graph.classes import probability_outputs, top_classes
from partition_studio.graph.frames import Preprocessing, merge_frames, random_frame, read_frame
from partition_studio.graph.network import TensorType

from .networks import load, make_model, value

IMAGE = {"data": TensorType("float32", (1, 3, 4, 6))}
GREY = {"data": TensorType("float32", (1, 1, 4, 6))}
TWO = {"a": TensorType("float32", (1, 2)), "b": TensorType("int64", (1,))}
VALUES = np.arange(72, dtype=np.float32).reshape(1, 3, 4, 6)


def npz(**arrays: object) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]  # numpy types this as allow_pickle
    return stream.getvalue()


def npy(array: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)  # type: ignore[arg-type]  # also pickled objects, which must be refused
    return stream.getvalue()


def picture(size: tuple[int, int] = (6, 4), form: str = "PNG", mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    colour = (10, 100, 200) if mode == "RGB" else 50
    Image.new(mode, size, colour).save(stream, form)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (npz(data=VALUES), "f.npz"),
        (npz(**{"in:data": VALUES, "out:y": VALUES}), "f.npz"),
        (npz(whatever=VALUES), "f.npz"),
        (npz(data=VALUES[0]), "f.npz"),
        (npy(VALUES), "F.NPY"),
        (npy(VALUES.astype(">f4")), "f.npy"),
        (numpy_helper.from_array(VALUES, "data").SerializeToString(), "input_0.pb"),
        (numpy_helper.from_array(VALUES).SerializeToString(), "input_0.pb"),
    ],
)
def test_a_tensor_is_read_from_every_format(data: bytes, name: str) -> None:
    frame = read_frame(data, name, IMAGE)
    assert list(frame) == ["data"]
    assert frame["data"].dtype == np.float32
    assert frame["data"].flags.c_contiguous
    assert np.array_equal(frame["data"], VALUES)


@pytest.mark.parametrize(
    ("data", "name", "code", "words"),
    [
        (npz(data=VALUES[:, :2]), "f.npz", "wrong_input_shape", ["'data'", "[1, 2, 4, 6]", "[1, 3, 4, 6]"]),
        (npy(VALUES.astype(np.float64)), "f.npy", "wrong_input_dtype", ["'data'", "float64", "float32"]),
        (npz(one=VALUES, two=VALUES), "f.npz", "missing_input", ["'data'", "'one'"]),
        (npz(), "f.npz", "missing_input", ["'data'"]),
        (b"PK\x03\x04 broken", "f.npz", "unreadable_frame", ["f.npz"]),
        (npz(data=VALUES)[:-40], "f.npz", "unreadable_frame", ["f.npz"]),
        (npy(np.array([{"a": 1}], dtype=object)), "f.npy", "unreadable_frame", ["f.npy"]),
        (pickle.dumps({"a": 1}), "f.npy", "unreadable_frame", ["f.npy"]),
        (npz(data=np.array([{"a": 1}], dtype=object)), "f.npz", "unreadable_frame", ["f.npz"]),
        (npz(data=VALUES), "f.npy", "unreadable_frame", ["f.npy"]),
        (b"", "f.npy", "unreadable_frame", ["f.npy"]),
        (b"\xff" * 9, "f.pb", "unreadable_frame", ["f.pb"]),
        (TensorProto(data_type=1, dims=[9], raw_data=b"1").SerializeToString(), "f.pb", "unreadable_frame", ["f.pb"]),
        (b"text", "f.png", "not_an_image", ["f.png"]),
        (picture()[:48], "f.png", "not_an_image", ["f.png"]),
        (b"GIF89a" + bytes(30), "f.jpg", "not_an_image", ["f.jpg"]),
        (b"", "f.bmp", "not_an_image", ["f.bmp"]),
        (b"a,b", "f.csv", "unknown_frame_format", ["f.csv", "'.csv'"]),
    ],
)
def test_a_bad_input_is_named(data: bytes, name: str, code: str, words: list[str]) -> None:
    with pytest.raises(FrameInputError) as caught:
        read_frame(data, name, IMAGE)
    assert caught.value.code == code, caught.value.message
    assert all(word in caught.value.message for word in words), caught.value.message
    assert "0x" not in caught.value.message


def test_a_zip_that_unpacks_to_gigabytes_is_refused_unopened() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("data.npy", "w") as entry:
        for _ in range(520):
            entry.write(bytes(2**20))
    with pytest.raises(FrameInputError, match="unpacks to more"):
        read_frame(stream.getvalue(), "f.npz", IMAGE)


def test_an_image_with_too_many_pixels_is_refused() -> None:
    with pytest.raises(FrameInputError, match="9000 x 9000"):
        read_frame(picture((9000, 9000), mode="L"), "f.png", IMAGE)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP"])
def test_an_image_becomes_planes_in_the_channel_order(form: str) -> None:
    rgb = read_frame(picture(form=form), "f." + form.lower(), IMAGE)["data"]
    assert rgb.shape == (1, 3, 4, 6)
    assert np.allclose(rgb[0, :, 0, 0], (10, 100, 200), atol=4)
    bgr = read_frame(picture(form=form), "f." + form.lower(), IMAGE, Preprocessing("bgr"))["data"]
    assert np.array_equal(bgr, rgb[:, ::-1])


def test_pixels_are_scaled_then_shifted_then_divided() -> None:
    pre = Preprocessing("rgb", 0.5, (1.0, 2.0, 3.0), (2.0, 4.0, 8.0))
    frame = read_frame(picture(), "f.png", IMAGE, pre)["data"]
    assert frame[0, :, 0, 0].tolist() == [(5 - 1) / 2, (50 - 2) / 4, (100 - 3) / 8]


def test_an_image_is_resized_and_made_grey_where_the_network_is() -> None:
    frame = read_frame(picture((60, 40)), "f.png", GREY)["data"]
    assert frame.shape == (1, 1, 4, 6)
    assert abs(float(frame[0, 0, 0, 0]) - (0.299 * 10 + 0.587 * 100 + 0.114 * 200)) < 1


@pytest.mark.parametrize("dtype", ["float16", "uint8"])
def test_an_image_takes_the_dtype_of_the_input(dtype: str) -> None:
    frame = read_frame(picture(), "f.png", {"data": TensorType(dtype, (1, 3, 4, 6))})["data"]
    assert frame.dtype == np.dtype(dtype)
    assert frame[0, :, 0, 0].tolist() == [10, 100, 200]


@pytest.mark.parametrize("inputs", [TWO, {"v": TensorType("float32", (1, 10))}])
def test_an_image_for_a_network_that_takes_none_is_refused(inputs: dict[str, TensorType]) -> None:
    with pytest.raises(FrameInputError) as caught:
        read_frame(picture(), "f.png", inputs)
    assert caught.value.code == "image_not_suitable"


def test_preprocessing_that_cannot_be_is_refused() -> None:
    for bad in (Preprocessing(mean=(1.0, 2.0)), Preprocessing(std=(0.0,))):
        with pytest.raises(FrameInputError):
            read_frame(picture(), "f.png", IMAGE, bad)


def test_several_files_make_one_frame_by_name_else_in_order() -> None:
    a, b = np.ones((1, 2), np.float32), np.array([7])
    named = [("1.pb", numpy_helper.from_array(b, "b")), ("0.pb", numpy_helper.from_array(a, "a"))]
    unnamed = [("0.pb", numpy_helper.from_array(a)), ("1.pb", numpy_helper.from_array(b))]
    for files in (named, unnamed):
        frame = merge_frames([(name, tensor.SerializeToString()) for name, tensor in files], TWO)
        assert np.array_equal(frame["a"], a)
        assert np.array_equal(frame["b"], b)
    with pytest.raises(FrameInputError, match="'b'"):
        merge_frames([("0.pb", numpy_helper.from_array(a).SerializeToString())], TWO)


def test_random_frames_are_seeded_and_fit() -> None:
    inputs = {**IMAGE, **TWO, "m": TensorType("bool", (3,)), "n": TensorType("float32", ())}
    first, same, other = random_frame(inputs, 1), random_frame(inputs, 1), random_frame(inputs, 2)
    for name, kind in inputs.items():
        assert (first[name].shape, str(first[name].dtype)) == (kind.shape, kind.dtype)
        assert np.array_equal(first[name], same[name])
    assert not np.array_equal(first["data"], other["data"])


def test_logits_become_probabilities_and_a_distribution_stays() -> None:
    logits = np.array([[1.0, 3.0, 2.0]], np.float32)
    scores = top_classes(logits, ["cat", "dog"], k=2)
    assert scores is not None
    assert [(s.index, s.label) for s in scores] == [(1, "dog"), (2, None)]
    assert scores[0].score == pytest.approx(np.exp(3) / np.exp([1, 2, 3]).sum())
    probabilities = np.array([0.1, 0.7, 0.2], np.float16).reshape(1, 3, 1, 1)
    again = top_classes(probabilities)
    assert again is not None
    assert again[0].score == pytest.approx(0.7, abs=1e-3)


def test_probabilities_that_a_codec_changed_are_not_taken_for_logits() -> None:
    changed = np.array([[0.0, 0.13, 0.05, 0.78]], np.float32)
    scores = top_classes(changed, are_probabilities=True)
    assert scores is not None
    assert [s.score for s in scores] == pytest.approx([0.78, 0.13, 0.05, 0.0])
    beyond = top_classes(np.array([-0.01, 1.02], np.float32), are_probabilities=True)
    assert beyond is not None and [s.score for s in beyond] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("operators", "expected"),
    [(["Softmax"], {"y"}), (["Relu", "Softmax", "Identity"], {"y"}), (["Softmax", "Relu"], set()), (["Relu"], set())],
)
def test_which_outputs_are_probabilities_is_known_from_the_network(operators: list[str], expected: set[str]) -> None:
    names = ["x", *(f"t{number}" for number in range(1, len(operators))), "y"]
    nodes = [
        helper.make_node(kind, [names[number]], [names[number + 1]], name=f"l{number}")
        for number, kind in enumerate(operators)
    ]
    network = load(make_model(nodes, [value("x", (1, 5))], [value("y", (1, 5))]))
    assert probability_outputs(network) == expected


@pytest.mark.parametrize("shape", [(1, 3, 4, 4), (2, 10), (1, 1), (), (1, 4420, 2), (0,)])
def test_what_is_no_class_vector_has_no_classes(shape: tuple[int, ...]) -> None:
    assert top_classes(np.ones(shape, np.float32)) is None


def test_numbers_that_are_not_finite_and_integers_have_no_classes() -> None:
    assert top_classes(np.array([1.0, np.nan], np.float32)) is None
    assert top_classes(np.array([1, 2])) is None
