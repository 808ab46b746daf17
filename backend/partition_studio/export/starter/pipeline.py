# ruff: noqa: UP006, UP035 - this file runs on Python 3.8.
"""The pipeline on the hosts: loaded, connected to one another, fed with frames."""

import ipaddress
import queue
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Sequence, Tuple

from partition_agent.standalone_stream import Message
from partition_studio.export.starter.channel import Channel
from partition_studio.export.starter.crew import Crew
from partition_studio.export.starter.errors import StartError
from partition_studio.export.starter.hosts import Host

#: Name of the source and sink among the peers of a run.
STUDIO_PEER = "studio"

PREPARE_S = 300.0
CONNECT_S = 60.0

#: Frames that are sent again and again are kept at the door up to this size.
KEPT_BYTES = 64 * 1024 * 1024

Frame = Sequence[memoryview]
OnResult = Callable[[int, List[memoryview]], None]


@dataclass
class Totals:
    """What a run came to. `seconds` is from the first frame sent to the last one back."""

    delivered: int = 0
    lost: List[Tuple[int, str]] = field(default_factory=list)
    seconds: float = 0.0
    latencies_s: List[float] = field(default_factory=list)


class Pipeline:
    """One run's pipeline. Every method raises StartError."""

    def __init__(self, crew: Crew, door: Channel, timeout_s: float) -> None:
        """Take the agents and the door; `timeout_s` is how long nothing may come back."""
        self._crew, self._door, self._timeout_s = crew, door, timeout_s
        self._package = crew.package
        self._events: queue.Queue[Tuple[Message, bytes]] = queue.Queue()
        self._faults: List[str] = []
        self._next = 0
        names = [spec.name for spec in self._package.all_inputs]
        #: Places of the inputs that a device reads.
        self._read = [names.index(spec.name) for spec in self._package.inputs]
        door.on_event = lambda message, payload: self._events.put((message, payload))
        for name, agent in crew.agents.items():
            agent.on_event = lambda message, payload, name=name: self._faults.append(
                f"{name}: {message.get('message')}"
            )  # type: ignore[misc]

    def open(self, hosts: Dict[str, Host]) -> List[str]:
        """Load the stages, and connect the devices to one another; return what is to be known of them."""
        crew, run = self._crew, self._crew.run
        addresses = self._addresses(hosts)

        def prepare(device: str) -> Callable[[], Message]:
            share = self._package.share(device)
            request = {"type": "prepare", "deployment": run, "epoch": 1, "device": device}
            request.update(bind_host=addresses[device], stages=share["stages"], links=share["links"])
            return lambda: crew.agents[device].request({"op": "prepare", "prepare": request}, timeout_s=PREPARE_S)

        prepared = crew.each({device: prepare(device) for device in crew.agents})
        peers = [
            {"device": device, "host": addresses[device], "port": answer["port"], "public_key": answer["public_key"]}
            for device, answer in prepared.items()
        ]
        document = self._package.document
        opened = self._door.request(
            {
                "op": "open",
                "deployment": run,
                "epoch": 1,
                "links": document["door_links"],
                "inputs": document["inputs"],
                "outputs": document["outputs"],
                "replicas": document["replicas"],
            }
        )
        studio = {"device": STUDIO_PEER, "host": "", "port": 0, "public_key": opened["public_key"]}
        request = {"type": "connect", "deployment": run, "epoch": 1, "peers": [*peers, studio]}

        def connect(device: str) -> Callable[[], Message]:
            links = self._package.share(device)["links"]
            reach = sorted(
                {k["consumer_device"] for k in links if k["producer_device"] == device} - {device, STUDIO_PEER}
            )
            message = {"op": "connect", "connect": request, "reach": reach}
            return lambda: crew.agents[device].request(message, timeout_s=CONNECT_S)

        crew.each({device: connect(device) for device in crew.agents})
        ends = {link[end] for link in document["door_links"] for end in ("producer_device", "consumer_device")}
        near = [peer for peer in peers if peer["device"] in ends]
        self._door.request({"op": "connect", "peers": near}, timeout_s=CONNECT_S)
        return [f"{device}: {note}" for device, answer in prepared.items() for note in answer["notes"]]

    def _addresses(self, hosts: Dict[str, Host]) -> Dict[str, str]:
        """Return where the devices reach each other. Hosts that we reach over loopback share an outer address."""
        found = {name: hosts[name].address or str(facts["address"]) for name, facts in self._crew.facts.items()}
        for name, address in found.items():
            if not address or "%" in address:
                raise StartError(
                    f"{name}: its address for the other devices is not known ({address or 'ssh does not tell'})",
                    "Give `address` of that device in hosts.json.",
                    "no_address",
                )
        outer = [address for address in found.values() if not is_loopback(address)]
        for name, address in found.items():
            if outer and is_loopback(address) and hosts[name].address is None:
                found[name] = self._crew.agents[name].request({"op": "address", "towards": outer[0]})["address"]
        return found

    def run(
        self,
        frames: Sequence[Frame],
        total: int,
        window: int,
        on_result: OnResult,
        through: Sequence[Sequence[int]] = (),
    ) -> Totals:
        """Send `total` frames, beginning anew when all were sent; `on_result` is told the outputs of each one once.

        At most `window` are under way. `through` has the replicas that each frame is to pass, one of each group; left
        out, the fastest. Ends with StartError when nothing comes back for the timeout, or a host is lost.
        """
        first = self._next
        keep = total > len(frames) and sum(part.nbytes for frame in frames for part in frame) <= KEPT_BYTES
        totals, sent, begun_s = Totals(), 0, float("nan")
        while totals.delivered + len(totals.lost) < total:
            while sent < total and sent - totals.delivered - len(totals.lost) < window:
                self._send(first, sent, frames, keep, through[sent] if through else ())
                sent += 1
            message, payload = self._event()
            number = message["frame"] - first
            if message["event"] == "lost":
                totals.lost.append((number, message["reason"]))
                continue
            totals.delivered += 1
            totals.latencies_s.append(message["latency_s"])
            # The door's clock: what SSH takes between it and us is not the pipeline's.
            if totals.delivered == 1:
                begun_s = message["at_s"] - message["latency_s"]
            totals.seconds = message["at_s"] - begun_s
            if number < len(frames):
                on_result(number, self._outputs(frames[number], payload))
        self._next = first + total
        return totals

    def figures(self) -> Dict[str, Message]:
        """Return what each agent has counted since it began."""
        agents = self._crew.agents
        return {device: agent.request({"op": "figures"}) for device, agent in agents.items()}

    @property
    def ways_through_all(self) -> List[List[int]]:
        """Choices of a replica of each group that together lead through every replica of every group."""
        counts = self._package.document["replicas"]
        return [[number % count for count in counts] for number in range(max(counts, default=1))]

    def tell_speeds(self) -> None:
        """Tell the door how long each replica took for a frame: it does not see all of them itself."""
        counts = self._package.document["replicas"]
        if not counts:
            return
        seconds = [[0.0] * count for count in counts]
        for device, figures in self.figures().items():
            took_s = {s["stage"]: s["compute_s"] / s["frames"] for s in figures["stages"] if s["frames"]}
            for stage in self._package.share(device)["stages"]:
                if stage["replica"] is not None:
                    group, index = stage["replica"]
                    seconds[group][index] += took_s.get(stage["name"], 0.0)
        self._door.request({"op": "speeds", "seconds": seconds})

    def _send(self, first: int, number: int, frames: Sequence[Frame], keep: bool, through: Sequence[int]) -> None:
        message: Message = {"op": "frame", "frame": first + number, "quiet": number >= len(frames)}
        if through:
            message["through"] = list(through)
        if keep and number >= len(frames):
            message["again"] = first + number % len(frames)
            self._door.tell(message)
        else:
            frame = frames[number % len(frames)]
            self._door.tell({**message, "keep": keep}, [frame[place] for place in self._read])

    def _event(self) -> Tuple[Message, bytes]:
        deadline_s = time.monotonic() + self._timeout_s
        while time.monotonic() < deadline_s:
            if not self._crew.lost.empty():
                raise self._crew.lost.get().lost()
            try:
                return self._events.get(timeout=0.2)
            except queue.Empty:
                continue
        said = f"; {self._faults[-1]}" if self._faults else ""
        raise StartError(
            f"no frame came through the devices within {self._timeout_s:.0f} s{said}",
            "Look whether a device is overloaded; --timeout SECONDS waits longer.",
            "no_frames",
        )

    def _outputs(self, frame: Frame, payload: bytes) -> List[memoryview]:
        """Return the outputs in the package's order: those of the devices, then those that are inputs."""
        parts, begin, whole = [], 0, memoryview(payload)
        for spec in self._package.outputs:
            parts.append(whole[begin : begin + spec.size_bytes])
            begin += spec.size_bytes
        names = [spec.name for spec in self._package.all_inputs]
        return [*parts, *(frame[names.index(spec.name)] for spec in self._package.passthrough)]


def is_loopback(address: str) -> bool:
    """Return whether an address means the host itself."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def busy_seconds(figures: Dict[str, Any]) -> float:
    """Return how long a device has computed."""
    return sum(float(stage["compute_s"]) for stage in figures["stages"])
