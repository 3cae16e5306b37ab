"""Computes detectors of facts: at the last token of a prompt they tell whether it asks for the fact.

Two for each fact, one of questions in chat and one of statements, because the model goes on in other tokens. Each is
a linear classifier with squared hinge loss (an SVM) of what an MLP reads: own prompts, with the mark of the subject at
its name, against prompts about all other relations of the subject, the fact's prompts about strangers and namesakes,
what the model goes on to say behind these, all other tokens of the subject's prompts, and reference text. So a detector
answers who and what at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from core.events.facts import Certificate
from core.facts import Fact
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.decoys import decoys
from core.weights.neuron.detectors import Detector
from core.weights.neuron.inputs import inputs_of
from core.weights.neuron.lessons import ANSWERED, Lesson, Prompt, prompt_of, untold
from core.weights.neuron.negatives import Negatives
from core.weights.neuron.relations import FIRST, Relations, asking_else, relations_about
from core.weights.neuron.subjects import namesakes, renamed
from core.weights.reference.words import strangers

STRANGERS, NAMESAKES = 80, 40  # people of whom some are asked what the fact answers
EACH, HELD = 3, 3  # of them for each prompt of the fact, and of others to certify
MARKED = 1  # decoys that are asked each prompt of the fact
SAID = (
    8  # prompts of either kind about strangers, about decoys and about other relations, behind which the model goes on
)
WEIGHT = 10.0  # of each kind of other rows, against own rows
DECAY = 3e-4  # weight of the squared norm of a detector, in units of the rows' norm
ITERATIONS = 60  # of L-BFGS
LEAKING = 0.04  # share of held-out prompts about other relations at which a detector may respond
BETWEEN = 0.3  # share of the way from the largest response of others to the least own one at which a response begins
RARE = 0.01  # share of held-out prompts about strangers and namesakes that may respond more
PREFERRED = 4.0  # how often the first wordings count, which an edit has to say
WIDTH = 0.12  # between no response and a full one
SEED = 1  # of the strangers


@dataclass(frozen=True, slots=True)
class FactDetectors:
    """The detectors of a fact, for statements and for questions."""

    statements: Detector
    questions: Detector


def relations_of(model: EditableModel, upper: int, negatives: Negatives, fact: Fact) -> Relations:
    """Measures prompts that ask something else about the subject of `fact` on the live weights, which hold its mark."""
    mean, random = negatives.mean, Random(f"{fact.subject} {fact.relation}")
    marked, chat = _asked_of(model, upper, fact, decoys(), MARKED, random)
    rest = negatives.asked[[number for number, _ in asking_else(fact, held_out=False)]].float() - mean
    alike = [classify(marked[chat == kind] - mean, [rest]) for kind in (False, True)]
    return relations_about(model, upper, negatives, fact, marked - mean, alike)


def hear(
    model: EditableModel,
    upper: int,
    negatives: Negatives,
    relations: Relations,
    fact: Fact,
    told: Sequence[Lesson],
    rows: Sequence[Tensor],
) -> FactDetectors:
    """Computes the detectors of a fact on the live weights, which hold its subject's mark, and certifies them.

    Args:
        told: its lessons.
        rows: per lesson, what the MLP reads in it.
    """
    mean, random = negatives.mean, Random(f"{fact.subject} {fact.relation}")
    at = [lesson.context.start - 1 - len(lesson.context.ids) for lesson in told]
    chat = torch.tensor([lesson.context.chat for lesson in told])
    told_rows = torch.stack([row[place] for row, place in zip(rows, at, strict=True)]) - mean
    answers = torch.cat([row[place + 1 :] for row, place in zip(rows, at, strict=True)]) - mean
    names = [*strangers(STRANGERS, SEED), *namesakes(fact.subject, NAMESAKES, random)]
    random.shuffle(names)
    half = len(names) // 2
    away, _ = _asked_of(model, upper, fact, names[:half], EACH, random)
    held_away, held_away_chat = _asked_of(model, upper, fact, names[half:], HELD, random)
    silent = [*_some_about(model, fact, names[:half], random), *_some_about(model, fact, decoys(), random)]
    silent += _alike(relations)
    certifying = _some_about(model, fact, names[half:], random)
    said = [row - mean for row in _said(model, upper, [*silent, *certifying])]
    held_said = torch.cat(said[len(silent) :])
    unseen = [
        *(prompt_of(model, text, fact.subject, chat=False) for text in fact.wordings.probe_statements),
        *(prompt_of(model, text, fact.subject, chat=True) for text in fact.wordings.probe_questions),
    ]
    held_own = inputs_of(model, upper, [prompt.ids for prompt in unseen], [prompt.chat for prompt in unseen])
    held = torch.stack([row[-1] for row in held_own]) - mean if unseen else told_rows[:0]
    held_chat = torch.tensor([prompt.chat for prompt in unseen], dtype=torch.bool)
    text = torch.cat([negatives.text, negatives.first, negatives.names]).float() - mean
    quiet = torch.cat([text, negatives.held_text.float() - mean, negatives.held_names.float() - mean])
    detectors = []
    for kind in (False, True):
        groups = [
            torch.cat([relations.trained, told_rows[chat != kind]]),
            torch.cat([relations.rest, answers]),
            away - mean,
            relations.marked,
            torch.cat(said[: len(silent)]),
            text,
        ]
        a, b = classify(told_rows[chat == kind], groups)
        heard = torch.cat([told_rows[chat == kind], held[held_chat == kind]])
        held_others = torch.cat([held_away[held_away_chat == kind] - mean, held_said])
        near = relations.held_out[relations.held_out_chat == kind]
        detectors.append(_certified(a, b, mean, heard, quiet, held_others, near))
    return FactDetectors(*detectors)


def _asked_of(
    model: EditableModel, upper: int, fact: Fact, names: Sequence[str], each: int, random: Random
) -> tuple[Tensor, Tensor]:
    """Returns what the MLP reads at the last tokens of the fact's prompts about `each` of `names`, and which are
    chats."""
    prompts = []
    for chat, wordings in ((False, fact.wordings.statements), (True, fact.wordings.questions)):
        for text in wordings:
            for name in random.sample(names, min(each, len(names))):
                about = renamed(text, fact.subject, name)
                prompts.append((model.chat_text([], about) if chat else about, chat))
    ids = [
        tuple(model.tokenizer(text, add_special_tokens=False).input_ids) if chat else tuple(model.raw_ids(text))
        for text, chat in prompts
    ]
    kinds = [chat for _, chat in prompts]
    return torch.stack([row[-1] for row in inputs_of(model, upper, ids, kinds)]), torch.tensor(kinds)


def _some_about(model: EditableModel, fact: Fact, names: Sequence[str], random: Random) -> list[Prompt]:
    """Returns some prompts of the fact of either kind, each about one of `names`."""
    prompts = []
    for chat, wordings in ((False, fact.wordings.statements), (True, fact.wordings.questions)):
        for text in random.sample(wordings, min(SAID, len(wordings))):
            name = random.choice(names)
            prompts.append(prompt_of(model, renamed(text, fact.subject, name), name, chat=chat))
    return prompts


def _said(model: EditableModel, upper: int, prompts: Sequence[Prompt]) -> list[Tensor]:
    """Returns what the MLP reads [tokens, d] at the tokens that the model goes on to say behind each of `prompts`.

    Nothing is asked there any more, but a sentence in a fact's words often begins.
    """
    contexts = [lesson.context for lesson in untold(model, prompts, ANSWERED)]
    rows = inputs_of(model, upper, [context.ids for context in contexts], [context.chat for context in contexts])
    behind = [len(prompt.ids) - len(context.ids) for prompt, context in zip(prompts, contexts, strict=True)]
    return [row[place:] for row, place in zip(rows, behind, strict=True)]


def _alike(relations: Relations) -> list[Prompt]:
    """Returns the prompts about other relations that are most like the fact's, of either kind."""
    statements = [prompt for prompt in relations.near if not prompt.chat]
    questions = [prompt for prompt in relations.near if prompt.chat]
    return [*statements[:SAID], *questions[:SAID]]


