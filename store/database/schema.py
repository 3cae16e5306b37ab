"""The tables of a database. `migrations/` creates them; the two are kept equal by `alembic check`.

Only `events` is the truth. `head` guards its end, `data_keys` opens its sealed words; `leases` avoids double work and
shows, with `executors`, what executors do; `tokens` lets clients in.
"""

from __future__ import annotations

from sqlalchemy import (
    REAL,
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

_Number = BigInteger().with_variant(Integer, "sqlite")
_Seconds: TypeEngine[float] = Double().with_variant(REAL, "sqlite")

# One row per event, appended and never changed: triggers refuse UPDATE and DELETE.
events = Table(
    "events",
    metadata,
    Column("position", _Number, primary_key=True, autoincrement=False),  # dense from 1, over all memories
    Column("event_id", Text, nullable=False, unique=True),
    Column("memory", Text, nullable=False),
    Column("version", _Number, nullable=False),  # dense from 1 in each memory
    Column("recorded_at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("causation", Text, nullable=False),
    Column("correlation", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("schema", _Number, nullable=False),
    Column("payload", Text, nullable=False),  # canonical JSON without the sealed fields
    Column("fact", Text),  # the fact, or the key of a conversation, whose data key opens `sealed`
    Column("sealed", LargeBinary),  # the event's own words, AES-GCM
    Column("checksums", LargeBinary, nullable=False),  # CRC-32 of each column above; names a damaged column
    Column("previous_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),  # SHA-256 over every other column of this row
    UniqueConstraint("memory", "version"),
    sqlite_strict=True,
)

# The one row says where the log ends. Appends lock it, so positions are dense and commit in order.
head = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("position", _Number, nullable=False),
    Column("hash", Text, nullable=False),
    Column("log", Text, nullable=False, server_default=""),  # which log this is, see `store/log/anchor.py`
    CheckConstraint("id = 1", name="one_row"),
    sqlite_strict=True,
)

# A NULL key was destroyed: the fact or the conversation is erased, and its row stays to say so.
data_keys = Table(
    "data_keys",
    metadata,
    Column("fact", Text, primary_key=True),
    Column("key", LargeBinary),
    sqlite_strict=True,
)

leases = Table(
    "leases",
    metadata,
    Column("memory", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("fence", _Number, nullable=False),  # grows with every claim
    Column("expires", _Seconds, nullable=False),  # Unix time of the owner's clock
    Column("seconds", _Seconds),  # for which it lasts unless it is renewed
    Column("work", Text),  # what the owner does, or has put off; NULL when nothing is owed
    Column("attempt", _Number),
    Column("since", _Seconds),  # Unix time of the database's clock
    Column("reason", Text),  # why it was put off; NULL while it is being done
    Column("message", Text),
    sqlite_strict=True,
)

# A row for each executor that runs, in whichever process. One that was killed leaves its row, which grows old.
executors = Table(
    "executors",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("seen", _Seconds, nullable=False),  # Unix time of the database's clock
    sqlite_strict=True,
)

# What lets clients in. A revoked token keeps its row: once there was a token, calls need one.
tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False),  # SHA-256 of the text that a client sends, in hex
    Column("actor", Text, nullable=False),
    Column("memory", Text, nullable=False),  # a name, or the beginning of names and a star
    Column("may", Text, nullable=False),  # read, write or admin
    Column("created", _Seconds, nullable=False),  # Unix times of the clocks of whoever created or revoked it
    Column("expires", _Seconds),
    Column("revoked", _Seconds),
    sqlite_strict=True,
)
