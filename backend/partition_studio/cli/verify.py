"""`partition-studio verify`: the parts of a plan against the whole network, offline; and what `split` says of it."""

import math
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from partition_studio.cli.model import read_bytes
from partition_studio.cli.options import ChannelsOption, MeanOption, ScaleOption, StdOption, preprocessing_from
from partition_studio.cli.output import JsonOption, bytes_text, print_json, say, table
from partition_studio.cli.plan import ModelArgument, PlanArgument
from partition_studio.cli.plan_files import load_planned

if TYPE_CHECKING:
    from partition_studio.graph.frames import Preprocessing
    from partition_studio.partition.accuracy import AccuracyChange
    from partition_studio.partition.carry import CodecEffect
    from partition_studio.partition.partition import Partition
    from partition_studio.partition.plan import Plan
    from partition_studio.partition.verify import Verification

InputOption = Annotated[
    Path | None, typer.Option("--input", help="Frame to verify with: .npz, .npy, .pb or an image; else random.")
]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Seed of the random frame.")]
LabelledOption = Annotated[
    Path | None,
    typer.Option(
        "--labelled",
        help="Also measure accuracy: .npz with arrays x and y, or a folder with one folder of images for each class.",
    ),
]


#: Files that hold the network's inputs themselves, not images.
_TENSOR_FILES = (".npz", ".npy", ".pb")

