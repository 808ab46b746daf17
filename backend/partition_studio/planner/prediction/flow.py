"""A plan as work that flows: what each stage computes, what each link carries, and which resources they share.

This is all that prediction and simulation need of a plan: no tensors, no layers. Everything is per frame that passes,
in seconds and bytes; what takes only a share of the frames (replicas) has a `share` below 1.

Resources, and how long one frame keeps each busy:

- *cores* of a device: processor seconds of its stages, of carrying and of coding, divided by its cores;
- *lane* of a device: the time of its stages, which take turns there;
- *link*: one direction between two peers: bytes / bandwidth;
- *interface* of a device, in and out apart: all bytes of its links / its bandwidth.

In a pipeline all of them work at once, so throughput is what the busiest allows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from partition_studio.planner.figures.figures import LinkTable

ResourceKind = Literal["cores", "lane", "link", "interface"]


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that works on one thing at a time.

    `name` is the device; of a lane `device/lane`; of a link `source->target`; of an interface `device in` or
    `device out`.
    """

    kind: ResourceKind
    name: str


@dataclass(frozen=True, slots=True)
class Work:
    """A stage in one place.

    `seconds` of one frame there by the clock, `cpu_s` of its processor's time. `share`: the part of the frames that it
    gets. `holds`: most frames that it computes in one go.
    """

    name: str
    stage: str
    device: str
    lane: str
    seconds: float
    cpu_s: float
    share: float = 1.0
    holds: int = 1


@dataclass(frozen=True, slots=True)
class Transfer:
    """What one link carries of a frame: `producer` and `consumer` are names of works, or SOURCE and SINK.

    `send_s` and `receive_s` are processor seconds at its two ends: carrying and coding. Of these, `send_beside_s`
    and `receive_beside_s` are spent while its bytes are on the wire. `window`: frames that may wait.
    `raw_bytes` is what the tensors take in memory, `wire_bytes` what travels. Between two stages of one device nothing
    travels: `wire_bytes` is 0 and `source` is `target`.
    """

    cut: str
    producer: str
    consumer: str
    source: str
    target: str
    raw_bytes: int
    wire_bytes: int
    send_s: float
    receive_s: float
    window: int
    share: float = 1.0
    send_beside_s: float = 0.0
    receive_beside_s: float = 0.0

    @property
    def ends_s(self) -> float:
        """The processor seconds before its bytes are on the wire, and after."""
        return self.send_s - self.send_beside_s + self.receive_s - self.receive_beside_s


@dataclass(frozen=True)
class Flow:
    """`works` and `transfers` in topological order. `cores` by device; `links` with what transfers cross."""

    works: tuple[Work, ...]
    transfers: tuple[Transfer, ...]
    cores: Mapping[str, float]
    links: LinkTable
