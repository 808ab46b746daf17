"""Cases, one after the other: what each yields is printed as it is known; one that fails does not end the others."""

import os
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

#: The settings of a run.
B = TypeVar("B")
#: What a case yields.
R = TypeVar("R")


def run_cases(
    cases: Mapping[str, Callable[[B], Iterable[R]]],
    bench: B,
    names: Sequence[str],
    *,
    lines_of: Callable[[R], Sequence[str]],
    failed: Callable[[str, Exception], R],
) -> list[R]:
    """Run cases and print what they yield, as `lines_of` tells it; `failed` makes what stands for one that fails."""
    results: list[R] = []
    for name in names:
        print(f"== {name}: {(cases[name].__doc__ or '').splitlines()[0]}\n", flush=True)
        begin_s = time.monotonic()
        try:
            for result in cases[name](bench):
                results.append(result)
                print("\n".join(lines_of(result)), flush=True)
                print(f"   load average {os.getloadavg()[0]:.1f}\n", flush=True)
        except Exception as error:  # a task boundary: the other cases are worth as much
            traceback.print_exc()
            results.append(failed(name, error))
        print(f"{name} took {time.monotonic() - begin_s:.0f} s\n", flush=True)
    return results
