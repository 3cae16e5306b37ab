"""Tokens of clients, by their hashes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SECONDS: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL, "sqlite")


def upgrade() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("memory", sa.Text, nullable=False),
        sa.Column("may", sa.Text, nullable=False),
        sa.Column("created", SECONDS, nullable=False),
        sa.Column("expires", SECONDS),
        sa.Column("revoked", SECONDS),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sqlite_strict=True,
    )
