"""Cases that yield tables, one after the other: printed as they are known; one that fails does not end the others."""

import os
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from bench.planner.bench import Table
from bench.planner.report import lines_of

#: The settings of a run.
B = TypeVar("B")


def run_cases(cases: Mapping[str, Callable[[B], Iterable[Table]]], bench: B, names: Sequence[str]) -> list[Table]:
    """Run cases and print each table as it is known; one that fails is told of, and the others go on."""
    tables: list[Table] = []
    for name in names:
        print(f"== {name}: {(cases[name].__doc__ or '').splitlines()[0]}\n", flush=True)
        begin_s = time.monotonic()
        try:
            for table in cases[name](bench):
                tables.append(table)
                print("\n".join(lines_of(table)), flush=True)
                print(f"   load average {os.getloadavg()[0]:.1f}\n", flush=True)
        except Exception as error:  # a task boundary: the other cases are worth as much
            traceback.print_exc()
            tables.append(Table(name, f"{name} failed: {error}", ()))
        print(f"{name} took {time.monotonic() - begin_s:.0f} s\n", flush=True)
    return tables
