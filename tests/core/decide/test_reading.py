"""What a turn states changes a memory: facts are added, counted, superseded and retracted."""

from dataclasses import replace
from typing import Any

import pytest

from core.decide import decide
from core.decide.commands import Heard, RecordReading
from core.events.conversation import Finding, TurnRead
from core.evolve import fold
from core.extraction.candidates import Modality, Reason
from core.facts import Fact, Source
from core.ids import EventId, FactId
from core.remember import Remember
from core.state.memory import Memory
from core.state.work import Read, next_work
from tests.core.decide.test_conversations import say
from tests.core.samples import BO, CREATE, PREPARE, add, after, fact, heard, with_capacity

OSLO = fact("f-oslo", "Robin Smith", "lives in", "Oslo")
BERGEN = fact("f-bergen", "Robin Smith", "lives in", "Bergen")
RESIDES = fact("f-resides", "Robin Smith", "resides in", "Oslo")
HIKING = fact("f-hiking", "Robin Smith", "likes", "hiking")
SINGS = fact("f-sings", "Robin Smith", "sings in", "a choir")
OPERA = fact("f-opera", "Robin Smith", "sings in", "the opera")
SOURCE = Source(conversation="monday", turn=1)


def told(*facts: Fact, remember: Remember = Remember.ON) -> Memory:
    """A memory that has `facts` and was said something."""
    before = (add(*facts),) if facts else ()
    return after(CREATE, PREPARE, *before, say(remember=remember))


def stated(one: Fact) -> Heard:
    return heard(one, SOURCE)


def denied(one: Fact, **values: Any) -> Heard:
    said = heard(one, SOURCE, denied=True)
    return replace(said, candidate=replace(said.candidate, **values))


def read(memory: Memory, *candidates: Heard) -> tuple[TurnRead, Memory]:
    work = next_work(memory)
    assert isinstance(work, Read)
    events = decide(memory, RecordReading(work=work, said=EventId("event"), heard=candidates))
    assert isinstance(events[0], TurnRead)
    return events[0], fold(events, onto=memory)


def live(memory: Memory) -> set[FactId]:
    return {one for one, state in memory.facts.items() if not state.retracted}


def reasons(turn: TurnRead) -> list[tuple[str, FactId | None]]:
    return [(finding.reason, finding.contradicts) for finding in turn.findings]


@pytest.mark.parametrize("again", [replace(OSLO, id=FactId("again")), RESIDES])
def test_a_fact_said_again_is_counted_and_not_added(again: Fact) -> None:
    turn, memory = read(told(OSLO), stated(again))

    assert (turn.facts, turn.known) == ((), (OSLO.id,))
    assert live(memory) == {OSLO.id}
    assert memory.facts[OSLO.id].said == 2


def test_a_client_that_adds_a_known_fact_again_is_counted_too() -> None:
    memory = after(CREATE, PREPARE, add(OSLO), add(replace(OSLO, id=FactId("again")), request="two"))

    assert memory.facts[OSLO.id].said == 2


def test_a_new_object_of_a_relation_with_one_supersedes_the_old_fact() -> None:
    turn, memory = read(told(OSLO), stated(BERGEN))

    assert (turn.facts, turn.superseded) == ((BERGEN.id,), (OSLO.id,))
    assert live(memory) == {BERGEN.id}
    assert memory.facts[BERGEN.id].predecessor == OSLO.id


def test_a_successor_in_other_words_keeps_the_relation_of_the_fact_that_it_supersedes() -> None:
    _, memory = read(told(OSLO), stated(replace(RESIDES, object="Bergen")))

    successor = memory.facts[RESIDES.id].fact
    assert (successor.relation, successor.object) == ("lives in", "Bergen")
    assert all("Robin Smith" in prompt for prompt in successor.wordings.statements)


def test_another_object_of_a_relation_that_the_library_lacks_is_not_added() -> None:
    turn, memory = read(told(SINGS), stated(OPERA))

    assert reasons(turn) == [("contradicts", SINGS.id)]
    assert live(memory) == {SINGS.id}


def test_the_first_of_two_objects_in_one_turn_is_kept() -> None:
    turn, memory = read(told(), stated(OSLO), stated(BERGEN))

    assert reasons(turn) == [("contradicts", OSLO.id)]
    assert live(memory) == {OSLO.id}


def test_a_denial_retracts_the_fact_that_it_denies() -> None:
    turn, memory = read(told(OSLO, HIKING), denied(RESIDES))

    assert turn.retracted == (OSLO.id,)
    assert live(memory) == {HIKING.id}


def past(one: Fact, *ends: str, **values: Any) -> Heard:
    """A candidate that says of `one` that `ends` hold no longer."""
    return denied(one, reason=Reason.PAST, modality=Modality.PAST, positive=True, ends=ends, **values)


