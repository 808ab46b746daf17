"""Removed plans are kept for a while.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Upgrade."""
    with op.batch_alter_table("plans", schema=None) as batch_op:
        batch_op.add_column(sa.Column("removed_at", sa.DateTime(), nullable=True))


def downgrade() -> None:
    """Downgrade; plans that were removed are so for good."""
    op.execute(sa.text("DELETE FROM plans WHERE removed_at IS NOT NULL"))
    with op.batch_alter_table("plans", schema=None) as batch_op:
        batch_op.drop_column("removed_at")
