"""During a sleep, adapters answer once the gate has judged what they carry, and those that repair once it has ended."""

from __future__ import annotations

from dataclasses import replace

from core.state.answering import answering
from core.state.plan import plan
from core.state.sleep import Step
from tests.core.samples import BO
from tests.core.sleep_samples import (
    ASLEEP,
    AWAKE,
    IDS,
    POLICY,
    audit,
    do,
    gate,
    morning,
    night,
    refresh,
    rescale,
    rescaled,
    start,
    train,
    until,
)


def test_an_adapter_answers_from_the_rescale_on() -> None:
    untrained = until(ASLEEP, Step.TRAIN)
    trained = do(untrained, train(untrained))
    judged = do(trained, gate(trained))
    moved = do(judged, rescale(judged))

    assert plan(trained) != plan(untrained)
    for memory in (trained, judged):
        assert plan(answering(memory)) == plan(untrained)
        assert answering(memory).weights == untrained.weights != memory.weights
    assert answering(moved) == moved


def test_an_adapter_that_repairs_answers_from_the_morning_on() -> None:
    moved = rescaled(do(AWAKE, start(policy=replace(POLICY, repairs=1))))
    harmed = do(moved, audit(moved, controls={"perplexity": 80.0}))
    repaired = do(harmed, train(harmed))

    assert len(repaired.adapters) == len(harmed.adapters) + 1
    assert plan(answering(repaired)) == plan(harmed)
    assert answering(morning(repaired)) == morning(repaired)


def test_the_second_training_of_a_night_leaves_the_weights_of_before_the_first() -> None:
    untrained = until(ASLEEP, Step.TRAIN)
    trained = do(untrained, train(untrained))
    turned_back = do(trained, gate(trained, turned_back=IDS))
    again = do(turned_back, train(turned_back))

    assert len(again.adapters) == 2
    assert plan(answering(again)) == plan(untrained)
    assert answering(again).weights == untrained.weights


def test_a_refresh_after_a_repair_answers_without_the_repair_and_no_event_has_that_digest() -> None:
    moved = rescaled(do(AWAKE, start(policy=replace(POLICY, repairs=1))))
    harmed = do(moved, audit(moved, controls={"perplexity": 80.0}))
    repaired = do(harmed, train(harmed))
    assert answering(repaired).weights == harmed.weights
    degraded = do(repaired, audit(repaired, degraded=[BO.id]))
    refreshed = do(degraded, refresh(degraded))

    assert plan(answering(refreshed)) != plan(harmed)
    assert not {adapter.delta for adapter in refreshed.adapters.values()} <= set(plan(answering(refreshed)).deltas)
    assert answering(refreshed).weights is None


def test_adapters_of_earlier_nights_answer() -> None:
    second = do(night(AWAKE), start())

    assert second.adapters
    assert answering(second) == second
