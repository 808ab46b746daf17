"""What carrying bytes costs a device of this machine: agents that compute next to nothing, with frames of two sizes."""

from dataclasses import dataclass
from pathlib import Path

from bench.pipeline.harness.alone import AloneWorker
from bench.pipeline.harness.deployment import Cut, Deployed
from bench.pipeline.harness.devices import Devices, DeviceSpec
from bench.pipeline.harness.frames import throughput
from bench.pipeline.harness.plans import chain_plan
from bench.synthetic import relu_chain
from partition_studio.graph.load import load_network

#: Floats of a frame. With a small one the message itself costs most, with a large one its bytes do.
_SMALL, _LARGE = 4_096, 800_000


@dataclass(frozen=True, slots=True)
class CarryCost:
    """Processor seconds of one message at one end, and of each of its bytes."""

    message_s: float
    byte_s: float

    def __call__(self, size_bytes: int) -> float:
        """Return what a message of that size takes at one end."""
        return self.message_s + self.byte_s * size_bytes

    @classmethod
    def through(cls, small: tuple[int, float], large: tuple[int, float]) -> "CarryCost":
        """Return the line through two points of (bytes, seconds); neither part of it is negative."""
        byte_s = max((large[1] - small[1]) / (large[0] - small[0]), 0.0)
        return cls(max(small[1] - byte_s * small[0], 0.0), byte_s)


def measure_carry(folder: Path, cpus: tuple[tuple[int, ...], tuple[int, ...]], seconds: float) -> CarryCost:
    """Measure it on two devices with these cores; the files lie in a new folder."""
    folder.mkdir()
    points = [(4 * floats, _message_s(folder / str(floats), cpus, seconds, floats)) for floats in (_SMALL, _LARGE)]
    return CarryCost.through(points[0], points[1])


def _message_s(folder: Path, cpus: tuple[tuple[int, ...], tuple[int, ...]], seconds: float, floats: int) -> float:
    """Return an agent's processor seconds for one message, taken in or sent out, beyond its stage's own."""
    folder.mkdir()
    path = folder / "network.onnx"
    path.write_bytes(relu_chain(2, floats).SerializeToString())
    specs = [DeviceSpec("one", cpus[0]), DeviceSpec("two", cpus[1])]
    network = load_network(path)
    cut = Cut.of(network, chain_plan(network, (1,), [spec.name for spec in specs]))
    stages_s = 0.0
    with Devices(specs, folder) as devices:
        for stage in cut.parted.graph.stages:
            path.write_bytes(cut.parts[stage.name])
            with AloneWorker(path, devices[stage.device].spec.cpus) as worker:
                stages_s += worker.run(seconds / 4).cpu_s
        with Deployed(cut, devices) as deployed:
            agents_s = throughput(deployed, seconds).agents_cpu_s
    # Two agents, each with one message in and one out.
    return max(agents_s - stages_s, 0.0) / 4
