"""Negatives: what they hold of each MLP, and what they leave out where a subject is spoken of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.support.tiny import REFERENCE, make
from core.weights.model.editable_model import EditableModel, load_model
from core.weights.model.reference_text import read_reference
from core.weights.neuron.inputs import inputs_at, mlp_inputs
from core.weights.neuron.negatives import NAMED, Negatives, measure_negatives
from core.weights.reference.words import lines, technical


@pytest.fixture
def model(tmp_path: Path) -> EditableModel:
    return load_model(make(tmp_path / "base", scale=0.3))


@pytest.fixture
def measured(model: EditableModel) -> dict[int, Negatives]:
    reference = read_reference(model, "".join(json.dumps(row) + "\n" for row in REFERENCE).encode())
    return measure_negatives(model, {0: 12, 1: 4}, reference)


def test_a_pass_reads_the_mlps_of_several_blocks_as_a_pass_for_each_does(model: EditableModel) -> None:
    texts = [model.raw_ids(paragraph)[:40] for paragraph in technical()[:9]]

    together = inputs_at(model, (1, 0), texts)

    for place, block in ((0, 1), (1, 0)):
        for rows, alone in zip((text[place] for text in together), mlp_inputs(model, block, texts), strict=True):
            assert torch.equal(rows, alone)


def test_each_row_of_text_is_what_the_mlp_reads_behind_its_tokens(
    model: EditableModel, measured: dict[int, Negatives]
) -> None:
    texts = {tuple(ids): ids for paragraph in technical() if len(ids := model.raw_ids(paragraph)[:128]) > NAMED}
    ids = next(iter(texts.values()))
    rows = {block: inputs_at(model, (block,), [ids, [ids[0] + 1, 0]])[0][0] for block in measured}

    for block, negatives in measured.items():
        assert len(negatives.text) == len(negatives.tokens)
        assert len(negatives.held_text) == len(negatives.held_tokens)
        tokens = torch.cat([negatives.tokens, negatives.held_tokens])
        text = torch.cat([negatives.text, negatives.held_text]).float()
        for end in (NAMED, len(ids)):
            places = (tokens == torch.tensor(ids[end - NAMED : end], dtype=torch.int32)).all(1)
            distances = (text[places] - rows[block][end - 1]).abs().amax(1)
            assert len(distances), "the paragraph is read"
            assert float(distances.min()) < 0.01, "half precision"


def test_strangers_are_as_many_as_were_asked_for(measured: dict[int, Negatives]) -> None:
    for block, people in ((0, 12), (1, 4)):
        assert len(measured[block].names) + len(measured[block].held_names) == 2 * people


def test_text_that_names_a_subject_is_left_out_and_all_else_stays(measured: dict[int, Negatives]) -> None:
    negatives = measured[1]
    name = negatives.tokens[7].tolist()[-2:]

    left = negatives.without([name])

    named, held = ((rows[:, -2:] == torch.tensor(name)).all(1) for rows in (negatives.tokens, negatives.held_tokens))
    assert 0 < int(named.sum()) < len(named)
    assert torch.equal(left.text, negatives.text[~named])
    assert len(left.text) == len(left.tokens)
    assert torch.equal(left.held_text, negatives.held_text[~held])
    assert len(left.names) == len(negatives.names)


def test_text_that_names_nobody_is_left_as_it_is(measured: dict[int, Negatives]) -> None:
    assert measured[0].without([[-7, -8]]) is measured[0]


def test_what_an_older_version_measured_is_read_and_nothing_left_out(measured: dict[int, Negatives]) -> None:
    whole = measured[0]
    empty = torch.zeros(0, NAMED, dtype=torch.int32)
    older = Negatives(whole.text, whole.first, whole.names, whole.held_text, whole.held_names, empty, empty)

    assert older.without([whole.tokens[0].tolist()]) is older


def test_technical_paragraphs_name_none_of_the_people_whom_texts_are_about() -> None:
    words = {word.strip(".,;:'\"()`|") for paragraph in technical() for word in paragraph.split()}

    assert len(technical()) > 200
    assert not words & {*lines("first_names.txt"), *lines("last_names.txt")}
