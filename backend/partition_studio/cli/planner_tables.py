"""Predictions and answers of the planner, as people read them."""

from collections.abc import Sequence

from partition_studio.cli.output import bytes_text, complaints, say, table
from partition_studio.planner.search.text import energy_text, number_text, rate_text, share_text, time_text, value_text
from partition_studio.schemas import AnswerOut, BaselineOut, DevicePredictionOut, GanttOut, PredictionOut, ResourceOut

#: Columns of a Gantt chart.
_GANTT_WIDTH = 100


def print_prediction(found: PredictionOut) -> None:
    """Print what is predicted: the plan, each device, each link."""
    say(
        f"{rate_text(found.throughput_per_s)}, {time_text(found.latency_s)} for a frame alone; busiest: "
        f"{_resource(found.bottleneck)}"
    )
    table(
        ("device", "busy", "computing", "carrying", "coding", "energy", "memory", "of", "in", "out", "estimated"),
        (
            (
                device.device,
                f"{device.utilisation:.0%}",
                time_text(device.compute_s),
                time_text(device.carry_s),
                time_text(device.coding_s),
                energy_text(device.energy_j),
                bytes_text(device.memory_bytes) + ("" if _fits(device) else " !"),
                bytes_text(device.memory_limit_bytes),
                bytes_text(device.received_bytes),
                bytes_text(device.sent_bytes),
                ", ".join(device.estimated),
            )
            for device in found.devices
        ),
        right=("busy", "computing", "carrying", "coding", "energy", "memory", "of", "in", "out"),
    )
    table(
        ("link", "bytes a frame", "busy", "", ""),
        (
            (
                f"{link.source} -> {link.target}",
                bytes_text(link.wire_bytes),
                time_text(link.busy_s),
                f"{link.utilisation:.0%}",
                "estimated" if link.estimated else "",
            )
            for link in found.links
        ),
        right=("bytes a frame", "busy"),
    )
    for device in found.devices:
        if not _fits(device):
            complaints.print(
                f"{device.device} takes up to {bytes_text(device.memory_bytes)}, more than its "
                f"{bytes_text(device.memory_limit_bytes)}",
                markup=False,
            )
    print_notes(found.warnings)


def _fits(device: DevicePredictionOut) -> bool:
    return device.memory_limit_bytes is None or device.memory_bytes <= device.memory_limit_bytes


def _resource(resource: ResourceOut) -> str:
    what = {"cores": "processor of", "lane": "stages of", "link": "link", "interface": "interface"}[resource.kind]
    return f"{what} {resource.name} ({time_text(resource.busy_s)} a frame)"


def print_notes(notes: Sequence[str]) -> None:
    """Print what the person should know besides."""
    for note in dict.fromkeys(notes):
        complaints.print(f"note: {note}", style="dim", markup=False)


def proof_text(answer: AnswerOut) -> str:
    """Say how good an answer is, by its bound."""
    value = value_text(answer.objective, answer.value)
    if answer.proved:
        return f"{value}: proved to be the best among {answer.space} ({answer.method})"
    bound = value_text(answer.objective, answer.bound)
    text = f"{value}: no plan among {answer.space} beats {bound}; gap {share_text(answer.gap)} ({answer.method})"
    if answer.contiguous_bound is None or answer.contiguous_bound == answer.bound:
        return text
    runs = value_text(answer.objective, answer.contiguous_bound)
    return f"{text}; with one run of layers per device none beats {runs}"


def print_baselines(found: Sequence[BaselineOut]) -> None:
    """Print what there is to compare with."""
    if not found:
        return
    table(
        ("to compare with", "frames/s", "latency", "largest energy", "largest memory"),
        (
            (
                baseline.name,
                number_text(baseline.prediction.throughput_per_s, 4),
                time_text(baseline.prediction.latency_s),
                energy_text(baseline.prediction.max_energy_j),
                bytes_text(baseline.prediction.max_memory_bytes),
            )
            for baseline in found
        ),
        right=("frames/s", "latency", "largest energy", "largest memory"),
    )


def print_gantt(gantt: GanttOut) -> None:
    """Print the first frames as a chart: a row for each resource, the last digit of the frame where it is busy."""
    end_s = max((bar.end_s for bar in gantt.bars), default=0.0)
    if end_s <= 0:
        return
    rows: dict[str, list[str]] = {}
    for bar in sorted(gantt.bars, key=lambda one: one.begin_s):
        row = rows.setdefault(bar.resource, [" "] * _GANTT_WIDTH)
        first = min(int(bar.begin_s / end_s * _GANTT_WIDTH), _GANTT_WIDTH - 1)
        last = max(first + 1, min(round(bar.end_s / end_s * _GANTT_WIDTH), _GANTT_WIDTH))
        row[first:last] = str(bar.frame % 10) * (last - first)
    width = max(map(len, rows))
    for name, row in rows.items():
        say(f"{name:<{width}} |{''.join(row)}|")
    say(
        f"{'':<{width}}  0 to {time_text(end_s)}; the first result after {time_text(gantt.fill_s)}, simulated "
        f"{rate_text(gantt.throughput_per_s)}"
    )
