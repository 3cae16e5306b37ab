"""Sealed deltas: a fact's columns open with its key, under its name, in their place, and in no other way."""

import os
from dataclasses import replace

import pytest
from safetensors.torch import load

from core.errors.base import Damaged
from core.ids import FactId
from store.sealing.delta_columns import Own, extents, seal, unseal

ARIA, BO = FactId("fact-aria"), FactId("fact/bo")
KEYS = {ARIA: os.urandom(32), BO: os.urandom(32)}
PARTS = (
    Own(fact=BO, first=2, count=3, content=b"Bo's columns"),
    Own(fact=ARIA, first=0, count=2, content=b"Aria's columns"),
)


def test_columns_open_with_the_key_of_their_fact() -> None:
    data = seal(PARTS, KEYS)

    found = extents(data)

    assert [(one.fact, one.first, one.count) for one in found] == [(ARIA, 0, 2), (BO, 2, 3)]
    assert [unseal(data, one, KEYS[one.fact]) for one in found] == [b"Aria's columns", b"Bo's columns"]


def test_nothing_of_them_is_in_clear_and_the_extents_say_where_they_are() -> None:
    data = seal(PARTS, KEYS)

    aria, bo = extents(data)

    assert b"columns" not in data
    assert (bo.offset + bo.length, aria.offset + aria.length) == (aria.offset, len(data))
    assert b"fact" not in data[bo.offset :]


def test_sealing_again_gives_other_bytes() -> None:
    assert seal(PARTS, KEYS) != seal(PARTS, KEYS)


def test_stock_safetensors_reads_the_file() -> None:
    data = seal(PARTS, KEYS)

    tensors = load(data)

    assert {name: bytes(one.tolist()) for name, one in tensors.items()} == {
        f"{one.fact}/{one.first}/{one.count}": data[one.offset : one.offset + one.length] for one in extents(data)
    }


def test_columns_open_neither_with_another_key_nor_altered_nor_as_others() -> None:
    data = seal(PARTS, KEYS)
    aria, bo = extents(data)
    flipped = bytearray(data)
    flipped[aria.offset + 20] ^= 1
    for altered, extent, key in (
        (data, aria, KEYS[BO]),
        (bytes(flipped), aria, KEYS[ARIA]),
        (data[:-1], aria, KEYS[ARIA]),
        (data, replace(aria, fact=BO), KEYS[ARIA]),
        (data, replace(aria, first=1), KEYS[ARIA]),
        (data, replace(aria, count=3), KEYS[ARIA]),
        (data, replace(bo, fact=ARIA), KEYS[ARIA]),
    ):
        with pytest.raises(Damaged, match="do not open"):
            unseal(altered, extent, key)


@pytest.mark.parametrize("data", [b"", b"junk", (2).to_bytes(8, "little") + b"{}", (2).to_bytes(8, "little") + b"[]"])
def test_what_is_no_sealed_delta_holds_nothing(data: bytes) -> None:
    assert extents(data) == ()


def test_a_sealed_delta_whose_names_make_no_sense_is_damage() -> None:
    data = seal(PARTS, KEYS).replace(b"fact-aria/0/2", b"fact-aria/0/x")

    with pytest.raises(Damaged, match="cannot be read"):
        extents(data)
