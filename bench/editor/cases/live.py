"""The live view under many figures: 33 devices that tell theirs 10 times a second and 67 that do twice, for minutes.

The studio's own hub sends them over its WebSocket; devices, figures and the deployment are made up. Each device in the
plan has its chart and gauges on its card, drawn while they are in the window, which is as high as for 33 cards.
"""

import math
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import cycle

from tests.planner_studio import add_devices

from bench.editor.bench import DEVICES, RESNET, Bar, Bench, Cell, Table, row
from bench.editor.browser import NOTHING, Frames, Tab
from partition_studio.schemas import (
    DeploymentOut,
    DeviceLiveMessage,
    DeviceLiveOut,
    LinkLiveOut,
    PowerOut,
    StageLiveOut,
)
from partition_studio.services import Services
from partition_studio.store.tables import DeploymentRow

NAME = "live"

_FAST, _ALL = 33, 100
_FAST_HZ, _SLOW_HZ = 10, 2
_MIN_CHARTS = 33

_VIEWPORT = (1440, 7700)

#: Frames of one look, and the time from one to the next.
_LOOK, _EVERY_S = 240, 20.0
#: Rings hold 300 samples: at twice a second they are full by then.
_FULL_S = 160.0

_MOST_FRAME = 1.5
_MOST_GROWTH = 1.1


