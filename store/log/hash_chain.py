"""The hash chain: the hash of a row covers its other columns, the hash of the row before among them.

The hash proves that a row was altered; the checksums beside it say in which column.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from core.ids import Digest
from store.database.schema import events

Value: TypeAlias = int | str | bytes | None

START = Digest("0" * 64)  # the previous hash of the first event
SUMMED = tuple(column.name for column in events.c if column.name not in ("checksums", "previous_hash", "hash"))


def encoded(value: Value) -> bytes:
    """Returns `value` as bytes, in a form that no value of another type has."""
    if isinstance(value, str):
        return b"s" + value.encode("utf-8", "surrogatepass")
    if isinstance(value, int):
        return b"i%d" % value
    return b"n" if value is None else b"b" + value


def complete_row(row: dict[str, Value], previous: Digest) -> Digest:
    """Completes `row` in place with its checksums, `previous_hash` and `hash`; returns the hash."""
    parts = [encoded(row[name]) for name in SUMMED]
    sums = b"".join([zlib.crc32(part).to_bytes(4, "big") for part in parts])
    digest = _digest(parts, sums, previous)
    row["checksums"], row["previous_hash"], row["hash"] = sums, previous, digest
    return digest


def wrong_columns(row: Mapping[str, Value], previous: str) -> list[str]:
    """Returns the columns of `row` that are not as they were written; `previous` is the hash of the row before."""
    parts = [encoded(row[name]) for name in SUMMED]
    stored = encoded(row["checksums"])[1:]
    if _digest(parts, stored, previous) == row["hash"]:
        return [] if row["previous_hash"] == previous else ["previous_hash"]
    if _digest(parts, stored, str(row["previous_hash"])) == row["hash"]:
        return ["previous_hash"]  # this row is intact, but the row before it is not the one it was chained to
    sums = [zlib.crc32(part).to_bytes(4, "big") for part in parts]
    if _digest(parts, b"".join(sums), previous) == row["hash"]:
        return ["checksums"]
    return [name for index, name in enumerate(SUMMED) if stored[4 * index : 4 * index + 4] != sums[index]] or ["hash"]


def _digest(parts: Sequence[bytes], sums: bytes, previous: str) -> Digest:
    """Returns the SHA-256 over all columns, each behind its length."""
    pieces: list[bytes] = []
    for part in (*parts, sums, previous.encode("utf-8", "surrogatepass")):
        pieces.append(len(part).to_bytes(4, "big"))
        pieces.append(part)
    return Digest(hashlib.sha256(b"".join(pieces)).hexdigest())
