"""Edits by neurons: which wordings they are judged by, and how one that was interrupted goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from core.events.facts import Certificate
from core.texts import same_words
from core.weights.deltas.neurons import encode_neurons
from core.weights.memit.edit import unlearned
from core.weights.model.contexts import written_wordings
from core.weights.model.editable_model import EditableModel
from core.weights.neuron import edit
from core.weights.neuron.asked import FactDetectors
from core.weights.neuron.detectors import Detector
from core.weights.neuron.edit import TOGETHER, Mark, Standing, Written, compute_neurons, predicted
from core.weights.neuron.negatives import Negatives
from core.weights.neuron.sites import Site
from core.weights.neuron.strangers import Measured
from core.weights.neuron.values import Values
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


class Interrupted(Exception):
    """Ends a process in the middle of its work."""


def test_values_that_were_learned_before_an_interruption_are_not_learned_again(
    tiny: EditableModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given facts of two parts with neurons of their own, and a process that ends after the first part
    facts = [fact("Aria Moss", f"relation {number}", "Rome") for number in range(TOGETHER + 2)]
    learned: list[list[int]] = []
    stored: dict[tuple[int, ...], Values] = {}
    wide = tiny.hidden_width

    class Store:
        def get(self, part: Sequence[int]) -> Values | None:
            return stored.get(tuple(part))

        def put(self, part: Sequence[int], values: Values) -> None:
            stored[tuple(part)] = values

    certificate = Certificate(own=1.0, others=0.0, low=0.2, high=0.8, false_fires=0.0)
    detector = Detector(torch.ones(wide), -0.5, 1.0, certificate)
    u, v = encode_neurons(torch.ones(1, wide), torch.tensor([-0.5]), torch.ones(1, wide))
    nothing = torch.zeros(2, wide)
    standing = {number: Standing(FactDetectors(detector, detector), nothing, nothing) for number in range(len(facts))}

    def learn(
        model: EditableModel, lower: Site, upper: Site, _: Any, part: Sequence[int], *__: Any
    ) -> tuple[Any, Values]:
        if learned and not stored.get(tuple(part)) and len(learned) == ends_after:
            raise Interrupted
        learned.append(list(part))
        values = torch.stack([torch.full((wide,), float(member)) for member in part for _ in range(2)])
        losses = torch.zeros(len(part))
        return [standing[member].heard for member in part], Values(values, values.norm(dim=1), losses, losses, 0.0, 1)

    def computed(kept: Store | None) -> Written:
        text = torch.zeros(4, wide).half()
        lower, upper = [Site(name, Negatives(text, text, text, text, text)) for name in list(tiny.neurons)[:2]]
        marks = {same_words("Aria Moss"): Mark(u, v, certificate, 1.0)}
        return compute_neurons(tiny, lower, upper, facts, Measured(), marks, standing, kept=kept)

    monkeypatch.setattr(edit, "_at_ends", learn)
    ends_after = 1
    with pytest.raises(Interrupted):
        computed(Store())
    assert learned == [list(range(TOGETHER))]

    # when another begins anew, then it learns the second part alone, and the outcome is that of one that did not end
    ends_after = 100
    resumed = computed(Store())
    assert learned[1:] == [[TOGETHER, TOGETHER + 1]]
    whole = computed(None)
    assert resumed.delta.to_bytes() == whole.delta.to_bytes()
    assert resumed.lengths == whole.lengths
