"""Folding events into a state: the laws every log obeys."""

import re
from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.decide import decide
from core.events import EVENT_TYPES, Event
from core.events.codec import canonical, to_json
from core.events.memory import NO_TEXT
from core.evolve import evolve, fold
from core.state.memory import NOTHING
from tests.core.samples import ARIA, BO, CREATED, END, FORKED, LIFE, OWN_TEXT, PREPARED
from tests.core.strategies import Attempt, attempts, logs


def test_the_sample_life_holds_every_event_type() -> None:
    assert {type(event) for event in (FORKED, *LIFE, *END)} == set(EVENT_TYPES.values())


def test_every_event_type_folds_and_counts_one_version() -> None:
    memory = NOTHING
    for version, event in enumerate((*LIFE, FORKED, *END), 1):
        memory = evolve(memory, event)
        assert memory.version == version


@pytest.mark.walks
@given(log=logs(), data=st.data())
def test_folding_a_prefix_and_then_the_rest_equals_folding_all(log: list[Event], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(log)))

    assert fold(log[cut:], onto=fold(log[:cut])) == fold(log)


@pytest.mark.walks
@given(log=logs())
def test_evolving_event_by_event_equals_folding_all(log: list[Event]) -> None:
    memory = NOTHING
    for event in log:
        memory = evolve(memory, event)

    assert memory == fold(log)
    assert memory.version == len(log)


@pytest.mark.walks
@given(log=logs())
def test_order_of_facts_does_not_depend_on_where_a_fold_was_cut(log: list[Event]) -> None:
    memory, whole = NOTHING, fold(log)
    for event in log:
        memory = evolve(memory, event)

    assert (list(memory.facts), list(memory.pending)) == (list(whole.facts), list(whole.pending))


@pytest.mark.walks
@given(made=attempts())
def test_deciding_changes_no_state_and_decides_alike_on_the_same_one(made: list[Attempt]) -> None:
    events: list[Event] = []
    for attempt in made:
        memory = fold(events)
        assert attempt.memory == memory, "decide changed the state it was given"
        if attempt.refusal is None:
            assert decide(memory, attempt.command) == attempt.events
        else:
            with pytest.raises(type(attempt.refusal), match=re.escape(str(attempt.refusal))):
                decide(memory, attempt.command)
        events.extend(attempt.events)


@pytest.mark.walks
@given(made=attempts())
def test_no_two_facts_that_stand_say_the_same(made: list[Attempt]) -> None:
    memory = fold([event for attempt in made for event in attempt.events])

    said = [state.fact for state in memory.facts.values() if not state.retracted]
    assert len({(one.subject.casefold().replace("  ", " "), one.relation) for one in said}) == len(said)


def test_folding_leaves_the_state_it_starts_from_alone() -> None:
    before = fold(LIFE[:3])
    written = canonical(to_json(before.facts)), dict(before.pending), dict(before.edits), before.version

    fold(LIFE[3:], onto=before)

    assert (canonical(to_json(before.facts)), dict(before.pending), dict(before.edits), before.version) == written


def test_a_state_cannot_be_changed_in_place() -> None:
    memory = fold(LIFE)

    for mapping in (memory.facts, memory.pending, memory.by_statement, memory.requests, memory.edits):
        assert isinstance(mapping, MappingProxyType)
    with pytest.raises(AttributeError):
        memory.version = 0  # type: ignore[misc]


def test_nothing_stays_nothing() -> None:
    fold(LIFE)

    assert NOTHING.version == 0
    assert not NOTHING.facts


def test_a_memory_finds_a_fact_by_what_it_says() -> None:
    memory = fold(LIFE)

    assert memory.by_statement["aria moss", "lives in"] == ARIA.id
    assert memory.by_statement["bo lind", "works as"] == BO.id


def test_the_reference_text_of_a_memory_is_the_one_it_was_created_with_or_else_the_generated_one() -> None:
    without = replace(CREATED, reference_text=NO_TEXT)

    assert fold([CREATED, PREPARED]).reference_text == CREATED.reference_text
    assert fold([without]).reference_text == NO_TEXT
    assert fold([without, PREPARED]).reference_text == OWN_TEXT == PREPARED.reference_text
