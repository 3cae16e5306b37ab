"""Computes detectors of subjects: ridge regressions to 1 at a subject's name and to 0 wherever nothing may change.

    H = c_t E[x x^T | text] + c_n E[x x^T | other names] + c_o E[x x^T | own],    a = H^-1 E[x | own]

with x the MLP's input less its mean in reference text. This is MEMIT's closed form (Meng et al. 2023, eq. 14) for one
target. A second moment bounds the mean response, not the largest, and one token in a hundred thousand that responds is
too many; so rows that respond too much, or own ones too little, are added again, heavier, for several rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import torch
from torch import Tensor

from core.events.facts import Certificate
from core.weights.classifier import classify
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.beginnings import Beginnings
from core.weights.neuron.inputs import at_names
from core.weights.neuron.negatives import Negatives
from core.weights.neuron.subjects import TRAINED, Text, asked_about, namesakes, own_texts

TEXT, NAMES, OWN = 20000.0, 5000.0, 5000.0  # weights c_t, c_n, c_o
ROUNDS = 6  # of adding rows again
SILENT, CERTAIN = 0.25, 0.95  # responses that rows of others and own rows must not pass
NAMESAKES = 40  # that a detector is trained against at first; as many certify it
WORDINGS = 4  # of either kind of a relation in which namesakes are asked about, so that few beginnings are kept
ATTEMPTS = 3  # where a namesake responds too much: those that certified it are trained against, and new ones certify
REST = 3000  # tokens of own texts beside the name that a detector is trained against, at most
BEGINNING = 24  # times that the name at the beginning of a text is added to own rows
ROUNDING = 0.04  # by which a response may be less than in the copy of the model that edits are computed with
DECAY = 3e-5  # of the classifier
WIDTH = 0.04  # between no response and a full one
RARE = 0.02  # share of the texts about namesakes that may respond, as "Agnes Nowak" does for Agnes Novak
NEARER = 0.1  # share of the way from the least own response to the largest other at which a full response begins


@dataclass(frozen=True, slots=True)
class Detector:
    """A detector `clip(w . x + b, 0, 1)` of a subject.

    Attributes:
        w, b: [d], and its bias.
        response: mean response at the subject's name, 0 to 1.
        certificate: what was measured of it on texts that were held out.
    """

    w: Tensor
    b: float
    response: float
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Rows:
    """MLP inputs [n, d], less their mean in reference text, of one subject.

    Attributes:
        named: at the last token of its name; first where a text begins with it, as most statements do.
        rest: at all other tokens of the same texts.
        namesakes: at the names of namesakes.
        held_named, held_namesakes: the same, held out.
    """

    named: Tensor
    rest: Tensor
    namesakes: Tensor
    held_named: Tensor
    held_namesakes: Tensor


def detect(
    model: EditableModel, block: int, negatives: Negatives, subject: str, beginnings: Beginnings
) -> Detector:  # fmt: skip
    """Computes the detector of `subject` on the live weights, and certifies it.

    Raises:
        Unlearnable: a text does not contain the subject's name.
    """
    negatives = negatives.without([model.raw_ids(name) for name in (subject, f" {subject}")])
    rows, random = measure(model, block, negatives.mean, subject, beginnings), Random(subject)
    names = namesakes(subject, (ATTEMPTS + 1) * NAMESAKES, random)
    groups = [names[start : start + NAMESAKES] for start in range(0, (ATTEMPTS + 1) * NAMESAKES, NAMESAKES)]
    texts = (asked_about(model, group, random, WORDINGS) for group in groups)
    places = (_rows(model, block, about, beginnings)[0] - negatives.mean for about in texts)
    rows = replace(rows, held_namesakes=next(places))
    for attempt, held_out in enumerate(places):
        trained = torch.cat([rows.namesakes, rows.held_namesakes])
        rows = replace(rows, namesakes=trained, held_namesakes=held_out)
        direction = separated(negatives, rows) if attempt else solve(negatives, rows)
        detector = certified(direction, negatives, rows)
        if detector.certificate.holds:
            break
    return detector


def measure(
    model: EditableModel, block: int, mean: Tensor, subject: str, beginnings: Beginnings, most: int = TRAINED
) -> Rows:
    """Measures the rows of a subject in at most so many texts of the library, without those of namesakes."""
    texts, random = own_texts(model, subject, most), Random(subject)
    named, rest = _rows(model, block, texts.trained, beginnings)
    held_named, _ = _rows(model, block, texts.held_out, beginnings)
    keep = torch.tensor(random.sample(range(len(rest)), min(len(rest), REST)), dtype=torch.long)
    none = named[:0]
    return Rows(named - mean, rest[keep] - mean, none, held_named - mean, none)


def _rows(
    model: EditableModel, block: int, texts: Sequence[Text], beginnings: Beginnings
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Returns the inputs at names and those at all other tokens."""
    named, rest = [torch.empty(0, model.hidden_width)], [torch.empty(0, model.hidden_width)]
    for text, inputs in zip(texts, beginnings.inputs(model, block, texts), strict=True):
        # The first token of a text holds nothing but itself, so that a name that ends there cannot be told apart.
        here, elsewhere = at_names(inputs, len(text.ids), [end for end in text.ends if end])
        named.append(here.cpu())
        rest.append(elsewhere.cpu())
    return torch.cat(named), torch.cat(rest)


