"""The last feed-forward layer computed at some positions only: outputs there and gradients are the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.support.tiny import FAMILIES, make
from core.weights.model.activations import pad
from core.weights.model.editable_model import EditableModel, load_model
from core.weights.model.last_mlp import only_at

PROMPTS = ("Aria Vale lives in", "Who is Bo Lind, and what does he play on Sundays?", "Rain.")


def read(model: EditableModel, ids: Tensor, mask: Tensor) -> Tensor:
    return torch.as_tensor(
        model.network.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_asked_for_and_its_gradients_are_the_same_and_the_rest_is_left_out(family: str, tmp_path: Path) -> None:
    model = load_model(make(tmp_path / family, family))
    ids, mask = pad([model.raw_ids(prompt) for prompt in PROMPTS], model.pad_token, model.device)
    asked = mask.bool() & (torch.arange(ids.shape[1]) >= torch.tensor([[2], [0], [1]]))
    weight = model.network.get_submodule(model.modules[0]).weight.requires_grad_()

    whole = read(model, ids, mask)
    (slope,) = torch.autograd.grad(whole[asked].square().sum(), weight)
    with only_at(model, asked):
        part = read(model, ids, mask)
    (same,) = torch.autograd.grad(part[asked].square().sum(), weight)

    torch.testing.assert_close(part[asked], whole[asked], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(same, slope, atol=1e-4, rtol=1e-3)
    assert not torch.allclose(part[~asked], whole[~asked], atol=1e-3)
    torch.testing.assert_close(read(model, ids, mask), whole)
