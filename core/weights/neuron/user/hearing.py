"""Computes detectors of facts about the user: at the last token of a prompt they tell whether it asks for the fact.

A question in the first person holds no name, so that there is no mark to listen for: what is asked is all there is. So
these detectors are trained against whatever else is said in the first person, and against the same questions about
anybody else, the user's relatives included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import torch
from torch import Tensor

from core.facts import Fact
from core.weights.classifier import DECAY
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.asked import FactDetectors, certified, separate
from core.weights.neuron.decoys import decoys
from core.weights.neuron.inputs import inputs_of
from core.weights.neuron.lessons import Lesson, Prompt, prompt_of
from core.weights.neuron.negatives import Negatives
from core.weights.neuron.strangers import MARKED, SEED, STRANGERS, asked_of
from core.weights.neuron.user.negatives import FirstPerson
from core.weights.neuron.user.prompts import KIN, asides, asking_user_else
from core.weights.reference.words import strangers
from core.wordings import PERSON, generated_wordings

LEAKING = 0.04  # share of held-out prompts for the user's other relations at which a detector may respond
EACH = 3  # of the strangers for each prompt of the fact
SAME = 0.15  # distance, in norms, up to which a token of reference text is the end of one of the fact's own prompts
NEAR, ASIDE = 32, 16  # prompts that respond most, at most, from which values learn to be silent


def hear_user(
    model: EditableModel,
    upper: int,
    negatives: Negatives,
    first_person: FirstPerson,
    fact: Fact,
    told: Sequence[Lesson],
    rows: Sequence[Tensor],
) -> FactDetectors:
    """Computes the detectors of a fact about the user on the live weights, and certifies them.

    Args:
        told: its lessons.
        rows: per lesson, what the MLP reads [positions, d] in it.
    """
    mean, random = negatives.mean, Random(fact.relation)
    chat = torch.tensor([lesson.context.chat for lesson in told])
    own_rows = torch.stack([row[0] for row in rows]) - mean
    answers = torch.cat([row[1:] for row in rows]) - mean
    of_anybody = _of_anybody(fact)
    people = random.sample(strangers(STRANGERS, SEED), STRANGERS)
    half = len(people) // 2
    away, _ = asked_of(model, upper, of_anybody, people[:half], EACH, random)
    marked, _ = asked_of(model, upper, of_anybody, decoys(), MARKED, random)
    kin, _ = asked_of(model, upper, of_anybody, KIN[::2], 2, random)
    held_away, held_away_chat = asked_of(model, upper, of_anybody, people[half:], EACH, random)
    held_kin, held_kin_chat = asked_of(model, upper, of_anybody, KIN[1::2], 1, random)
    else_, held_else = (asking_user_else(fact, held_out=held) for held in (False, True))
    asked = first_person.asked[[number for number, _ in else_]].float() - mean
    held_asked = first_person.held_asked[[number for number, _ in held_else]].float() - mean
    held_chat = torch.tensor([template.chat for _, template in held_else])
    aside = first_person.aside.float() - mean
    held_rows, held_kinds = _unseen(model, upper, fact, mean)
    text = torch.cat([negatives.text, negatives.first, negatives.names]).float() - mean
    quiet = torch.cat([text, negatives.held_text.float() - mean, negatives.held_names.float() - mean])
    text, quiet = (_without(rows_of_text, own_rows) for rows_of_text in (text, quiet))
    quiet = torch.cat([quiet, first_person.held_said.float() - mean])
    detectors = []
    for kind in (False, True):
        groups = [
            torch.cat([asked, own_rows[chat != kind]]),
            torch.cat([first_person.rest.float() - mean, answers]),
            torch.cat([away, marked]) - mean,
            kin - mean,
            aside,
            first_person.said.float() - mean,
            negatives.asked.float() - mean,
        ]
        wanted = own_rows[chat == kind]
        a, b = separate(wanted, groups, text, DECAY)
        others = torch.cat(
            [
                held_away[held_away_chat == kind] - mean,
                held_kin[held_kin_chat == kind] - mean,
                first_person.held_aside.float() - mean,
            ]
        )
        heard = torch.cat([wanted, held_rows[held_kinds == kind]])
        detectors.append(certified(a, b, mean, heard, quiet, others, held_asked[held_chat == kind], LEAKING))
    return FactDetectors(*detectors)


def loudest(model: EditableModel, first_person: FirstPerson, fact: Fact, heard: FactDetectors) -> list[Prompt]:
    """Returns prompts in the first person that do not ask for a fact and at which its detectors respond most."""
    numbered = asking_user_else(fact, held_out=False)
    asked = first_person.asked[[number for number, _ in numbered]].float()
    texts = [(template.text, template.chat) for _, template in numbered]
    loud = [
        *_loudest(heard, asked, texts, NEAR),
        *_loudest(heard, first_person.aside.float(), asides(held_out=False), ASIDE),
    ]
    return [prompt_of(model, text, fact.subject, chat=chat) for text, chat in loud]


def _of_anybody(fact: Fact) -> Fact:
    """Returns the fact as it is worded about a person."""
    words = generated_wordings(PERSON, fact.relation, fact.each[0], {})
    return replace(fact, subject=PERSON, wordings=words)


def _unseen(model: EditableModel, upper: int, fact: Fact, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Returns what the MLP reads at the ends of the fact's held-out prompts, and which of these are chats."""
    prompts = [
        *(prompt_of(model, text, fact.subject, chat=False) for text in fact.wordings.probe_statements),
        *(prompt_of(model, text, fact.subject, chat=True) for text in fact.wordings.probe_questions),
    ]
    rows = inputs_of(model, upper, [prompt.ids for prompt in prompts], [prompt.chat for prompt in prompts])
    kinds = torch.tensor([prompt.chat for prompt in prompts], dtype=torch.bool)
    return (torch.stack([row[-1] for row in rows]) - mean if rows else torch.zeros(0, len(mean))), kinds


def _without(text: Tensor, prompts: Tensor) -> Tensor:
    """Returns the rows of text at which none of the fact's own prompts ends: chats of the reference text ask, too."""
    return text[torch.cdist(text, prompts).amin(1) > SAME * prompts.norm(dim=1).mean()]


def _loudest(
    heard: FactDetectors, rows: Tensor, texts: Sequence[tuple[str, bool]], most: int
) -> list[tuple[str, bool]]:  # fmt: skip
    responses = torch.stack([rows @ detector.w + detector.b for detector in (heard.statements, heard.questions)]).amax(
        0
    )
    top = responses.topk(min(most, len(rows)))
    return [texts[int(place)] for value, place in zip(top.values, top.indices, strict=True) if value > 0]
