"""What frames that pass tell of a link: it carries at least so much. No I/O, no clock."""

from collections.abc import Mapping
from typing import NamedTuple

from partition_agent.protocol import STUDIO_PEER, LinkSample, Telemetry

#: Samples that are further apart say nothing of a second.
MAX_GAP_S = 5.0
MIN_GAP_S = 0.5

#: A rate that was seen so long ago gives way to a newer one, though it is lower.
KEPT_S = 3600.0


class Way(NamedTuple):
    """One direction."""

    source: str
    target: str


class Seen(NamedTuple):
    """A rate that a direction carried for two seconds, and when (by the device's clock that never goes back)."""

    bytes_per_s: float
    at_s: float


class TrafficWatch:
    """Running totals of links in, lower bounds of rates out. For one thread at a time."""

    def __init__(self) -> None:
        self._totals: dict[str, tuple[str, float, dict[tuple[str, int, str], int]]] = {}
        self._before: dict[Way, float] = {}
        self._best: dict[Way, Seen] = {}

    def seen(self, device: str, sample: Telemetry, ways: Mapping[str, Mapping[str, Way]]) -> dict[Way, float]:
        """Take a sample; return the directions that were seen to carry more than was known, with their new bound.

        `ways` tells the direction of each link of each deployment. What came over a link counts at its consumer; only
        where that is the studio, what its producer sent. A rate counts when it lasted for two samples: for a moment
        more can be put into the queues than a link carries.
        """
        totals = {
            (link.deployment, link.epoch, link.link): _counted(link, device, way)
            for link in sample.links
            if (way := ways.get(link.deployment, {}).get(link.link)) is not None
        }
        before, self._totals[device] = self._totals.get(device), (sample.incarnation, sample.monotonic_s, totals)
        gap_s = sample.monotonic_s - before[1] if before is not None and before[0] == sample.incarnation else -1.0
        if before is None or not MIN_GAP_S <= gap_s <= MAX_GAP_S:
            for deployment, _, name in totals:
                self._before.pop(ways[deployment][name], None)
            return {}
        rates: dict[Way, float] = {}
        for key, total in totals.items():
            way = ways[key[0]][key[2]]
            if device == way.target or way.target == STUDIO_PEER:
                rates[way] = rates.get(way, 0.0) + max(total - before[2].get(key, total), 0) / gap_s
        return {way: self.bound(way) for way, rate in rates.items() if self._is_more(way, rate, sample.monotonic_s)}

    def bound(self, way: Way) -> float:
        """Return what a direction carries at least; 0 when nothing was seen."""
        return self._best[way].bytes_per_s if way in self._best else 0.0

    def forget(self, device: str) -> None:
        """Forget what was seen of a device that has gone."""
        self._totals.pop(device, None)
        for known in (self._before, self._best):
            for way in [way for way in known if device in way]:
                del known[way]

    def _is_more(self, way: Way, rate: float, now_s: float) -> bool:
        lasting = min(rate, self._before.get(way, 0.0))
        self._before[way] = rate
        best = self._best.get(way)
        if lasting <= 0 or (best is not None and lasting <= best.bytes_per_s and now_s - best.at_s < KEPT_S):
            return False
        self._best[way] = Seen(lasting, now_s)
        return True


def _counted(link: LinkSample, device: str, way: Way) -> int:
    # What a codec made of the tensors: more than that the link did not carry.
    return link.wire_bytes_received if device == way.target else link.wire_bytes_sent
