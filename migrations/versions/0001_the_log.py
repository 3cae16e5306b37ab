"""The log, its head, data keys and leases; triggers that keep the log append-only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")

SQLITE_TRIGGERS = tuple(
    f"""CREATE TRIGGER events_refuse_{verb} BEFORE {verb.upper()} ON events
        BEGIN SELECT RAISE(ABORT, 'events are never changed: {verb} refused'); END"""
    for verb in ("update", "delete")
)

POSTGRESQL_TRIGGERS = (
    """CREATE FUNCTION events_refuse() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'events are never changed: % refused', lower(TG_OP); END $$""",
    """CREATE TRIGGER events_refuse_change BEFORE UPDATE OR DELETE ON events
       FOR EACH ROW EXECUTE FUNCTION events_refuse()""",
    """CREATE TRIGGER events_refuse_truncate BEFORE TRUNCATE ON events
       FOR EACH STATEMENT EXECUTE FUNCTION events_refuse()""",
)


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("position", NUMBER, autoincrement=False, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("memory", sa.Text, nullable=False),
        sa.Column("version", NUMBER, nullable=False),
        sa.Column("recorded_at", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("causation", sa.Text, nullable=False),
        sa.Column("correlation", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("schema", NUMBER, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("fact", sa.Text),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("checksums", sa.LargeBinary, nullable=False),
        sa.Column("previous_hash", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_events"),
        sa.UniqueConstraint("event_id", name="uq_events_event_id"),
        sa.UniqueConstraint("memory", "version", name="uq_events_memory_version"),
        sqlite_strict=True,
    )
    head = op.create_table(
        "head",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("position", NUMBER, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_head"),
        sa.CheckConstraint("id = 1", name="ck_head_one_row"),
        sqlite_strict=True,
    )
    op.bulk_insert(head, [{"id": 1, "position": 0, "hash": "0" * 64}])
    op.create_table(
        "data_keys",
        sa.Column("fact", sa.Text, nullable=False),
        sa.Column("key", sa.LargeBinary),
        sa.PrimaryKeyConstraint("fact", name="pk_data_keys"),
        sqlite_strict=True,
    )
    op.create_table(
        "leases",
        sa.Column("memory", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("fence", NUMBER, nullable=False),
        sa.Column("expires", sa.Double().with_variant(sa.REAL, "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("memory", name="pk_leases"),
        sqlite_strict=True,
    )
    for statement in SQLITE_TRIGGERS if op.get_bind().dialect.name == "sqlite" else POSTGRESQL_TRIGGERS:
        op.execute(statement)
