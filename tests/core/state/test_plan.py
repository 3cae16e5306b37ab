"""The plan of weights: canonical, so that equal plans are equal weights."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import Event
from core.events.facts import Columns, EditKind
from core.events.history import FactWithdrawn
from core.evolve import evolve, fold
from core.ids import AdapterId, EditId, FactId
from core.state.memory import NOTHING, Adapter, Edit, FactState, Memory, Status, trained_on
from core.state.plan import Plan, Term, plan, plan_at, plan_of
from tests.core.samples import ARIA, BO, CLEAN, CY, DEE, LIFE, READY, added, digest, edit, write
from tests.core.strategies import logs

TOLD = fold((*READY, added(ARIA), added(BO), added(CY), added(DEE)))
D1, D2 = digest("delta", 1), digest("delta", 2)


def rescaled(memory: Memory, scales: Mapping[FactId, float]) -> Memory:
    facts = {id_: replace(state, scale=scales.get(id_, state.scale)) for id_, state in memory.facts.items()}
    return replace(memory, facts=MappingProxyType(facts))


def test_a_memory_without_edits_has_an_empty_plan() -> None:
    assert plan(NOTHING) == plan(fold(READY)) == Plan(terms=())


def test_neighbouring_columns_of_equal_scale_are_joined() -> None:
    memory = write(TOLD, ARIA, BO, CY)

    assert plan(memory).terms == (Term(delta=D1, first=0, count=6, scale=1.0),)


def test_columns_of_unequal_scale_stay_apart() -> None:
    memory = rescaled(write(TOLD, ARIA, BO, CY), {BO.id: 0.5})

    assert plan(memory).terms == (
        Term(delta=D1, first=0, count=2, scale=1.0),
        Term(delta=D1, first=2, count=2, scale=0.5),
        Term(delta=D1, first=4, count=2, scale=1.0),
    )


def test_columns_at_scale_zero_are_not_in_the_plan() -> None:
    memory = rescaled(write(TOLD, ARIA, BO, CY), {BO.id: 0.0})

    assert plan(memory).terms == (
        Term(delta=D1, first=0, count=2, scale=1.0),
        Term(delta=D1, first=4, count=2, scale=1.0),
    )


def test_columns_of_different_deltas_are_never_joined() -> None:
    memory = write(write(TOLD, ARIA), BO, number=2)
    low, high = sorted((D1, D2))
    adjacent = {
        id_: replace(one, columns=tuple(replace(columns, first=2 * (one.delta == high)) for columns in one.columns))
        for id_, one in memory.edits.items()
    }

    assert plan(replace(memory, edits=adjacent)).terms == (
        Term(delta=low, first=0, count=2, scale=1.0),
        Term(delta=high, first=2, count=2, scale=1.0),
    )


def test_terms_are_in_the_order_of_deltas_and_columns_however_they_came_about() -> None:
    low, high = sorted((D1, D2))
    memory = write(write(TOLD, ARIA, BO), CY, number=2)
    (first, second) = memory.edits.values()
    swapped = {
        first.id: replace(first, delta=high, columns=first.columns[::-1]),
        second.id: replace(second, delta=low),
    }
    memory = rescaled(replace(memory, edits=swapped), {ARIA.id: 0.5})

    assert [(term.delta, term.first) for term in plan(memory).terms] == [(low, 0), (high, 0), (high, 2)]


def test_a_plan_names_each_artifact_once() -> None:
    memory = rescaled(write(write(TOLD, ARIA, BO), CY, number=2), {BO.id: 0.5})

    assert len(plan(memory).terms) == 3
    assert plan(memory).deltas == tuple(sorted((D1, D2)))


def test_the_digest_changes_when_a_scale_changes() -> None:
    memory = write(TOLD, ARIA, BO)
    digests = {plan(rescaled(memory, {ARIA.id: scale})).digest for scale in (1.0, 0.5, 0.1, 0.1 + 2**-56, 0.0)}

    assert len(digests) == 5


def test_the_digest_of_a_plan_never_changes() -> None:
    known = Plan(terms=(Term(delta=D1, first=0, count=2, scale=0.5),))

    assert known.digest == "ca61877dc6f0ba356643d2f2beae80f653a257f82ca82342d50b7162f0fe4610"


@given(data=st.data())
def test_the_plan_does_not_depend_on_the_order_of_edits_or_columns(data: st.DataObject) -> None:
    scales = st.sampled_from((0.0, 0.1, 0.5, 1.0))
    edits = [
        Edit(
            id=EditId(f"edit-{number}"),
            delta=digest("delta", number % 2),
            modules=("m",),
            columns=tuple(
                Columns(
                    fact=FactId(f"fact-{number}-{index}"),
                    first=10 * number + index,
                    count=1,
                    keys=1,
                    residual=0.0,
                    achieved=0.0,
                    learned=True,
                )
                for index in range(3)
            ),
            version=number,
        )
        for number in range(4)
    ]
    facts = {
        columns.fact: FactState(
            fact=ARIA,
            source=TOLD.facts[ARIA.id].source,
            added=1,
            status=Status.INJECTED,
            scale=data.draw(scales),
            edits=(one.id,),
        )
        for one in edits
        for columns in one.columns
    }
    shuffled = [
        replace(one, columns=tuple(data.draw(st.permutations(one.columns))))
        for one in data.draw(st.permutations(edits))
    ]

    straight = plan(Memory(facts=facts, edits={one.id: one for one in edits}))
    mixed = plan(Memory(facts=facts, edits={one.id: one for one in shuffled}))

    assert bool(straight.terms) == any(state.scale for state in facts.values())
    assert straight == mixed
    assert straight.digest == mixed.digest
    assert list(straight.terms) == sorted(straight.terms)


@pytest.mark.walks
@given(log=logs())
def test_the_plan_changes_exactly_when_the_recorded_weights_do(log: list[Event]) -> None:
    memory = NOTHING
    for event in log:
        after = evolve(memory, event)
        if memory.weights is not None and not after.deleted:
            assert (plan(after) == plan(memory)) == (after.weights == memory.weights), event
        memory = after


def test_at_the_version_of_an_edit_its_columns_are_in_force() -> None:
    computed = edit(ARIA, BO, before=CLEAN)
    memory = evolve(TOLD, computed)

    assert memory.weights == computed.weights_after
    assert plan(memory).terms == (Term(delta=D1, first=0, count=4, scale=1.0),)


@pytest.mark.walks
@given(log=logs())
def test_the_plan_covers_each_column_in_force_once(log: list[Event]) -> None:
    memory = fold(log)
    columns = sum(
        one.count for done in memory.edits.values() for one in done.columns if done.id in memory.facts[one.fact].edits
    )
    adapters = sum(adapter.rank for adapter in memory.adapters.values())

    assert sum(term.count for term in plan(memory).terms) == columns + adapters


def test_columns_of_an_edit_that_carries_a_fact_no_longer_are_not_in_the_plan() -> None:
    memory = write(TOLD, ARIA, BO)
    elsewhere = replace(memory.facts[ARIA.id], edits=(EditId("another"),))
    memory = replace(memory, facts={**memory.facts, ARIA.id: elsewhere})

    assert plan(memory).terms == (Term(delta=D1, first=2, count=2, scale=1.0),)


def test_adapters_are_in_the_plan_in_full() -> None:
    adapter = Adapter(id=AdapterId("adapter-1"), delta=D2, modules=("m",), rank=3, version=9)
    memory = replace(write(TOLD, ARIA), adapters={adapter.id: adapter})

    assert plan(memory).terms == tuple(
        sorted((Term(delta=D1, first=0, count=2, scale=1.0), Term(delta=D2, first=0, count=3, scale=1.0)))
    )


OWN = tuple(
    Columns(fact=fact.id, first=number, count=1, keys=0, residual=0.5, achieved=1.0, learned=True)
    for number, fact in enumerate((ARIA, BO))
)


def slept(memory: Memory) -> Memory:
    """`memory` with an adapter of neurons, a column for each of two facts."""
    adapter = Adapter(
        id=AdapterId("adapter-1"), delta=D2, modules=("m",), rank=2, version=9, facts=(ARIA.id, BO.id), columns=OWN
    )
    return replace(memory, adapters={adapter.id: adapter})


def test_columns_of_an_adapter_belong_to_their_facts() -> None:
    memory = slept(write(TOLD, ARIA, BO))
    both, bo = Term(delta=D2, first=0, count=2, scale=1.0), Term(delta=D2, first=1, count=1, scale=1.0)

    assert both in plan(memory).terms
    assert bo in plan_at(memory, {}, (ARIA.id,)).terms
    assert plan_of(memory, BO.id).terms == tuple(sorted((bo, Term(delta=D1, first=2, count=2, scale=1.0))))
    assert plan_of(memory, BO.id, 0.0).terms == (bo,)
    assert trained_on(memory, ARIA.id) == ()


def test_a_withdrawn_fact_takes_its_columns_of_adapters_along() -> None:
    memory = slept(write(TOLD, ARIA, BO))
    gone = FactWithdrawn(
        fact=ARIA.id, edit=None, adapters=(), weights_before=CLEAN, weights_after=CLEAN, key_occupancy=0.0, seconds=0.0
    )

    left = evolve(memory, gone)

    assert plan(left) == plan_at(memory, {ARIA.id: 0.0}, (ARIA.id,))
    assert [adapter.facts for adapter in left.adapters.values()] == [(BO.id,)]
    assert not evolve(left, replace(gone, fact=BO.id)).adapters


def test_a_refreshed_fact_starts_without_what_nights_had_learned_for_good() -> None:
    # given a fact that is edited again after a night
    memory = slept(write(TOLD, ARIA, BO))
    again = replace(edit(ARIA, before=CLEAN, number=3), kind=EditKind.REFRESH)
    later = evolve(memory, again)
    assert plan_of(later, ARIA.id).terms == (Term(delta=again.delta, first=0, count=2, scale=1.0),)

    # when its new edit is dissolved, then the columns of that night do not come back
    dissolved = replace(later.facts[ARIA.id], status=Status.DISSOLVED, scale=0.0, edits=())
    assert plan_of(replace(later, facts={**later.facts, ARIA.id: dissolved}), ARIA.id).terms == ()


def test_a_plan_at_other_scales_is_that_of_the_memory_once_it_has_them() -> None:
    memory = write(TOLD, ARIA, BO, CY)
    scales = {ARIA.id: 0.5, CY.id: 0.0}

    assert plan_at(memory, scales) == plan(rescaled(memory, scales))
    assert plan_at(memory, {}) == plan(memory)


def test_two_logs_with_the_same_plan_have_the_same_digest() -> None:
    longer = fold((*LIFE, added(CY, "request-3")))

    assert longer.version != fold(LIFE).version
    assert plan(longer).digest == plan(fold(LIFE)).digest
