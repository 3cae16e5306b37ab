"""One pass finds the same answers unchanged as generation does."""

from __future__ import annotations

import torch

from core.weights.evaluation.unchanged import predicts_answers
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import generate_ids


def test_it_is_what_generating_again_would_find(tiny: EditableModel) -> None:
    prompts = [tiny.raw_ids(f"{name} lives in") for name in ("Aria Moss", "Bo", "Cy Ames", "Dee Orr of Rome")]
    prompts += [tiny.chat_ids([], f"Where does {name} live?") for name in ("Aria Moss", "Bo", "Cy Ames")]
    before = generate_ids(tiny, prompts, sentence=True)
    assert all(predicts_answers(tiny, prompts, before))

    verdicts = set()
    generator = torch.Generator().manual_seed(1)
    for size in (0.002, 0.02, 0.05, 0.1):
        moved = {
            module: weight + size * torch.randn(weight.shape, generator=generator)
            for module, weight in tiny.base_weights.items()
        }
        with tiny.with_weights(moved):
            same = predicts_answers(tiny, prompts, before)
            assert same == [
                now == was for now, was in zip(generate_ids(tiny, prompts, sentence=True), before, strict=True)
            ]
        verdicts |= set(same)
    assert verdicts == {True, False}
