# ruff: noqa: UP006, UP035, UP045 - this file runs on Python 3.8.
"""What comes of a run: outputs into a file, the proof against the recorded frame, and a small table."""

import os
import sys
import tempfile
import zipfile
from itertools import product
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from partition_agent.standalone_stream import Message
from partition_studio.export.starter.arrays import difference, npy_header, read_arrays, share_of_others
from partition_studio.export.starter.errors import StartError, UsageError
from partition_studio.export.starter.package import EXPECTED, Package
from partition_studio.export.starter.pipeline import Pipeline, Totals, busy_seconds

#: As in the studio: so many whole numbers may be others, for they tell which of two nearly equal values is larger.
WHOLE_SHARE = 0.01


class Results:
    """Outputs on their way into an .npz file, which appears whole or not at all; each is called `number:output`."""

    def __init__(self, path: Optional[Path], package: Package) -> None:
        """Begin; without a path, outputs are only counted. Raises UsageError."""
        self._path, self._specs = path, [*package.outputs, *package.passthrough]
        stored = read_arrays(package.folder / EXPECTED) if package.constants else {}
        self._constants = [(spec, stored["out:" + spec.name].data) for spec in package.constants]
        self._work: Optional[str] = None
        self._archive: Optional[zipfile.ZipFile] = None
        if path is not None:
            try:
                descriptor, self._work = tempfile.mkstemp(prefix=f".{path.name}.", dir=str(path.parent))
                os.close(descriptor)
                self._archive = zipfile.ZipFile(self._work, "w", zipfile.ZIP_STORED, allowZip64=True)
            except OSError as error:
                raise UsageError(f"{path} cannot be written: {error.strerror}", "Give another file.") from error

    def add(self, number: int, outputs: Sequence[memoryview]) -> None:
        """Take the outputs of one frame."""
        if self._archive is None:
            return
        for spec, data in [*zip(self._specs, outputs), *self._constants]:  # noqa: B905 - `strict` is newer than 3.8
            with self._archive.open(f"{number}:{spec.name}.npy", "w", force_zip64=True) as entry:
                entry.write(npy_header(spec))
                entry.write(data)

    def keep(self) -> None:
        """Put the file in its place."""
        if self._archive is not None and self._work is not None and self._path is not None:
            self._archive.close()
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(self._work, 0o666 & ~mask)
            os.replace(self._work, str(self._path))
            self._archive = self._work = None

    def drop(self) -> None:
        """Leave nothing of what was not kept."""
        if self._archive is not None and self._work is not None:
            self._archive.close()
            os.unlink(self._work)
            self._archive = self._work = None


def self_test(package: Package, pipeline: Pipeline) -> str:
    """Send the frame that was recorded at export and compare with the whole network's answer; return what to say.

    It goes through each replica of each group.
    """
    stored = read_arrays(package.folder / EXPECTED)
    frame = [stored["in:" + spec.name].data for spec in package.all_inputs]
    found: List[Sequence[memoryview]] = []
    ways = pipeline.ways_through_all
    totals = pipeline.run([frame] * len(ways), len(ways), 1, lambda number, outputs: found.append(outputs), ways)
    if totals.lost:
        raise StartError(f"the test frame was lost: {totals.lost[0][1]}", "Start again with --verbose.", "frame_lost")
    worst = 0.0
    tolerances: Dict[str, float] = package.document["tolerances"]
    specs = [*package.outputs, *package.passthrough]
    for outputs, (position, spec) in product(found, enumerate(specs)):
        expected = stored["out:" + spec.name].data
        differs = difference(outputs[position], expected, spec.dtype)
        if share_of_others(outputs[position], expected, spec.dtype) <= WHOLE_SHARE:
            continue
        if not differs <= tolerances[spec.name]:
            raise StartError(
                f"the devices' answer {spec.name!r} differs from the recorded one by {differs:.1e} of its largest "
                f"value (allowed: {tolerances[spec.name]:.0e})",
                "Do not trust its results; report it with the package.",
                "devices_differ",
            )
        worst = max(worst, differs)
    what = (
        "the parts' (the plan is approximate on purpose)" if package.document["approximate"] else "the whole network's"
    )
    return (
        f"the devices' answer to the recorded frame is {what}: it differs by at most {worst:.1e} of its largest value "
        f"(allowed: {max(tolerances.values()):.0e})"
    )


def summary(
    package: Package, totals: Totals, before: Dict[str, Message], after: Dict[str, Message], window: int
) -> Dict[str, Any]:
    """Return the figures of a run, for programs. Seconds are those of the door's clock."""
    latencies = sorted(totals.latencies_s)

    def at(share: float) -> Optional[float]:
        return latencies[min(int(share * len(latencies)), len(latencies) - 1)] if latencies else None

    devices = []
    for device in package.devices:
        busy_s = busy_seconds(after[device]) - busy_seconds(before[device])
        sent = {link["link"]: link["bytes_sent"] for link in before[device]["links"]}
        bytes_sent = sum(link["bytes_sent"] - sent.get(link["link"], 0) for link in after[device]["links"])
        devices.append(
            {
                "device": device,
                "stages": len(package.share(device)["stages"]),
                "busy_s": busy_s,
                "busy_share": busy_s / totals.seconds if totals.seconds > 0 else None,
                "busy_s_per_frame": busy_s / totals.delivered if totals.delivered else None,
                "bytes_sent": bytes_sent,
                "peak_memory_bytes": after[device]["peak_bytes"],
            }
        )
    return {
        "delivered": totals.delivered,
        "lost": [{"frame": number, "reason": reason} for number, reason in totals.lost],
        "seconds": totals.seconds,
        "frames_per_s": totals.delivered / totals.seconds if totals.seconds > 0 else None,
        "latency_median_s": at(0.5),
        "latency_p95_s": at(0.95),
        "in_flight": window,
        "devices": devices,
    }


def print_table(figures: Dict[str, Any]) -> None:
    """Print the figures of a run for people."""
    rate = f", {figures['frames_per_s']:.2f} frames/s" if figures["frames_per_s"] is not None else ""
    lines = [f"{figures['delivered']} frames in {figures['seconds']:.2f} s{rate}; {len(figures['lost'])} lost"]
    if figures["latency_median_s"] is not None:
        lines.append(
            f"latency: median {figures['latency_median_s'] * 1e3:.1f} ms, 95 % within "
            f"{figures['latency_p95_s'] * 1e3:.1f} ms, with up to {figures['in_flight']} frames in flight"
        )
    rows = [("device", "stages", "busy", "a frame", "sent", "peak memory")]
    for device in figures["devices"]:
        rows.append(
            (
                device["device"],
                str(device["stages"]),
                _text(device["busy_share"], 100, " %"),
                _text(device["busy_s_per_frame"], 1e3, " ms"),
                _text(device["bytes_sent"], 1e-6, " MB"),
                _text(device["peak_memory_bytes"], 1e-6, " MB"),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        first, *others = [cell.ljust(widths[0]) if i == 0 else cell.rjust(widths[i]) for i, cell in enumerate(row)]
        lines.append("  ".join([first, *others]))
    sys.stdout.write("\n".join(lines) + "\n")


def _text(value: Optional[float], factor: float, unit: str) -> str:
    return "-" if value is None else f"{value * factor:.1f}{unit}"
