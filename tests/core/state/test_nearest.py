"""Which dissolved facts an edit must leave alone."""

from dataclasses import replace

from core.ids import FactId
from core.state.nearest import nearest_dissolved
from tests.core.samples import ARIA, BO, CY, DEE, fact
from tests.core.sleep_samples import awake, dissolved, do, retract

ADAPTED = dissolved(BO, CY, DEE, ARIA)


def test_those_about_the_subject_come_first_and_then_those_of_the_relation() -> None:
    near = [fact("new-1", "cy  ames", "studied", "law"), fact("new-2", "Eli Poe", "Lives in", "Rome")]

    assert nearest_dissolved(ADAPTED, near, 10) == [CY, ARIA, BO, DEE]


def test_no_more_than_wanted() -> None:
    assert nearest_dissolved(ADAPTED, [replace(DEE, id=FactId("new"), object="Greek")], 1) == [DEE]


def test_facts_that_edits_carry_protect_themselves() -> None:
    assert nearest_dissolved(awake(ARIA, BO), [CY], 10) == []


def test_a_fact_that_is_written_again_is_none_of_them() -> None:
    assert nearest_dissolved(ADAPTED, [BO, DEE], 10) == [CY, ARIA]


def test_a_fact_that_was_taken_back_is_none_of_them() -> None:
    assert nearest_dissolved(do(ADAPTED, retract(CY)), [], 10) == [BO, DEE, ARIA]
