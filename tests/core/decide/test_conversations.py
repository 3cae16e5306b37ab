"""Turns of conversations: recorded, read once, and erased."""

from dataclasses import replace

import pytest

from core.decide import decide
from core.decide.commands import (
    CloseConversation,
    Command,
    Heard,
    RecordFailure,
    RecordReading,
    RecordReply,
    RecordTextsErased,
    Say,
)
from core.errors.base import InvalidField, MemoryUnknown, StaleWork
from core.errors.conversation import ConversationGone, ConversationUnknown
from core.events.conversation import ModelReplied, TurnRead, UserSpoke
from core.evolve import fold
from core.facts import Source
from core.ids import ConversationKey, EventId, FactId, MemoryId
from core.remember import Remember
from core.state.memory import NOTHING, Memory, Status
from core.state.work import MAX_ATTEMPTS, EraseTexts, Inject, PrepareStatistics, Read, next_work, work_on_facts
from tests.core.samples import ARIA, BO, CLEAN, CREATE, PREPARE, add, after, heard, write

DEMO = MemoryId("demo")
MONDAY = Source(conversation="monday", turn=1)


def say(text: str = "Aria lives in Portland.", remember: Remember = Remember.ON, name: str = "monday") -> Say:
    return Say(
        memory=DEMO, conversation=name, key=ConversationKey(FactId(f"key of {name}")), text=text, remember=remember
    )


def reply(to: int = 1) -> RecordReply:
    return RecordReply(memory=DEMO, conversation="monday", to=to, text="Good.", version=2, weights=CLEAN, complete=True)


def close(*, facts: bool = False) -> CloseConversation:
    return CloseConversation(memory=DEMO, conversation="monday", facts=facts)


def reading(memory: Memory, *candidates: Heard) -> RecordReading:
    work = next_work(memory)
    assert isinstance(work, Read)
    return RecordReading(work=work, said=EventId("event"), heard=candidates)


SPOKEN = after(CREATE, PREPARE, say())


def test_turns_of_users_and_of_the_model_are_counted_together_under_one_key() -> None:
    memory = after(CREATE, PREPARE, say(), reply(), say(), reply(to=3))

    (third,) = decide(memory, replace(say(), key=ConversationKey(FactId("another"))))

    assert isinstance(third, UserSpoke)
    assert (third.turn, third.key) == (5, "key of monday")
    assert memory.conversations["monday"].turns == 4


def test_the_state_holds_no_text() -> None:
    memory = after(CREATE, PREPARE, say("Keep: read this."), reply())

    assert "read this" not in repr(memory)
    assert "Good." not in repr(memory)


def test_a_turn_is_read_before_anything_else_is_done_and_delays_nothing_that_can_be_done() -> None:
    memory = after(CREATE, add(BO), say())

    assert isinstance(next_work(memory), Read)
    assert isinstance(work_on_facts(memory), PrepareStatistics)
    assert next_work(after(CREATE, say(remember=Remember.OFF))) == PrepareStatistics(attempt=1)


def test_facts_of_a_turn_are_recorded_with_it_once() -> None:
    command = reading(SPOKEN, heard(ARIA, MONDAY), heard(BO, MONDAY, denied=True))
    memory = after(CREATE, PREPARE, say(), command)

    assert list(memory.facts) == [ARIA.id]
    assert memory.facts[ARIA.id].source.conversation == "monday"
    assert memory.unread == ()
    assert isinstance(next_work(memory), Inject)
    with pytest.raises(StaleWork):
        decide(memory, command)


def test_what_is_rejected_is_recorded_with_its_reason() -> None:
    (read,) = decide(SPOKEN, reading(SPOKEN, heard(BO, MONDAY, denied=True)))

    assert isinstance(read, TurnRead)
    assert [(finding.object, finding.reason) for finding in read.findings] == [("a baker", "negated")]


def test_a_turn_that_cannot_be_read_is_given_up_after_the_last_attempt() -> None:
    memory = SPOKEN
    for attempt in range(1, MAX_ATTEMPTS + 1):
        work = next_work(memory)
        assert isinstance(work, Read)
        assert work.attempt == attempt
        memory = after_events(memory, RecordFailure(work=work, reason="X", message="a bug", retry=True))

    assert memory.unread == ()
    assert next_work(memory) is None


def after_events(memory: Memory, command: Command) -> Memory:
    return fold(decide(memory, command), onto=memory)


def test_a_closed_conversation_is_erased_and_takes_nothing_any_more() -> None:
    memory = after(CREATE, PREPARE, say(), say(name="tuesday"), close())

    assert [turn.conversation for turn in memory.unread] == ["tuesday"]
    assert decide(memory, reply()) == ()
    with pytest.raises(ConversationGone):
        decide(memory, say())
    erasing = EraseTexts(conversation="monday", key=ConversationKey(FactId("key of monday")), attempt=1)
    memory = after_events(memory, RecordTextsErased(work=erasing))
    assert memory.conversations["monday"].erased
    assert decide(memory, close()) == ()
    with pytest.raises(StaleWork):
        decide(memory, RecordTextsErased(work=erasing))


@pytest.mark.parametrize("facts", [False, True])
def test_facts_learned_from_it_stay_unless_asked(facts: bool) -> None:
    learned = after(
        CREATE, PREPARE, add(BO), say(), reading(after(CREATE, PREPARE, add(BO), say()), heard(ARIA, MONDAY))
    )
    memory = after_events(write(learned, ARIA, BO), close(facts=facts))

    assert memory.facts[ARIA.id].erase is facts
    assert list(memory.pending_withdrawal) == ([ARIA.id] if facts else [])
    assert memory.facts[BO.id].status is Status.INJECTED
    assert not memory.facts[BO.id].retracted


def test_what_no_conversation_can_be_is_refused() -> None:
    for name in ("", "a\nb", "a" * 129):
        with pytest.raises(InvalidField, match="conversation"):
            decide(SPOKEN, say(name=name))
    with pytest.raises(MemoryUnknown):
        decide(NOTHING, say())
    with pytest.raises(ConversationUnknown):
        decide(SPOKEN, replace(close(), conversation="sunday"))


def test_a_reply_names_what_it_replies_to() -> None:
    (replied,) = decide(SPOKEN, reply())

    assert isinstance(replied, ModelReplied)
    assert (replied.turn, replied.to, replied.complete) == (2, 1, True)


def test_what_is_kept_for_some_days_is_closed_unless_more_was_said_meanwhile() -> None:
    memory = after(CREATE, PREPARE, say(remember=Remember.OFF), say(remember=Remember.OFF))

    assert decide(memory, replace(close(), last=1)) == ()
    assert len(decide(memory, replace(close(), last=2))) == 1
    assert decide(after(CREATE, PREPARE, say(remember=Remember.ON)), replace(close(), last=1)) == ()
