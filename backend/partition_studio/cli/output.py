"""How commands speak: tables for people, one JSON document with --json, errors on standard error."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, NoReturn, TextIO

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from partition_studio.errors import BadInputError, ConflictError, NotAllowedError, NotFoundError, StudioError
from partition_studio.sizes import size_text

#: `--json` of every command.
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

#: A table that goes to a file or another program is not folded to a terminal's width.
FILE_WIDTH = 200


def _console(stream: TextIO, *, stderr: bool) -> Console:
    return Console(stderr=stderr, highlight=False, soft_wrap=True, width=None if stream.isatty() else FILE_WIDTH)


console = _console(sys.stdout, stderr=False)
complaints = _console(sys.stderr, stderr=True)

#: First match wins; 1 is everything else of our family.
EXIT_CODES: tuple[tuple[type[StudioError], int], ...] = (
    (BadInputError, 2),
    (NotFoundError, 3),
    (ConflictError, 4),
    (NotAllowedError, 5),
    (StudioError, 1),
)


def as_json(document: object) -> Any:
    """Return plain JSON values of our schemas, lists and dicts of them."""
    if isinstance(document, BaseModel):
        return document.model_dump(mode="json")
    if isinstance(document, list | tuple):
        return [as_json(part) for part in document]
    if isinstance(document, dict):
        return {str(key): as_json(value) for key, value in document.items()}
    return document


def print_json(document: object) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(as_json(document), indent=2) + "\n")
    # A program that starts the studio reads its address from a pipe while the studio goes on.
    sys.stdout.flush()


def say(text: str) -> None:
    """Print a line for people."""
    console.print(escape(text))
    console.file.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Print a table; the columns named in `right` are aligned to the right."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(escape(column), justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(escape(cell) for cell in row))
    console.print(drawn)


def fail(error: StudioError, *, as_document: bool) -> NoReturn:
    """Tell what went wrong and what to do, then exit with the family's code."""
    if as_document:
        document = {
            "error": {
                "code": error.code,
                "message": error.message,
                "next_step": error.next_step,
                "details": dict(error.details),
            }
        }
        sys.stderr.write(json.dumps(document, indent=2, default=str) + "\n")
    else:
        complaints.print(f"[bold red]error:[/] {escape(error.message)}")
        complaints.print(escape(error.next_step), style="dim")
    sys.exit(next(code for family, code in EXIT_CODES if isinstance(error, family)))


def bytes_text(size_bytes: float | None) -> str:
    """Return a size with a readable unit."""
    return "-" if size_bytes is None else size_text(size_bytes)


def count_text(count: float) -> str:
    """Return a count with a readable suffix."""
    for suffix in ("", " k", " M", " G"):
        if abs(count) < 1000 or suffix == " G":
            return f"{count:.0f}" if suffix == "" else f"{count:.2f}{suffix}"
        count /= 1000
    raise AssertionError


def shape_text(shape: Sequence[int]) -> str:
    """Return a shape as people write it."""
    return "x".join(str(size) for size in shape) or "scalar"
