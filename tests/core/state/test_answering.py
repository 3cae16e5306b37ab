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
    POLICY,
    audit,
    do,
    gate,
    morning,
    night,
    rescale,
    rescaled,
    retract,
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
    assert plan(answering(trained)) == plan(answering(judged)) == plan(untrained)
    assert answering(trained).weights is None  # so that nothing is compared with the digest of the adapter's weights
    assert answering(moved) == moved


def test_an_adapter_that_repairs_answers_from_the_morning_on() -> None:
    moved = rescaled(do(AWAKE, start(policy=replace(POLICY, repairs=1))))
    harmed = do(moved, audit(moved, controls={"perplexity": 80.0}))
    repaired = do(harmed, train(harmed))

    assert len(repaired.adapters) == len(harmed.adapters) + 1
    assert plan(answering(repaired)) == plan(harmed)
    assert answering(morning(repaired)) == morning(repaired)


def test_what_is_taken_back_meanwhile_does_not_answer() -> None:
    untrained = until(ASLEEP, Step.TRAIN)
    trained = do(untrained, train(untrained), retract(BO))

    assert plan(answering(trained)).terms == plan(replace(trained, adapters=untrained.adapters)).terms


def test_adapters_of_earlier_nights_answer() -> None:
    second = do(night(AWAKE), start())

    assert second.adapters
    assert answering(second) == second
