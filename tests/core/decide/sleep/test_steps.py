"""The steps of a sleep: their order, and one append each."""

from dataclasses import replace

import pytest

from core.decide import decide
from core.events.sleep import FactAdvanced, FactRefreshed, FactsRescaled, SleepCompleted
from core.evolve import fold
from core.ids import SleepId
from core.state.memory import Memory, Status
from core.state.sleep import Occasion, Step
from tests.core.samples import ARIA, BO, CY, DEE, add
from tests.core.sleep_samples import (
    ASLEEP,
    AWAKE,
    FACTS,
    IDS,
    POLICY,
    SLEEP,
    STEPS,
    audit,
    dissolved,
    do,
    end,
    gate,
    inject,
    last,
    night,
    owed,
    refresh,
    rescale,
    rescaled,
    start,
    train,
    until,
)


def names(memory: Memory) -> list[str]:
    """The steps from here to the end of a sleep in which all goes well; with the occasion of audits."""
    steps = []
    while memory.sleep is not None:
        work = owed(memory)
        steps.append(f"{work.step} {work.occasion}" if work.step is Step.AUDIT else work.step.value)
        memory = do(memory, STEPS[work.step](memory))
    return steps


def test_a_sleep_in_which_all_goes_well() -> None:
    assert names(ASLEEP) == ["audit before", "train", "gate", "rescale", "audit after", "end"]


@pytest.mark.parametrize("step", [step for step in Step if step is not Step.REFRESH])
def test_every_step_says_what_it_is_about(step: Step) -> None:
    memory = until(ASLEEP, step)
    work = owed(memory)

    assert (work.sleep, work.weights, work.attempt, work.name) == (SLEEP, memory.weights, 1, step.value)
    assert work.facts == (() if step is Step.END else IDS)
    assert (work.occasion is Occasion.GATE) == (step is Step.GATE)


def test_what_each_step_appends_at_once() -> None:
    memory, kinds = ASLEEP, []
    while memory.sleep is not None:
        events = decide(memory, STEPS[owed(memory).step](memory))
        kinds.append([type(event).__name__ for event in events])
        memory = fold(events, onto=memory)

    audited = [*["FactAudited"] * 3, "ControlsMeasured"]
    assert kinds == [
        audited,
        ["AdapterTrained"],
        ["FactAudited"] * 3,
        ["FactsRescaled", *["FactAdvanced"] * 3],
        audited,
        ["SleepCompleted"],
    ]


def test_degraded_facts_are_refreshed_and_audited_again_before_anything_is_trained() -> None:
    memory = do(ASLEEP, audit(ASLEEP, degraded=[ARIA.id, CY.id]))

    assert owed(memory, Step.REFRESH).facts == (ARIA.id, CY.id)
    memory = do(memory, refresh(memory))
    assert (owed(memory, Step.AUDIT).facts, owed(memory).occasion) == (IDS, Occasion.BEFORE)
    assert names(memory) == ["audit before", "train", "gate", "rescale", "audit after", "end"]


def test_a_refresh_is_repeated_while_fewer_are_degraded() -> None:
    memory = do(ASLEEP, audit(ASLEEP, degraded=IDS))
    memory = do(memory, refresh(memory))
    memory = do(memory, audit(memory, degraded=[BO.id]))

    assert owed(memory, Step.REFRESH).facts == (BO.id,)


def test_a_refresh_that_made_no_progress_is_the_last() -> None:
    memory = do(ASLEEP, audit(ASLEEP, degraded=[ARIA.id]))
    memory = do(memory, refresh(memory))
    memory = do(memory, audit(memory, degraded=[BO.id]))

    assert owed(memory).step is Step.TRAIN


def test_refreshes_end_when_as_many_were_done_as_are_allowed() -> None:
    memory = do(ASLEEP, audit(ASLEEP, degraded=IDS))
    for left in (IDS[:2], IDS[:1]):
        memory = do(memory, refresh(memory))
        memory = do(memory, audit(memory, degraded=left))

    assert POLICY.refreshes == 2
    assert owed(memory).step is Step.TRAIN


def test_nothing_is_refreshed_where_no_refreshes_are_allowed() -> None:
    memory = do(AWAKE, start(policy=replace(POLICY, refreshes=0)))

    assert owed(do(memory, audit(memory, degraded=IDS))).step is Step.TRAIN


def test_another_adapter_is_trained_while_facts_are_turned_back_and_trainings_are_left() -> None:
    memory = until(ASLEEP, Step.GATE)
    memory = do(memory, gate(memory, turned_back=[BO.id]))

    assert owed(memory, Step.TRAIN).facts == IDS
    memory = do(memory, train(memory))
    assert owed(memory).step is Step.GATE
    memory = do(memory, gate(memory, turned_back=[BO.id]))
    assert POLICY.trainings == 2
    assert owed(memory).step is Step.RESCALE


