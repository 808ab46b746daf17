"""One sample a second of everything that is measured on the device."""

import os
import threading
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from partition_agent.power.selection import PowerMeter
from partition_agent.protocol import (
    History,
    HistoryChunk,
    LinkSample,
    MemorySample,
    PowerModel,
    PowerSample,
    StageSample,
    Telemetry,
)
from partition_agent.system import ROOT, CpuMeter, memory_limit_bytes, process_memory, usable_cores

INTERVAL_S = 1.0

#: Sensors that show only the power of the moment are read more often than they are told of.
POWER_INTERVAL_S = 0.1

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
        self._lock = threading.Lock()
        self._power = PowerMeter(root)
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

    def declare_power(self, model: Optional[PowerModel]) -> None:
        """Take what the person declared of the device's consumption."""
        with self._lock:
            self._power.declare(None if model is None else model.idle_w, None if model is None else model.busy_w)

    def history(self, request: History) -> HistoryChunk:
        """Return samples that the studio has not seen."""
        return HistoryChunk(request.ring, 0, 0, ())

    def sample(self) -> Telemetry:
        """Return one sample; utilisation is over the time since the last."""
        now_s = time.monotonic()
        utilisation = self._cpu.utilisation(now_s)
        with self._lock:
            power: Optional[PowerSample] = self._power.update(now_s, utilisation)
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
            power=() if power is None else (power,),
            thermal=None,
            stages=tuple(stages),
            links=tuple(links),
            dropped=dropped,
        )

    def _run(self) -> None:
        next_s = time.monotonic() + INTERVAL_S
        while not self._stop.wait(max(min(next_s - time.monotonic(), self._pause_s()), 0.0)):
            if time.monotonic() >= next_s:
                self._publish(self.sample())
                # After a pause of the whole machine there is one sample, not one for each second missed.
                next_s = max(next_s + INTERVAL_S, time.monotonic())
            else:
                with self._lock:
                    self._power.update(time.monotonic(), None)

    def _pause_s(self) -> float:
        return POWER_INTERVAL_S if self._power.is_sampled else INTERVAL_S
