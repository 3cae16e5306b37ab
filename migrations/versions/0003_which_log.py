"""The log has a name of its own, so that notes about it are not taken for those about another."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("head", sa.Column("log", sa.Text, nullable=False, server_default=""))
    op.execute(sa.table("head", sa.column("log", sa.Text)).update().values(log=str(uuid.uuid4())))
