"""What is wrong with a plan document or one entry of its `shards`, in the words of the documentation of plans."""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

_CORRECT = "Correct it (see the documentation of plans)."
_STRATEGIES = ("spatial", "spatial_independent", "output_channels", "input_channels")
_FIELDS = {
    "exchange_before": "the strategy `spatial`",
    "rows": "a spatial strategy",
    "columns": "a spatial strategy",
    "shares": "a strategy of channels",
}
_KINDS = {
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number",
}


@dataclass(frozen=True, slots=True)
class PlanFault:
    """The first thing at fault: where it is (`field`, with dots), what is wrong, what to do, how many more there are.

    `what` is a clause that follows a subject: "has an unknown field 'foo'".
    """

    field: str
    subject: str
    what: str
    next_step: str
    more: int

    @property
    def sentence(self) -> str:
        """Subject and clause, and how many more things are wrong."""
        return f"{self.subject} {self.what}" + (f" (and {self.more} more)" if self.more else "")


def first_fault(error: ValidationError, *, whole: str) -> PlanFault:
    """Return the first fault of a document; `whole` says what the document is, for what is wrong with all of it."""
    faults = error.errors(include_url=False)
    fault = faults[0]
    place = _without_strategy(list(fault["loc"]))
    field = ".".join(str(part) for part in place)
    kind = fault["type"]
    if kind in ("extra_forbidden", "missing"):
        name = str(place.pop())
        what, step = (
            _unknown_field(name, place) if kind == "extra_forbidden" else (f"lacks the field {name!r}", _CORRECT)
        )
        return PlanFault(field, _subject(place, whole), what, step, len(faults) - 1)
    what, step = _what(kind, fault.get("ctx", {}), fault["input"], str(fault["msg"]), str(place[-1]) if place else "")
    return PlanFault(field, _subject(place, whole), what, step, len(faults) - 1)


def _without_strategy(place: list[Any]) -> list[Any]:
    """Leave out the strategy that pydantic puts behind the entry of `shards`."""
    at = 2 if place[:1] == ["shards"] else 0
    return place[:at] + place[at + 1 :] if len(place) > at and place[at] in _STRATEGIES else place


def _unknown_field(name: str, place: list[Any]) -> tuple[str, str]:
    if name in _FIELDS and (not place or place[0] == "shards"):
        return f"has the field {name!r}, which only {_FIELDS[name]} has", f"Remove {name!r}, or use another strategy."
    return f"has an unknown field {name!r}", "Remove that field, or correct its name (see the documentation of plans)."


def _subject(place: list[Any], whole: str) -> str:
    """Return words for a place: `unit` of entry 0 of `shards`."""
    if not place:
        return whole
    *before, last = place
    if last == "[key]":
        return f"a name in {_subject(before[:-1], whole)}"
    if isinstance(last, int):
        return f"entry {last} of {_subject(before, '')}" if before else f"entry {last}"
    if before and before[0] in ("placement", "resources", "blocks", "replicas") and len(place) == 2:
        return f"{last!r} in `{before[0]}`"
    return f"`{last}` of {_subject(before, '')}" if before else f"`{last}`"


def _what(kind: str, facts: dict[str, Any], given: Any, message: str, name: str) -> tuple[str, str]:
    """Return the clause that says what is wrong, and what to do."""
    step = _CORRECT
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        step = f"Use one of {_listed(_STRATEGIES)}."
        if kind == "union_tag_invalid":
            return f"has the strategy {_shown(facts.get('tag'))}, which there is not", step
        return "lacks its `strategy`", step
    if kind in ("too_short", "too_long"):
        bound = facts.get("min_length", facts.get("max_length"))
        least = "at least" if kind == "too_short" else "at most"
        if name == "devices":
            step = "Name 2 to 16 devices, one for each part; one device may stand several times."
        elif name == "places":
            step = "Name 2 to 64 devices or resources that share the frames, each once."
        has = len(given) if hasattr(given, "__len__") else facts.get("actual_length")
        return f"must have {least} {bound} {'entry' if bound == 1 else 'entries'}, not {has}", step
    if kind in ("string_too_short", "string_too_long"):
        return ("is empty" if given == "" else "is longer than a name may be"), step
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        sign, bound = kind.removesuffix("_equal").split("_")[0], next(iter(facts.values()))
        than = {"greater": "above", "less": "below"}[sign]
        orequal = " or equal" if kind.endswith("equal") else ""
        return f"must be a number {than}{orequal} {bound:g}, not {_shown(given)}", step
    if kind == "literal_error":
        return f"must be {facts.get('expected')!s}, not {_shown(given)}", step
    if kind == "value_error":
        step = "Give as many numbers as there are parts, and a device for each part."
        return f"does not fit together: {facts.get('error', message)}", step
    if kind == "string_pattern_mismatch":
        return f"must be 64 hexadecimal digits, not {_shown(given)}", step
    if kind in _KINDS:
        return f"must be {_KINDS[kind]}, not {_shown(given)}", step
    return f"cannot be read: {message}", step


def _shown(given: Any) -> str:
    text = repr(given)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(words[:-1]) + f" or {words[-1]}"
