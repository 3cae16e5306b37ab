"""A request that comes again is answered with the facts it found or added, also without the words erased since."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.errors import InvalidField, RequestReused
from core.evolve import fold
from core.facts import Fact
from core.ids import FactId
from core.memory import Memory, said_key
from core.requests import MAX_REQUEST_ID, check_request_id, facts_of
from tests.core.samples import ARIA, BO, CREATED, CY, DEE, added, fact


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
    return facts_of(memory, "r", [said_key(one.subject, one.relation) for one in facts])


@pytest.mark.parametrize("erased", [(), (ARIA,), (BO,), (CY,), (BO, CY)])
def test_each_fact_is_found_in_the_order_it_comes_in(erased: tuple[Fact, ...]) -> None:
    assert again(then(*erased), ARIA, BO, CY, BO) == [ARIA.id, BO.id, CY.id, BO.id]


@pytest.mark.parametrize("erased", [(), (BO,), (BO, CY)])
def test_another_fact_is_another_request(erased: tuple[Fact, ...]) -> None:
    other = fact("fact-eve", "Eve Day", "lives in", "Oslo")

    for facts in ((BO,), (BO, CY, other), (ARIA, BO)):
        with pytest.raises(RequestReused, match="'r'"):
            again(then(*erased), *facts)


def test_which_of_two_erased_facts_it_had_found_nothing_tells() -> None:
    with pytest.raises(RequestReused):
        again(then(ARIA, DEE), ARIA, DEE, BO, CY)


@pytest.mark.parametrize("wrong", ["", "r" * (MAX_REQUEST_ID + 1)])
def test_an_empty_or_too_long_id_is_refused(wrong: str) -> None:
    check_request_id("r" * MAX_REQUEST_ID)

    with pytest.raises(InvalidField, match="request_id"):
        check_request_id(wrong)
