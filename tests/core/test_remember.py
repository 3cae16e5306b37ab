"""What happens with the facts of a turn: its request decides, then its memory; a chat with the past teaches nothing."""

import pytest

from core.errors.base import InvalidField
from core.remember import MAX_DAYS, Remember, checked_days, checked_remember, for_turn


@pytest.mark.parametrize("of_memory", Remember)
def test_a_request_decides_and_else_its_memory(of_memory: Remember) -> None:
    for asked in Remember:
        assert for_turn(asked, of_memory, in_the_past=False) is asked
    assert for_turn(None, of_memory, in_the_past=False) is of_memory


def test_a_chat_with_the_past_teaches_nothing_and_may_not_be_asked_to() -> None:
    for asked in (None, Remember.OFF):
        assert for_turn(asked, Remember.ON, in_the_past=True) is Remember.OFF
    for asked in (Remember.ASK, Remember.ON):
        with pytest.raises(InvalidField, match="past"):
            for_turn(asked, Remember.OFF, in_the_past=True)


def test_another_word_is_refused_by_name() -> None:
    with pytest.raises(InvalidField, match="off, ask, on"):
        checked_remember("always")


@pytest.mark.parametrize("days", [0, 1, MAX_DAYS])
def test_texts_are_kept_for_some_days_or_for_ever(days: int) -> None:
    assert checked_days(days) == days


@pytest.mark.parametrize("days", [-1, MAX_DAYS + 1, 2**31 - 1])
def test_another_number_of_days_is_refused_by_name(days: int) -> None:
    with pytest.raises(InvalidField, match=r"keep_texts_days.*36500"):
        checked_days(days)
