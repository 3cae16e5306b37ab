"""How far a model is from its base model."""

from __future__ import annotations

import pytest
import torch

from core.weights.evaluation.divergence import divergence
from core.weights.evaluation.perplexity import LARGEST
from core.weights.model.editable_model import EditableModel

TEXTS = ["The lamp stood near the river.", "Every evening a fox comes to the garden and looks at the pond."]


@pytest.fixture
def edited(dormouse: EditableModel) -> EditableModel:
    model = dormouse.clone()
    model.install({module: 1.5 * weight for module, weight in model.base_weights.items()})
    return model


def test_the_base_model_is_at_no_distance_from_itself(dormouse: EditableModel) -> None:
    texts = [dormouse.raw_ids(text) for text in TEXTS]

    assert divergence(dormouse, texts) == 0.0
    assert divergence(dormouse, texts, last=True) == 0.0
    assert divergence(dormouse, []) == 0.0


def test_it_is_the_mean_over_tokens_or_over_last_tokens(edited: EditableModel) -> None:
    texts = [edited.raw_ids(text) for text in TEXTS]
    apart, weights = [_of_each_token(edited, text) for text in texts], edited.digest()

    together, last = divergence(edited, texts), divergence(edited, texts, last=True)

    assert together == pytest.approx(float(torch.cat(apart).mean()), rel=1e-3)
    assert last == pytest.approx(sum(float(kl[-1]) for kl in apart) / 2, rel=1e-3)
    assert edited.digest() == weights  # the edited weights are live again


def test_a_distance_that_is_not_a_number_is_recorded_as_the_largest(edited: EditableModel) -> None:
    edited.install({module: weight * float("nan") for module, weight in edited.base_weights.items()})

    assert divergence(edited, [edited.raw_ids(TEXTS[0])]) == LARGEST


def _of_each_token(model: EditableModel, text: list[int]) -> torch.Tensor:
    ids = torch.tensor([text])
    with torch.inference_mode():
        now = model.network(input_ids=ids).logits[0].log_softmax(-1)
        with model.with_weights(model.base_weights):
            before = model.network(input_ids=ids).logits[0].log_softmax(-1)
    return (before.exp() * (before - now)).sum(-1)
