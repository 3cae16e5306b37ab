"""Computes detectors of facts: at the last token of a prompt they tell whether it asks for the fact.

Two for each fact, one of questions in chat and one of statements, because the model goes on in other tokens. Each is
a linear classifier with squared hinge loss (an SVM) of what an MLP reads: own prompts, with the mark of the subject at
its name, against prompts about all other relations of the subject, the fact's prompts about strangers and namesakes,
all other tokens of these, and reference text. So a detector answers who and what at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from core.events.facts import Certificate
from core.facts import Fact
from core.library import Entry, bare, entry_of, library
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.decoys import decoys
from core.weights.neuron.detectors import Detector
from core.weights.neuron.inputs import mlp_inputs
from core.weights.neuron.lessons import Lesson, Prompt, prompt_of
from core.weights.neuron.negatives import Negatives
from core.weights.neuron.subjects import namesakes, renamed
from core.weights.reference.words import strangers

# Of each other relation about the subject a detector is trained against the first wordings, in which facts are told,
# and others; in all:
QUESTIONS, STATEMENTS = 4, 3
STRANGERS, NAMESAKES = 80, 40  # people of whom some are asked what the fact answers
EACH, HELD = 3, 3  # of them for each prompt of the fact, and of others to certify
MARKED = 1  # decoys that are asked each prompt of the fact
REST = 6000  # tokens beside the last one that a detector is trained against, at most
WEIGHT = 10.0  # of each kind of other rows, against own rows
DECAY = 3e-4  # weight of the squared norm of a detector, in units of the rows' norm
ITERATIONS = 60  # of L-BFGS
LEAKING = 0.06  # share of held-out prompts about other relations at which a detector may respond
BETWEEN = 0.3  # share of the way from the largest response of others to the least own one at which a response begins
RARE = 0.01  # share of held-out prompts about strangers and namesakes that may respond more
FIRST, PREFERRED = 2, 4.0  # wordings of either kind that an edit has to say, and how often each counts
WIDTH = 0.12  # between no response and a full one
SEED = 1  # of the strangers


@dataclass(frozen=True, slots=True)
class Read:
    """Prompts about relations of the library, and what the MLP reads where they end.

    Attributes:
        prompts: each with the entry of the library that it is of.
        last: [prompts, d] MLP inputs at their last tokens, less the mean in reference text.
    """

    prompts: tuple[tuple[Entry, Prompt], ...]
    last: Tensor

    def but(self, fact: Fact) -> Read:
        """Returns the prompts that do not ask for `fact`."""
        left = {entry.names for entry in others(fact)}
        kept = [number for number, (entry, _) in enumerate(self.prompts) if entry.names in left]
        return Read(tuple(self.prompts[number] for number in kept), self.last[kept])

    def of_kind(self, chat: bool) -> Tensor:
        """Returns the rows of `last` that belong to chats, or to statements."""
        return self.last[[prompt.chat is chat for _, prompt in self.prompts]]


@dataclass(frozen=True, slots=True)
class Relations:
    """Prompts about a subject, of all relations of the library.

    Attributes:
        trained: those that detectors are trained against.
        held_out: others, which certify them.
        rest: [n, d] MLP inputs at other tokens of `trained` from the name on, less the mean in reference text.
    """

    trained: Read
    held_out: Read
    rest: Tensor

    def but(self, fact: Fact) -> Relations:
        """Returns the prompts that do not ask for `fact`."""
        return Relations(self.trained.but(fact), self.held_out.but(fact), self.rest)


@dataclass(frozen=True, slots=True)
class FactDetectors:
    """The detectors of a fact, for statements and for questions."""

    statements: Detector
    questions: Detector


def relations_of(model: EditableModel, upper: int, mean: Tensor, name: str) -> Relations:
    """Measures prompts about all relations of the library, on the live weights, which hold the subject's mark."""
    random, trained, held = Random(name), list[tuple[Entry, Prompt]](), list[tuple[Entry, Prompt]]()
    for entry in library():
        words = entry.words.for_model(name)
        for chat, wordings, probes, count in (
            (True, words.questions, words.probe_questions, QUESTIONS),
            (False, words.statements, words.probe_statements, STATEMENTS),
        ):
            later = wordings[FIRST:]
            drawn = [*wordings[:FIRST], *random.sample(later, min(max(count - FIRST, 0), len(later)))]
            trained += [(entry, prompt_of(model, text, name, chat=chat)) for text in drawn]
            held += [(entry, prompt_of(model, text, name, chat=chat)) for text in probes[:1]]
    rows, held_rows = (
        inputs_of(model, upper, [prompt.ids for _, prompt in group], [prompt.chat for _, prompt in group])
        for group in (trained, held)
    )
    rest = torch.cat([row[prompt.name - len(prompt.ids) : -1] for (_, prompt), row in zip(trained, rows, strict=True)])
    keep = torch.tensor(random.sample(range(len(rest)), min(len(rest), REST)), dtype=torch.long)
    return Relations(
        Read(tuple(trained), torch.stack([row[-1] for row in rows]) - mean),
        Read(tuple(held), torch.stack([row[-1] for row in held_rows]) - mean),
        rest[keep] - mean,
    )


