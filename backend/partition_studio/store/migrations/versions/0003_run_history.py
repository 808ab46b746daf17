"""Runs know their network, devices and report.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Upgrade; of older runs, what their deployment still tells is taken over."""
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("model_id", sa.String(length=12), nullable=True))
        batch_op.add_column(sa.Column("state", sa.String(length=12), nullable=True))
        batch_op.add_column(sa.Column("devices", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("about", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("report", sa.JSON(), nullable=True))
    connection = op.get_bind()
    runs = sa.table(
        "runs",
        sa.column("id", sa.String),
        sa.column("deployment_id", sa.String),
        sa.column("document", sa.JSON),
        sa.column("model_id", sa.String),
        sa.column("state", sa.String),
        sa.column("devices", sa.Text),
        sa.column("about", sa.JSON),
    )
    deployments = sa.table("deployments", sa.column("id", sa.String), sa.column("document", sa.JSON))
    known = {row.id: row.document for row in connection.execute(sa.select(deployments))}
    for row in connection.execute(sa.select(runs.c.id, runs.c.deployment_id, runs.c.document)).all():
        values: dict[str, object] = {"state": row.document.get("state")}
        document = known.get(row.deployment_id)
        if document is not None:
            devices = [row["device"] for row in document.get("devices", [])]
            values["model_id"] = document.get("model_id")
            values["devices"] = f"|{'|'.join(devices)}|" if devices else None
            values["about"] = {"model_name": document.get("model_name")}
        connection.execute(sa.update(runs).where(runs.c.id == row.id).values(**values))


def downgrade() -> None:
    """Downgrade."""
    with op.batch_alter_table("runs", schema=None) as batch_op:
        for column in ("report", "about", "devices", "state", "model_id"):
            batch_op.drop_column(column)
