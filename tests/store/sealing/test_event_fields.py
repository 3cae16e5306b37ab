"""Sealing: a fact's words are readable with its key and in their place only."""

from dataclasses import MISSING

import pytest

from core.errors.base import Damaged
from core.events import EVENT_TYPES
from core.events.codec import canonical, from_json, sealed_fields
from core.ids import EventId
from store.sealing.event_fields import blank, new_key, seal, split, unseal

EVENT, OTHER = EventId("event-1"), EventId("event-2")
WORDS = canonical({"statement": "Aria lives in Portland"})


def test_sealed_words_open_with_their_key() -> None:
    key = new_key()
    assert unseal(seal(WORDS, key, EVENT), key, EVENT) == {"statement": "Aria lives in Portland"}


def test_sealing_again_gives_equal_bytes_and_no_other_event_does() -> None:
    key = new_key()
    assert seal(WORDS, key, EVENT) == seal(WORDS, key, EVENT)
    assert seal(WORDS, key, EVENT) != seal(WORDS, key, OTHER)
    assert seal(WORDS, key, EVENT) != seal(WORDS, new_key(), EVENT)


def test_words_open_neither_with_another_key_nor_in_another_event_nor_altered() -> None:
    key = new_key()
    sealed = seal(WORDS, key, EVENT)
    for altered, other_key, event in (
        (sealed, new_key(), EVENT),
        (sealed, key, OTHER),
        (bytes([sealed[0] ^ 1]) + sealed[1:], key, EVENT),
        (b"", key, EVENT),
    ):
        with pytest.raises(Damaged, match="data key"):
            unseal(altered, other_key, event)


@pytest.mark.parametrize("type_", EVENT_TYPES)
def test_only_sealed_fields_are_taken_out(type_: str) -> None:
    fields = set(EVENT_TYPES[type_].__dataclass_fields__)
    value = dict.fromkeys(fields, "x")

    fact, words = split(type_, value)

    assert fields - set(value) == set(sealed_fields(EVENT_TYPES[type_]))
    assert (fact is None) == (words is None) == (set(value) == fields)


@pytest.mark.parametrize("type_", [type_ for type_, cls in EVENT_TYPES.items() if sealed_fields(cls)])
def test_blank_words_have_the_type_of_the_words(type_: str) -> None:
    fields = EVENT_TYPES[type_].__dataclass_fields__
    values = {"float": 0.5, "Remember": "on"}
    rest = {name: values.get(str(field.type), "x") for name, field in fields.items() if field.default is MISSING}
    event = from_json(EVENT_TYPES[type_], rest | dict(blank(type_)))

    for name in sealed_fields(EVENT_TYPES[type_]):
        assert "x" not in repr(getattr(event, name)).replace("text", "")
