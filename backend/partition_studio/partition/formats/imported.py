"""What comes of reading another tool's files: a plan, and what a person should know of it."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from partition_studio.errors import PlanError
from partition_studio.partition.plan import Plan

#: No message lists more names than these, and none that are longer.
NAMED, NAME_LENGTH = 5, 120


@dataclass(frozen=True, slots=True)
class Imported:
    """A plan made of another tool's files; `notes` are sentences."""

    plan: Plan
    notes: tuple[str, ...] = ()


class _TwiceError(Exception):
    """A key stands twice in one JSON object."""


def read_object(text: str, what: str, error: type[PlanError]) -> dict[str, Any]:
    """Return the JSON object that `text` holds. Raises `error` for anything else; `what` names the file."""
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
        # Half a character, as an escape may name one, cannot be written into any answer.
        json.dumps(document, ensure_ascii=False).encode()
    except _TwiceError as twice:
        raise error(f"The {what} names {shown(twice.args[0])} twice.") from twice
    except json.JSONDecodeError as fault:
        raise error(f"The {what} is not JSON: {fault.msg} in line {fault.lineno}.") from fault
    except (ValueError, RecursionError) as fault:
        raise error(f"The {what} is not JSON that can be read.") from fault
    if not isinstance(document, dict):
        raise error(f"The {what} must be one JSON object.")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _TwiceError(key)
        found[key] = value
    return found


def _no_number(word: str) -> float:
    raise ValueError(word)


def shown(word: object) -> str:
    """Return a name, or what stands where one should, for a sentence."""
    text = repr(word)
    return text if len(text) <= NAME_LENGTH else f"{text[:NAME_LENGTH]}..."


def listed(names: Sequence[str]) -> str:
    """Return names for a sentence: the first few, and how many more there are."""
    first = ", ".join(shown(name) for name in names[:NAMED])
    return first + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def suggestion(name: str, known: Collection[str]) -> str:
    """Return a sentence that offers names alike, or nothing."""
    close = get_close_matches(name, known, n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(other) for other in close)}?" if close else ""


def folded_note(count: int) -> str:
    """Say that some nodes of the file need no device."""
    nodes, they = ("1 node", "it is") if count == 1 else (f"{count} nodes", "they are")
    return f"{nodes} of the ONNX file needed no device: {they} computed or removed when the network is loaded."
