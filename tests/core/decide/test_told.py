"""Of the facts that a text states, those are added that can be added together."""

from dataclasses import replace

from core.decide.held import addable
from core.decide.limits import MAX_OBJECT
from core.decide.told import why_unusable
from tests.core.samples import ARIA, BO, CREATE, CY, PREPARE, VIOLA, add, after, fact, new_fact


def test_a_fact_that_contradicts_the_memory_or_the_text_before_it_is_left_out() -> None:
    memory = after(CREATE, PREPARE, add(ARIA))
    elsewhere = replace(ARIA, object="Rome")

    chosen = addable(memory, "request-2", [new_fact(one) for one in (elsewhere, CY, VIOLA, ARIA)])

    assert [new.fact for new in chosen] == [CY, ARIA]


def test_a_fact_that_breaks_a_limit_is_left_out_and_the_limit_is_named() -> None:
    long = fact("fact-long", "Bo Lind", "likes", "x" * (MAX_OBJECT + 1))

    assert addable(after(CREATE, PREPARE), "request-1", [new_fact(long), new_fact(BO)]) == (new_fact(BO),)
    assert why_unusable(long).startswith("object: has 201 characters")


def test_a_request_that_repeated_facts_names_the_same_ones_later() -> None:
    memory = after(CREATE, PREPARE, add(ARIA), add(ARIA, request="request-2"))

    assert addable(memory, "request-2", [new_fact(ARIA), new_fact(BO)]) == (new_fact(ARIA),)