#: Random frames, beside the first, on which it is measured what lossy codecs change.
_MORE_FRAMES = 3


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found, and on which input; `accuracy` where labelled frames were given.

    `pixels_as_they_are`: nobody said how images become inputs, and images may have been read. `unsettled` counts the
    tensors whose codec is `auto`: they went as they are.
    """

    shown_input: str
    result: "Verification"
    labelled: Path | None
    accuracy: "AccuracyChange | None"
    pixels_as_they_are: bool
    unsettled: int = 0

    def document(self) -> dict[str, Any]:
        """Return the result for programs; numbers that are not finite become null."""
        result = self.result
        return {
            "input": self.shown_input,
            "ok": result.ok,
            "equal": result.ok and not result.approximate,
            "approximate": result.approximate,
            "max_abs": _finite(result.max_abs),
            "max_rel": _finite(result.max_rel),
            "tolerance": _finite(result.tolerance),
            "optimised_max_rel": None if result.optimised_max_rel is None else _finite(result.optimised_max_rel),
            "first_difference": None if result.first_difference is None else result.first_difference.tensor,
            "accuracy": None if self.accuracy is None else asdict(self.accuracy),
            "codecs": None if result.codec_effect is None else _effect_document(result.codec_effect),
            "unsettled_codecs": self.unsettled,
            "tensors": [
                {
                    "tensor": one.tensor,
                    "stage": one.made_by,
                    "max_abs": _finite(one.max_abs),
                    "max_rel": _finite(one.max_rel),
                    "tolerance": _finite(one.tolerance),
                }
                for one in result.per_tensor
            ],
        }

    def say(self) -> None:
        """Print the result for people."""
        say(_sentence(self.result, self.shown_input))
        if self.result.codec_effect is not None:
            _say_effect(self.result.codec_effect)
        if self.unsettled:
            say(
                f"{self.unsettled} tensors with the codec auto went as they are: what it takes is chosen by links and "
                "devices (`partition-studio plan codecs auto`)."
            )
        if self.result.optimised_max_rel:
            say(
                "It is a quantised network: with the runtime's optimisation, which rounds elsewhere, outputs differ by "
                f"{self.result.optimised_max_rel:.3g} of their largest value."
            )
        if self.pixels_as_they_are:
            say(
                "Images were read as they are (RGB, 0 to 255): say with --channels, --scale, --mean and --std how the "
                "network takes them."
            )
        if self.accuracy is not None:
            change = self.accuracy
            say(
                f"On the {change.frames} labelled frames of {self.labelled} the whole is right for "
                f"{100 * change.whole:.2f} %, the parts for {100 * change.parts:.2f} % "
                f"({100 * change.change:+.2f} points); {change.flipped} frames are called otherwise."
            )


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _effect_document(effect: "CodecEffect") -> dict[str, Any]:
    return {
        "max_abs": _finite(effect.max_abs),
        "max_rel": _finite(effect.max_rel),
        "frames": effect.frames,
        "same_class": effect.same_class,
        "tensors": [
            {"cut": cut, "tensor": tensor, **asdict(carried)} for (cut, tensor), carried in effect.carried.items()
        ],
    }


def _say_effect(effect: "CodecEffect") -> None:
    """Print how the tensors travelled, and what that did to the outputs."""
    table(
        ("cut", "tensor", "codec", "bytes", "on the link"),
        (
            (cut, tensor, carried.codec, bytes_text(carried.size_bytes), bytes_text(carried.wire_bytes))
            for (cut, tensor), carried in effect.carried.items()
        ),
        right=("bytes", "on the link"),
    )
    if effect.max_abs == 0.0:
        say("The codecs change nothing in the outputs.")
        return
    on = f"on {effect.frames} frames" if effect.frames > 1 else "on this input"
    same = "" if effect.same_class is None else f"; the best class stays on {effect.same_class} of {effect.frames}"
    say(
        f"The codecs change the outputs {on} by at most {effect.max_abs:.3g}, {effect.max_rel:.3g} of their largest "
        f"value{same}."
    )


def _sentence(result: "Verification", shown_input: str) -> str:
    differ = f"differ by at most {result.max_abs:.3g} absolutely, {result.max_rel:.3g} of their largest value"
    count = len(result.per_tensor)
    counted = "1 tensor was compared." if count == 1 else f"{count} tensors were compared."
    if not result.ok:
        return f"The parts do not equal the whole on {shown_input}: outputs {differ}; {counted}"
    if any(one.is_output and one.approximate for one in result.per_tensor):
        return f"Approximate by plan: on {shown_input} outputs {differ}; {counted}"
    if result.max_abs == 0.0:
        return f"The parts equal the whole on {shown_input}: outputs are equal to the last bit; {counted}"
    return f"The parts equal the whole on {shown_input}: outputs {differ} (allowed {result.tolerance:.0e}); {counted}"


def prove(
    model: Path,
    partition: "Partition",
    plan: "Plan",
    parts: Mapping[str, bytes],
    *,
    input_file: Path | None,
    seed: int | None,
    labelled: Path | None,
    preprocessing: "Preprocessing | None",
    exact: bool = False,
) -> Proof:
    """Compare parts and whole on a frame, with the plan's codecs, and on labelled frames where some are given.

    Without `preprocessing`, images are read as the network of ours takes them, if it is one, else as they are.
    """
    from partition_studio.graph.examples import preprocessing_of_file
    from partition_studio.graph.frames import random_frame, read_frame
    from partition_studio.graph.load import original_model
    from partition_studio.partition.accuracy import accuracy_change
    from partition_studio.partition.codecs import auto_tensors, is_lossy, settled_codecs
    from partition_studio.partition.labelled import read_labelled
    from partition_studio.partition.verify import verify

    inputs = partition.whole.inputs
    codecs = settled_codecs(partition.graph, plan)
    samples = []
    known = preprocessing or preprocessing_of_file(partition.whole.digest)
    if input_file is not None:
        frame = read_frame(read_bytes(input_file), input_file.name, inputs, known)
        shown_input = str(input_file)
    else:
        seed = secrets.randbelow(2**31) if seed is None else seed
        frame = random_frame(inputs, seed)
        shown_input = f"random input (seed {seed})"
        samples = [random_frame(inputs, seed + more) for more in range(1, _MORE_FRAMES + 1)] if is_lossy(codecs) else []
    frames = None if labelled is None else read_labelled(labelled, inputs, known)
    original = original_model(model, form=partition.whole.form)
    result = verify(original, partition, parts, frame, codecs=codecs, samples=samples, optimise=not exact)
    change = None
    if frames is not None and result.ok:
        change = accuracy_change(original, partition, parts, frames, codecs=codecs)
    files = [path for path in (input_file, labelled) if path is not None]
    images = any(path.suffix not in _TENSOR_FILES for path in files)
    unsettled = len(auto_tensors(partition.graph, plan))
    return Proof(shown_input, result, labelled, change, known is None and images, unsettled)


def preprocessing_of_options(
    channels: str | None, scale: float | None, mean: str | None, std: str | None
) -> "Preprocessing | None":
    """Return how images become inputs, or None when nothing was said."""
    from partition_studio.services.models import preprocessing_of

    told = preprocessing_from(channels, scale, mean, std)
    return None if told is None else preprocessing_of(told)


def verify(
    model: ModelArgument,
    plan: PlanArgument,
    input_file: InputOption = None,
    seed: SeedOption = None,
    exact: Annotated[
        bool,
        typer.Option(help="Without the runtime's optimisation: a placement must be equal to the last bit."),
    ] = False,
    labelled: LabelledOption = None,
    channels: ChannelsOption = None,
    scale: ScaleOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the parts of a plan with the whole network, tensor by tensor at every cut; writes nothing.

    Exit code 2 when they differ by more than is allowed.
    """
    from partition_studio.partition.check import require_valid
    from partition_studio.partition.extract import Contents, submodels

    network, document = load_planned(model, plan)
    _, partition = require_valid(network, document)
    proof = prove(
        model,
        partition,
        document,
        Contents(submodels(partition.network, partition.graph)),
        input_file=input_file,
        seed=seed,
        labelled=labelled,
        preprocessing=preprocessing_of_options(channels, scale, mean, std),
        exact=exact,
    )
    if as_json:
        print_json(proof.document())
    else:
        table(
            ("tensor", "stage", "differs by", "of the largest", "allowed"),
            (
                (d.tensor, d.made_by, f"{d.max_abs:.3g}", f"{d.max_rel:.3g}", _allowed(d.tolerance))
                for d in proof.result.per_tensor
            ),
            right=("differs by", "of the largest", "allowed"),
        )
        say("")
        proof.say()
    proof.result.require_equal()


def _allowed(tolerance: float) -> str:
    if math.isinf(tolerance):
        return "approximate"
    return f"{tolerance:.0e}" if tolerance else "nothing"
