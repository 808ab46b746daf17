"""Which form of a network the studio uses: as it is in the file, or simplified where that is proven to be equal."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partition_studio.errors import NetworkError
from partition_studio.graph.network import NetworkForm
from partition_studio.graph.simplify_check import MAX_WEIGHT_BYTES, SimplifyVerdict, choose_form, too_large
from partition_studio.services.vetting import BASE_MEMORY_BYTES, MAX_VERDICT_BYTES, MEMORY_PER_FILE_BYTE

#: Simplification is a convenience: nobody waits longer for it.
CPU_S = 60
WALL_S = 90

#: Our own examples up to this size are tried in this process: starting another would take longer than the check.
_QUICK_BYTES = 8 * 1024**2


class NotSimplifiableError(NetworkError):
    """The simplified form did not pass its check."""

    code = "not_simplifiable"
    next_step = "Use the network as it is in the file."


@dataclass(frozen=True, slots=True)
class ChosenForm:
    """A form, and what is known of simplification.

    Attributes:
        form: how the file is loaded.
        simplifiable: False where simplification was tried and did not pass.
        sentence: its outcome for people; empty where it was not tried.
    """

    form: NetworkForm
    simplifiable: bool = True
    sentence: str = ""

    def summary(self) -> dict[str, Any]:
        """Return what is kept with the network."""
        return {
            "simplified": self.form.simplified,
            "simplifiable": self.simplifiable,
            "simplification": self.sentence,
            "dims": dict(self.form.dims),
        }

    @staticmethod
    def of_summary(summary: Mapping[str, Any]) -> "ChosenForm":
        """Return what was kept; a network of before simplification is as in its file."""
        dims = tuple(sorted(summary.get("dims", {}).items()))
        form = NetworkForm(bool(summary.get("simplified", False)), dims)
        return ChosenForm(form, bool(summary.get("simplifiable", True)), str(summary.get("simplification", "")))


def choose(
    path: Path, size_bytes: int, *, simplify: bool | None, dims: Mapping[str, int], trusted: bool = False
) -> ChosenForm:
    """Return the form for a file that can be loaded: simplified where that passes its check.

    `simplify` False: not tried. True: it must pass, or there must be nothing to simplify; raises NotSimplifiableError.
    `trusted` files may be tried in this process.
    """
    bound = tuple(sorted(dims.items()))
    if simplify is False:
        return ChosenForm(NetworkForm(False, bound))
    verdict = choose_form(path, dims=dims) if trusted and size_bytes <= _QUICK_BYTES else judge(path, size_bytes, dims)
    if simplify and not verdict.passes and verdict.reason != "nothing":
        raise NotSimplifiableError(verdict.sentence, reason=verdict.reason)
    return ChosenForm(NetworkForm(verdict.passes, bound), verdict.passes, verdict.sentence)


def judge(path: Path, size_bytes: int, dims: Mapping[str, int]) -> SimplifyVerdict:
    """Return the verdict on a file's simplified form, found in a process of its own with limits on memory and time."""
    if size_bytes > MAX_WEIGHT_BYTES:
        return too_large(size_bytes)
    memory_bytes = BASE_MEMORY_BYTES + MEMORY_PER_FILE_BYTE * size_bytes
    command = [
        sys.executable,
        "-m",
        "partition_studio.graph.simplify_check",
        str(path),
        "--dims",
        json.dumps(dict(dims)),
    ]
    command += ["--memory-bytes", str(memory_bytes), "--cpu-s", str(CPU_S)]
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=WALL_S, check=False)
    except subprocess.TimeoutExpired:
        return SimplifyVerdict(False, "fails", f"Not simplified: that took more than {WALL_S} s.")
    if done.returncode == 0 and 0 < len(done.stdout) <= MAX_VERDICT_BYTES:
        return SimplifyVerdict(**json.loads(done.stdout))
    return SimplifyVerdict(
        False, "fails", f"Not simplified: the process that tried it ended (status {done.returncode})."
    )
