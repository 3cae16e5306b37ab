"""Computes detectors of facts: at the last token of a prompt they tell whether it asks for the fact.

Two for each fact, one of questions in chat and one of statements, because the model goes on in other tokens. Each is
a linear classifier with squared hinge loss (an SVM) of what an MLP reads: own prompts, with the mark of the subject at
its name, against prompts about all other relations of the subject, the fact's prompts about strangers, namesakes and
other people of its batch, prompts about strangers that are moved as any mark would move them, what the model goes on to
say behind prompts about strangers and other relations, all other tokens of the subject's prompts, and reference text.
So a detector answers who and what at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from core.events.facts import Certificate
from core.facts import Fact
from core.texts import same_words
from core.weights.classifier import classify
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.detectors import Detector
from core.weights.neuron.inputs import inputs_of
from core.weights.neuron.lessons import Lesson, prompt_of
from core.weights.neuron.negatives import Negatives
from core.weights.neuron.relations import FIRST, Relations, asks_else, people_beside
from core.weights.neuron.strangers import Strangers, asked_of
from core.weights.neuron.subjects import namesakes

NAMESAKES = 40  # that are asked what the fact answers: prompts about them end much like those about the subject
ALIKE, HELD_ALIKE = 8, 8  # prompts of either kind about them, to train against, and to certify
# Prompts of either kind about each person easily taken for the subject, and of each other fact about it; about others:
ASKED_ALIKE, ASKED = 12, 3
CERTIFIES = 4  # one in so many of these certifies, and is not trained against
LEAKING = (0.04, 0.02)  # share of held-out prompts about other relations at which a detector of either kind may respond
# Share of a fact's own prompts of either kind that may fall silent so that fewer of these respond. Where own prompts
# are far away, a threshold below others buys nothing: "What is she afraid of?" was answered with her allergy.
LOST = (0.0, 0.02)
SOME = 8000  # tokens of text that a classifier is computed from at first
LOUD, AGAIN = -0.5, 16  # tokens of all text that respond more are added, so many times each
DECAY = (3e-4, 1e-4)  # of the classifiers of statements and of questions
BETWEEN = 0.3  # share of the way from the largest response of others to the least own one at which a response begins
RARE = 0.01  # share of held-out prompts about strangers that may respond more
MOVED = 4000  # prompts of a kind about strangers that are moved as by marks
# Share of its norm by which what the MLP reads is moved there. A mark moves it by .7 to .8 only, but marks are more
# alike than directions drawn at random: a detector can be as close to one as five standard deviations of those.
MOVED_BY = 2.5
WIDTH = 0.12  # between no response and a full one


@dataclass(frozen=True, slots=True)
class FactDetectors:
    """The detectors of a fact, for statements and for questions."""

    statements: Detector
    questions: Detector


def hear(
    model: EditableModel,
    upper: int,
    negatives: Negatives,
    strangers: Strangers,
    relations: Relations,
    fact: Fact,
    told: Sequence[Lesson],
    rows: Sequence[Tensor],
    else_rows: Sequence[Tensor],
    told_together: Sequence[Fact],
) -> FactDetectors:
    """Computes the detectors of a fact on the live weights, which hold its subject's mark, and certifies them.

    Args:
        told: its lessons.
        rows: per lesson, what the MLP reads [positions, d] in it.
        else_rows: what it reads [tokens, d] at what the model goes on to say behind prompts about other relations.
        told_together: facts of the batch, this one among them, whose subjects' marks the weights hold.
    """
    mean = negatives.mean
    chat = torch.tensor([lesson.context.chat for lesson in told])
    told_rows = torch.stack([row[0] for row in rows]) - mean
    answers = torch.cat([row[1:] for row in rows]) - mean
    said_else = torch.cat([*else_rows, told_rows[:0]]) - mean
    unseen = [
        *(prompt_of(model, text, fact.subject, chat=False) for text in fact.wordings.probe_statements),
        *(prompt_of(model, text, fact.subject, chat=True) for text in fact.wordings.probe_questions),
    ]
    names, random = namesakes(fact.subject, NAMESAKES, Random(fact.subject)), Random(f"{fact.subject} {fact.relation}")
    half = len(names) // 2
    alike, _ = asked_of(model, upper, fact, names[:half], 1, random, ALIKE)
    held_alike, held_alike_chat = asked_of(model, upper, fact, names[half:], 1, random, HELD_ALIKE)
    held_own = inputs_of(model, upper, [prompt.ids for prompt in unseen], [prompt.chat for prompt in unseen])
    held = torch.stack([row[-1] for row in held_own]) - mean if unseen else told_rows[:0]
    held_chat = torch.tensor([prompt.chat for prompt in unseen], dtype=torch.bool)
    of_told, of_told_chat = _asked_beside(model, upper, fact, told_together, random)
    certifies = torch.arange(len(of_told)) % CERTIFIES == 0
    asked = negatives.asked.float() - mean
    moved = torch.cat([_moved(rows, mean, random.getrandbits(31)) for rows in (strangers.away, asked) if len(rows)])
    text = torch.cat([negatives.text, negatives.first, negatives.names]).float() - mean
    quiet = torch.cat([text, negatives.held_text.float() - mean, negatives.held_names.float() - mean])
    detectors = []
    for kind in (False, True):
        groups = [
            torch.cat([relations.trained, told_rows[chat != kind]]),
            relations.articled,
            torch.cat([relations.rest, answers]),
            strangers.away,
            torch.cat([alike, of_told[~certifies]]) - mean,
            strangers.marked,
            torch.cat([strangers.said, said_else]),
            moved,
        ]
        a, b = separate(told_rows[chat == kind], groups, text, DECAY[kind])
        heard = torch.cat([told_rows[chat == kind], held[held_chat == kind]])
        others = torch.cat([strangers.held_away[strangers.held_chat == kind], strangers.held_said])
        near = relations.held_out[relations.held_out_chat == kind]
        held_people = torch.cat([held_alike[held_alike_chat == kind], of_told[certifies & (of_told_chat == kind)]])
        detectors.append(
            certified(
                a, b, mean, heard, torch.cat([quiet, held_people - mean]), others, near, LEAKING[kind], LOST[kind]
            )
        )
    return FactDetectors(*detectors)


def _asked_beside(
    model: EditableModel, upper: int, fact: Fact, told_together: Sequence[Fact], random: Random
) -> tuple[Tensor, Tensor]:
    """Returns what the MLP reads at the ends of prompts next to those of `fact` in its batch, and which are chats.

    They are its prompts about the other people, and the prompts of the other facts about its subject. All of that is
    known, so that nothing need be left to chance: where two people have one family name and like jobs, half of
    the questions about one were answered with the job of the other.
    """
    alike, rest = ([other.subject for other in people] for people in people_beside(fact, told_together))
    same = [other for other in told_together if same_words(other.subject) == same_words(fact.subject)]
    asked = [(fact, alike, ASKED_ALIKE), (fact, rest, ASKED)]
    asked += [(other, [fact.subject], ASKED_ALIKE) for other in same if asks_else(fact, other)]
    parts = [asked_of(model, upper, about, names, len(names), random, most) for about, names, most in asked if names]
    none = torch.zeros(0, model.hidden_width), torch.zeros(0, dtype=torch.bool)
    rows, chats = zip(none, *parts, strict=True)
    return torch.cat(rows), torch.cat(chats)


def _moved(rows: Tensor, mean: Tensor, seed: int) -> Tensor:
    """Returns [MOVED, d] some of `rows`, less the mean as they are, each moved in a direction of its own.

    Each person who was told of has a mark in a direction of its own, and decoys show only a few of these directions: a
    detector trained against nothing else may respond wherever another mark happens to point its way.
    """
    random = torch.Generator().manual_seed(seed)
    picked = rows[torch.randint(len(rows), (MOVED,), generator=random)]
    directions = torch.nn.functional.normalize(torch.randn(picked.shape, generator=random), dim=1)
    return picked + MOVED_BY * (picked + mean).norm(dim=1, keepdim=True) * directions


def separate(told: Tensor, groups: Sequence[Tensor], text: Tensor, decay: float) -> tuple[Tensor, float]:
    """Returns the classifier of told rows against `groups` and text.

    It is computed from some of the text, and again with those tokens of all of it that respond: thresholds lie above
    all text, so that a single token would raise them above wordings of the fact.
    """
    a, b = classify(told, [*groups, text[:SOME]], FIRST, decay)
    loud = text[text @ a + b > LOUD]
    if not len(loud):
        return a, b
    return classify(told, [*groups, torch.cat([text[:SOME], loud.repeat(AGAIN, 1)])], FIRST, decay)


def certified(
    a: Tensor,
    b: float,
    mean: Tensor,
    wanted: Tensor,
    quiet: Tensor,
    away: Tensor,
    near: Tensor,
    leaking: float,
    lost: float | None = None,
) -> Detector:
    """Returns the detector with thresholds above text, most other relations, and almost all prompts about others.

    The first wordings are heard even where more of other relations are, too.

    Args:
        leaking: share of `near`, of other relations, that may respond.
        lost: share of `wanted` that may fall silent where that is silenced, too.
    """
    y, text = wanted @ a + b, quiet @ a + b
    largest = max(float(text.max()), float(torch.quantile(away @ a + b, 1 - RARE)))
    least = float(torch.quantile(y, 0.1))
    above = largest + max(BETWEEN * (least - largest), WIDTH)
    low = max(above, float(torch.quantile(near @ a + b, 1 - leaking)))
    if lost is not None:
        low = max(low, min(float((near @ a + b).max()), float(torch.quantile(y, lost)) - WIDTH))
    low = max(min(low, float(y[:FIRST].min()) - WIDTH), largest + WIDTH / 4)
    high = low + WIDTH
    certificate = Certificate(own=least, others=largest, low=low, high=high, false_fires=0.0)  # `low` is above all text
    response = float(((y - low) / WIDTH).clamp(0, 1).mean())
    return Detector(a / WIDTH, (b - float(mean @ a) - low) / WIDTH, response, certificate)
