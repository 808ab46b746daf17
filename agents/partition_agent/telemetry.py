"""One sample a second of everything that is measured on the device."""

import os
import threading
import time
from pathlib import Path
from typing import Callable, Dict, List, Sequence, Tuple

from partition_agent.power.meter import PowerMeter
from partition_agent.power.model import ModelSpec
from partition_agent.power.plug import PlugSpec
from partition_agent.protocol import (
    Configure,
    History,
    HistoryChunk,
    LinkSample,
    MemorySample,
    PowerSample,
    StageSample,
    Telemetry,
)
from partition_agent.system import ROOT, CpuMeter, memory_limit_bytes, process_memory, usable_cores

INTERVAL_S = 1.0

Totals = Tuple[List[StageSample], List[LinkSample], Dict[str, int]]


class Sampler:
    """Takes samples in a thread of its own and hands each to `publish`."""

    def __init__(
        self,
        incarnation: str,
        affinity: Sequence[int],
        totals: Callable[[], Totals],
        publish: Callable[[Telemetry], None],
        root: Path = ROOT,
    ) -> None:
        self._incarnation, self._affinity, self._root = incarnation, affinity, root
        self._totals, self._publish = totals, publish
        self._cpu = CpuMeter(affinity, root)
        self._power = PowerMeter(time.monotonic(), root)
        self._sequence = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; waits for the thread."""
        self._stop.set()
        self._thread.join()

    def configure(self, request: Configure) -> None:
        """Take what the person declared of the device's consumption; it replaces what was declared before."""
        model, meter = request.power_model, request.meter
        self._power.configure(
            None if model is None else ModelSpec(model.idle_w, model.busy_w, model.source, model.residual_w),
            None if meter is None else PlugSpec(meter.kind, meter.host, meter.port, meter.user, meter.password),
            request.shunt_ohm,
        )

    def power(self) -> Tuple[PowerSample, ...]:
        """Return the newest figure of every source; from any thread."""
        return tuple(PowerSample(*figure) for figure in self._power.figures(time.monotonic(), mark=False))

    def history(self, request: History) -> HistoryChunk:
        """Return samples that the studio has not seen."""
        return HistoryChunk(request.ring, 0, 0, ())

    def sample(self) -> Telemetry:
        """Return one sample; utilisation is over the time since the last."""
        now_s = time.monotonic()
        utilisation = self._cpu.utilisation(now_s)
        self._power.update(now_s, utilisation)
        power = tuple(PowerSample(*figure) for figure in self._power.figures(now_s))
        memory = process_memory(self._root)
        stages, links, dropped = self._totals()
        self._sequence += 1
        times = os.times()
        return Telemetry(
            incarnation=self._incarnation,
            sequence=self._sequence,
            monotonic_s=now_s,
            unix_s=time.time(),
            cpu_s=times.user + times.system,
            usable_cores=usable_cores(self._affinity, self._root),
            cpu_utilisation=utilisation,
            memory=MemorySample(
                memory.pss_bytes, None, memory.rss_bytes, memory.peak_bytes, memory_limit_bytes(self._root)
            ),
            power=power,
            thermal=None,
            stages=tuple(stages),
            links=tuple(links),
            dropped=dropped,
        )

    def _run(self) -> None:
        self._power.open()
        try:
            next_s = time.monotonic() + INTERVAL_S
            while not self._stop.wait(max(min(next_s - time.monotonic(), self._power.interval_s), 0.0)):
                now_s = time.monotonic()
                if now_s < next_s:
                    self._power.update(now_s)
                    continue
                self._publish(self.sample())
                # After a pause of the whole machine there is one sample, not one for each second missed.
                next_s = max(next_s + INTERVAL_S, time.monotonic())
        finally:
            self._power.close()
