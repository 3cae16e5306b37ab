"""What was computed while a fact's columns were in the weights, and would miss them."""

from dataclasses import replace

from core.facts import Fact
from core.state.built_on import is_built_on
from core.state.memory import Memory
from core.state.sleep import Step
from tests.core.samples import ARIA, BO, CY, DEE, add
from tests.core.sleep_samples import (
    CANCEL,
    awake,
    compact,
    dissolved,
    do,
    inject,
    night,
    rescaled,
    retract,
    start,
    train,
    until,
    withdraw,
)


def told(memory: Memory, *facts: Fact) -> Memory:
    """`memory` with `facts` written by one more edit."""
    memory = do(memory, add(*facts, request=f"told-{facts[0].id}"))
    return do(memory, inject(memory, *facts))


def test_the_last_edit_bears_nothing() -> None:
    memory = told(awake(ARIA), BO)

    assert not is_built_on(memory, BO.id)


def test_an_earlier_edit_bears_those_that_were_written_on_it() -> None:
    memory = told(awake(ARIA), BO)

    assert is_built_on(memory, ARIA.id)


def test_facts_of_one_edit_do_not_bear_one_another() -> None:
    memory = awake(ARIA, BO)

    assert not is_built_on(memory, ARIA.id)
    assert not is_built_on(memory, BO.id)


def test_an_edit_that_has_left_was_borne_by_nobody() -> None:
    memory = do(told(awake(ARIA), BO), retract(BO))

    assert not is_built_on(do(memory, withdraw(memory)), ARIA.id)


def test_a_counter_edit_is_an_edit_like_any_other() -> None:
    memory = do(told(awake(ARIA), BO, CY), retract(ARIA))

    assert is_built_on(do(memory, withdraw(memory, counter=True)), BO.id)


def test_adapters_are_built_on_the_facts_they_learned() -> None:
    assert is_built_on(night(awake(ARIA)), ARIA.id)
    assert is_built_on(dissolved(ARIA), ARIA.id)


def test_adapters_of_a_night_that_was_undone_are_not() -> None:
    memory = do(rescaled(do(awake(ARIA), start())), CANCEL)

    assert not is_built_on(memory, ARIA.id)


def test_an_adapter_trained_beside_columns_that_it_did_not_learn_was_built_on_them_all_the_same() -> None:
    memory = until(do(awake(ARIA, BO), start(), retract(ARIA)), Step.TRAIN)
    training = train(memory)
    memory = do(memory, replace(training, adapter=replace(training.adapter, facts=(BO.id,))))

    assert is_built_on(memory, ARIA.id)


def test_a_fact_told_after_a_night_bears_nothing_of_it() -> None:
    memory = told(dissolved(ARIA, BO), CY)

    assert not is_built_on(memory, CY.id)


def test_a_compaction_sums_up_what_was_trained_before() -> None:
    memory = told(dissolved(ARIA, BO), CY)
    memory = do(memory, compact(memory))

    assert not is_built_on(memory, CY.id)
    assert is_built_on(memory, ARIA.id)
    assert is_built_on(told(memory, DEE), CY.id)