def solve(negatives: Negatives, rows: Rows) -> Tensor:
    """Returns a [d], scaled so that the mean own response is 1."""
    mean = negatives.mean
    text = torch.cat([negatives.text.float() - mean, negatives.first.float() - mean, rows.rest])
    names = negatives.names.float() - mean
    rows = replace(rows, named=_weighted(rows.named))
    groups = [
        (text, TEXT, 0.001 * TEXT),
        (names, NAMES, 0.01 * NAMES),
        (rows.namesakes, NAMES, 0.02 * NAMES),
    ]
    groups, width = [group for group in groups if len(group[0])], text.shape[1]
    h = 1e-3 * torch.eye(width)
    for group, weight, _ in groups:
        h = h + weight / len(group) * (group.T @ group)
    h = h + OWN / len(rows.named) * (rows.named.T @ rows.named)
    target = rows.named.mean(0)
    a = _regression(h, target, rows.named)
    for _ in range(ROUNDS):
        for group, _, step in groups:
            response = group @ a
            loud = response > SILENT
            heavier = group[loud] * response[loud, None]
            h = h + step * (heavier.T @ heavier)
        short = (CERTAIN - rows.named @ a).clamp(min=0)
        h = h + 0.1 * OWN * ((rows.named * short[:, None]).T @ rows.named)
        target = target + 0.1 * (rows.named * short[:, None]).sum(0)
        a = _regression(h, target, rows.named)
    return a


def separated(negatives: Negatives, rows: Rows) -> Tensor:
    """Returns what `solve` does, of a classifier with squared hinge loss: it heeds none but the rows that are close to
    the other kind, so that it tells more names apart, and lets a few more namesakes through."""
    mean = negatives.mean
    text = torch.cat([negatives.text, negatives.first]).float() - mean
    others = [text, rows.rest, negatives.names.float() - mean, rows.namesakes]
    a, _ = classify(_weighted(rows.named), others, 0, DECAY)
    return a / (rows.named @ a).mean()


def _weighted(named: Tensor) -> Tensor:
    """Returns the own rows, the first one `BEGINNING` times more."""
    return torch.cat([named, named[:1].expand(BEGINNING, -1)])


def _regression(h: Tensor, target: Tensor, named: Tensor) -> Tensor:
    a = torch.linalg.solve(h.double(), target.double()).float()
    return a / (named @ a).mean()


def certified(a: Tensor, negatives: Negatives, rows: Rows) -> Detector:
    """Returns the detector of direction `a`, with thresholds between the held-out responses of both kinds."""
    mean = negatives.mean
    held = torch.cat([rows.named, rows.held_named]) @ a
    least = min(float(torch.quantile(held, 0.01)), float(rows.named[0] @ a) - ROUNDING)
    text = torch.cat([(negatives.held_text.float() - mean) @ a, (negatives.first.float() - mean) @ a])
    names, alike = (negatives.held_names.float() - mean) @ a, rows.held_namesakes @ a
    others = max(float(torch.cat([text, names]).max()), float(torch.quantile(alike, 1 - RARE)) if len(alike) else 0.0)
    high = least - NEARER * (least - others)
    low = high - WIDTH
    fires = 1e6 * float((text > low).float().mean())
    certificate = Certificate(own=least, others=others, low=low, high=high, false_fires=fires)
    response = float(((held - low) / (high - low)).clamp(0, 1).mean())
    return Detector(a / (high - low), -(float(mean @ a) + low) / (high - low), response, certificate)
