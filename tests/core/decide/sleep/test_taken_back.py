"""Facts that clients take back before a sleep or in the middle of one: it neither mends nor mourns them."""

from dataclasses import replace

import pytest

from core.decide import decide
from core.decide.commands import Command
from core.events.history import FactErased
from core.events.sleep import FactAudited, SleepCompleted, SleepRolledBack
from core.evolve import fold
from core.ids import FactId, SleepId
from core.state.memory import Memory, Withdrawal
from core.state.sleep import Step
from core.state.work import Erase, Withdraw, next_work
from tests.core.samples import ARIA, BO, CY, add, fact
from tests.core.sleep_samples import (
    ASLEEP,
    AWAKE,
    FACTS,
    IDS,
    POLICY,
    audit,
    dissolved,
    do,
    end,
    erase,
    gate,
    inject,
    last,
    morning,
    owed,
    rescale,
    rescaled,
    retract,
    start,
    supersede,
    until,
    withdraw,
)

COUNTERED = do(dissolved(*FACTS), retract(BO))
COUNTERED = do(COUNTERED, withdraw(COUNTERED, counter=True))  # a counter-edit makes the weights deny a fact

ELSEWHERE = fact("fact-new", ARIA.subject, ARIA.relation, "Turin")


def nap(memory: Memory, *degraded: FactId) -> Memory:
    """`memory` after a nap that found `degraded` so."""
    memory = do(memory, start(kind="nap", sleep=SleepId("nap")))
    memory = do(memory, audit(memory, degraded=degraded))
    return do(memory, end(memory))


@pytest.mark.parametrize("taking", [retract(ARIA), supersede(ARIA, ELSEWHERE)])
def test_a_fact_that_was_taken_back_before_a_sleep_is_not_written_again(taking: Command) -> None:
    memory = do(AWAKE, taking, start())

    memory = do(memory, audit(memory, degraded=[ARIA.id, BO.id]))

    assert owed(memory, Step.REFRESH).facts == (BO.id,)


def test_a_fact_that_is_taken_back_after_it_was_found_degraded_is_not_written_again() -> None:
    memory = do(ASLEEP, audit(ASLEEP, degraded=[ARIA.id]))
    assert owed(memory).step is Step.REFRESH

    assert owed(do(memory, retract(ARIA))).step is Step.TRAIN


@pytest.mark.parametrize("taken_back", ["before", "meanwhile"])
def test_a_fact_that_was_taken_back_is_no_loss(taken_back: str) -> None:
    memory = do(AWAKE, retract(CY), start()) if taken_back == "before" else do(rescaled(ASLEEP), retract(CY))
    memory = until(memory, Step.AUDIT) if taken_back == "meanwhile" else rescaled(memory)

    memory = do(memory, audit(memory, degraded=[CY.id]))

    event = last(memory, end(memory))
    assert isinstance(event, SleepCompleted)
    assert event.degraded == ()


def test_other_facts_are_a_loss_as_before() -> None:
    strict = do(AWAKE, retract(CY), start(policy=replace(POLICY, recall_limit=1.0, refreshes=0)))
    memory = rescaled(strict)
    memory = do(memory, audit(memory, degraded=[BO.id, CY.id]))

    event = last(memory, end(memory))

    assert isinstance(event, SleepRolledBack)
    assert "1 facts are healthy, 2 were" in event.message


def test_what_was_trained_is_gated_and_audited_though_all_facts_of_edits_were_taken_back() -> None:
    told = do(dissolved(ARIA, BO), add(CY))
    memory = until(do(told, inject(told, CY), start()), Step.GATE)

    memory = do(memory, retract(CY))

    memory = do(memory, gate(memory))
    memory = do(memory, rescale(memory))
    memory = do(memory, audit(memory, controls={"perplexity": 80.0}))
    assert isinstance(last(memory, end(memory)), SleepRolledBack)


def test_a_gate_that_has_no_fact_left_to_ask_does_not_hold_up_the_sleep() -> None:
    # given a night that has trained an adapter, in a memory whose only edit carries a fact that was taken back
    memory = until(do(COUNTERED, start()), Step.GATE)
    assert owed(memory, Step.GATE).facts == (BO.id,)

    # when that fact is to be erased
    memory = do(memory, retract(BO, erase=True))

    # then the adapter is judged by the audit alone
    memory = do(memory, rescale(memory))
    memory = do(memory, audit(memory, controls={"perplexity": 80.0}))
    assert isinstance(last(memory, end(memory)), SleepRolledBack)


def test_what_an_adapter_unlearned_is_not_withdrawn_once_more() -> None:
    memory = morning(do(COUNTERED, start(sleep=SleepId("one"))))
    memory = do(memory, start(sleep=SleepId("two")))
    memory = do(memory, audit(memory, degraded=[BO.id]))  # the model says it again, until the adapter is trained
    memory = morning(memory)

    assert memory.facts[BO.id].withdrawal is Withdrawal.UNLEARNED
    assert next_work(memory) is None


@pytest.mark.parametrize(("evening", "dawn"), [([BO.id], []), ([], [BO.id])])
def test_an_undone_sleep_leaves_open_what_was_before_it(evening: list[FactId], dawn: list[FactId]) -> None:
    before = nap(COUNTERED, *evening)
    owes = bool(evening)
    assert isinstance(next_work(before), Withdraw) is owes
    memory = do(before, start())
    memory = do(memory, audit(memory, degraded=evening))
    memory = rescaled(memory)
    memory = do(memory, retract(ARIA), audit(memory, degraded=dawn, controls={"perplexity": 80.0}))

    memory = do(memory, end(memory))

    assert list(memory.pending_withdrawal) == [*([BO.id] if owes else []), ARIA.id]


def test_a_sleep_leaves_alone_a_fact_whose_words_may_be_gone_already() -> None:
    memory = do(COUNTERED, retract(BO, erase=True))
    assert isinstance(next_work(memory), Erase)
    late = erase(memory)

    asleep = do(memory, start())  # after the key was thrown away and before that is recorded

    assert BO.id not in owed(asleep, Step.AUDIT).facts
    after = morning(asleep)
    work = next_work(after)
    assert isinstance(work, Erase)
    events = decide(after, replace(late, work=work))
    assert isinstance(events[0], FactErased)
    assert fold(events, onto=after).facts[BO.id].erased


def test_an_audit_is_folded_at_once_as_event_by_event() -> None:
    events = decide(ASLEEP, audit(ASLEEP, degraded=IDS[:1]))
    assert sum(isinstance(event, FactAudited) for event in events) == len(IDS)
    one_by_one = ASLEEP
    for event in events:
        one_by_one = fold((event,), onto=one_by_one)

    assert fold(events, onto=ASLEEP) == one_by_one
