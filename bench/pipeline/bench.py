"""What every case is given: how long, how often, which cores, networks that are made once, a folder that is removed."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median

from bench.pipeline.harness.alone import AloneWorker
from bench.pipeline.harness.carry import CarryCost, measure_carry
from bench.pipeline.harness.cuts import Cuts, find_cuts
from bench.pipeline.harness.devices import Devices, DeviceSpec
from bench.pipeline.harness.plans import span_of
from bench.synthetic import mobilenet_v2, vgg16
from partition_studio.graph.examples import build_example
from partition_studio.graph.load import load_network
from partition_studio.graph.network import Network

#: How long a candidate for a stage is run, and how often.
_MEASURE_S, _MEASURE_TIMES = 0.4, 3
_QUICK_MEASURE_S, _QUICK_MEASURE_TIMES = 0.1, 1

_MADE = {
    "vgg-16": lambda: vgg16(),
    "vgg-16-blocks": lambda: vgg16(blocks=3),
    "mobilenet-v2": lambda: mobilenet_v2(),
}


@dataclass
class Bench:
    """The settings of one run of the benchmark."""

    folder: Path
    cpus: tuple[int, ...]
    rounds: int
    seconds: float
    quick: bool
    minutes: float = 10.0
    _networks: dict[str, Network] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def network(self, name: str) -> Network:
        """Return a network by name: an example of the studio, or one of `bench.synthetic`."""
        if name not in self._networks:
            path = self.folder / f"{name}.onnx"
            data = _MADE[name]().SerializeToString() if name in _MADE else build_example(name)
            path.write_bytes(data)
            self._networks[name] = load_network(path)
        return self._networks[name]

    @cached_property
    def ruler(self) -> int:
        """The core that stages are measured on to find the cuts."""
        return self.cpus[0]

    @cached_property
    def carry(self) -> CarryCost:
        """What a device of one core spends on a message at one end; measured once."""
        return measure_carry(self.folder / f"carry-{next(self._numbers)}", (self.cpu(0), self.cpu(1)), self.seconds / 2)

    def devices(self, specs: list[DeviceSpec]) -> Devices:
        """Start devices. Raises NoQuotaError."""
        return Devices(specs, self.folder / f"devices-{next(self._numbers)}")

    def cpu(self, number: int) -> tuple[int]:
        """Return the core of a device by its number: they are dealt."""
        return (self.cpus[number % len(self.cpus)],)

    def time_of(self, network: Network, begin: int, end: int) -> float:
        """Return the seconds that the layers from `begin` up to `end` take as one stage, on one core alone."""
        with self.written(span_of(network, begin, end)) as path, AloneWorker(path, (self.ruler,)) as worker:
            seconds, times = (_QUICK_MEASURE_S, _QUICK_MEASURE_TIMES) if self.quick else (_MEASURE_S, _MEASURE_TIMES)
            return median(worker.run(seconds).median_s for _ in range(times))

    def cuts(self, network: Network, speeds: list[float]) -> Cuts:
        """Find the best stages for devices of these speeds, by measuring."""
        return find_cuts(
            network,
            speeds,
            lambda begin, end: self.time_of(network, begin, end),
            self.carry,
            pieces=5 if self.quick else 10,
            rounds=2 if self.quick else 7,
        )

    @contextmanager
    def written(self, part: bytes) -> Iterator[Path]:
        """Have a sub-model in a file for a while."""
        path = self.folder / f"part-{next(self._numbers)}.onnx"
        path.write_bytes(part)
        try:
            yield path
        finally:
            path.unlink()
