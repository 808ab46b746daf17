"""What is printed and written of a run."""

import json
from collections.abc import Sequence
from pathlib import Path

from bench.pipeline.report import machine
from bench.planner.bench import Cell, Table


def lines_of(table: Table) -> list[str]:
    """Return a table as text: numbers to the right, with the digits that count."""
    columns = list(dict.fromkeys(name for row in table.rows for name in row))
    cells = [[_text(row.get(name)) for name in columns] for row in table.rows]
    widths = [max([len(name), *(len(row[place]) for row in cells)]) for place, name in enumerate(columns)]
    is_text = [any(isinstance(row.get(name), str) for row in table.rows) for name in columns]

    def line(texts: Sequence[str]) -> str:
        padded = (
            text.ljust(width) if left else text.rjust(width)
            for text, width, left in zip(texts, widths, is_text, strict=True)
        )
        return "  ".join(padded).rstrip()

    return [f"-- {table.title}", line(columns), *(line(row) for row in cells), *(f"   {note}" for note in table.notes)]


def failed(case: str, error: Exception) -> Table:
    """Return what stands for a case that failed."""
    return Table(case, f"{case} failed: {error}", ())


def write_json(path: Path, tables: Sequence[Table], settings: dict[str, object]) -> None:
    """Write every figure."""
    document = {
        "machine": machine(),
        "settings": settings,
        "tables": [
            {"case": table.case, "title": table.title, "rows": list(table.rows), "notes": list(table.notes)}
            for table in tables
        ],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.0f}" if abs(cell) >= 1000 else f"{cell:.3g}"
    return str(cell)
