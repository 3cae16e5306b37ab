"""Random nights: any verdicts, harm, failures, cancels and facts told in between. What always holds."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.decide import decide
from core.events import Event
from core.events.facts import EditComputed
from core.events.sleep import FactAudited, FactRefreshed, SleepRolledBack, SleepStarted
from core.evolve import evolve, fold
from core.state.memory import Memory, Status
from core.state.plan import plan
from core.state.sleep import Step
from core.state.work import MAX_ATTEMPTS, OfConversations, SleepStep, next_work
from tests.core.sleep_samples import given_back, weights_of
from tests.core.strategies import Attempt, beginnings, nights, results

MODEST = settings(max_examples=60)
pytestmark = pytest.mark.walks


def after(attempt: Attempt) -> Memory:
    return fold(attempt.events, onto=attempt.memory)


def states(made: list[Attempt]) -> list[Memory]:
    """The memory before the first command and after each."""
    return [made[0].memory, *map(after, made)]


@MODEST
@given(made=nights(), data=st.data())
def test_folding_a_prefix_of_nights_and_then_the_rest_equals_folding_all(
    made: list[Attempt], data: st.DataObject
) -> None:
    events = [event for attempt in made for event in attempt.events]
    cut = data.draw(st.integers(0, len(events)))

    onto = made[0].memory
    assert fold(events[cut:], onto=fold(events[:cut], onto=onto)) == fold(events, onto=onto)


@MODEST
@given(made=nights())
def test_deciding_changes_no_state_at_night(made: list[Attempt]) -> None:
    for attempt, memory in zip(made, states(made), strict=False):
        assert attempt.memory == memory, "decide changed the state it was given"


@MODEST
@given(made=nights())
def test_a_fact_never_skips_a_stage(made: list[Attempt]) -> None:
    for attempt in made:
        memory = attempt.memory
        for event in attempt.events:
            now = evolve(memory, event)
            for fact, state in memory.facts.items():
                stage = now.facts[fact].stage
                if isinstance(event, FactRefreshed) and event.fact == fact:
                    assert stage == 0
                elif now.facts[fact].status is Status.WITHDRAWN and stage == 0:
                    pass  # it has left, from whatever stage it was at
                elif isinstance(event, SleepRolledBack):
                    assert memory.undo
                    assert stage == (memory.undo.facts[fact].stage if fact in memory.undo.facts else 0)
                else:
                    assert abs(stage - state.stage) <= 1
            memory = now


@MODEST
@given(made=nights())
def test_the_scale_of_a_fact_is_always_that_of_its_stage(made: list[Attempt]) -> None:
    policy = made[0].policy
    for memory in states(made):
        for state in memory.facts.values():
            carried = bool(state.edits)
            assert state.scale == (policy.scales[state.stage] if carried else 0.0)
            assert len(state.edits) <= 1
            if state.status is not Status.WITHDRAWN:  # a counter-edit fades like any other edit
                assert carried == (state.status is Status.INJECTED)
                assert (state.status is Status.DISSOLVED) == (state.stage == policy.dissolved)


@MODEST
@given(made=nights())
def test_the_plan_holds_the_columns_of_each_fact_that_an_edit_carries_from_one_edit(made: list[Attempt]) -> None:
    whose: dict[tuple[str, int], str] = {}  # column of a delta -> its fact
    for edit in made[0].memory.edits.values():
        whose |= {(edit.delta, n): one.fact for one in edit.columns for n in range(one.first, one.first + one.count)}
    for attempt, memory in zip(made, states(made)[1:], strict=True):
        for event in attempt.events:
            if isinstance(event, EditComputed):
                whose |= {
                    (event.delta, n): one.fact for one in event.columns for n in range(one.first, one.first + one.count)
                }
        terms = plan(memory).terms
        adapters = {adapter.delta for adapter in memory.adapters.values()}
        assert adapters == {term.delta for term in terms if (term.delta, term.first) not in whose}
        columns = [
            (term.delta, term.first + n) for term in terms if term.delta not in adapters for n in range(term.count)
        ]
        in_force = {(whose[column], column[0]) for column in columns}

        carried = {fact for fact, state in memory.facts.items() if state.edits}
        assert Counter(fact for fact, _ in in_force) == Counter(carried)
        assert Counter(whose[column] for column in columns) == dict.fromkeys(carried, 2)
        for fact, delta in in_force:
            (edit_id,) = memory.facts[fact].edits  # type: ignore[index]
            assert memory.edits[edit_id].delta == delta


@MODEST
@given(made=nights())
def test_plan_and_weights_agree_at_every_version(made: list[Attempt]) -> None:
    memory = made[0].memory
    for attempt in made:
        for event in attempt.events:
            memory = evolve(memory, event)
            assert memory.weights == weights_of(memory), event


@MODEST
@given(made=nights())
def test_a_sleep_that_is_undone_leaves_all_as_it_was(made: list[Attempt]) -> None:
    before: Memory | None = None
    for attempt in made:
        if any(isinstance(event, SleepStarted) for event in attempt.events):
            before = attempt.memory
        undone = [event for event in attempt.events if isinstance(event, SleepRolledBack)]
        if undone and before is not None:
            now = after(attempt)
            assert given_back(now) == given_back(before)
            assert (undone[0].version, undone[0].weights) == (before.version, before.weights)
            taken_back = {fact for fact, state in now.facts.items() if state.retracted}
            assert {fact: now.facts[fact] for fact in before.facts if fact not in taken_back} == {
                fact: state for fact, state in before.facts.items() if fact not in taken_back
            }
            assert taken_back >= {fact for fact, state in attempt.memory.facts.items() if state.retracted}
            assert set(before.pending) - taken_back <= set(now.pending)


@MODEST
@given(made=nights())
def test_the_sleep_in_progress_could_be_undone_at_any_version(made: list[Attempt]) -> None:
    for memory in states(made):
        assert (memory.sleep is None) == (memory.undo is None)
        assert memory.sleep is None or memory.sleep.id not in memory.nights


@MODEST
@given(made=nights())
def test_each_fact_is_audited_once_in_each_append(made: list[Attempt]) -> None:
    for attempt in made:
        audited = [event for event in attempt.events if isinstance(event, FactAudited)]
        if audited:
            work = next_work(attempt.memory)
            assert isinstance(work, SleepStep)
            assert tuple(event.fact for event in audited) == work.facts
            assert {event.occasion for event in audited} == {work.occasion}


@MODEST
@given(made=nights(), data=st.data())
def test_every_sleep_ends_whatever_its_audits_say(made: list[Attempt], data: st.DataObject) -> None:
    memory = states(made)[-1]
    if memory.sleep is None:
        assume(
            any(state.in_weights or state.carried_by_edit for state in memory.facts.values())
        )  # or there is nothing to sleep on
        memory = fold(decide(memory, replace(data.draw(beginnings(memory, made[0].policy)), request="")), onto=memory)
    assert memory.sleep
    policy, steps, repaired = memory.sleep.policy, Counter[Step](), 0
    while memory.sleep is not None:
        work = next_work(memory)
        assert isinstance(work, SleepStep | OfConversations)
        assert work.attempt <= MAX_ATTEMPTS
        if isinstance(work, SleepStep):  # a turn of a conversation is read in between
            steps[work.step] += 1
            repaired += work.step is Step.TRAIN and memory.sleep.rescaled
        audits = 2 + policy.repairs
        assert steps.total() <= audits * (1 + 2 * policy.refreshes) + 2 * policy.trainings + policy.repairs + 2
        memory = fold(decide(memory, data.draw(results(memory))), onto=memory)

    assert steps[Step.REFRESH] <= audits * policy.refreshes
    assert repaired <= policy.repairs
    assert steps[Step.GATE] - (steps[Step.TRAIN] - repaired) in (0, 1)
    assert steps[Step.RESCALE] <= 1


@MODEST
@given(made=nights())
def test_what_comes_next_is_said_by_the_state_alone(made: list[Attempt]) -> None:
    events: list[Event] = []
    for attempt in made:
        assert next_work(fold(events, onto=made[0].memory)) == next_work(attempt.memory)
        events.extend(attempt.events)
