"""Edits by neurons: which wordings they are judged by."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.weights.memit.edit import unlearned
from core.weights.model.contexts import written_wordings
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.edit import predicted
from tests.core.weights.conftest import fact

ARIA = fact("Aria Moss", "lives in", "Rome")


@pytest.mark.parametrize("count", [1, 3, 12])
def test_a_fact_is_judged_by_its_first_statement_and_its_first_question(tiny: EditableModel, count: int) -> None:
    statements = tuple(f"On day {number}, Aria Moss lives in" for number in range(count))
    told = replace(ARIA, wordings=replace(ARIA.wordings, statements=statements))

    (said,) = predicted(tiny, [told])

    judged = written_wordings(told.wordings)
    assert len(said) == len(judged.statements) + len(judged.questions)
    error = unlearned([told], [said])  # of a model of random weights, which says none of them
    assert error is not None
    assert error.facts == (told.id,)
