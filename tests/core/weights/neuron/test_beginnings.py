"""Beginnings: what is computed behind them is what is computed on whole texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from benchmarks.support.tiny import make
from core.weights.model.editable_model import EditableModel, load_model
from core.weights.neuron import beginnings as module
from core.weights.neuron import inputs
from core.weights.neuron.beginnings import Beginnings
from core.weights.neuron.inputs import mlp_inputs
from core.weights.neuron.subjects import Text, asked_about, own_texts, text_of


@pytest.fixture
def model(tmp_path: Path) -> EditableModel:
    return load_model(make(tmp_path / "base", scale=0.3))  # weights so large that a token heeds earlier ones


def texts_about(model: EditableModel, name: str) -> list[Text]:
    """Chats and raw texts, among them the name alone, one behind a chat's head, and one with the name twice."""
    asked = asked_about(model, [name] * 8, Random(0), 4)
    bare = text_of(model, model.chat_text([], f"{name} asked."), name, chat=True).until_name()
    twice = text_of(model, f"{name} is the sister of {name}", name, chat=False).until_name()
    return [*own_texts(model, name, 12).trained, text_of(model, name, name, chat=False), *asked, bare, twice]


def read_whole(model: EditableModel, text: Text) -> torch.Tensor:
    *rows, _ = mlp_inputs(model, 1, [text.ids, text.ids[:1]])  # the second, so that nothing is common
    return rows[0]


def test_inputs_behind_beginnings_are_those_of_whole_texts(model: EditableModel) -> None:
    kept = Beginnings()
    for name in ("Aria Moss", "Bo Lind"):  # the second one behind beginnings that are known
        texts = texts_about(model, name)
        for text, rows in zip(texts, kept.inputs(model, 1, texts), strict=True):
            torch.testing.assert_close(rows, read_whole(model, text)[-len(rows) :], rtol=1e-4, atol=1e-4)
            assert len(text.ids) - len(rows) <= text.begin


def test_known_beginnings_are_not_run_again(model: EditableModel, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, run = Beginnings(), list[int]()
    plain = inputs.read_behind

    def counted(model: EditableModel, block: int, texts: Sequence[Sequence[int]], *given: Any) -> list[torch.Tensor]:
        run.append(sum(map(len, texts)))
        return plain(model, block, texts, *given)

    monkeypatch.setattr(module, "read_behind", counted)
    texts = texts_about(model, "Aria Moss")
    kept.inputs(model, 1, texts)
    first, names = sum(run), sum(len(text.ids) - text.begin for text in texts)
    assert first > names + 20

    kept.inputs(model, 1, texts)
    assert sum(run) - first == names


def test_beginnings_are_dropped_where_they_take_too_much(model: EditableModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BYTES", 0)
    kept, texts = Beginnings(), texts_about(model, "Aria Moss")

    before, again = kept.inputs(model, 1, texts), kept.inputs(model, 1, texts)

    for rows, same in zip(before, again, strict=True):
        torch.testing.assert_close(rows, same)
