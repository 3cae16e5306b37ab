"""Seals the columns of a delta, those of each fact under the data key of that fact.

The file is a safetensors file of byte tensors, one for each run of columns that belongs to one fact. The name of a
tensor says which columns; its content is a delta of these columns alone (`core/weights/deltas/fixed_point.py`), sealed:

    FACT/FIRST/COUNT    12 bytes nonce, then the ciphertext and its tag (AES-256-GCM, the name authenticated with it)

The digest of the artifact covers the ciphertext, so that the file can be verified without a key. Columns open under
their own name only, so that they cannot be moved to another fact or another place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.errors.base import Damaged
from core.ids import FactId

FORMAT = "hypnogram-sealed-1"
NONCE_BYTES = 12
ALIGNMENT = 8  # of a safetensors header


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """The columns `first .. first + count - 1` of a delta, which belong to `fact`.

    Attributes:
        offset, length: of their ciphertext in the file, in bytes; it is noise once the fact is erased.
    """

    fact: FactId
    first: int
    count: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """The columns of one fact, in clear."""

    fact: FactId
    first: int
    count: int
    content: bytes


def seal(parts: Iterable[Own], keys: Mapping[FactId, bytes]) -> bytes:
    """Returns the file of `parts`. Nonces are drawn, so that two files of equal parts differ."""
    header: dict[str, object] = {"__metadata__": {"format": FORMAT}}
    sealed, end = [], 0
    for part in parts:
        name, nonce = _name(part.fact, part.first, part.count), os.urandom(NONCE_BYTES)
        sealed.append(nonce + AESGCM(keys[part.fact]).encrypt(nonce, part.content, _bound(name)))
        begin, end = end, end + len(sealed[-1])
        header[name] = {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end]}
    described = json.dumps(header, separators=(",", ":")).encode()
    described += b" " * (-len(described) % ALIGNMENT)
    return b"".join([len(described).to_bytes(8, "little"), described, *sealed])


def extents(data: bytes) -> tuple[Extent, ...]:
    """Returns what the file `data` holds, by column; nothing where it is not a sealed delta. Raises Damaged."""
    try:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        if header.pop("__metadata__", {}).get("format") != FORMAT:
            return ()
    except (ValueError, TypeError, AttributeError):
        return ()
    try:
        listed = [_extent(name, 8 + length, *about["data_offsets"]) for name, about in header.items()]
    except (ValueError, TypeError, KeyError) as error:
        raise Damaged(f"a sealed delta cannot be read: {error}") from error
    return tuple(sorted(listed, key=lambda extent: extent.first))


def unseal(data: bytes, extent: Extent, key: bytes) -> bytes:
    """Returns the columns of `extent` in the file `data`. Raises Damaged where they were not sealed with `key`."""
    sealed = data[extent.offset : extent.offset + extent.length]
    name = _name(extent.fact, extent.first, extent.count)
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(name))
    except (InvalidTag, ValueError) as error:
        raise Damaged(
            f"the columns of fact {extent.fact} do not open with its data key; restore the database from a backup",
            fact=extent.fact,
        ) from error


def _name(fact: FactId, first: int, count: int) -> str:
    return f"{fact}/{first}/{count}"


def _bound(name: str) -> bytes:
    """Returns what the ciphertext is bound to."""
    return f"{FORMAT}\0{name}".encode()


def _extent(name: str, start: int, begin: int, end: int) -> Extent:
    fact, first, count = name.rsplit("/", 2)
    return Extent(fact=FactId(fact), first=int(first), count=int(count), offset=start + begin, length=end - begin)
