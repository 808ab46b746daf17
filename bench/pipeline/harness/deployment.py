"""A plan on devices of this machine, with the studio's own front door: the studio's modules without its services.

What the studio does besides (database, telemetry, browser) is left out; `cases/studio.py` tells what that costs.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from types import TracebackType
from typing import Any, Self

import msgspec

from bench.pipeline.harness.devices import AgentError, Devices
from bench.shaped import ShapedLink
from partition_agent.protocol import (
    STUDIO_PEER,
    Connect,
    End,
    LinkCodec,
    LinkSpec,
    PeerAddress,
    Prepare,
    Prepared,
)
from partition_studio.deployment.front_door import FrontDoor
from partition_studio.deployment.manifest import DeviceShare, Manifest, build_manifest
from partition_studio.graph.network import Network
from partition_studio.partition.extract import submodels
from partition_studio.partition.partition import Partition, partition
from partition_studio.partition.plan import Plan

_epochs = itertools.count(1)


@dataclass(frozen=True)
class Cut:
    """A plan's partition, and the sub-model of each stage as bytes."""

    parted: Partition
    parts: Mapping[str, bytes]

    @classmethod
    def of(cls, network: Network, plan: Plan) -> Self:
        """Cut a network as a plan says."""
        parted = partition(network, plan)
        made = submodels(parted.network, parted.graph)
        return cls(parted, {stage.name: made[stage.name].data for stage in parted.graph.stages})

    @property
    def crossing_bytes(self) -> int:
        """Bytes of the tensors between devices, of one frame."""
        graph = self.parted.graph
        ends = [(cut, graph.device_of(cut.producer), graph.device_of(cut.consumer)) for cut in graph.cuts]
        return sum(graph.cut_bytes(cut) for cut, one, other in ends if one and other and one != other)


@dataclass(frozen=True)
class Wiring:
    """How the links of a deployment are made.

    `codec` is that of the links between devices; `window` replaces the plan's number of frames on each link;
    `bytes_per_s` shapes every link between devices.
    """

    codec: str = "none"
    window: int | None = None
    plaintext: bool = False
    bytes_per_s: float | None = None
    threads: int = 1
    codecs: Mapping[str, tuple[LinkCodec, ...]] = dataclass_field(default_factory=dict)

    def link(self, link: LinkSpec) -> LinkSpec:
        """Return a link as this wiring has it."""
        if self.window is not None:
            link = msgspec.structs.replace(link, window=self.window)
        if STUDIO_PEER in (link.producer_device, link.consumer_device):
            return link
        if link.id in self.codecs:
            return msgspec.structs.replace(link, codecs=self.codecs[link.id])
        if self.codec == "none":
            return link
        return msgspec.structs.replace(link, codecs=(LinkCodec(self.codec),) * len(link.tensors))


#: Links as the studio makes them.
PLAIN = Wiring()


class Deployed:
    """A cut network that runs: frames go in by `door`."""

    def __init__(self, cut: Cut, devices: Devices, wiring: Wiring = PLAIN) -> None:
        """Bring it up. Raises AgentError."""
        self.cut, self.wiring, self._devices = cut, wiring, devices
        self._epoch = next(_epochs)
        self._name = f"bench-{self._epoch}"
        self._proxies: list[ShapedLink] = []
        digests = {}
        for stage in cut.parted.graph.stages:
            for device in stage.devices:
                digests[stage.name] = devices[device].push(cut.parts[stage.name])
        threads = {device: wiring.threads for device in cut.parted.graph.devices}
        self.manifest: Manifest = build_manifest(cut.parted.graph, digests, threads)
        self._links = tuple(wiring.link(link) for link in self.manifest.links)
        self._prepared: dict[str, PeerAddress] = {}
        self.door: FrontDoor | None = None
        try:
            for share in self.manifest.shares:
                self._prepare(share)
            self._connect()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The type of each tensor of a frame."""
        return self.manifest.inputs

    @property
    def pids(self) -> dict[str, int]:
        """The agent of each device."""
        return {share.device: self._devices[share.device].pid for share in self.manifest.shares}

    @property
    def proxies(self) -> list[int]:
        """The processes that shape links."""
        return [proxy.pid for proxy in self._proxies]

    def close(self) -> None:
        """End it on every device."""
        if self.door is not None:
            self.door.close()
        for device in self._prepared:
            self._devices[device].call(End(deployment=self._name, epoch=self._epoch))
        self._prepared.clear()
        for proxy in self._proxies:
            proxy.close()
        self._proxies.clear()

    def _prepare(self, share: DeviceShare) -> None:
        links = tuple(link for link in self._links if share.device in (link.producer_device, link.consumer_device))
        request = Prepare(
            deployment=self._name,
            epoch=self._epoch,
            device=share.device,
            bind_host="127.0.0.1",
            stages=share.stages,
            links=links,
            plaintext=self.wiring.plaintext,
        )
        answer = self._devices[share.device].call(request)
        if not isinstance(answer, Prepared):
            raise AgentError(f"{share.device} answered a deployment with nonsense")
        self._prepared[share.device] = PeerAddress(share.device, "127.0.0.1", answer.data_port, answer.public_key)

    def _door(self) -> FrontDoor:
        return FrontDoor(
            deployment=self._name,
            epoch=self._epoch,
            links=[link for link in self._links if STUDIO_PEER in (link.producer_device, link.consumer_device)],
            inputs=self.manifest.inputs,
            outputs=self.manifest.outputs,
            replicas=self.manifest.replicas,
            plaintext=self.wiring.plaintext,
        )

    def _connect(self) -> None:
        self.door = self._door()
        studio = PeerAddress(STUDIO_PEER, "", 0, self.door.public_key)
        peers = list(self._prepared.values())
        for device in self._prepared:
            seen = [self._address(device, peer) for peer in peers]
            self._devices[device].call(Connect(self._name, self._epoch, (*seen, studio)))
        self.door.connect(peers)

    def _address(self, device: str, peer: PeerAddress) -> PeerAddress:
        """Return where a device finds a peer: behind a proxy, where the link to it is shaped."""
        rate = self.wiring.bytes_per_s
        feeds = any(link.producer_device == device and link.consumer_device == peer.device for link in self._links)
        if rate is None or not feeds or peer.device == device:
            return peer
        proxy = ShapedLink(peer.port, rate)
        self._proxies.append(proxy)
        return msgspec.structs.replace(peer, port=proxy.port)


#: Brings one deployment up, to be ended by `with`.
Deploy = Callable[[], Deployed]
