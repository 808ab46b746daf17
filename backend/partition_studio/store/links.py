"""The newest figures of each direction between two devices."""

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import delete, select

from partition_studio.schemas import LinkProfileOut
from partition_studio.store.database import Database
from partition_studio.store.tables import LinkProfileRow


class Figure(NamedTuple):
    """What is known of one direction."""

    bytes_per_s: float
    rtt_s: float | None
    rtt_min_s: float | None


class LinkStore:
    """Keeps one figure for each direction and method. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, way: tuple[str, str], method: str, figure: Figure) -> None:
        """Put a figure in place of the older one."""
        row = LinkProfileRow(
            source=way[0],
            target=way[1],
            method=method,
            bytes_per_s=figure.bytes_per_s,
            rtt_s=figure.rtt_s,
            rtt_min_s=figure.rtt_min_s,
            measured_at=datetime.now(UTC),
        )
        with self._database.session() as session, session.begin():
            session.merge(row)

    def forget(self, peer: str) -> None:
        """Delete every figure of a link from or to this peer."""
        row = LinkProfileRow
        with self._database.session() as session, session.begin():
            session.execute(delete(row).where((row.source == peer) | (row.target == peer)))

    def ways(self, method: str) -> set[tuple[str, str]]:
        """Return the directions of which something is known by one method."""
        with self._database.session() as session:
            query = select(LinkProfileRow).where(LinkProfileRow.method == method)
            return {(row.source, row.target) for row in session.scalars(query)}

    def best(self) -> list[LinkProfileOut]:
        """Return one figure of each direction: the newest measured one, unless traffic proves since to be more."""
        with self._database.session() as session:
            rows = session.scalars(select(LinkProfileRow).order_by(LinkProfileRow.measured_at)).all()
        found: dict[tuple[str, str], LinkProfileOut] = {}
        for row in sorted(rows, key=lambda row: row.method == "traffic"):
            out = _out(row)
            before = found.get((row.source, row.target))
            if before is not None and out.method == "traffic":
                if out.bytes_per_s <= before.bytes_per_s or out.measured_at <= before.measured_at:
                    continue
                out = out.model_copy(update={"rtt_s": before.rtt_s, "rtt_min_s": before.rtt_min_s})
            found[row.source, row.target] = out
        return [found[way] for way in sorted(found)]


def _out(row: LinkProfileRow) -> LinkProfileOut:
    return LinkProfileOut.model_validate(
        {
            "source": row.source,
            "target": row.target,
            "bytes_per_s": row.bytes_per_s,
            "rtt_s": row.rtt_s,
            "rtt_min_s": row.rtt_min_s,
            "method": row.method,
            "measured_at": row.measured_at,
        }
    )
