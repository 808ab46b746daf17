"""Prints the OpenAPI document, from which the browser's types are made: `python -m partition_studio.api.openapi`."""

import json
import sys
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from partition_studio.schemas import LiveEnvelope, ProblemOut


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the document: the routes, plus what the WebSocket sends and what every failure answers."""
    document: dict[str, Any] = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    _, extra = models_json_schema(
        [(LiveEnvelope, "serialization"), (ProblemOut, "serialization")],
        ref_template="#/components/schemas/{model}",
    )
    document["components"]["schemas"].update(extra["$defs"])
    return document


def main() -> None:
    """Print it."""
    from partition_studio.api.app import make_routes

    sys.stdout.write(json.dumps(describe(make_routes()), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
