"""Likelihoods without logits: equal to those of the logits, gradients too."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.support.tiny import make
from core.weights import likelihood as module
from core.weights.likelihood import likelihood, likely, with_gradient
from core.weights.model.editable_model import EditableModel, load_model


@pytest.fixture
def model(tmp_path: Path) -> EditableModel:
    return load_model(make(tmp_path / "base", scale=0.5))


@pytest.mark.parametrize("rows", [3, 256])
@pytest.mark.parametrize("biased", [False, True])
def test_a_divergence_and_its_gradient_are_those_of_the_logits(
    model: EditableModel, monkeypatch: pytest.MonkeyPatch, rows: int, biased: bool
) -> None:
    monkeypatch.setattr(module, "ROWS", rows)
    if biased:
        head = model.network.get_output_embeddings()
        head.bias = torch.nn.Parameter(torch.randn(len(head.weight)))
    hidden = torch.randn(7, model.hidden_width, requires_grad=True)
    base = torch.randn(7, model.hidden_width)
    targets = model.unembed(hidden).argmax(-1)
    targets[::2] += 1

    # given the divergence from what is expected at `base`, computed from logits
    before, after = (model.unembed(state).log_softmax(-1) for state in (base, hidden))
    expected = (before.exp() * (before - after)).sum(-1)
    (wanted,) = torch.autograd.grad(expected.sum(), hidden)

    # when it is computed without them
    head, places = likely(model, torch.cat([base, hidden.detach()]), targets)
    at_base, now = likelihood(head, base, places), likelihood(head, hidden.detach(), places)
    divergence = with_gradient(hidden, now) - at_base.normalizer - ((hidden - base) * at_base.mean).sum(-1)
    (gradient,) = torch.autograd.grad(divergence.sum(), hidden)

    torch.testing.assert_close(divergence, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(gradient, wanted, atol=1e-4, rtol=1e-4)
    assert now.likeliest.tolist() == [False, True] * 3 + [False]
    assert float(expected.detach().min()) > 0.01


def test_no_position_has_no_likelihood(model: EditableModel) -> None:
    no_state, no_token = torch.zeros(0, model.hidden_width), torch.zeros(0, dtype=torch.long)

    nothing = likelihood(likely(model, no_state, no_token)[0], no_state, no_token)

    assert len(nothing.normalizer) == len(nothing.likeliest) == 0
    assert nothing.mean.shape == (0, model.hidden_width)


def test_a_head_holds_the_tokens_that_are_expected_and_the_targets(
    model: EditableModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIKELY", 10)
    hidden = 3 * torch.randn(4, model.hidden_width, generator=torch.Generator().manual_seed(0))
    expected = model.unembed(hidden).softmax(-1)
    targets = expected.argmin(-1)

    head, places = likely(model, hidden, targets)

    # then a target is found at its place, however unlikely, and the likeliest token of each position is there
    weight = model.network.get_output_embeddings().weight
    assert len(head.weight) == len(head.bias) == 10
    assert torch.equal(head.weight[places], weight[targets])
    for token in expected.argmax(-1):
        assert (head.weight == weight[token]).all(1).any()
