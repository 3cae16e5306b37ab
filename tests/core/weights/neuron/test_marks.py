"""Marks: they move what an MLP further up reads at the end of a prompt."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmarks.support.tiny import make
from core.weights.model.editable_model import load_model
from core.weights.model.neurons import marks_at
from core.weights.neuron.inputs import mlp_inputs
from core.weights.neuron.marks import SHARE, learn_marks

ARIA = "Aria Moss"


def test_a_mark_moves_what_the_upper_mlp_reads_where_a_prompt_ends(tmp_path: Path) -> None:
    # given a model of weights so large that a token heeds earlier ones
    model = load_model(make(tmp_path / "base", scale=0.3))
    upper = len(model.blocks) - 1
    taken: list[int] = []

    # when marks of two people are learned
    marks = learn_marks(model, 0, upper, [ARIA, "Bo Lind"], lambda done, total: taken.append(done))

    # then each is of the width of the model, and the first moves what is read behind its name
    assert marks.shape == (2, model.hidden_width)
    assert not torch.equal(marks[0], marks[1])
    assert taken == list(range(len(taken)))
    prompt = model.raw_ids(f"By the river {ARIA} lives in")
    (before,) = mlp_inputs(model, upper, [prompt])
    everywhere = torch.cat([torch.zeros(1, model.hidden_width), torch.ones(1, 1), marks[:1]], dim=1)
    model.install({marks_at(next(iter(model.neurons))): everywhere})  # at all tokens, the name among them
    (after,) = mlp_inputs(model, upper, [prompt])
    assert float((after[-1] - before[-1]).norm() / before[-1].norm()) > SHARE / 2
