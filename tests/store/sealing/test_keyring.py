"""The keyring: a key, none where it was thrown away, and an error where there never was one."""

import pytest

from core.errors.base import Damaged
from core.errors.history import WordsErased
from core.ids import FactId
from store.log.event_log import EventLog
from tests.core.samples import ARIA, BO, added
from tests.store.given import DEMO, OTHER, new, throw_key_away, told


def test_a_fact_has_a_key_of_its_own(log: EventLog) -> None:
    log.append(DEMO, [new(added(ARIA)), new(added(BO))], expected=0)

    keys = log.keyring.keys([ARIA.id, BO.id, ARIA.id])

    assert [len(key or b"") for key in keys.values()] == [32, 32]
    assert keys[ARIA.id] != keys[BO.id]
    assert log.keyring.key(ARIA.id) == keys[ARIA.id]
    assert log.keyring.keys([]) == {}


def test_a_key_that_was_thrown_away_is_none(log: EventLog) -> None:
    log.append(DEMO, [new(added(ARIA)), new(added(BO))], expected=0)
    throw_key_away(log, ARIA.id)

    assert log.keyring.key(ARIA.id) is None
    assert log.keyring.key(BO.id)
    assert log.keyring.thrown_away() == 1


def test_what_needs_a_key_is_not_recorded_once_it_was_thrown_away(log: EventLog) -> None:
    log.append(DEMO, [new(added(ARIA)), new(added(BO))], expected=0)
    throw_key_away(log, ARIA.id)

    log.append(OTHER, [told(1)], 0, needs=[BO.id])
    with pytest.raises(WordsErased, match=ARIA.id):
        log.append(OTHER, [told(2)], 1, needs=[BO.id, ARIA.id])

    assert log.head(OTHER) == 1


def test_a_key_that_never_was_is_damage(log: EventLog) -> None:
    with pytest.raises(Damaged, match="nobody"):
        log.keyring.key(FactId("nobody"))
