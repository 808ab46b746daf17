"""One sample a second of everything that is measured on the device."""

import logging
import os
import threading
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from partition_agent.power.meter import PowerMeter
from partition_agent.power.model import ModelSpec
from partition_agent.power.plug import PlugSpec
from partition_agent.power.thermal import ThermalMeter
from partition_agent.protocol import (
    Configure,
    History,
    HistoryChunk,
    LinkSample,
    MemorySample,
    PowerSample,
    StageSample,
    Telemetry,
    ThermalSample,
)
from partition_agent.ring.ring import Ring
from partition_agent.system import (
    ROOT,
    CpuMeter,
    MemoryMeter,
    boot_id,
    cgroup_peak_file,
    gpu_shares_memory,
    memory_limit_bytes,
    read_int,
    usable_cores,
)

logger = logging.getLogger(__name__)

INTERVAL_S = 1.0

#: Limits change rarely, and asking for them goes through every control group around: it takes 0.3 ms.
_LIMITS_EVERY_S = 10.0

#: No answer to `History` has more samples.
MAX_HISTORY = 1000

Totals = Tuple[List[StageSample], List[LinkSample], Dict[str, int]]


class _Limits:
    """What the device allows this process, looked up once in a while."""

    def __init__(self, affinity: Sequence[int], root: Path) -> None:
        self._affinity, self._root = affinity, root
        self._next_s = 0.0
        self.cores = 0.0
        self.memory_bytes = 0
        self.peak_file: Optional[Path] = None
        self.shares_gpu = gpu_shares_memory(root)

    def refresh(self, now_s: float) -> None:
        if now_s >= self._next_s:
            self._next_s = now_s + _LIMITS_EVERY_S
            self.cores = usable_cores(self._affinity, self._root)
            self.memory_bytes = memory_limit_bytes(self._root)
            self.peak_file = cgroup_peak_file(self._root)


class Sampler:
    """Takes samples in a thread of its own, keeps them in a ring on the disk and hands each to `publish`."""

    def __init__(
        self,
        incarnation: str,
        affinity: Sequence[int],
        totals: Callable[[], Totals],
        publish: Callable[[Telemetry], None],
        root: Path = ROOT,
        ring_dir: Optional[Path] = None,
    ) -> None:
        """`ring_dir` is where samples are kept for a studio that is away; without it, in memory."""
        self._incarnation, self._root = incarnation, root
        self._totals, self._publish = totals, publish
        self._cpu = CpuMeter(affinity, root)
        self._limits = _Limits(affinity, root)
        self._memory = MemoryMeter(root)
        self._thermal = ThermalMeter(affinity, root)
        self._power = PowerMeter(time.monotonic(), root)
        self._ring = Ring(ring_dir, boot_id(root))
        self._sequence = self._ring.next_sequence - 1
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    @property
    def ring(self) -> str:
        """The name of the ring of samples on the device's disk."""
        return self._ring.name

    def start(self) -> None:
        """Begin."""
        self._ring.start()
        self._thread.start()

    def stop(self) -> None:
        """End; waits for the thread."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._ring.close()

    def configure(self, request: Configure) -> None:
        """Take what the person declared of the device's consumption; it replaces what was declared before."""
        model, meter = request.power_model, request.meter
        self._power.configure(
            None if model is None else ModelSpec(model.idle_w, model.busy_w, model.source, model.residual_w),
            None if meter is None else PlugSpec(meter.kind, meter.host, meter.port, meter.user, meter.password),
            request.shunt_ohm,
        )

    def history(self, request: History) -> HistoryChunk:
        """Return samples that the studio has not seen."""
        limit = min(max(request.limit, 1), MAX_HISTORY)
        oldest, newest, samples = self._ring.after(request.ring, request.after, limit)
        return HistoryChunk(self._ring.name, oldest, newest, samples)

    def sample(self) -> Telemetry:
        """Take one sample and keep it; utilisation is over the time since the last. Of one thread."""
        now_s = time.monotonic()
        self._limits.refresh(now_s)
        utilisation = self._cpu.utilisation(now_s)
        heat = self._thermal.read(self._cpu.busy)
        ratio = heat.frequency_ratio if heat is not None else None
        load = None if utilisation is None else utilisation * (1.0 if ratio is None else ratio)
        self._power.update(now_s, load)
        memory = self._memory.read(now_s)
        stages, links, dropped = self._totals()
        self._sequence += 1
        times = os.times()
        sample = Telemetry(
            incarnation=self._incarnation,
            sequence=self._sequence,
            monotonic_s=now_s,
            unix_s=time.time(),
            cpu_s=times.user + times.system,
            usable_cores=self._limits.cores,
            cpu_utilisation=utilisation,
            memory=MemorySample(
                pss_bytes=memory.pss_bytes,
                uss_bytes=memory.uss_bytes,
                rss_bytes=memory.rss_bytes,
                peak_bytes=memory.peak_bytes,
                limit_bytes=self._limits.memory_bytes,
                cgroup_peak_bytes=None if self._limits.peak_file is None else read_int(self._limits.peak_file),
                gpu_bytes=self._power.gpu_process_bytes(),
                gpu_shares_memory=self._limits.shares_gpu,
            ),
            power=tuple(PowerSample(*figure) for figure in self._power.figures(now_s)),
            thermal=None if heat is None else ThermalSample(*heat),
            stages=tuple(stages),
            links=tuple(links),
            dropped=dropped,
            ring=self._ring.name,
            skipped=self._ring.skipped,
        )
        return self._ring.append(sample, now_s)

    def _run(self) -> None:
        try:
            self._power.open()
            next_s = time.monotonic() + INTERVAL_S
            while not self._stop.wait(max(min(next_s - time.monotonic(), self._power.interval_s), 0.0)):
                if self._power.wants_open:
                    self._power.open()
                now_s = time.monotonic()
                if now_s < next_s:
                    self._power.update(now_s)
                    continue
                self._tell()
                # After a pause of the whole machine there is one sample, not one for each second missed.
                next_s = max(next_s + INTERVAL_S, time.monotonic())
        finally:
            self._power.close()
            self._thermal.close()

    def _tell(self) -> None:
        try:
            self._publish(self.sample())
        except Exception:
            # The boundary of one sample: nobody else would hear of it, and the next may succeed.
            logger.exception("sample_failed")
