"""What the planner knows of devices and links. Pure numbers: where they come from is the business of who fills them in.

A figure that nobody measured is None, or estimated and named in `estimated`; it is never 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from partition_agent.protocol import STUDIO_PEER
from partition_studio.planner.figures.profile import Profile
from partition_studio.planner.figures.speeds import CarrySpeed as CarrySpeed
from partition_studio.planner.figures.speeds import CodecSpeed as CodecSpeed

#: The two directions between a source and a target peer.
Way = tuple[str, str]

_FREE = CarrySpeed(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class DevicePower:
    """`idle_w` is what the device takes when it does nothing, `active_w` what one busy processor core adds to it."""

    idle_w: float
    active_w: float


@dataclass(frozen=True)
class DeviceFigures:
    """What is known of one device.

    Attributes:
        name: as plans name it.
        cores: cores' worth of processor time that its agent gets (a quota of half a core: 0.5).
        threads: threads that one stage computes with.
        memory_bytes: most that its agent may take; None: no limit is known.
        profile: of the whole network there; one made by `estimate` where it was not measured.
        carry: what messages cost its processor.
        codecs: by name, those that it can use; empty: not measured.
        power: None where its power is not known.
        estimated: of what nothing was measured: "compute", "carry", "codecs", "power".
    """

    name: str
    cores: float
    threads: int
    memory_bytes: int | None
    profile: Profile
    carry: CarrySpeed
    codecs: Mapping[str, CodecSpeed] = field(default_factory=dict)
    power: DevicePower | None = None
    estimated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """One direction between two peers. `latency_s` is half a round trip; `estimated`: it was not measured."""

    bytes_per_s: float
    latency_s: float = 0.0
    estimated: bool = False


@dataclass(frozen=True)
class LinkTable:
    """Every direction between peers, the studio's (`STUDIO_PEER`) among them.

    All links of a device share its interface: `interfaces` has its bytes per second, each way (what is not there is not
    shared: a device's links are then as fast together as each alone). `default` stands in for what was not measured.
    """

    links: Mapping[Way, LinkFigures]
    interfaces: Mapping[str, float] = field(default_factory=dict)
    default: LinkFigures = LinkFigures(125e6, 0.0005, estimated=True)

    def of(self, source: str, target: str) -> LinkFigures:
        """Return the figures of one direction."""
        return self.links.get((source, target), self.default)


@dataclass(frozen=True)
class Figures:
    """All that a prediction or a search is made of, besides the network and the plan.

    `studio` is what carrying costs the studio's own processor.
    """

    devices: Mapping[str, DeviceFigures]
    links: LinkTable
    studio: CarrySpeed = _FREE

    def carry_of(self, peer: str) -> CarrySpeed:
        """Return what messages cost a device, or the studio."""
        return self.studio if peer == STUDIO_PEER else self.devices[peer].carry
