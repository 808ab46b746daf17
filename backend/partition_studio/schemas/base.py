"""What every schema shares, and the form of errors."""

import unicodedata
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from partition_studio.errors import StudioError


class Schema(BaseModel):
    """Frozen, and strict about unknown fields."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", from_attributes=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


#: Control, format (direction-changing, without width), half of a pair, line and paragraph separators.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

#: Some scripts and emoji are spelled with them.
_JOINERS = "\u200c\u200d"


def _seen(name: object) -> object:
    """Return a name on one line, without what cannot be seen of it."""
    if not isinstance(name, str):
        return name
    line = " ".join(name.split())
    return "".join(c for c in line if c in _JOINERS or unicodedata.category(c) not in _UNSEEN).strip(f" {_JOINERS}")


#: What a person calls something, on one line; empty where nothing of it shows.
GivenName = Annotated[str, BeforeValidator(_seen), Field(max_length=120)]

#: A model's id in a request. That it has a limit also refuses text that is none: half of a surrogate pair.
ModelId = Annotated[str, Field(max_length=64)]


class ProblemOut(Schema):
    """An error for the person, as every failing request answers it (after RFC 9457)."""

    code: str
    """Stable name for programs, such as `unknown_host_key`."""
    message: str
    """What happened, and to which layer, device or file."""
    next_step: str
    """What to do about it."""
    details: dict[str, object] = {}

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Return what a person is told of an error; one that is not of our family is a fault of ours."""
        if not isinstance(error, StudioError):
            error = StudioError(f"Something unexpected happened ({type(error).__name__})")
        return cls(code=error.code, message=error.message, next_step=error.next_step, details=dict(error.details))
