"""Results that no longer fit: one executor records a step, once, and only the step that is owed."""

from dataclasses import replace

import pytest

from core.decide import decide
from core.decide.commands import Command, RecordAudit, RecordEnd, RecordRefresh, RecordTraining
from core.errors.base import StaleWork
from core.ids import SleepId
from core.state.sleep import Step
from tests.core.samples import ARIA, CLEAN, CY, DEE, add, digest, injected
from tests.core.sleep_samples import (
    ASLEEP,
    AWAKE,
    CANCEL,
    IDS,
    STEPS,
    audit,
    do,
    fail,
    gate,
    inject,
    night,
    owed,
    refresh,
    start,
    train,
    until,
)


@pytest.mark.parametrize("step", [step for step in Step if step is not Step.REFRESH])
def test_two_executors_cannot_both_record_a_step(step: Step) -> None:
    memory = until(ASLEEP, step)
    result = STEPS[step](memory)
    moved_on = do(memory, result)

    with pytest.raises(StaleWork):
        decide(moved_on, result)


def test_two_executors_cannot_both_record_a_refresh() -> None:
    memory = do(ASLEEP, audit(ASLEEP, degraded=[ARIA.id]))
    result = refresh(memory)

    with pytest.raises(StaleWork):
        decide(do(memory, result), result)


@pytest.mark.parametrize("step", [step for step in Step if step is not Step.REFRESH])
def test_a_result_of_another_sleep_or_of_other_weights_is_stale(step: Step) -> None:
    memory = until(ASLEEP, step)
    result = STEPS[step](memory)
    work = owed(memory)
    for other in (
        replace(work, sleep=SleepId("sleep-2")),
        replace(work, weights=digest("other")),
        replace(work, attempt=2),
        replace(work, facts=IDS[:1]),
        replace(work, step=Step.END if step is Step.AUDIT else Step.AUDIT),
    ):
        with pytest.raises(StaleWork):
            decide(memory, replace(result, work=other))  # type: ignore[arg-type]


@pytest.mark.parametrize("step", [step for step in Step if step is not Step.REFRESH])
def test_a_result_is_stale_once_the_sleep_is_cancelled(step: Step) -> None:
    memory = until(ASLEEP, step)
    result, cancelled = STEPS[step](memory), do(memory, CANCEL)

    for now in (cancelled, do(cancelled, start(sleep=SleepId("sleep-2")))):
        with pytest.raises(StaleWork):
            decide(now, result)


def _without(result: Command) -> Command:
    """`result`, less what it says about one fact."""
    if isinstance(result, RecordAudit):
        return replace(result, audited=result.audited[1:])
    assert isinstance(result, RecordRefresh)
    return replace(result, edit=replace(result.edit, columns=result.edit.columns[1:]))


def test_a_result_that_leaves_out_a_fact_or_speaks_of_another_is_refused() -> None:
    degraded = do(ASLEEP, audit(ASLEEP, degraded=[ARIA.id, CY.id]))
    meets_gate = until(ASLEEP, Step.GATE)
    for memory, result in ((ASLEEP, audit(ASLEEP)), (degraded, refresh(degraded)), (meets_gate, gate(meets_gate))):
        with pytest.raises(StaleWork, match="other facts"):
            decide(memory, _without(result))

    wider = replace(owed(degraded), facts=IDS)
    with pytest.raises(StaleWork, match="other facts"):
        decide(degraded, RecordRefresh(work=owed(degraded), edit=inject(degraded, *wider.facts).edit))


def test_a_delta_computed_on_other_weights_is_refused() -> None:
    degraded, tired = do(ASLEEP, audit(ASLEEP, degraded=[ARIA.id])), until(ASLEEP, Step.TRAIN)
    refreshed, trained = refresh(degraded), train(tired)

    with pytest.raises(StaleWork, match="other weights"):
        decide(degraded, replace(refreshed, edit=replace(refreshed.edit, weights_before=CLEAN)))
    with pytest.raises(StaleWork, match="other weights"):
        decide(tired, RecordTraining(work=trained.work, adapter=replace(trained.adapter, weights_before=CLEAN)))


def test_a_gate_is_not_recorded_as_an_audit_nor_an_audit_as_a_gate() -> None:
    with pytest.raises(StaleWork):
        decide(ASLEEP, replace(audit(ASLEEP), controls=None))
    memory = until(ASLEEP, Step.GATE)
    with pytest.raises(StaleWork):
        decide(memory, replace(gate(memory), controls=audit(ASLEEP).controls))


def test_nothing_of_a_sleep_is_recorded_without_one() -> None:
    for memory in (AWAKE, night(AWAKE)):
        with pytest.raises(StaleWork):
            decide(memory, audit(ASLEEP))
        with pytest.raises(StaleWork):
            decide(memory, RecordEnd(work=owed(until(ASLEEP, Step.END))))


def test_no_fact_is_written_during_a_sleep() -> None:
    told = do(AWAKE, add(DEE))
    result = inject(told, DEE)
    asleep = do(told, start())

    with pytest.raises(StaleWork):
        decide(asleep, result)
    assert decide(do(asleep, CANCEL), result) == injected(result.edit)  # the weights are those it was computed on


def test_a_fact_that_could_not_be_written_when_a_sleep_began_is_tried_again_after_it() -> None:
    told = do(AWAKE, add(DEE))
    failure = fail(told, retry=False)
    asleep = do(told, start())

    with pytest.raises(StaleWork, match="sleep has begun"):
        decide(asleep, failure)
    assert decide(do(asleep, CANCEL), failure)
