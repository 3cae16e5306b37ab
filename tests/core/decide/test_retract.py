"""Facts that clients take back: durable at once, out of the weights as soon as an executor gets to it, and then erased
if that was asked for."""

from dataclasses import replace

import pytest

from core.decide import decide
from core.decide.commands import Command, RecordErasure
from core.errors.base import CapacityReached, FactUnknown, InvalidField, NotReady, RequestReused, StaleWork
from core.errors.history import FactRetracted as RetractedAlready
from core.events.facts import EditComputed, EditKind, FactAdded, WorkFailed
from core.events.history import FactErased, FactRetracted, FactWithdrawn
from core.evolve import evolve, fold
from core.facts import Source
from core.ids import FactId
from core.state.memory import Memory, Status, Withdrawal
from core.state.plan import plan
from core.state.work import MAX_ATTEMPTS, Erase, Inject, PrepareStatistics, Withdraw, erasure_due, next_work
from tests.core.samples import (
    ARIA,
    BO,
    CLEAN,
    CREATED,
    CY,
    DEE,
    PREPARE,
    add,
    added,
    after,
    digest,
    fact,
    with_capacity,
)
from tests.core.sleep_samples import (
    AWAKE,
    FACTS,
    awake,
    dissolved,
    do,
    erase,
    fail,
    inject,
    retract,
    start,
    supersede,
    weights_of,
    withdraw,
)

ADAPTED = dissolved(*FACTS)  # adapters alone carry them


def out(memory: Memory, *, counter: bool = False) -> Memory:
    """`memory` once an executor took the fact out that has to go."""
    return do(memory, withdraw(memory, counter=counter))


def failing(memory: Memory) -> Memory:
    """`memory` once its next work failed for good."""
    for _ in range(MAX_ATTEMPTS):
        memory = do(memory, fail(memory))
    return memory


def test_a_retraction_is_one_event_and_says_what_the_client_said() -> None:
    (event,) = decide(AWAKE, retract(ARIA, reason="she moved", request="r"))

    assert event == FactRetracted(
        fact=ARIA.id, reason="she moved", erase=False, request="r", request_digest=digest(ARIA.id, "she moved", False)
    )


def test_a_retracted_fact_stays_in_the_weights_until_it_is_withdrawn() -> None:
    memory = do(AWAKE, retract(ARIA))
    state = memory.facts[ARIA.id]

    assert (state.status, state.retracted, state.edits) == (
        Status.INJECTED,
        memory.version,
        AWAKE.facts[ARIA.id].edits,
    )
    assert (memory.weights, plan(memory)) == (AWAKE.weights, plan(AWAKE))
    assert next_work(memory) == Withdraw(fact=ARIA.id, weights=AWAKE.weights or CLEAN, attempt=1)


def test_a_retracted_fact_may_be_told_anew_at_once() -> None:
    memory = do(AWAKE, retract(ARIA))
    said = replace(ARIA, id=FactId("fact-again"), object="Bergen")

    (event,) = decide(memory, add(said, request="again"))

    assert isinstance(event, FactAdded)


def test_what_was_taken_back_leaves_before_anything_new_is_written() -> None:
    memory = do(AWAKE, add(DEE, request="new"), retract(BO))

    assert isinstance(next_work(memory), Withdraw)
    assert isinstance(next_work(out(memory)), Inject)


def test_a_fact_that_an_edit_carried_leaves_with_its_columns() -> None:
    memory = out(do(AWAKE, retract(ARIA)))
    state = memory.facts[ARIA.id]

    assert (state.status, state.edits, state.stage, state.scale) == (Status.WITHDRAWN, (), 0, 0.0)
    assert (memory.weights, memory.key_occupancy) == (weights_of(memory), 0.0625)
    assert plan(memory) != plan(AWAKE)
    assert all(memory.facts[one.id] == AWAKE.facts[one.id] for one in (BO, CY))
    assert (list(memory.pending_withdrawal), next_work(memory)) == ([], None)


