"""Executors say that they live, and what they do for a memory or wait for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
SECONDS: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL, "sqlite")


def upgrade() -> None:
    op.create_table(
        "executors",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("seen", SECONDS, nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_executors"),
        sqlite_strict=True,
    )
    op.add_column("leases", sa.Column("seconds", SECONDS))
    op.add_column("leases", sa.Column("work", sa.Text))
    op.add_column("leases", sa.Column("attempt", NUMBER))
    op.add_column("leases", sa.Column("since", SECONDS))
    op.add_column("leases", sa.Column("reason", sa.Text))
    op.add_column("leases", sa.Column("message", sa.Text))
