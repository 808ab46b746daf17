"""The studio's tables. Documents that have a schema of their own (plan, check, problem) are kept as JSON."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, ForeignKey, Index, MetaData, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

Json = dict[str, Any]


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps no zone, so it is put back on reading."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: object) -> datetime | None:
        """Store as UTC without a zone."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: object) -> datetime | None:
        """Read as UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """Base of the tables; constraints are named so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class ModelRow(Base):
    """A network. Its ONNX file lies in the data folder as `models/<digest>/model.onnx`."""

    __tablename__ = "models"

    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    example: Mapped[str | None] = mapped_column(String(40))
    trained: Mapped[bool]
    summary: Mapped[Json] = mapped_column(JSON)
    preprocessing: Mapped[Json] = mapped_column(JSON)
    labels: Mapped[list[str]] = mapped_column(JSON)
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PlanRow(Base):
    """A saved plan of a network."""

    __tablename__ = "plans"

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(120))
    revision: Mapped[int]
    document: Mapped[Json] = mapped_column(JSON)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when it is removed: for a while it can be brought back, and its id is not another's."""


class DeviceRow(Base):
    """A registered device. Passwords and agent tokens are never here."""

    __tablename__ = "devices"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    position: Mapped[int]
    address: Mapped[str] = mapped_column(Text)
    key_file: Mapped[str | None] = mapped_column(Text)
    cpus: Mapped[list[int] | None] = mapped_column(JSON)
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    power: Mapped[Json] = mapped_column(JSON)
    """Power settings without any password: `meter`, `shunt_ohm`, `model`."""
    login: Mapped[str] = mapped_column(String(8), default="no")
    """Where its password is kept: `no`, `memory` or `keyring`; the password itself is never here."""
    state: Mapped[str] = mapped_column(String(12))
    check: Mapped[Json | None] = mapped_column("last_check", JSON)
    problem: Mapped[Json | None] = mapped_column(JSON)


class DeploymentRow(Base):
    """A plan on its devices, as it was last known."""

    __tablename__ = "deployments"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    model_id: Mapped[str] = mapped_column(String(12))
    epoch: Mapped[int]
    state: Mapped[str] = mapped_column(String(12))
    document: Mapped[Json] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class RunRow(Base):
    """A run's figures. What an older studio did not keep is None."""

    __tablename__ = "runs"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    deployment_id: Mapped[str] = mapped_column(String(16), index=True)
    document: Mapped[Json] = mapped_column(JSON)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    model_id: Mapped[str | None] = mapped_column(String(12))
    state: Mapped[str | None] = mapped_column(String(12))
    devices: Mapped[str | None] = mapped_column(Text)
    """Their names, each between bars: `|pi-1|pi-2|`."""
    about: Mapped[Json | None] = mapped_column(JSON)
    """What the list of runs shows beside the run's own figures."""
    report: Mapped[Json | None] = mapped_column(JSON, deferred=True)
    """Its report, without the run itself: as large as the plan."""


class TelemetryRow(Base):
    """One sample of a device, at the studio's time. `ring` and `sequence` are the agent's: nothing is kept twice."""

    __tablename__ = "telemetry"
    __table_args__ = (Index("ix_telemetry_device", "device", "at_s"),)

    device: Mapped[str] = mapped_column(String(63), primary_key=True)
    ring: Mapped[str] = mapped_column(String(32), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at_s: Mapped[float] = mapped_column(index=True)
    """Unix time by the studio's clock."""
    incarnation: Mapped[str] = mapped_column(String(32))
    figures: Mapped[Json] = mapped_column(JSON)


class ProfileRow(Base):
    """What the layers of a network take on a device; one for each set of conditions, the newest."""

    __tablename__ = "profiles"
    __table_args__ = (UniqueConstraint("device", "network_digest", "runtime", "threads", "provider"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(String(63), index=True)
    model_id: Mapped[str] = mapped_column(String(12))
    network_digest: Mapped[str] = mapped_column(String(64))
    runtime: Mapped[str] = mapped_column(String(40))
    threads: Mapped[int]
    provider: Mapped[str] = mapped_column(String(60))
    document: Mapped[Json] = mapped_column(JSON)
    measured_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LinkProfileRow(Base):
    """The newest figures of one direction between two devices, by method."""

    __tablename__ = "link_profiles"

    source: Mapped[str] = mapped_column(String(63), primary_key=True)
    target: Mapped[str] = mapped_column(String(63), primary_key=True)
    method: Mapped[str] = mapped_column(String(12), primary_key=True)
    bytes_per_s: Mapped[float]
    rtt_s: Mapped[float | None]
    rtt_min_s: Mapped[float | None]
    measured_at: Mapped[datetime] = mapped_column(UtcDateTime)


class MeterReadingRow(Base):
    """A reading of a meter's counter that the person typed."""

    __tablename__ = "meter_readings"

    id: Mapped[int] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(String(63), index=True)
    energy_j: Mapped[float]
    read_at: Mapped[datetime] = mapped_column(UtcDateTime)
    frames: Mapped[int | None] = mapped_column(BigInteger)
    """Frames that left the device between the reading before and this one, as far as is known."""
