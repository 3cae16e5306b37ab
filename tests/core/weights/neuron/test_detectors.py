"""Detectors from rows that are drawn: what responds, what stays silent, what is certified."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from core.weights.neuron import detectors
from core.weights.neuron.detectors import Rows, certified, separated, solve
from core.weights.neuron.negatives import Negatives

WIDTH = 48


def world(apart: float, seed: int = 0) -> tuple[Negatives, Rows]:
    """Ordinary rows around a mean, and rows of a subject and its namesakes, `apart` along one direction."""
    random = torch.Generator().manual_seed(seed)
    mean, name = torch.randn(WIDTH, generator=random), torch.randn(WIDTH, generator=random)

    def rows(count: int, shift: float = 0.0, spread: float = 1.0) -> torch.Tensor:
        return spread * torch.randn(count, WIDTH, generator=random) + shift * name

    negatives = Negatives(
        text=(rows(2000) + mean).half(), first=(rows(20, spread=0.2) + mean).half(), names=(rows(200) + mean).half(),
        held_text=(rows(500) + mean).half(), held_names=(rows(60) + mean).half(),
    )  # fmt: skip
    return negatives, Rows(
        named=rows(200, apart, 0.3), rest=rows(200), namesakes=rows(40), held_named=rows(60, apart, 0.3),
        held_namesakes=rows(40),
    )  # fmt: skip


def test_a_subject_far_from_all_else_is_certified_and_responds_fully() -> None:
    negatives, rows = world(apart=3.0)

    detector = certified(solve(negatives, rows), negatives, rows)

    assert detector.certificate.holds
    assert detector.certificate.false_fires == 0
    responses = ((rows.held_named + negatives.mean) @ detector.w + detector.b).clamp(0, 1)
    assert float(responses.min()) > 0.9
    assert float((negatives.held_text.float() @ detector.w + detector.b).clamp(0, 1).max()) == 0


def test_a_subject_like_all_else_is_not_certified() -> None:
    negatives, rows = world(apart=0.2)

    assert not certified(solve(negatives, rows), negatives, rows).certificate.holds


def with_a_rare_token() -> tuple[Negatives, Rows, torch.Tensor]:
    """A world in which a token of reference text is much like the name, and the row [d] of that token."""
    negatives, rows = world(apart=2.0)
    for row in (negatives.text, negatives.names, rows.named, rows.rest, rows.namesakes):
        row[:, 0] = 0  # reference text says nothing about the direction by which the token can be told from the name
    loud = rows.named.mean(0) * 0.8 + torch.eye(WIDTH)[0] + negatives.mean
    return replace(negatives, text=torch.cat([negatives.text[:-1], loud[None].half()])), rows, loud


def test_a_rare_token_that_responds_is_silenced_by_the_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    negatives, rows, loud = with_a_rare_token()

    mined = float((loud - negatives.mean) @ solve(negatives, rows))
    monkeypatch.setattr(detectors, "ROUNDS", 0)
    unmined = float((loud - negatives.mean) @ solve(negatives, rows))

    assert mined < 0.8 * unmined


def test_a_classifier_tells_a_name_apart_too() -> None:
    negatives, rows = world(apart=2.0)

    detector = certified(separated(negatives, rows), negatives, rows)

    assert detector.certificate.holds
    assert float((rows.named @ separated(negatives, rows)).mean()) == pytest.approx(1)
    assert not certified(separated(*world(apart=0.1)), *world(apart=0.1)).certificate.holds


def test_a_name_responds_fully_where_a_text_begins_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a name that reads differently there
    negatives, rows = world(apart=3.0)
    rows.named[0] *= 0.7

    # when it counts as much as others, and more
    heeded = certified(solve(negatives, rows), negatives, rows)
    monkeypatch.setattr(detectors, "BEGINNING", 0)
    unheeded = certified(solve(negatives, rows), negatives, rows)

    # then the threshold lies below it in both cases, by what rounding may take, and higher in the first
    for detector in (heeded, unheeded):
        response = float((rows.named[0] + negatives.mean) @ detector.w) + detector.b
        assert response >= 1 + detectors.ROUNDING
    assert heeded.certificate.own > unheeded.certificate.own


def test_rows_survive_bytes() -> None:
    negatives, _ = world(apart=1.0)

    again = Negatives.from_bytes(replace(negatives, templates_digest="of prompts").to_bytes())

    assert again.templates_digest == "of prompts"
    assert torch.equal(again.text, negatives.text)
    assert torch.equal(again.held_names, negatives.held_names)
