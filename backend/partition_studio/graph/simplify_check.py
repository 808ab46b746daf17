"""Whether a network's simplified form may stand for it: both run in ONNX Runtime, and every common tensor is compared.

As a program, `python -m partition_studio.graph.simplify_check FILE` tells the verdict as JSON, within limits: the
studio asks it in a process of its own, because simplification is foreign code on a foreign file.
"""

import argparse
import json
import resource
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import onnx

from partition_studio.errors import NetworkError
from partition_studio.graph.difference import TOLERANCES, difference
from partition_studio.graph.frames import random_frame
from partition_studio.graph.load import load_network
from partition_studio.graph.network import Network, NetworkForm, value_info
from partition_studio.graph.runtime import Arrays, error_sentence, run_model, runtime_error_types

#: Above this, simplification is not tried: it holds some copies of all weights.
MAX_WEIGHT_BYTES = 512 * 1024**2

#: The same for layers: the library's time grows with their square where many are fused.
MAX_LAYERS = 3000

#: Inner tensors are compared as long as they take no more than this together; the outputs always are.
MAX_INNER_BYTES = 512 * 1024**2

_FRAME_SEED = 1


@dataclass(frozen=True, slots=True)
class SimplifyVerdict:
    """Whether the simplified form may be used, and why.

    Attributes:
        passes: it has fewer layers, and all that it has in common with the network is equal.
        reason: for programs.
        sentence: for people.
        fewer: how many layers fewer it has; 0 where that is not known.
    """

    passes: bool
    reason: Literal["equal", "nothing", "differs", "fails", "too_large"]
    sentence: str
    fewer: int = 0


def choose_form(path: Path, *, dims: Mapping[str, int] | None = None) -> SimplifyVerdict:
    """Load a file plain and simplified, run both on one random frame and compare; see `SimplifyVerdict`.

    Compared are the outputs and every inner tensor that kept its name, without the runtime's own fusions. Raises
    NetworkError only where the file cannot be loaded as it is.
    """
    bound = tuple(sorted((dims or {}).items()))
    if path.is_file() and path.stat().st_size > MAX_WEIGHT_BYTES:
        return too_large(path.stat().st_size)
    plain = load_network(path, form=NetworkForm(False, bound))
    if plain.weight_bytes > MAX_WEIGHT_BYTES:
        return too_large(plain.weight_bytes)
    if len(plain.layers) > MAX_LAYERS:
        return SimplifyVerdict(
            False,
            "too_large",
            f"Not tried: it has {len(plain.layers)} layers, and simplification is for up to {MAX_LAYERS}.",
        )
    try:
        simplified = load_network(path, form=NetworkForm(True, bound))
    except NetworkError as error:
        return SimplifyVerdict(False, "fails", f"Not simplified: {error.message}")
    return compare_forms(plain, simplified)


def compare_forms(plain: Network, simplified: Network) -> SimplifyVerdict:
    """Say whether the second network, made by simplification of the first, may stand for it."""
    fewer = len(plain.layers) - len(simplified.layers)
    if fewer <= 0:
        return SimplifyVerdict(False, "nothing", "There is nothing to simplify.")
    if plain.inputs != simplified.inputs or plain.outputs != simplified.outputs:
        return SimplifyVerdict(False, "differs", "Not simplified: its inputs or outputs would change.")
    names = _common_tensors(plain, simplified)
    frame = random_frame(plain.inputs, _FRAME_SEED)
    try:
        whole = run_model(_with_outputs(plain, names), frame, names, optimise=False)
        made = run_model(_with_outputs(simplified, names), frame, names, optimise=False)
    except runtime_error_types() as error:
        return SimplifyVerdict(False, "fails", f"Not simplified: ONNX Runtime cannot run it: {error_sentence(error)}")
    return _compare(made, whole, fewer, len(plain.layers))


def _compare(made: Arrays, whole: Arrays, fewer: int, layers: int) -> SimplifyVerdict:
    largest = 0.0
    for name, expected in whole.items():
        relative = difference(made[name], expected)[1]
        allowed = TOLERANCES.get(str(expected.dtype), 0.0)
        if relative > allowed:
            return SimplifyVerdict(
                False,
                "differs",
                f"Not simplified, because the tensor {name!r} would differ by {relative:.1e} of its largest value "
                f"(allowed: {allowed:.0e}).",
            )
        largest = max(largest, relative)
    return SimplifyVerdict(
        True,
        "equal",
        f"{fewer} of {layers} layers {'falls' if fewer == 1 else 'fall'} away; {len(whole)} tensors were compared: "
        f"{_difference_words(largest)}.",
        fewer,
    )


def _difference_words(largest: float) -> str:
    if largest == 0:
        return "all are equal"
    share = f"{largest * 100:.1g} %" if largest >= 1e-6 else "less than 0.0001 %"
    return f"the largest difference is {share} of a tensor's largest value"


def too_large(size_bytes: int) -> SimplifyVerdict:
    """Return the verdict on a network that is not tried."""
    return SimplifyVerdict(
        False,
        "too_large",
        f"Not tried: its weights take {size_bytes / 1e6:.0f} MB, and simplification is for up to "
        f"{MAX_WEIGHT_BYTES / 1e6:.0f} MB.",
    )


def _common_tensors(plain: Network, simplified: Network) -> list[str]:
    """Return the outputs, and where they take little enough the inner tensors that both forms have."""
    inner = [
        name
        for name, kind in plain.tensors.items()
        if name not in plain.inputs and name not in plain.outputs and simplified.tensors.get(name) == kind
    ]
    if sum(plain.tensors[name].size_bytes for name in inner) > MAX_INNER_BYTES:
        inner = []
    return [*plain.outputs, *inner]


def _with_outputs(network: Network, names: Iterable[str]) -> onnx.ModelProto:
    """Return a network as an ONNX model with its weights inside that tells those tensors."""
    model = onnx.ModelProto(ir_version=network.ir_version)
    model.opset_import.extend(onnx.helper.make_opsetid(*opset) for opset in network.opsets.items())
    graph = model.graph
    graph.name = "network"
    graph.node.extend(network.nodes)
    graph.initializer.extend(weight.tensor() for weight in network.weights.values())
    graph.input.extend(value_info(name, kind) for name, kind in network.inputs.items())
    graph.output.extend(value_info(name, network.tensors[name]) for name in names)
    return model


def main() -> None:
    """Set the limits, compare, tell."""
    parser = argparse.ArgumentParser(prog="python -m partition_studio.graph.simplify_check", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--dims", type=json.loads, default={}, help="sizes of free dimensions, as JSON")
    parser.add_argument("--memory-bytes", type=int, required=True, help="address space that may be used")
    parser.add_argument("--cpu-s", type=int, required=True, help="processor time that may be used")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (options.memory_bytes, options.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (options.cpu_s, options.cpu_s))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    verdict = choose_form(options.file, dims=options.dims)
    sys.stdout.write(json.dumps(asdict(verdict)) + "\n")


if __name__ == "__main__":
    main()
