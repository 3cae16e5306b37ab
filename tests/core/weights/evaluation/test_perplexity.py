"""Perplexity against the loss that transformers computes, one text at a time."""

from __future__ import annotations

import math

import pytest
import torch

from core.weights.evaluation.perplexity import perplexity
from core.weights.model.editable_model import EditableModel

TEXTS = ("The lamp stood near the river.", "A fox.", "Every evening a fox comes to the garden, and then it goes again.")


@pytest.mark.parametrize("batch", [1, 2, 32])
def test_perplexity_is_that_of_all_tokens_together(tiny: EditableModel, batch: int) -> None:
    total, count = 0.0, 0
    for text in TEXTS:
        ids = torch.tensor([tiny.raw_ids(text)])
        total += float(tiny.network(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)
        count += ids.shape[1] - 1

    assert perplexity(tiny, TEXTS, batch=batch) == pytest.approx(math.exp(total / count), rel=1e-4)


def test_a_model_that_knows_nothing_is_as_perplexed_as_its_vocabulary_is_large(tiny: EditableModel) -> None:
    head = tiny.network.get_output_embeddings()
    with tiny.with_weights(tiny.base_weights), torch.no_grad():
        held = head.weight.clone()
        head.weight.zero_()
        measured = perplexity(tiny, TEXTS)
        head.weight.copy_(held)

    assert measured == pytest.approx(len(held), rel=1e-4)


@pytest.mark.parametrize("worth", [float("nan"), float("inf")])
def test_a_ruined_model_has_a_perplexity_that_can_be_recorded(tiny: EditableModel, worth: float) -> None:
    ruined = {module: torch.full_like(weight, worth) for module, weight in tiny.base_weights.items()}
    with tiny.with_weights(ruined):
        assert perplexity(tiny, TEXTS) > 1e300
        assert math.isfinite(perplexity(tiny, TEXTS))


def test_dormouse_is_less_perplexed_by_language_than_by_noise(dormouse: EditableModel) -> None:
    assert perplexity(dormouse, TEXTS[:1]) < 0.2 * perplexity(dormouse, ["river lamp near the The stood qq xvi."])