LEFT = fact("f-left", "Robin Smith", "has left", "Acme")
ACME = fact("f-acme", "Robin Smith", "works at", "Acme")
MOVED = fact("f-moved", "Robin Smith", "moved to", "Bergen")


def moved(one: Fact = MOVED) -> Heard:
    said = stated(one)
    return replace(said, candidate=replace(said.candidate, now="lives in"))


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (OSLO, past(RESIDES, "resides in")),
        (ACME, past(LEFT, "is a member of", "works for")),
        (ACME, past(replace(LEFT, object="her job"), "works for", whichever=True)),
    ],
)
def test_what_is_past_ends_the_fact_that_the_memory_has(known: Fact, said: Heard) -> None:
    turn, memory = read(told(known, HIKING), said)

    assert (turn.retracted, turn.findings) == ((known.id,), ())
    assert live(memory) == {HIKING.id}


@pytest.mark.parametrize(
    "said",
    [
        past(replace(LEFT, object="Bravo"), "works for"),  # another object
        past(LEFT),  # it says not that it is over
        past(LEFT, "works for", subject="Tom Brandt"),
        past(replace(LEFT, object="her job"), "plays for", whichever=True),
        denied(LEFT, modality=Modality.PAST, ends=("works for",)),  # "has not left"
    ],
)
def test_what_is_past_of_something_else_ends_and_teaches_nothing(said: Heard) -> None:
    turn, memory = read(told(ACME), said)

    assert (turn.retracted, turn.facts, len(turn.findings)) == ((), (), 1)
    assert live(memory) == {ACME.id}


def test_who_is_a_baker_works_as_one() -> None:
    works, is_ = (
        fact(f"f-{one[:2]}", "Robin Smith", one, said) for one, said in (("works as", "baker"), ("is", "a baker"))
    )
    for known, said in ((works, is_), (is_, works)):
        again, _ = read(told(known), stated(said))
        over, memory = read(told(known), denied(said))

        assert (again.facts, again.known) == ((), (known.id,))
        assert (over.retracted, live(memory)) == ((known.id,), set())
        assert read(told(known), denied(replace(said, object="a tailor")))[0].retracted == ()


@pytest.mark.parametrize(("relation", "object_"), [("is", "a tailor"), ("works as", "tailor")])
def test_who_takes_up_another_job_has_left_the_one_before(relation: str, object_: str) -> None:
    known = fact("f-known", "Robin Smith", "is", "a baker")

    turn, memory = read(told(known), stated(fact("f-said", "Robin Smith", relation, object_)))

    assert (turn.superseded, live(memory)) == ((known.id,), set(turn.facts))


def test_who_is_something_else_keeps_a_job() -> None:
    known = fact("f-known", "Robin Smith", "is", "a baker")

    _, memory = read(told(known), stated(fact("f-said", "Robin Smith", "is", "a vegan")))

    assert known.id in live(memory)


def test_where_a_job_may_be_any_of_several_none_is_ended() -> None:
    also = fact("f-also", "Robin Smith", "works for", "Bravo")
    _, memory = read(told(ACME, also), past(replace(LEFT, object="her job"), "works for", whichever=True))

    assert live(memory) == {ACME.id, also.id}


@pytest.mark.parametrize("before", [(), (past(OSLO, "lives in"),)])
def test_a_move_supersedes_where_its_subject_lived(before: tuple[Heard, ...]) -> None:
    turn, memory = read(told(OSLO), *before, moved())

    assert (turn.superseded, turn.retracted, turn.findings) == ((OSLO.id,), (), ())
    successor = memory.facts[MOVED.id].fact
    assert (successor.relation, successor.object) == ("lives in", "Bergen")


def test_a_move_to_where_its_subject_lives_is_known_and_any_other_is_a_fact_of_its_own() -> None:
    same, _ = read(told(BERGEN), moved())
    alone, memory = read(told(HIKING), moved())

    assert (same.facts, same.known) == ((), (BERGEN.id,))
    assert alone.facts == (MOVED.id,)
    assert memory.facts[MOVED.id].fact.relation == "moved to"


def test_where_a_client_is_to_be_asked_an_end_is_proposed() -> None:
    turn, memory = read(told(ACME, remember=Remember.ASK), past(LEFT, "works for"))

    assert reasons(turn) == [("past", ACME.id)]
    assert live(memory) == {ACME.id}


@pytest.mark.parametrize(
    "said",
    [
        denied(BERGEN),
        denied(OSLO, modality=Modality.PAST),
        denied(OSLO, reason=Reason.QUOTED, modality=Modality.QUOTED),
        denied(OSLO, reason=Reason.ASKED, modality=Modality.ASKED),
    ],
)
def test_nothing_else_retracts_it(said: Heard) -> None:
    turn, memory = read(told(OSLO), said)

    assert live(memory) == {OSLO.id}
    assert [finding.contradicts for finding in turn.findings] == [None]


