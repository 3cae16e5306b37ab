"""What stands in for the lower blocks in training: nothing that anybody could tell by the hidden states."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.support.tiny import FAMILIES, make
from core.weights.model.activations import pad
from core.weights.model.editable_model import EditableModel, load_model
from core.weights.model.lower_layers import below

PROMPTS = ("Aria Vale lives in", "Who is Bo Lind, and what does he play on Sundays?", "Rain.")


def read(model: EditableModel, texts: list[list[int]]) -> Tensor:
    ids, mask = pad(texts, model.pad_token, model.device)
    with torch.no_grad():
        hidden = model.network.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    return torch.as_tensor(hidden)[mask.bool()]


@pytest.mark.parametrize("family", FAMILIES)
def test_texts_are_read_alike_after_any_change_of_the_edited_modules(family: str, tmp_path: Path) -> None:
    model = load_model(make(tmp_path / family, family))
    texts = [model.raw_ids(prompt) for prompt in PROMPTS]
    before = model.digest()

    lower = below(model, texts)

    assert model.digest() == before
    assert (lower is None) == (model.family.adds != model.family.mlp)  # a norm stands between the module and the sum
    if lower is None:
        return
    draw = torch.Generator().manual_seed(1)
    changed = {
        module: weight + 0.1 * torch.randn(weight.shape, generator=draw)
        for module, weight in model.base_weights.items()
    }
    model.install(changed)
    blocks = list(model.blocks)
    whole = read(model, texts[::-1])
    with lower.standing_in(model, texts[::-1]):
        assert list(model.blocks) != blocks
        short = read(model, texts[::-1])
    assert list(model.blocks) == blocks
    torch.testing.assert_close(short, whole, atol=1e-4, rtol=1e-3)


def test_of_nothing_nothing_is_known(tiny: EditableModel) -> None:
    assert below(tiny, []) is None
