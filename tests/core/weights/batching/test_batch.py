"""Rows that join and leave a batch at any token say what they say alone, each with weights of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.support.tiny import make
from core.weights.batching.batch import Batch, Row
from core.weights.batching.mixed import Mixed, RowWeights, row_weights
from core.weights.model.editable_model import EditableModel, load_model
from core.weights.model.generation import decode, most_likely
from core.weights.model.neurons import marks_at
from core.weights.model.nucleus import Nucleus

TEXTS = (
    "Clara",
    "The old lamp stood near the river and the cousin said that",
    "Every evening a fox",
    "Ann Lee lives in",
    "Where does Bo Moss live? The lamp",
)
TOKENS = 10
FAMILIES = ("llama", "gemma2", "gemma3_text", "gpt2", "gpt_neox", "olmo2")  # sliding attention, Conv1D, norms behind


@dataclass
class Asked:
    """What is generated, after how many steps of the batch, and up to how many tokens."""

    prompt: list[int]
    weights: dict[str, Tensor] = field(default_factory=dict)
    after: int = 0
    tokens: int = TOKENS


def alone(model: EditableModel, asked: Asked) -> list[int]:
    """Tokens of `asked` with its weights installed on a model of its own."""
    own = model.clone()
    own.install(asked.weights)
    with torch.inference_mode():
        return [tokens[0] for tokens in decode(own, [asked.prompt], asked.tokens)]


def together(model: EditableModel, asked: Sequence[Asked]) -> list[list[int]]:
    """Tokens of each of `asked` in one batch."""
    batch = Batch(Mixed(model))
    said: list[list[int]] = [[] for _ in asked]
    rows = dict[Row, int]()
    step = 0
    while step <= max(it.after for it in asked) or rows:
        for number, it in enumerate(asked):
            if it.after == step:
                row = batch.join(it.prompt, row_weights(model, it.weights), most_likely)
                rows[row], said[number] = number, [row.token]
        batch.leave(done := [row for row, number in rows.items() if len(said[number]) == asked[number].tokens])
        for row in done:
            del rows[row]
        assert batch.rows == list(rows)
        if rows:
            assert batch.step() == [None] * len(rows)
            for row, number in rows.items():
                said[number].append(row.token)
        step += 1
    return said


def edited(model: EditableModel, seed: int) -> dict[str, Tensor]:
    """Weights that say something else: matrices, neurons and marks."""
    generator = torch.Generator().manual_seed(seed)
    weights = {
        module: model.base_weights[module] + 0.1 * torch.randn(model.base_weights[module].shape, generator=generator)
        for module in model.modules
    }
    block = model.family.blocks
    for name in (mlp := f"{block}.1.{model.family.mlp}", marks_at(mlp)):
        weights[name] = torch.randn(3, 2 * model.hidden_width + 1, generator=generator)
    return weights


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> EditableModel:
    return load_model(make(tmp_path_factory.mktemp(request.param) / "base", request.param))


def test_a_row_alone_says_what_generation_gives_with_its_weights_installed(model: EditableModel) -> None:
    for weights in ({}, edited(model, 1)):
        asked = Asked(model.raw_ids(TEXTS[1]), weights)

        assert together(model, [asked]) == [alone(model, asked)]


def test_rows_that_join_and_leave_at_any_token_say_what_they_say_alone(model: EditableModel) -> None:
    asked = [
        Asked(model.raw_ids(text), after=after, tokens=tokens)
        for text, after, tokens in zip(TEXTS, (0, 0, 3, 3, 15), (10, 4, 12, 1, 5), strict=True)
    ]

    assert together(model, asked) == [alone(model, it) for it in asked]


def test_rows_of_several_memories_and_versions_have_their_own_weights(model: EditableModel) -> None:
    weights = [edited(model, 1), {}, edited(model, 2), edited(model, 1), {}]
    asked = [
        Asked(model.raw_ids(TEXTS[2]), its, after=after) for its, after in zip(weights, (0, 0, 1, 2, 5), strict=True)
    ]

    said = together(model, asked)

    assert said == [alone(model, it) for it in asked]
    assert len({tuple(tokens) for tokens in said}) == 3


def test_a_row_is_drawn_by_its_own_seed(tiny: EditableModel) -> None:
    batch, prompt = Batch(Mixed(tiny)), tiny.raw_ids("Clara")
    first = [batch.join(prompt, row_weights(tiny, {}), Nucleus(seed, tiny.device, 2.0, 1.0)) for seed in (1, 2, 1)]
    tokens = [[row.token] for row in first]
    for _ in range(6):
        batch.step()
        for said, row in zip(tokens, first, strict=True):
            said.append(row.token)

    assert tokens[0] == tokens[2] != tokens[1]


def test_a_row_that_cannot_be_chosen_for_does_not_end_the_others(tiny: EditableModel) -> None:
    def fail(_: Tensor) -> Tensor:
        raise ValueError("no number")

    batch, prompt = Batch(Mixed(tiny)), tiny.raw_ids("Clara")
    rows = [batch.join(prompt, row_weights(tiny, {}), most_likely) for _ in range(2)]
    rows[0].choose = fail

    failure, none = batch.step()

    assert isinstance(failure, ValueError)
    assert none is None


def test_what_a_memory_did_not_edit_is_the_base_models_own(tiny: EditableModel) -> None:
    first, *others = tiny.modules
    weights: RowWeights = row_weights(tiny, {name: tensor.clone() for name, tensor in tiny.base_weights.items()})
    changed = row_weights(tiny, {first: tiny.base_weights[first] + 1})

    assert weights.nbytes(tiny) == 0
    assert changed.nbytes(tiny) == tiny.base_weights[first].nbytes
    assert all(changed.matrices[module] is tiny.base_weights[module] for module in others)


def test_the_model_that_is_shared_stays_as_it_is(tmp_path: Path) -> None:
    model = load_model(make(tmp_path / "base"))
    before = model.digest()

    together(model, [Asked(model.raw_ids(TEXTS[0]), edited(model, 1))])

    assert model.digest() == before