def test_a_second_training_meets_the_gate_afresh() -> None:
    memory = until(ASLEEP, Step.GATE)
    memory = do(memory, gate(memory, turned_back=IDS))
    memory = do(memory, train(memory))
    memory = do(memory, gate(memory))

    events = decide(memory, rescale(memory))
    assert [type(event) for event in events] == [FactsRescaled] + [FactAdvanced] * 3


def test_facts_that_rescaling_degraded_are_refreshed_and_audited_once_more() -> None:
    memory = rescaled(ASLEEP)
    memory = do(memory, audit(memory, degraded=[CY.id]))

    assert owed(memory, Step.REFRESH).facts == (CY.id,)
    memory = do(memory, refresh(memory))
    assert owed(memory).occasion is Occasion.AFTER
    assert names(memory) == ["audit after", "end"]


def test_refreshes_are_counted_anew_once_the_scales_have_changed() -> None:
    memory = do(ASLEEP, audit(ASLEEP, degraded=[ARIA.id]))
    memory = do(memory, refresh(memory))
    memory = do(memory, audit(memory, degraded=[ARIA.id]))  # no progress
    memory = rescaled(memory)

    assert owed(do(memory, audit(memory, degraded=[ARIA.id, BO.id]))).step is Step.REFRESH


def test_a_memory_whose_facts_are_all_dissolved_is_audited_and_sleeps_on() -> None:
    memory = dissolved(*FACTS)
    assert {state.status for state in memory.facts.values()} == {Status.DISSOLVED}

    asleep = do(memory, start())

    assert owed(asleep).facts == IDS
    assert names(asleep) == ["audit before", "end"]


def test_dissolved_facts_are_audited_and_not_trained_or_gated() -> None:
    memory = do(dissolved(ARIA, BO), add(CY))
    memory = do(memory, inject(memory, CY), start())

    assert owed(memory, Step.AUDIT).facts == IDS
    for step in (Step.TRAIN, Step.GATE, Step.RESCALE):
        assert owed(until(memory, step)).facts == (CY.id,)


def test_a_sleep_goes_before_facts_that_are_told_meanwhile() -> None:
    memory = do(ASLEEP, add(DEE))

    assert owed(memory) == owed(ASLEEP)
    assert decide(memory, audit(ASLEEP))


def test_a_refresh_is_recorded_with_one_event_for_each_fact() -> None:
    memory = do(night(AWAKE), start(sleep=SleepId("night-2")))
    memory = do(memory, audit(memory, degraded=[ARIA.id]))
    command = refresh(memory)

    events = decide(memory, command)

    assert events == (
        command.edit,
        FactRefreshed(fact=ARIA.id, edit=command.edit.edit, sleep=SleepId("night-2"), from_stage=1, stage=0, scale=1.0),
    )
    state = fold(events, onto=memory).facts[ARIA.id]
    assert (state.stage, state.scale, state.edits, state.status) == (0, 1.0, (command.edit.edit,), Status.INJECTED)


def test_the_end_says_what_became_of_each_fact() -> None:
    memory = do(ASLEEP, audit(ASLEEP, degraded=[ARIA.id]))
    memory = do(memory, refresh(memory))
    memory = until(do(memory, audit(memory, degraded=[ARIA.id])), Step.GATE)
    memory = do(memory, gate(memory, turned_back=[BO.id]))
    memory = do(memory, train(memory))
    memory = do(memory, gate(memory, turned_back=[BO.id]))
    memory = rescaled(memory)
    memory = do(memory, audit(memory))

    completed = last(memory, end(memory))

    assert isinstance(completed, SleepCompleted)
    assert (completed.advanced, completed.retreated) == ((ARIA.id, CY.id), (BO.id,))
    assert (completed.refreshed, completed.dissolved, completed.degraded) == ((ARIA.id,), (), ())
    assert completed.remark == ""


@pytest.mark.parametrize(("refreshes", "why"), [(2, "no progress"), (1, "not allowed"), (0, "not allowed")])
def test_facts_that_stay_degraded_are_named_and_the_remark_says_why(refreshes: int, why: str) -> None:
    policy = replace(POLICY, refreshes=refreshes, recall_limit=0.0)
    memory = rescaled(do(AWAKE, start(policy=policy)))
    memory = do(memory, audit(memory, degraded=[ARIA.id]))
    if refreshes:
        memory = do(memory, refresh(memory))
        memory = do(memory, audit(memory, degraded=[ARIA.id]))

    completed = last(memory, end(memory))

    assert isinstance(completed, SleepCompleted)
    assert completed.degraded == (ARIA.id,)
    assert why in completed.remark