def measure(bench: Bench) -> Iterator[Table]:
    """Charts at 10 Hz and devices at 2 Hz: frames beside idle ones, and what the page holds over the minutes."""
    services = bench.studio.services
    model = bench.model(RESNET)
    names = [*DEVICES, *(f"many-{number:03d}" for number in range(_ALL - len(DEVICES)))]
    _register(services, names[len(DEVICES) :])
    deployment = _deploy(services, model, names)
    with bench.signed_in(f"/m/{model}", viewport=_VIEWPORT) as tab:
        tab.page.get_by_test_id(f"live-{names[_FAST - 1]}").wait_for()
        tab.rest()
        idle = [_look(tab) for _ in range(max(2, bench.rounds))]
        with _telling(services, deployment, names):
            tab.page.locator(f"[data-testid='live-{names[_FAST - 1]}'] canvas").first.wait_for()
            charts = _charts_in_window(tab)
            looks = _watch(tab, bench.minutes)
    busy = [frames for _, frames, _ in looks]
    rows: list[dict[str, Cell]] = [
        {"": "idle", **_figures(idle)},
        {"": "first minute", **_figures([frames for at_s, frames, _ in looks if at_s < 60])},
        {"": "last minute", **_figures([frames for at_s, frames, _ in looks if at_s >= looks[-1][0] - 60])},
        {"": "all", **_figures(busy)},
    ]
    yield Table(
        NAME,
        f"frames, {charts} charts in the window, {bench.minutes:g} minutes",
        rows,
        [] if charts >= _MIN_CHARTS else [f"only {charts} charts: {_MIN_CHARTS} are required"],
    )
    heap: list[dict[str, Cell]] = [{"s": round(at_s), "MB after GC": size / 1e6} for at_s, _, size in looks]
    yield Table(NAME, "what JavaScript holds", heap)
    full = [size for at_s, _, size in looks if at_s >= min(_FULL_S, looks[-1][0] / 2)]
    third = max(1, len(full) // 3)
    growth = statistics.median(full[-third:]) / statistics.median(full[:third])
    frame = statistics.median([one.median_ms for one in busy]) / statistics.median([one.median_ms for one in idle])
    bars = [
        Bar("median frame / idle", [frame], _MOST_FRAME, "x"),
        Bar("heap at the end / once rings are full", [growth], _MOST_GROWTH, "x"),
    ]
    yield Table(NAME, "bars", [row(bar) for bar in bars])


def _look(tab: Tab) -> Frames:
    return tab.frames(NOTHING, "body", _LOOK)


def _watch(tab: Tab, minutes: float) -> list[tuple[float, Frames, int]]:
    begin_s = time.monotonic()
    looks: list[tuple[float, Frames, int]] = []
    while (at_s := time.monotonic() - begin_s) < 60 * minutes or len(looks) < 2:
        looks.append((at_s, _look(tab), tab.heap_bytes()))
        tab.page.wait_for_timeout(max(0.0, 1e3 * (_EVERY_S - (time.monotonic() - begin_s - at_s))))
    return looks


def _figures(looks: Sequence[Frames]) -> dict[str, Cell]:
    return {
        "frame ms": statistics.median([one.median_ms for one in looks]),
        "95 of 100": statistics.median([one.p95_ms for one in looks]),
        "busy ms": statistics.median([one.busy_ms for one in looks]),
    }


def _charts_in_window(tab: Tab) -> int:
    return int(
        tab.page.evaluate(
            """() => [...document.querySelectorAll(".ps-chart canvas")].filter(canvas => {
              const { top, bottom, width } = canvas.getBoundingClientRect();
              return width > 0 && bottom > 0 && top < innerHeight;
            }).length"""
        )
    )


def _register(services: Services, names: Sequence[str]) -> None:
    known = set(services.devices.names())
    add_devices(services, [name for name in names if name not in known])


def _deploy(services: Services, model: str, names: Sequence[str]) -> str:
    """Have a deployment over all devices as if one ran: the layers are dealt to them in turn."""
    plan = services.plans.spread(model, list(DEVICES))
    plan = plan.model_copy(update={"placement": dict(zip(plan.placement, cycle(names), strict=False))})
    out = DeploymentOut(
        id="bench",
        epoch=1,
        model_id=model,
        model_name=RESNET,
        state="running",
        plan=plan,
        stages=[],
        cuts=[],
        devices=[],
        created_at=datetime.now(UTC),
        deploy_s=1.0,
        problem=None,
        run=None,
    )
    with services._database.session() as session, session.begin():
        session.merge(
            DeploymentRow(
                id=out.id,
                model_id=model,
                epoch=1,
                state=out.state,
                document=out.model_dump(mode="json"),
                created_at=out.created_at,
            )
        )
    return out.id


@contextmanager
def _telling(services: Services, deployment: str, names: Sequence[str]) -> Iterator[None]:
    """Have the devices tell figures until the end of the block."""
    over = threading.Event()

    def tell() -> None:
        tick = 0
        begin_s = time.monotonic()
        while not over.wait(max(0.0, begin_s + tick / _FAST_HZ - time.monotonic())):
            slow = tick % (_FAST_HZ // _SLOW_HZ)
            for number, name in enumerate(names):
                if number < _FAST or number % (_FAST_HZ // _SLOW_HZ) == slow:
                    live = figures_of(deployment, name, number, time.time())
                    services.hub.publish(DeviceLiveMessage(live=live))
            tick += 1

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def figures_of(deployment: str, name: str, number: int, now_s: float) -> DeviceLiveOut:
    """Return made-up figures of a device that swing slowly."""
    swing = math.sin(now_s / 7 + number)
    frames_per_s = 20 + 4 * swing
    link = LinkLiveOut(
        deployment=deployment,
        link=f"{name}-0->next-0",
        sends=True,
        frames_per_s=frames_per_s,
        bytes_per_s=1e6 + 1e5 * swing,
        wire_bytes_per_s=8e5,
        coding_s=1e-3,
        connected=True,
        reconnects=0,
        in_flight=1,
        stalled_s=0,
    )
    stage = StageLiveOut(
        deployment=deployment,
        epoch=1,
        stage=f"{name}-0",
        frames_per_s=frames_per_s,
        compute_s=0.03 + 0.01 * swing,
        queue_wait_s=0.002,
        queued=1,
        frames=int(now_s * 20) % 10**9,
        lost=0,
        weight_bytes=4 * 10**6,
        activation_bytes=10**6,
        arena_bytes=2 * 10**6,
    )
    power = PowerOut(
        power_w=4 + swing,
        energy_j=now_s % 10**6,
        source="declared",
        scope="board",
        method="estimated",
        uncertainty=0.3,
        coverage=1.0,
    )
    return DeviceLiveOut(
        device=name,
        unix_s=now_s,
        frames_per_s=frames_per_s,
        cpu_utilisation=0.6 + 0.2 * swing,
        agent_cores=1.0,
        usable_cores=4.0,
        memory_bytes=int(2e8 + 1e7 * swing),
        memory_unique_bytes=int(1.5e8),
        memory_peak_bytes=int(2.2e8),
        memory_limit_bytes=10**9,
        memory_model_bytes=10**8,
        gpu_memory_bytes=None,
        received_bytes_per_s=1e6,
        sent_bytes_per_s=1e6 + 1e5 * swing,
        power=power,
        other_power=[],
        energy=None,
        thermal=None,
        stages=[stage],
        links=[link],
        dropped={},
    )