def test_a_fact_that_adapters_carry_leaves_by_a_counter_edit() -> None:
    memory = do(ADAPTED, retract(BO))
    edit, event = decide(memory, withdraw(memory, counter=True))
    memory = out(memory, counter=True)
    state = memory.facts[BO.id]

    assert isinstance(edit, EditComputed)
    assert isinstance(event, FactWithdrawn)
    assert (edit.kind, event.edit, event.adapters) == (EditKind.WITHDRAWAL, edit.edit, tuple(ADAPTED.adapters))
    assert (state.status, state.edits, state.scale) == (Status.WITHDRAWN, (edit.edit,), 1.0)
    assert state.carried_by_edit
    assert not state.in_weights
    assert edit.delta in plan(memory).deltas
    assert memory.weights == weights_of(memory)


def test_a_counter_edit_takes_the_place_of_the_columns_it_counters() -> None:
    memory = out(do(AWAKE, retract(ARIA)), counter=True)

    (counter,) = memory.facts[ARIA.id].edits
    (before,) = AWAKE.facts[ARIA.id].edits
    in_force = {term.delta: term.count for term in plan(memory).terms}
    assert in_force == {memory.edits[counter].delta: 2, AWAKE.edits[before].delta: 4}


def test_a_fact_told_where_a_counter_edit_gainsays_it_puts_that_out_of_force() -> None:
    memory = out(do(AWAKE, retract(ARIA)), counter=True)
    again = fact("fact-again", ARIA.subject, ARIA.relation, "Bergen", ARIA.wordings)
    memory = do(memory, add(again, request="again"))

    memory = do(memory, inject(memory, again))

    old = memory.facts[ARIA.id]
    assert (old.status, old.edits, old.carried_by_edit) == (Status.WITHDRAWN, (), False)
    assert memory.facts[again.id].status is Status.INJECTED
    assert memory.weights == weights_of(memory)


@pytest.mark.parametrize("erased", [("old",), ("new",), ("old", "new")])
def test_what_was_put_out_of_force_is_so_without_the_words_too(erased: tuple[str, ...]) -> None:
    """As when the log is folded after either fact, or the fact of another request, was erased."""
    memory = out(do(AWAKE, retract(ARIA), retract(BO)), counter=True)
    memory = out(memory, counter=True)
    again = fact("fact-again", ARIA.subject, ARIA.relation, "Bergen", ARIA.wordings)
    memory = do(memory, add(again, request="again"))
    events = decide(memory, inject(memory, again))

    gone = [{"old": ARIA.id, "new": again.id}[one] for one in erased] + [BO.id]
    blank = {one: replace(memory.facts[one], fact=fact(one, "", "", "")) for one in gone}
    later = fold(events, onto=replace(memory, facts={**memory.facts, **blank}))

    assert plan(later) == plan(fold(events, onto=memory))
    assert (later.facts[ARIA.id].edits, len(later.facts[BO.id].edits)) == ((), 1)


def test_a_pending_fact_is_withdrawn_at_once() -> None:
    memory = do(AWAKE, add(DEE, request="new"), retract(DEE))

    assert memory.facts[DEE.id].status is Status.WITHDRAWN
    assert (list(memory.pending), list(memory.pending_withdrawal), next_work(memory)) == ([], [], None)


def test_a_pending_fact_whose_columns_are_in_the_weights_leaves_them_first() -> None:
    """In a fork or an archive of a version between an edit and its FactInjected."""
    told = do(AWAKE, add(DEE, request="new"))
    edit, *_ = decide(told, inject(told, DEE))
    memory = do(evolve(told, edit), retract(DEE, erase=True))
    assert isinstance(next_work(memory), Withdraw)

    memory = out(memory)

    assert (memory.facts[DEE.id].withdrawal, plan(memory)) == (Withdrawal.COLUMNS, plan(AWAKE))
    assert isinstance(next_work(memory), Erase)


