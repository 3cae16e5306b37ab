"""What happens with the facts of a turn: its request decides, then its memory; a chat with the past teaches nothing."""

import pytest

from core.errors.base import InvalidField
from core.remember import Remember, checked_remember, for_turn


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
