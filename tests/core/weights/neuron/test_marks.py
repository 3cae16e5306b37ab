"""Marks: they move what an MLP further up reads at the end of a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmarks.support.tiny import make
from core.weights.model.editable_model import EditableModel, load_model
from core.weights.model.neurons import marks_at
from core.weights.neuron import marks as of_marks
from core.weights.neuron.inputs import mlp_inputs
from core.weights.neuron.lessons import prompt_of
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


def test_a_mark_moves_ends_less_where_other_directions_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given two marks of one person, learned with and without heed to other directions
    model = load_model(make(tmp_path / "base", scale=0.3))
    upper = len(model.blocks) - 1
    (heeding,) = learn_marks(model, 0, upper, [ARIA])
    monkeypatch.setattr(of_marks, "ASIDE", 0.0)
    (heedless,) = learn_marks(model, 0, upper, [ARIA])

    # then the first moves the ends of prompts less beside the direction that is common to all
    assert beside(model, upper, heeding) < beside(model, upper, heedless)


def beside(model: EditableModel, upper: int, mark: Tensor) -> float:
    """Returns the mean squared change of what the MLP reads at ends that is not common to all of them."""
    prompts = [prompt_of(model, text, ARIA, chat=chat) for text, chat in of_marks._prompts(ARIA)]
    moved = torch.stack(
        [
            read(model, upper, prompt.ids, prompt.name, mark) - read(model, upper, prompt.ids, prompt.name, 0 * mark)
            for prompt in prompts
        ]
    )
    return float((moved - moved.mean(0)).square().sum(1).mean())


def read(model: EditableModel, upper: int, ids: Sequence[int], name: int, mark: Tensor) -> Tensor:
    """Returns what the MLP reads at the end of a prompt with `mark` behind block 0 at its token `name`."""
    seen: list[Tensor] = []

    def add(_: nn.Module, __: object, output: Tensor) -> Tensor:
        return output.index_add(1, torch.tensor([name]), mark[None, None].to(output.dtype))

    mlp = model.blocks[upper].get_submodule(model.family.mlp)
    handles = [
        model.blocks[0].register_forward_hook(add),
        mlp.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])),
    ]
    with torch.no_grad():
        model.network(input_ids=torch.tensor([list(ids)]), use_cache=False)
    for handle in handles:
        handle.remove()
    return seen[0][0, -1].float()
