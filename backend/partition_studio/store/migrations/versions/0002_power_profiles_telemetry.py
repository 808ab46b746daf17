"""Power settings, telemetry, profiles, links, meter readings.

Revision ID: 0002
Revises: 0001
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_DEVICES = sa.table(
    "devices",
    sa.column("name", sa.String),
    sa.column("idle_power_w", sa.Double),
    sa.column("busy_power_w", sa.Double),
    sa.column("power", sa.JSON),
    sa.column("last_check", sa.JSON),
    sa.column("state", sa.String),
)


def upgrade() -> None:
    """Upgrade. Checks have another form now: devices are to be checked anew."""
    with op.batch_alter_table("devices") as batch_op:
        batch_op.add_column(sa.Column("power", sa.JSON(), nullable=False, server_default=sa.text("'{}'")))
        batch_op.add_column(sa.Column("login", sa.String(length=8), nullable=False, server_default="no"))
    connection = op.get_bind()
    for name, idle_w, busy_w in connection.execute(
        sa.select(_DEVICES.c.name, _DEVICES.c.idle_power_w, _DEVICES.c.busy_power_w)
    ).all():
        model = None if idle_w is None or busy_w is None else {"idle_w": idle_w, "busy_w": busy_w, "source": "declared"}
        connection.execute(
            _DEVICES.update()
            .where(_DEVICES.c.name == name)
            .values(power={} if model is None else {"model": model}, last_check=sa.null(), state="unknown")
        )
    with op.batch_alter_table("devices") as batch_op:
        batch_op.alter_column("power", existing_type=sa.JSON(), existing_nullable=False, server_default=None)
        batch_op.alter_column("login", existing_type=sa.String(8), existing_nullable=False, server_default=None)
        batch_op.drop_column("idle_power_w")
        batch_op.drop_column("busy_power_w")
    op.create_table(
        "telemetry",
        sa.Column("device", sa.String(length=63), nullable=False),
        sa.Column("ring", sa.String(length=32), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.Column("incarnation", sa.String(length=32), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("device", "ring", "sequence", name=op.f("pk_telemetry")),
    )
    op.create_index(op.f("ix_telemetry_at_s"), "telemetry", ["at_s"])
    op.create_index(op.f("ix_telemetry_device"), "telemetry", ["device", "at_s"])
    op.create_table(
        "profiles",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(length=63), nullable=False),
        sa.Column("model_id", sa.String(length=12), nullable=False),
        sa.Column("network_digest", sa.String(length=64), nullable=False),
        sa.Column("runtime", sa.String(length=40), nullable=False),
        sa.Column("threads", sa.Integer(), nullable=False),
        sa.Column("provider", sa.String(length=60), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("measured_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_profiles")),
        sa.UniqueConstraint(
            "device", "network_digest", "runtime", "threads", "provider", name=op.f("uq_profiles_device")
        ),
    )
    op.create_index(op.f("ix_profiles_device"), "profiles", ["device"])
    op.create_table(
        "link_profiles",
        sa.Column("source", sa.String(length=63), nullable=False),
        sa.Column("target", sa.String(length=63), nullable=False),
        sa.Column("method", sa.String(length=12), nullable=False),
        sa.Column("bytes_per_s", sa.Double(), nullable=False),
        sa.Column("rtt_s", sa.Double(), nullable=True),
        sa.Column("rtt_min_s", sa.Double(), nullable=True),
        sa.Column("measured_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("source", "target", "method", name=op.f("pk_link_profiles")),
    )
    op.create_table(
        "meter_readings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(length=63), nullable=False),
        sa.Column("energy_j", sa.Double(), nullable=False),
        sa.Column("read_at", sa.DateTime(), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meter_readings")),
    )
    op.create_index(op.f("ix_meter_readings_device"), "meter_readings", ["device"])


def downgrade() -> None:
    """Downgrade. Declared watts stay; what has no place in the older schema is lost."""
    for name in ("meter_readings", "link_profiles", "profiles", "telemetry"):
        op.drop_table(name)
    with op.batch_alter_table("devices") as batch_op:
        batch_op.add_column(sa.Column("idle_power_w", sa.Double(), nullable=True))
        batch_op.add_column(sa.Column("busy_power_w", sa.Double(), nullable=True))
    connection = op.get_bind()
    for name, power in connection.execute(sa.select(_DEVICES.c.name, _DEVICES.c.power)).all():
        settings = json.loads(power) if isinstance(power, str) else power or {}
        model = settings.get("model") or {}
        connection.execute(
            _DEVICES.update()
            .where(_DEVICES.c.name == name)
            .values(
                idle_power_w=model.get("idle_w"),
                busy_power_w=model.get("busy_w"),
                last_check=sa.null(),
                state="unknown",
            )
        )
    with op.batch_alter_table("devices") as batch_op:
        batch_op.drop_column("power")
        batch_op.drop_column("login")
