"""A base model's answers to held-out questions are generated once, and no words of a fact are kept with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.support.tiny import make
from core.events.memory import BaseModel
from core.ids import Digest
from core.weights.model.editable_model import EditableModel, load_model
from core.weights.model.generation import generate_ids
from service.weights import continuations
from service.weights.continuations import Continuations
from store.artifacts import Artifacts
from tests.core.samples import CREATED

TEXT = Digest("0" * 64)
HELD_OUT = ("Every evening a fox", "The old lamp", "Clara")


@pytest.fixture
def model(tmp_path: Path) -> EditableModel:
    return load_model(make(tmp_path / "base"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the number of prompts of each batch that is generated."""
    counts: list[int] = []

    def counted(
        model: EditableModel, prompts: Sequence[Sequence[int]], *, sentence: bool, share: bool
    ) -> list[list[int]]:
        counts.append(len(prompts))
        return generate_ids(model, prompts, sentence=sentence, share=share)

    monkeypatch.setattr(continuations, "generate_ids", counted)
    return counts


def test_another_memory_on_the_base_model_finds_what_was_generated(
    model: EditableModel, tmp_path: Path, asked: list[int]
) -> None:
    artifacts = Artifacts(tmp_path / "artifacts")
    prompts = [tuple(model.raw_ids(text)) for text in HELD_OUT]
    about_a_fact = tuple(model.raw_ids("Aria Moss lives in"))
    expected = generate_ids(model, [*prompts, about_a_fact], sentence=True)

    def opened(base: BaseModel = CREATED.base) -> Continuations:
        return Continuations(model, base, TEXT, artifacts, prompts)

    # given a memory with edited weights, which asks for them in two audits and for a prompt that names a person
    model.install({module: weight + torch.randn_like(weight) for module, weight in model.base_weights.items()})
    first = opened()
    said = [*first.of(prompts[:2]), *first.of(prompts[2:]), *first.of([about_a_fact]), *first.of(prompts)]
    assert said == [*expected, *expected[:3]]
    assert sum(asked) == 4

    # when another memory asks, then only the prompt that is not of the reference text is generated anew
    assert opened().of([*prompts, about_a_fact]) == expected
    assert sum(asked) == 5
    assert len(artifacts.list()) == 1

    # and of another base model nothing is known
    opened(replace(CREATED.base, digest=Digest("1" * 64))).of(prompts[:1])
    assert sum(asked) == 6