def test_a_parked_fact_is_withdrawn_at_once() -> None:
    memory = failing(do(AWAKE, add(DEE, request="new")))
    assert memory.facts[DEE.id].status is Status.PARKED

    memory = do(memory, retract(DEE))

    assert (memory.facts[DEE.id].status, memory.facts[DEE.id].failure) == (Status.WITHDRAWN, "")
    assert next_work(memory) is None


def test_the_result_of_writing_a_fact_that_was_taken_back_meanwhile_is_refused() -> None:
    memory = do(AWAKE, add(DEE, request="new"))
    late = inject(memory, DEE)

    with pytest.raises(StaleWork):
        decide(do(memory, retract(DEE)), late)


def test_retracting_twice_is_refused_before_and_after_the_fact_has_left() -> None:
    memory = do(AWAKE, retract(ARIA))

    for now in (memory, out(memory)):
        with pytest.raises(RetractedAlready, match=f"at version {memory.version}"):
            decide(now, retract(ARIA, request="twice"))


def test_the_same_request_twice_changes_nothing_and_with_other_words_is_refused() -> None:
    memory = do(AWAKE, retract(ARIA, request="r"))

    assert decide(memory, retract(ARIA, request="r")) == ()
    with pytest.raises(RequestReused):
        decide(memory, retract(BO, request="r"))


def test_a_request_whose_fact_was_erased_is_the_same_only_for_the_same_fact_and_deed() -> None:
    moved = fact("fact-moved", ARIA.subject, ARIA.relation, "Lima", ARIA.wordings)
    told = do(AWAKE, add(DEE, request="a"), supersede(ARIA, moved, request="s"))
    memory = out(do(told, retract(DEE, request="d"), retract(moved, request="r")))
    erased = fold([FactErased(fact=one, remains=()) for one in (DEE.id, moved.id)], onto=memory)

    for command in (
        add(CY, request="d"),
        add(CY, request="s"),
        supersede(ARIA, moved, request="r"),
        supersede(ARIA, moved, request="a"),
        supersede(BO, moved, request="s"),
        retract(moved, request="s"),
        retract(DEE, request="a"),
        retract(BO, request="r"),
    ):
        with pytest.raises(RequestReused):
            decide(erased, command)
    for command in (add(DEE, request="a"), supersede(ARIA, moved, request="s"), retract(moved, request="r")):
        assert decide(erased, command) == ()


def test_an_unknown_fact_and_too_long_a_reason_are_refused() -> None:
    with pytest.raises(FactUnknown, match="fact-dee"):
        decide(AWAKE, retract(DEE))
    with pytest.raises(InvalidField, match="reason"):
        decide(AWAKE, retract(ARIA, reason="x" * 1001))


def test_a_withdrawal_that_others_overtook_is_refused() -> None:
    memory = do(AWAKE, retract(ARIA), retract(BO))
    late = withdraw(memory)
    memory = out(memory)

    with pytest.raises(StaleWork):
        decide(memory, late)
    with pytest.raises(StaleWork):
        decide(do(AWAKE, retract(ARIA)), replace(late, withdrawn=replace(late.withdrawn, weights_before=CLEAN)))


def test_a_withdrawal_that_fails_is_tried_again_and_then_parked() -> None:
    memory = do(AWAKE, retract(ARIA))
    for attempt in (1, 2, 3):
        work = next_work(memory)
        assert isinstance(work, Withdraw)
        assert work.attempt == attempt
        (event,) = decide(memory, fail(memory))
        assert isinstance(event, WorkFailed)
        assert event.parked == (attempt == 3)
        memory = do(memory, fail(memory))

    state = memory.facts[ARIA.id]
    assert (state.status, state.failure, state.awaits_withdrawal) == (Status.INJECTED, "it broke", True)
    assert next_work(memory) is None


def test_a_withdrawal_that_failed_for_good_may_be_asked_for_again_and_starts_over() -> None:
    memory = failing(do(AWAKE, retract(ARIA)))
    first = memory.facts[ARIA.id].retracted

    memory = do(memory, retract(ARIA, request="again"))

    assert next_work(memory) == Withdraw(fact=ARIA.id, weights=memory.weights or CLEAN, attempt=1)
    assert memory.facts[ARIA.id].retracted == first


