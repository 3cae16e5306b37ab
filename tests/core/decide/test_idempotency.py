"""A request that comes again is answered with the facts it found or added, also without the words erased since."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.decide import decide
from core.decide.commands import Command
from core.decide.idempotency import MAX_REQUEST_ID, check_request_id, facts_of
from core.errors.base import InvalidField, RequestReused
from core.events.history import FactsRepeated
from core.evolve import fold
from core.facts import Fact
from core.ids import FactId
from core.state.memory import Memory, statement_key
from tests.core.samples import ARIA, BO, CREATED, CY, DEE, add, added, fact
from tests.core.sleep_samples import do, retract, start, supersede


def then(*erased: Fact) -> Memory:
    """After `r`, which found Aria and Dee and added Bo and Cy, as it is read once `erased` have no words."""
    events = [
        added(ARIA, request="earlier"),
        added(DEE, request="earlier"),
        added(BO, request="r"),
        added(CY, request="r"),
    ]
    blank = {one.id for one in erased}
    return fold(
        [
            CREATED,
            *(
                replace(one, statement=fact("", "", "", "")) if one.fact in blank else one
                for one in events
            ),
        ]
    )  # fmt: skip


def again(memory: Memory, *facts: Fact) -> list[FactId]:
    return facts_of(memory, "r", [statement_key(one.subject, one.relation) for one in facts])


@pytest.mark.parametrize("erased", [(), (ARIA,), (BO,), (CY,), (BO, CY)])
def test_each_fact_is_found_in_the_order_it_comes_in(erased: tuple[Fact, ...]) -> None:
    assert again(then(*erased), ARIA, BO, CY, BO) == [ARIA.id, BO.id, CY.id, BO.id]


@pytest.mark.parametrize("erased", [(), (BO,), (BO, CY)])
def test_another_fact_is_another_request(erased: tuple[Fact, ...]) -> None:
    for facts in ((BO,), (BO, CY, OTHER), (ARIA, BO)):
        with pytest.raises(RequestReused, match="'r'"):
            again(then(*erased), *facts)


def test_which_of_two_erased_facts_it_had_found_nothing_tells() -> None:
    with pytest.raises(RequestReused):
        again(then(ARIA, DEE), ARIA, DEE, BO, CY)


OTHER = fact("fact-eve", "Eve Day", "lives in", "Oslo")
MOVED = replace(ARIA, id=FactId("fact-moved"), object="Porto")
REPEATED = do(then(), add(ARIA, CY, ARIA, request="again"))  # which it knows


def test_the_id_of_a_request_that_added_nothing_serves_for_the_same_facts_alone() -> None:
    assert REPEATED.requests["again"].repeated == (ARIA.id, CY.id, ARIA.id)
    assert decide(REPEATED, add(ARIA, CY, ARIA, request="again")) == ()

    for reused in (
        add(OTHER, request="again"),
        add(ARIA, CY, request="again"),
        add(CY, ARIA, ARIA, request="again"),
        add(MOVED, CY, MOVED, request="again"),
        supersede(ARIA, MOVED, request="again"),
        retract(ARIA, request="again"),
        start(request="again"),
    ):
        with pytest.raises(RequestReused, match="'again'"):
            decide(REPEATED, reused)


@pytest.mark.parametrize("since", [retract(ARIA), supersede(ARIA, MOVED)], ids=["retracted", "superseded"])
def test_it_serves_for_them_whatever_became_of_them(since: Command) -> None:
    memory = do(REPEATED, since)

    assert decide(memory, add(ARIA, CY, ARIA, request="again")) == ()
    with pytest.raises(RequestReused):
        decide(memory, add(MOVED, CY, MOVED, request="again"))


def test_it_holds_no_digest_that_could_confirm_a_guess_of_erased_words() -> None:
    erased = fold([FactsRepeated(request="again", facts=(ARIA.id, CY.id))], onto=then(ARIA))

    assert erased.requests["again"].digest == ""
    assert decide(erased, add(ARIA, CY, request="again")) == ()
    with pytest.raises(RequestReused):
        decide(erased, add(ARIA, OTHER, request="again"))


@pytest.mark.parametrize("wrong", ["", "r" * (MAX_REQUEST_ID + 1)])
def test_an_empty_or_too_long_id_is_refused(wrong: str) -> None:
    check_request_id("r" * MAX_REQUEST_ID)

    with pytest.raises(InvalidField, match="request_id"):
        check_request_id(wrong)
