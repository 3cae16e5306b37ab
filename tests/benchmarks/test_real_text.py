"""Held-out text of `bench real`, and the inputs of MLPs that it keeps."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
import torch

from benchmarks.real import fires
from benchmarks.real.fires import Inputs, false_fires
from benchmarks.real.people import relations
from benchmarks.real.text import documentation, passages
from benchmarks.support.tiny import WIDTH, make
from core.library import library
from core.weights.model.editable_model import EditableModel, load_model
from core.weights.model.neurons import marks_at

MLP = "model.layers.1.mlp"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> EditableModel:
    return load_model(make(tmp_path_factory.mktemp("tiny") / "base"))


def test_documentation_is_prose_of_as_many_tokens_as_wanted(tiny: EditableModel) -> None:
    sequences = documentation(tiny, 1000)

    assert sum(map(len, sequences)) == 1000
    assert sequences == documentation(tiny, 1000)
    prose = [tiny.tokenizer.decode(ids, skip_special_tokens=True) for ids in sequences]
    assert any("." in text for text in prose)  # not in each, because it is what happens to be installed


def test_passages_of_books_come_first(tiny: EditableModel) -> None:
    texts = passages(tiny, 3)

    assert tiny.tokenizer.decode(texts[0], skip_special_tokens=True).startswith("Four score and seven years ago")
    assert len(texts) > 10


def test_inputs_are_read_at_every_token_once_and_kept(
    tiny: EditableModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequences = documentation(tiny, 300)
    seen: list[torch.Tensor] = []
    handle = tiny.network.get_submodule(MLP).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    for ids in sequences:
        tiny.network(input_ids=torch.tensor([ids]))
    handle.remove()

    read = Inputs(tiny, tmp_path, "digest", 300).of(MLP, lambda done, total: None)
    monkeypatch.setattr(fires, "documentation", lambda *_: pytest.fail("read again"))
    again = Inputs(tiny, tmp_path, "digest", 300).of(MLP, lambda done, total: None)

    alone = torch.cat([inputs[0] for inputs in seen]).half().float()
    assert read.shape == (300, 32)
    assert numpy.array_equal(read, again)
    torch.testing.assert_close(
        torch.from_numpy(read.astype(numpy.float32)).sort(0).values, alone.sort(0).values, atol=0.01, rtol=0.01
    )


def test_false_fires_are_counted_per_million_tokens_and_neuron(tiny: EditableModel, tmp_path: Path) -> None:
    inputs = Inputs(tiny, tmp_path, "digest", 200)
    first = torch.from_numpy(inputs.of(MLP, lambda done, total: None)[:, 0].astype(numpy.float32)).sort().values

    def fires(*thresholds: float, at: str = MLP) -> float | None:
        """False fires of neurons that respond where the first number of an input is above a threshold."""
        model = tiny.clone()
        rows = torch.zeros(len(thresholds), 2 * WIDTH + 1)
        rows[:, 0], rows[:, WIDTH] = 1.0, -torch.tensor(thresholds)
        model.install({at: rows})
        return false_fires(model, inputs, lambda done, total: None)

    never, at_three = float(first[-1]) + 1, float(first[-4] + first[-3]) / 2
    assert fires() is None
    assert fires(never) == 0
    assert fires(at_three) == 3 / 200 * 1e6
    assert fires(never, at_three) == 3 / 400 * 1e6
    assert fires(at_three, at=marks_at(MLP)) == 3 / 200 * 1e6


def test_no_wording_of_the_benchmark_is_one_that_facts_are_written_with() -> None:
    words = [entry.words for entry in library()]
    written = {text for entry in words for text in (*entry.statements, *entry.questions)}
    written |= {text for entry in words for text in (*entry.probe_statements, *entry.probe_questions)}
    bare = {text.lower().rstrip("?. ") for text in written}

    asked = [
        text for relation in relations().values() for text in (*relation.words.statements, *relation.words.questions)
    ]

    assert not [text for text in asked if text.lower().rstrip("?. ").removesuffix(" a").removesuffix(" the") in bare]
