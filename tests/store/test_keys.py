"""The keyring: a key, none where it was thrown away, and an error where there never was one."""

import pytest

from core.errors import Damaged
from core.ids import FactId
from store.log import EventLog
from tests.core.samples import ARIA, BO, added
from tests.store.given import DEMO, new, throw_key_away


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


def test_a_key_that_never_was_is_damage(log: EventLog) -> None:
    with pytest.raises(Damaged, match="nobody"):
        log.keyring.key(FactId("nobody"))
