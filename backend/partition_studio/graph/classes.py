"""From a network's output to classes and scores, where the output is a class vector."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from partition_studio.graph.network import Network


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class: its place in the output, its label where labels are known, and its score from 0 to 1."""

    index: int
    label: str | None
    score: float


#: Operators whose output has the numbers of their first input.
_KEEPS_NUMBERS = frozenset(("Identity", "Dropout", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Cast"))


def probability_outputs(network: Network) -> frozenset[str]:
    """Return those outputs that a softmax made: a codec may change their sum, and they are probabilities still."""
    return frozenset(name for name in network.outputs if _is_of_softmax(network, name))


def _is_of_softmax(network: Network, tensor: str) -> bool:
    while (layer := network.producers.get(tensor)) is not None and layer.op_type in _KEEPS_NUMBERS and layer.inputs:
        tensor = layer.inputs[0]
    return layer is not None and layer.op_type == "Softmax"


def top_classes(
    output: np.ndarray[Any, Any],
    labels: Sequence[str] | None = None,
    k: int = 5,
    *,
    are_probabilities: bool = False,
) -> list[ClassScore] | None:
    """Return the `k` best classes, best first; None where the output is no class vector.

    A class vector has the shape (C,), (1, C) or (1, C, 1, 1) with C of at least 2, and finite numbers. Scores are the
    output itself where it is known to be one of probabilities or looks like it (none negative, sum 1 within 1 %),
    otherwise its softmax.
    """
    vector = _class_vector(output)
    if vector is None:
        return None
    is_distribution = vector.min() >= 0 and abs(float(vector.sum()) - 1.0) <= 0.01
    scores = np.clip(vector, 0.0, 1.0) if are_probabilities or is_distribution else _softmax(vector)
    # Stable: among equals the lower index comes first.
    best = np.argsort(-vector, kind="stable")[:k]
    return [
        ClassScore(int(i), labels[i] if labels is not None and i < len(labels) else None, float(scores[i]))
        for i in best
    ]


def _class_vector(output: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    shape = output.shape
    is_vector = len(shape) == 1 or (len(shape) in (2, 4) and shape[0] == 1 and shape[2:] in ((), (1, 1)))
    if not is_vector or output.size < 2 or output.dtype.kind != "f" or not np.isfinite(output).all():
        return None
    return output.reshape(-1).astype(np.float64)


def _softmax(vector: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    powers = np.exp(vector - vector.max())
    return np.asarray(powers / powers.sum())
