"""A sleep that is undone, whenever that happens: the memory is as it was before it."""

from dataclasses import replace

import pytest

from core.decide import decide
from core.errors.base import SleepUnknown
from core.events.history import FactErased
from core.events.sleep import SleepRolledBack
from core.evolve import evolve, fold
from core.facts import Source
from core.ids import SleepId
from core.state.memory import Memory, Night, Status
from core.state.sleep import Step
from core.state.work import Inject, Withdraw, next_work
from tests.core.samples import ARIA, BO, CY, DEE, add, fact
from tests.core.sleep_samples import (
    ASLEEP,
    AWAKE,
    CANCEL,
    FACTS,
    IDS,
    POLICY,
    SLEEP,
    STEPS,
    audit,
    dissolved,
    do,
    gate,
    given_back,
    inject,
    morning,
    night,
    owed,
    retract,
    start,
    weights_of,
)


def moments(memory: Memory) -> list[Memory]:
    """Every state of a sleep, begun in `memory`, in which as much happens as can."""
    policy, states = replace(POLICY, recall_limit=0.0), []
    memory = do(memory, start(policy=policy, sleep=SLEEP))
    degraded = [IDS, IDS[:1], (), IDS, IDS[1:2], IDS[1:2]]
    while memory.sleep is not None:
        states.append(memory)
        work = owed(memory)
        if work.step is Step.AUDIT:
            now = [fact for fact in degraded.pop(0) if fact in work.facts]
            memory = do(memory, audit(memory, degraded=now))
        elif work.step is Step.GATE:
            memory = do(memory, gate(memory, turned_back=[BO.id]))
        else:
            memory = do(memory, STEPS[work.step](memory))
    return states


EVE = fact("fact-eve", "Eve Poe", "plays", "the oboe")
TOLD = do(dissolved(ARIA, BO), add(CY))
BEGINNINGS = {
    "first night": AWAKE,
    "second night": night(AWAKE),
    "some dissolved": do(TOLD, inject(TOLD, CY)),
    "all dissolved": dissolved(*FACTS),
}


def test_the_sleep_that_is_undone_here_holds_every_step() -> None:
    steps = [owed(memory).step for memory in moments(BEGINNINGS["some dissolved"])]

    assert set(steps) == set(Step)
    assert (steps.count(Step.REFRESH), steps.count(Step.TRAIN), steps.count(Step.GATE)) == (4, 2, 2)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_sleep_cancelled_at_any_step_leaves_the_memory_as_it_was(beginning: str) -> None:
    before = BEGINNINGS[beginning]
    for memory in moments(before):
        (undone,) = decide(memory, CANCEL)
        after = fold([undone], onto=memory)

        assert undone == SleepRolledBack(
            sleep=SLEEP,
            reason="cancelled",
            message="a client cancelled it",
            version=before.version,
            weights=before.weights or "",  # type: ignore[arg-type]
        )
        assert given_back(after) == given_back(before)
        assert (after.facts, list(after.facts)) == (before.facts, list(before.facts))
        assert (after.sleep, after.undo) == (None, None)
        assert weights_of(after) == after.weights
        assert replace(after, version=before.version, nights=before.nights) == before


def test_a_cancelled_sleep_is_remembered_and_its_request_is_used() -> None:
    memory = do(AWAKE, start(request="r"))
    after = do(memory, CANCEL)

    assert after.nights[SLEEP] == Night(
        kind="sleep",
        trigger="client",
        began=memory.version,
        ended=after.version,
        completed=False,
        reason="a client cancelled it",
    )
    assert decide(after, start(request="r")) == ()


def test_cancelling_a_sleep_that_has_ended_is_nothing() -> None:
    for ended in (night(AWAKE, 1), do(do(AWAKE, start(sleep=SleepId("night-1"))), replace(CANCEL, sleep="night-1"))):  # type: ignore[arg-type]
        assert decide(ended, replace(CANCEL, sleep=SleepId("night-1"))) == ()
        assert decide(do(ended, start()), replace(CANCEL, sleep=SleepId("night-1"))) == ()


def test_cancelling_a_sleep_that_never_was_is_refused() -> None:
    for memory in (AWAKE, ASLEEP, night(AWAKE)):
        with pytest.raises(SleepUnknown, match="nobody"):
            decide(memory, replace(CANCEL, sleep=SleepId("nobody")))


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_facts_told_during_a_sleep_that_is_undone_wait_and_are_written_after_it(beginning: str) -> None:
    before = BEGINNINGS[beginning]
    memory = do(do(before, add(DEE, request="before"), start()), audit(do(before, start())))
    memory = do(memory, add(EVE, request="during"))

    after = do(memory, CANCEL)

    assert list(after.pending) == [DEE.id, EVE.id]
    assert given_back(after) == given_back(before)
    assert after.weights
    assert next_work(after) == Inject(facts=(DEE.id, EVE.id), weights=after.weights, attempt=1)
    after = do(after, inject(after, DEE, EVE))
    assert [after.facts[one.id].status for one in (DEE, EVE)] == [Status.INJECTED] * 2
    assert after.requests["during"].facts == (EVE.id,)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_what_is_taken_back_at_any_moment_of_a_sleep_that_is_undone_stays_taken_back(beginning: str) -> None:
    before = BEGINNINGS[beginning]
    for memory in moments(before):
        after = do(memory, retract(BO), CANCEL)

        assert given_back(after) == given_back(before)
        assert after.facts[BO.id].retracted == memory.version + 1
        assert list(after.pending_withdrawal) == [BO.id]
        assert isinstance(next_work(after), Withdraw)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_what_a_log_says_was_erased_during_a_sleep_that_is_undone_stays_erased(beginning: str) -> None:
    """`decide` erases nothing in a sleep, but a log may: whatever holds it, words do not come back."""
    before = BEGINNINGS[beginning]
    for memory in moments(before):
        asked = do(memory, retract(BO, erase=True))
        erased = evolve(asked, FactErased(fact=BO.id, remains=()))

        after = do(erased, CANCEL)

        state = after.facts[BO.id]
        assert (state.erased, state.erase) == (True, True)
        assert (state.fact.subject, state.fact.object, state.source) == ("", "", Source())
        assert BO.id not in after.pending_erasure


def test_facts_told_during_a_sleep_that_completes_are_written_after_it() -> None:
    memory = do(ASLEEP, add(DEE))
    after = morning(memory)

    assert after.weights
    assert next_work(after) == Inject(facts=(DEE.id,), weights=after.weights, attempt=1)