def test_a_fact_to_be_erased_is_erased_once_it_has_left_and_not_before() -> None:
    memory = do(AWAKE, retract(ARIA, erase=True))
    assert isinstance(next_work(memory), Withdraw)
    memory = out(memory)
    work = next_work(memory)
    assert work == Erase(fact=ARIA.id, attempt=1)

    (event,) = decide(memory, erase(memory))
    memory = do(memory, erase(memory))

    assert event == FactErased(fact=ARIA.id, remains=(digest("adapter", 1),))
    state = memory.facts[ARIA.id]
    assert (state.erased, state.fact.subject, state.fact.object, state.source) == (True, "", "", Source())
    assert (list(memory.pending_erasure), next_work(memory)) == ([], None)


def test_erasing_comes_after_writing_and_is_due_all_the_same() -> None:
    memory = do(out(do(AWAKE, retract(ARIA, erase=True))), add(DEE, request="request-dee"))

    assert isinstance(next_work(memory), Inject)
    assert erasure_due(memory) == Erase(fact=ARIA.id, attempt=1)
    gone = do(memory, RecordErasure(work=Erase(fact=ARIA.id, attempt=1), remains=()))
    assert erasure_due(gone) is None
    assert next_work(gone) == next_work(memory)


def test_an_erasure_is_due_before_statistics_are_prepared_and_not_before_the_fact_has_left_nor_in_a_sleep() -> None:
    unprepared = do(fold([CREATED, added(ARIA)]), retract(ARIA, erase=True))
    assert isinstance(next_work(unprepared), PrepareStatistics)
    assert erasure_due(unprepared) == Erase(fact=ARIA.id, attempt=1)

    leaving = do(AWAKE, retract(ARIA, erase=True))
    assert erasure_due(leaving) is None
    assert erasure_due(do(out(leaving), start())) is None


def test_an_erased_fact_keeps_its_counter_edit_and_nights_leave_it_alone() -> None:
    memory = out(do(ADAPTED, retract(BO, erase=True)), counter=True)
    before = plan(memory)

    memory = do(memory, erase(memory))

    assert plan(memory) == before
    assert memory.facts[BO.id].edits
    assert not memory.facts[BO.id].carried_by_edit


def test_what_was_retracted_may_be_erased_later_but_not_twice() -> None:
    memory = out(do(AWAKE, retract(ARIA)))
    memory = do(memory, retract(ARIA, erase=True))
    assert isinstance(next_work(memory), Erase)

    for now in (memory, do(memory, erase(memory))):
        with pytest.raises(RetractedAlready):
            decide(now, retract(ARIA, erase=True, request="twice"))


def test_an_erasure_of_what_is_still_in_the_weights_is_refused() -> None:
    memory = do(AWAKE, retract(ARIA, erase=True))
    late = erase(out(memory))

    with pytest.raises(StaleWork):
        decide(memory, late)


def test_an_erasure_that_fails_for_good_leaves_the_words_and_says_why() -> None:
    memory = failing(out(do(AWAKE, retract(ARIA, erase=True))))

    state = memory.facts[ARIA.id]
    assert (state.erased, state.failure, state.fact) == (False, "it broke", ARIA)
    assert next_work(memory) is None


def test_a_key_that_left_makes_room() -> None:
    commands: tuple[Command, ...] = (with_capacity(0.25), PREPARE, add(ARIA, BO))
    memory = after(*commands)
    memory = do(memory, inject(memory, ARIA, BO, key_occupancy=0.25))
    with pytest.raises(CapacityReached):
        decide(memory, add(DEE, request="more"))

    memory = out(do(memory, retract(ARIA)))

    assert decide(memory, add(DEE, request="more"))


def test_a_memory_whose_only_fact_left_has_nothing_to_sleep_on_and_one_with_a_counter_edit_has() -> None:
    gone = do(awake(ARIA), retract(ARIA))

    with pytest.raises(NotReady):
        decide(out(gone), start())
    assert decide(out(gone, counter=True), start())