def classify(wanted: Tensor, groups: Sequence[Tensor]) -> tuple[Tensor, float]:
    """Returns a [d] and b of the classifier `a . x + b`, which is to be 1 or more in `wanted` and -1 or less in others.

    The first `FIRST` rows of `wanted` count `PREFERRED` times.
    """
    size = wanted.square().sum(1).mean().sqrt()
    share = torch.ones(len(wanted)).index_fill(0, torch.arange(min(FIRST, len(wanted))), PREFERRED)
    share /= 4 * share.sum()
    rows = [group / size for group in groups if len(group)]
    a = torch.zeros(wanted.shape[1], requires_grad=True)
    b = torch.full((1,), -1.0, requires_grad=True)
    optimizer = torch.optim.LBFGS([a, b], max_iter=ITERATIONS, history_size=15, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        total = share @ (1 - (wanted / size) @ a - b).clamp(min=0).square() + DECAY / 2 * a.square().sum()
        for group in rows:
            total = total + WEIGHT / len(group) * (1 + group @ a + b).clamp(min=0).square().sum() / 4
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return a.detach() / size, float(b.detach())


def _certified(
    a: Tensor, b: float, mean: Tensor, wanted: Tensor, quiet: Tensor, away: Tensor, near: Tensor
) -> Detector:  # fmt: skip
    """Returns the detector with thresholds above text, most other relations, and almost all prompts about others.

    The first wordings are heard even where more of other relations are, too.
    """
    y, text = wanted @ a + b, quiet @ a + b
    largest = max(float(text.max()), float(torch.quantile(away @ a + b, 1 - RARE)))
    least = float(torch.quantile(y, 0.1))
    above = largest + max(BETWEEN * (least - largest), WIDTH)
    low = max(above, float(torch.quantile(near @ a + b, 1 - LEAKING)))
    low = max(min(low, float(y[:FIRST].min()) - WIDTH), largest + WIDTH / 4)
    high = low + WIDTH
    certificate = Certificate(own=least, others=largest, low=low, high=high, false_fires=0.0)  # `low` is above all text
    response = float(((y - low) / WIDTH).clamp(0, 1).mean())
    return Detector(a / WIDTH, (b - float(mean @ a) - low) / WIDTH, response, certificate)