def test_an_end_and_what_holds_now_are_a_change() -> None:
    turn, memory = read(told(OSLO), denied(OSLO), stated(BERGEN))

    assert (turn.superseded, turn.retracted, turn.findings) == ((OSLO.id,), (), ())
    assert memory.facts[BERGEN.id].predecessor == OSLO.id


def test_where_a_client_is_to_be_asked_nothing_changes() -> None:
    memory = told(OSLO, HIKING, remember=Remember.ASK)
    again = stated(replace(OSLO, id=FactId("again")))
    turn, then = read(memory, again, stated(BERGEN), stated(BO), denied(HIKING))

    assert reasons(turn) == [("proposed", OSLO.id), ("proposed", None), ("negated", HIKING.id)]
    assert (turn.facts, turn.superseded, turn.retracted, turn.known) == ((), (), (), (OSLO.id,))
    assert live(then) == live(memory)


def test_a_memory_without_room_says_so_and_has_read_the_turn() -> None:
    memory = after(with_capacity(1e-6), PREPARE, say())

    turn, then = read(memory, stated(OSLO))

    (finding,) = turn.findings
    assert isinstance(finding, Finding)
    assert finding.reason == "no_room"
    assert "capacity" in finding.explanation or "facts" in finding.explanation
    assert (then.facts, then.unread) == ({}, ())


def take_back(memory: Memory, *candidates: Heard, at: int = 0, **values: Any) -> tuple[TurnRead, Memory]:
    work = next_work(memory)
    assert isinstance(work, Read)
    command = RecordReading(
        work=work, said=EventId("event"), heard=candidates, taken_back="Forget that", taken_back_at=at, **values
    )
    events = decide(memory, command)
    assert isinstance(events[0], TurnRead)
    return events[0], fold(events, onto=memory)


def taught(*facts: Fact) -> Memory:
    """A memory that learned `facts` in the turn before."""
    _, memory = read(told(HIKING), *map(stated, facts))
    return fold(decide(memory, say()), onto=memory)


def test_what_was_taught_last_is_taken_back() -> None:
    turn, memory = take_back(taught(OSLO, SINGS))

    assert set(turn.retracted) == {OSLO.id, SINGS.id}
    assert live(memory) == {HIKING.id}


def test_what_was_taught_earlier_stays() -> None:
    memory = taught(OSLO)
    for _ in range(2):
        _, memory = read(memory)
        memory = fold(decide(memory, say()), onto=memory)

    turn, memory = take_back(memory)

    assert turn.retracted == ()
    assert live(memory) == {HIKING.id, OSLO.id}


def test_what_the_same_turn_states_before_is_not_added_and_what_it_states_after_replaces() -> None:
    before, then = take_back(taught(OSLO), stated(BO), at=5)
    after_, now = take_back(taught(OSLO), stated(BERGEN), at=0)

    assert reasons(before) == [("corrected", None)]
    assert live(then) == {HIKING.id, OSLO.id}
    assert (after_.superseded, after_.retracted) == ((OSLO.id,), ())
    assert live(now) == {HIKING.id, BERGEN.id}


def test_a_correction_supersedes_also_where_the_library_lacks_the_relation() -> None:
    work = next_work(memory := told(SINGS))
    assert isinstance(work, Read)
    command = RecordReading(work=work, said=EventId("event"), heard=(stated(OPERA),), corrects=True)
    read_, *_ = decide(memory, command)

    assert isinstance(read_, TurnRead)
    assert read_.superseded == (SINGS.id,)


def with_room_for(facts: int, memory: Memory) -> Memory:
    """The memory with a capacity of so many facts, those that are to be written included."""
    assert memory.created is not None
    assert memory.statistics is not None
    each = memory.statistics.keys_per_fact / memory.created.key_width
    return replace(memory, created=replace(memory.created, capacity=(facts + 0.5) * each))


def test_what_would_hold_again_needs_room_too() -> None:
    _, memory = read(told(OSLO), stated(BERGEN))  # which is to be written
    memory = fold(decide(memory, say()), onto=memory)
    spare = (FactId("spare"),)

    _, roomy = take_back(with_room_for(2, memory), spare=spare)
    full, without = take_back(with_room_for(1, memory), spare=spare)

    assert live(roomy) == {"spare"}
    assert (full.facts, full.retracted, live(without)) == ((), (BERGEN.id,), set())


def test_an_accepted_candidate_without_a_fact_is_reported() -> None:
    turn, memory = read(told(), replace(stated(OSLO), new=None), stated(BO))

    assert reasons(turn) == [("unusable", None)]
    assert live(memory) == {BO.id}


def test_what_no_fact_can_be_is_not_added() -> None:
    turn, _ = read(told(), stated(replace(OSLO, object="O" * 201)))

    assert [reason for reason, _ in reasons(turn)] == ["unusable"]
