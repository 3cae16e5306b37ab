"""Neurons that respond in other text bound a memory: facts are refused once their sum reaches the limit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.decide import decide
from core.decide.limits import check_false_fires
from core.errors.harm import FalseFiresExceeded, FalseFiresReached
from core.events.facts import Certificate
from core.events.history import FactsRepeated
from core.evolve import fold
from core.facts import Fact
from core.ids import AdapterId
from core.policy import SleepPolicy
from core.state.false_fires import false_fires, first_columns
from core.state.memory import Adapter, Memory, Status
from core.state.plan import plan_at
from core.state.pressure import pressure
from core.state.work import MAX_ATTEMPTS
from tests.core.samples import ARIA, BO, CREATED, CY, DEE, PREPARED, add, edit, fact, injected
from tests.core.sleep_samples import do, fail, retry, supersede

LIMIT = 100.0
POLICY = SleepPolicy(false_fires_limit=LIMIT)
MOVED = fact("fact-moved", ARIA.subject, ARIA.relation, "Bergen", ARIA.wordings)


def certificate(fires: float) -> Certificate:
    return Certificate(own=0.9, others=0.6, low=0.8, high=0.86, false_fires=fires)


def written(fires: dict[Fact, float], limit: float = LIMIT) -> Memory:
    """A memory with a neuron for each fact, which responds so often in other text."""
    created = replace(CREATED, sleep=replace(POLICY, false_fires_limit=limit), capacity=1.0)
    memory = do(fold((created, PREPARED)), *([add(*fires)] if fires else []))
    for number, (told, rate) in enumerate(fires.items(), 1):
        assert memory.weights is not None
        computed = edit(told, before=memory.weights, number=number)
        columns = (replace(computed.columns[0], certificate=certificate(rate)),)
        memory = fold(injected(replace(computed, columns=columns, key_occupancy=0.0)), onto=memory)
    return memory


def test_facts_are_refused_once_the_sum_is_at_the_limit_and_told_why() -> None:
    memory = written({ARIA: 60.0, BO: 40.0})

    with pytest.raises(FalseFiresReached, match=r"100 of a million tokens.*allows 100.*retract facts") as refusal:
        decide(memory, add(CY, request="request-2"))
    assert refusal.value.metadata == {"false_fires": "100.0", "false_fires_limit": "100.0"}
    (known,) = decide(memory, add(replace(ARIA, id=DEE.id), request="request-2"))
    assert isinstance(known, FactsRepeated)


def test_below_the_limit_facts_are_added() -> None:
    assert decide(written({ARIA: 60.0, BO: 39.9}), add(CY, request="request-2"))


def test_a_limit_of_zero_refuses_nothing_while_no_neuron_responds_elsewhere() -> None:
    assert decide(written({ARIA: 0.0}, limit=0.0), add(CY, request="request-2"))
    with pytest.raises(FalseFiresReached):
        decide(written({ARIA: 0.5}, limit=0.0), add(CY, request="request-2"))


def test_a_successor_has_the_room_of_its_predecessor() -> None:
    memory = written({ARIA: 60.0, BO: 40.0})

    assert decide(memory, supersede(ARIA, MOVED))
    with pytest.raises(FalseFiresReached):
        decide(written({ARIA: 0.0, BO: 100.0}), supersede(ARIA, MOVED))


def test_a_parked_fact_is_not_retried_without_room() -> None:
    memory = do(written({ARIA: 40.0}), add(CY, request="request-2"))
    for _ in range(MAX_ATTEMPTS):
        memory = do(memory, fail(memory))
    full = replace(memory, created=replace(CREATED, sleep=replace(POLICY, false_fires_limit=40.0)))

    assert decide(memory, retry(CY))
    with pytest.raises(FalseFiresReached):
        decide(full, retry(CY))


def test_what_fades_counts_less_and_none_of_it_is_a_reason_to_sleep() -> None:
    memory = written({ARIA: 60.0, BO: 20.0})
    facts = dict(memory.facts) | {ARIA.id: replace(memory.facts[ARIA.id], scale=0.5)}

    assert false_fires(memory) == 80.0
    assert pressure(memory) == pressure(written({ARIA: 0.0, BO: 0.0}))  # because a night does not lower it
    assert false_fires(replace(memory, facts=facts)) == 50.0
    assert false_fires(memory, without={ARIA.id}) == 20.0
    assert plan_at(memory, {}).terms  # the neurons are in force


def test_a_fact_that_an_adapter_has_a_column_of_counts_whole_and_once() -> None:
    memory = written({ARIA: 60.0, BO: 20.0})
    (edit,) = [edit for edit in memory.edits.values() if ARIA.id in {columns.fact for columns in edit.columns}]
    columns = tuple(columns for columns in edit.columns if columns.fact == ARIA.id)
    adapter = Adapter(
        id=AdapterId("night"), delta=edit.delta, modules=("m",), rank=1, version=9, facts=(ARIA.id,), columns=columns
    )
    slept = replace(memory, adapters={adapter.id: adapter})

    for state in (slept.facts[ARIA.id], replace(slept.facts[ARIA.id], scale=0.0, edits=(), status=Status.DISSOLVED)):
        later = replace(slept, facts={**slept.facts, ARIA.id: state})
        assert false_fires(later) == 80.0
        assert first_columns(later, ARIA.id) == columns[0]
    assert first_columns(slept, BO.id) != columns[0]


@given(rates=st.lists(st.floats(0.0, 1000.0), max_size=4))
def test_the_sum_is_that_of_the_certificates_in_any_order(rates: list[float]) -> None:
    facts = (ARIA, BO, CY, DEE)[: len(rates)]
    forwards = written(dict(zip(facts, rates, strict=True)))
    backwards = written(dict(zip(reversed(facts), reversed(rates), strict=True)))

    assert false_fires(forwards) == pytest.approx(sum(rates)) == pytest.approx(false_fires(backwards))


@pytest.mark.parametrize(
    ("before", "added", "fits"),
    [(0.0, 100.0, True), (60.0, 40.0, True), (60.0, 40.1, False), (100.0, 0.0, False), (0.0, 0.0, True)],
)
def test_what_a_neuron_adds_must_fit(before: float, added: float, fits: bool) -> None:
    if fits:
        check_false_fires([ARIA.id], before, added, POLICY)
        return
    with pytest.raises(FalseFiresExceeded, match=rf"respond at {before:g} of a million.*its own at {added:g}") as error:
        check_false_fires([ARIA.id], before, added, POLICY)
    assert error.value.facts == (ARIA.id,)
