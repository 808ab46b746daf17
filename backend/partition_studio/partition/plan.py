"""The plan document: which device runs which layer. The same JSON in browser, CLI and API."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from partition_studio.errors import PlanError

#: No plan is longer; a network of 50 000 layers fits well.
MAX_PLAN_BYTES = 16 * 1024 * 1024


class MalformedPlanError(PlanError):
    """The text is no JSON, or not a plan."""

    code = "malformed_plan"
    next_step = "Correct the plan document (see the documentation of plans)."


class NetworkRef(BaseModel):
    """The network that a plan is for: the SHA-256 (hex) of its file, and its name for people."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    name: str = Field(max_length=200)


class Plan(BaseModel):
    """A placement of every layer on a device. Later versions add shards and link codecs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1]
    network: NetworkRef
    placement: dict[str, str]
    name: str = Field(default="", max_length=200)
    notes: str = Field(default="", max_length=20_000)

    def devices(self) -> tuple[str, ...]:
        """Return the devices that the plan uses, in order of first use."""
        return tuple(dict.fromkeys(self.placement.values()))

    def to_json(self) -> str:
        """Return the document as it is saved: indented, one layer per line."""
        return self.model_dump_json(indent=2, exclude_defaults=False) + "\n"


def parse_plan(data: bytes | str) -> Plan:
    """Read a plan document. Raises MalformedPlanError, which names the first thing at fault."""
    if len(data) > MAX_PLAN_BYTES:
        raise MalformedPlanError(f"The plan is larger than {MAX_PLAN_BYTES} bytes.")
    try:
        return Plan.model_validate_json(data)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        first = problems[0]
        place = ".".join(str(part) for part in first["loc"])
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        if first["type"] == "json_invalid":
            raise MalformedPlanError(f"The plan is not JSON: {first['msg']}.") from error
        at = f"at {place!r}" if place else "as a whole"
        raise MalformedPlanError(f"The plan is wrong {at}: {first['msg']}{more}.", field=place) from error