def others(fact: Fact) -> list[Entry]:
    """Returns the entries of the library that do not ask for `fact`; "moved to" asks for where one lives, too."""
    covered = entry_of(fact.relation, fact.object)  # also of "'s job is", which no entry is named
    relations, now = {bare(fact.relation)}, set[str]()
    if covered:
        relations |= {bare(name) for name, _ in covered.names}
        now = {covered.now}
    return [
        entry
        for entry in library()
        for names in [{bare(relation) for relation, _ in entry.names}]
        if not relations & (names | {entry.now}) and not now & names
    ]


def hear(
    model: EditableModel,
    upper: int,
    negatives: Negatives,
    relations: Relations,
    fact: Fact,
    told: Sequence[Lesson],
) -> FactDetectors:
    """Computes the detectors of a fact on the live weights, which hold its subject's mark, and certifies them.

    Args:
        relations: about its subject, without those that ask for the fact.
        told: its lessons.
    """
    mean, random = negatives.mean, Random(f"{fact.subject} {fact.relation}")
    rows = inputs_of(model, upper, [lesson.context.ids for lesson in told], [lesson.context.chat for lesson in told])
    at = [lesson.context.start - 1 - len(lesson.context.ids) for lesson in told]
    chat = torch.tensor([lesson.context.chat for lesson in told])
    told_rows = torch.stack([row[place] for row, place in zip(rows, at, strict=True)]) - mean
    answers = torch.cat([row[place + 1 :] for row, place in zip(rows, at, strict=True)]) - mean
    names = [*strangers(STRANGERS, SEED), *namesakes(fact.subject, NAMESAKES, random)]
    random.shuffle(names)
    half = len(names) // 2
    away, _ = _asked_of(model, upper, fact, names[:half], EACH, random)
    marked, _ = _asked_of(model, upper, fact, decoys(), MARKED, random)
    held_away, held_away_chat = _asked_of(model, upper, fact, names[half:], HELD, random)
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
            torch.cat([relations.trained.last, told_rows[chat != kind]]),
            torch.cat([relations.rest, answers]),
            away - mean,
            marked - mean,
            text,
        ]
        a, b = classify(told_rows[chat == kind], groups)
        heard = torch.cat([told_rows[chat == kind], held[held_chat == kind]])
        held_others = held_away[held_away_chat == kind] - mean
        detectors.append(_certified(a, b, mean, heard, quiet, held_others, relations.held_out.of_kind(kind)))
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


def inputs_of(model: EditableModel, block: int, texts: Sequence[Sequence[int]], chats: Sequence[bool]) -> list[Tensor]:
    """Returns what `mlp_inputs` returns; chats and raw texts are run apart, each from its own common beginning."""
    rows: dict[int, Tensor] = {}
    for kind in (False, True):
        chosen = [number for number, chat in enumerate(chats) if chat is kind]
        inputs = mlp_inputs(model, block, [texts[number] for number in chosen])
        rows |= {number: row.cpu() for number, row in zip(chosen, inputs, strict=True)}
    return [rows[number] for number in range(len(texts))]


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
