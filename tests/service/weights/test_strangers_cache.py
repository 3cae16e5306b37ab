"""Measurements of strangers outlast the process where they are in words of the library."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from benchmarks.support.tiny import make
from core.facts import Fact
from core.ids import FactId
from core.weights.model.editable_model import EditableModel, load_model
from core.weights.model.neurons import marks_at
from core.weights.neuron import strangers
from core.weights.neuron.decoys import decoys
from core.weights.neuron.negatives import Negatives
from core.weights.neuron.relations import ends_about
from core.weights.neuron.strangers import Measured, Strangers
from core.wordings import generated_wordings
from service.weights.strangers_cache import StrangersCache
from store.artifacts import Artifacts
from tests.core.samples import CREATED


@pytest.fixture
def model(tmp_path: Path) -> EditableModel:
    return load_model(make(tmp_path / "base"))


@pytest.fixture
def negatives(model: EditableModel) -> Negatives:
    random = torch.Generator().manual_seed(0)
    text, first, names, held_text, held_names = (
        torch.randn(40, model.hidden_width, generator=random).half() for _ in range(5)
    )
    asked, held_asked = (ends_about(model, 0, decoys(), held_out=held).half() for held in (False, True))
    return Negatives(text, first, names, held_text, held_names, asked=asked, held_asked=held_asked)


def told(subject: str, relation: str, object_: str) -> Fact:
    words = generated_wordings(subject, relation, object_, {})
    return Fact(id=FactId(subject), subject=subject, relation=relation, object=object_, wordings=words)


ARIA = told("Aria Moss", "lives in", "Rome")
MARKS = marks_at("model.layers.0.mlp")


def alike(here: Strangers, there: Strangers) -> bool:
    rows = [part.name for part in fields(Strangers) if part.name != "alike"]
    same = all(torch.equal(getattr(here, name), getattr(there, name)) for name in rows)
    pairs = zip(here.alike, there.alike, strict=True)
    return same and all(torch.equal(a, c) and b == pytest.approx(d) for (a, b), (c, d) in pairs)


def test_another_process_reads_what_was_measured_in_words_of_the_library(
    model: EditableModel, negatives: Negatives, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts = Artifacts(tmp_path / "kept")
    first = Measured(StrangersCache(CREATED.base, artifacts)).strangers(model, MARKS, 0, negatives, ARIA)
    monkeypatch.setattr(strangers, "_measure", lambda *given: pytest.fail("it was measured again"))

    again = Measured(StrangersCache(CREATED.base, artifacts))

    assert alike(again.strangers(model, MARKS, 0, negatives, told("Bo Lind", "lives in", "Oslo")), first)


def test_what_is_not_the_same_is_measured_anew(
    model: EditableModel, negatives: Negatives, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts, runs = Artifacts(tmp_path / "kept"), Counter[str]()
    first = Measured(StrangersCache(CREATED.base, artifacts)).strangers(model, MARKS, 0, negatives, ARIA)

    def counted(*given: object) -> Strangers:
        runs["measured"] += 1
        return first

    monkeypatch.setattr(strangers, "_measure", counted)

    # when the base model, what it reads elsewhere, the block, or the words are others, or the file is damaged
    base = replace(CREATED.base, dtype="bfloat16")
    Measured(StrangersCache(base, artifacts)).strangers(model, MARKS, 0, negatives, ARIA)
    kept = StrangersCache(CREATED.base, artifacts)
    Measured(kept).strangers(model, MARKS, 0, replace(negatives, text=negatives.text + 1), ARIA)
    Measured(kept).strangers(model, MARKS, 1, negatives, ARIA)
    Measured(kept).strangers(model, MARKS, 0, negatives, told("Aria Moss", "speaks", "Finnish"))
    assert runs["measured"] == 4
    for path in (tmp_path / "kept").rglob("*"):
        if path.is_file() and path.parent.name != "measured":
            path.write_bytes(b"damaged")
    Measured(kept).strangers(model, MARKS, 0, negatives, ARIA)
    assert runs["measured"] == 5


def test_words_of_a_client_are_not_kept(model: EditableModel, negatives: Negatives, tmp_path: Path) -> None:
    words = replace(ARIA.wordings, statements=("Aria Moss hides from her creditors in", *ARIA.wordings.statements))
    kept = StrangersCache(CREATED.base, Artifacts(tmp_path / "kept"))

    Measured(kept).strangers(model, MARKS, 0, negatives, replace(ARIA, wordings=words))

    assert not [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
