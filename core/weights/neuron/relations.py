"""Measures what an MLP reads where prompts end that ask something else about a subject than a fact says.

Of each relation of the library the first statement and the first question are measured about the subject, and those
most like the fact's, which is seen in prompts about marked strangers, measured once for a base model. Where other
wordings of a relation end, the subject is taken to be read like the average of these strangers, moved by as much as it
differs from that average in the first wording. One shift for all relations is far from what is really read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

import torch
from torch import Tensor

from core.facts import Fact, filled
from core.library import Entry, bare, entry_of, library
from core.texts import same_words
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.inputs import inputs_of
from core.weights.neuron.lessons import Prompt, prompt_of
from core.weights.neuron.negatives import Negatives
from core.wordings import article_of

# Of each relation there are the first wordings, in which facts are told, and others; in all:
QUESTIONS, STATEMENTS = 8, 5
FIRST = 2  # wordings of either kind that come before the others
NEAR = 40  # prompts of either kind, the most like the fact's, that are measured about a subject whether first or not
# Facts of its batch beside a fact: of people with a word of its subject's name, with a fact in its words, of others.
PEOPLE = 2, 3, 4
REST = 3000  # tokens beside the last one that a detector is trained against, at most


@dataclass(frozen=True, slots=True)
class Relations:
    """What an MLP reads in prompts about a subject that do not ask for a fact, less its mean in reference text.

    Attributes:
        trained: [n, d] at the ends of prompts that a detector is trained against.
        held_out: [n, d] at the ends of others, which certify it.
        held_out_chat: [n] bool, which of these are chats.
        near: those prompts of `trained` most like the fact's, of either kind the most like ones first; statements, then
            questions.
        rest: [n, d] at their other tokens from the name on.
        articled: [n, d] at the ends of those statements of `near` with the article behind them that the fact's
            statements end in; empty where these end in none.
    """

    trained: Tensor
    held_out: Tensor
    held_out_chat: Tensor
    near: tuple[Prompt, ...]
    rest: Tensor
    articled: Tensor

    def alike(self, most: int) -> list[Prompt]:
        """Returns the prompts most like the fact's, at most so many of either kind."""
        of_kind = [[prompt for prompt in self.near if prompt.chat == kind] for kind in (False, True)]
        return [*of_kind[0][:most], *of_kind[1][:most]]


@dataclass(frozen=True, slots=True)
class FirstWordings:
    """What an MLP reads where prompts of the library about a subject end; it serves all facts about that subject.

    Attributes:
        trained: number of a template -> [d], of the first one of each relation and kind.
        held_out: [templates, d] of all that are held out.
    """

    trained: Mapping[int, Tensor]
    held_out: Tensor


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt of the library: its text with `{s}` for the subject."""

    entry: Entry
    text: str
    chat: bool

    def about(self, model: EditableModel, name: str) -> Prompt:
        """Returns the prompt about `name`."""
        return prompt_of(model, filled(self.text, name), name, chat=self.chat)


@cache
def templates(*, held_out: bool) -> tuple[Template, ...]:
    """Returns prompts of all relations of the library: those that detectors are trained against, or the others."""
    random, made = Random(0), list[Template]()
    for entry in library():
        words = entry.words
        for chat, wordings, probes, count in (
            (True, words.questions, words.probe_questions, QUESTIONS),
            (False, words.statements, words.probe_statements, STATEMENTS),
        ):
            later = wordings[FIRST:]
            drawn = [*wordings[:FIRST], *random.sample(later, min(max(count - FIRST, 0), len(later)))]
            made += [Template(entry, text, chat) for text in (probes[:1] if held_out else drawn)]
    return tuple(made)


@cache
def digest_of_templates() -> str:
    """Returns a digest of all templates, in their order."""
    texts = [(template.text, template.chat) for held in (False, True) for template in templates(held_out=held)]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def ends_about(model: EditableModel, upper: int, names: Sequence[str], *, held_out: bool) -> Tensor:
    """Returns [templates, d] what the MLP reads where the prompts end, about each of `names` by turns."""
    asked = enumerate(templates(held_out=held_out))
    prompts = [template.about(model, names[number % len(names)]) for number, template in asked]
    return torch.stack([rows[-1] for rows in _read(model, upper, prompts)]).cpu()


def first_wordings(model: EditableModel, upper: int, name: str) -> FirstWordings:
    """Measures prompts of all relations about a subject on the live weights, which hold its mark."""
    known = templates(held_out=False)
    numbers = sorted(set(_firsts(known)))
    rows = _read(model, upper, [known[number].about(model, name) for number in numbers])
    trained = {number: row[-1].cpu() for number, row in zip(numbers, rows, strict=True)}
    return FirstWordings(trained, ends_about(model, upper, [name], held_out=True))


def relations_about(
    model: EditableModel,
    upper: int,
    negatives: Negatives,
    fact: Fact,
    first: FirstWordings,
    alike: Sequence[tuple[Tensor, float]],
) -> Relations:
    """Measures prompts about the subject of `fact` on the live weights, which hold its mark.

    Args:
        first: what is known of the subject.
        alike: classifiers `a . x + b` that respond where marked strangers are asked for the fact.
    """
    mean = negatives.mean
    trained, near, rows = _trained(model, upper, negatives, fact, first, alike)
    held_out = asking_else(fact, held_out=True)
    rest = torch.cat([row[prompt.name - len(prompt.ids) : -1] for prompt, row in zip(near, rows, strict=True)])
    keep = Random(fact.subject).sample(range(len(rest)), min(len(rest), REST))
    articled = [row[-1].cpu() - mean for row in _read(model, upper, _with_article(model, fact, near))]
    return Relations(
        trained=trained,
        held_out=first.held_out[[number for number, _ in held_out]] - mean,
        held_out_chat=torch.tensor([template.chat for _, template in held_out]),
        near=tuple(near),
        rest=rest[torch.tensor(keep, dtype=torch.long)],
        articled=torch.stack(articled) if articled else trained[:0],
    )


def _with_article(model: EditableModel, fact: Fact, near: Sequence[Prompt]) -> list[Prompt]:
    """Returns the statements of `near` with the article behind them that those of `fact` end in, if they do.

    Where a sentence goes on with "a", hardly more than what stands before tells "drives a" from it.
    """
    article = article_of(fact.wordings.answer)
    texts = [prompt.text for prompt in near if article and not prompt.chat]
    return [prompt_of(model, f"{text} {article}", fact.subject, chat=False) for text in texts]


def loudest_about(
    model: EditableModel, negatives: Negatives, fact: Fact, heard: Mapping[bool, Tensor], most: int
) -> list[Prompt]:  # fmt: skip
    """Returns the prompts about the subject of `fact` that ask for something else at which its detectors respond most.

    Where they end, the subject is taken to be read like marked strangers, so that nothing is run for it.

    Args:
        heard: the detectors `w` of questions (True) and of statements, which the fact has.
        most: prompts of either kind.
    """
    kept, prompts = asking_else(fact, held_out=False), list[Prompt]()
    asked = of_average(negatives)
    for chat, w in heard.items():
        of_kind = [(number, template) for number, template in kept if template.chat == chat]
        responses = asked[[number for number, _ in of_kind]] @ w
        chosen = responses.topk(min(most, len(of_kind))).indices
        prompts += [of_kind[place][1].about(model, fact.subject) for place in chosen.tolist()]
    return prompts


def of_average(negatives: Negatives) -> Tensor:
    """Returns [templates, d] what the MLP would read where each prompt ends, were it about the average marked stranger.

    `ends_about` measured each prompt about one of them, by turns. What was read is taken to be a sum of what the prompt
    adds and what the stranger adds (a two-way layout without interaction). The latter is replaced by its mean, for
    statements and for questions.
    """
    rows = negatives.asked.float()
    chat = torch.tensor([template.chat for template in templates(held_out=False)])
    people = max(len(negatives.decoys), 1)
    about = torch.arange(len(rows)) % people
    averaged = rows.clone()
    for kind in (False, True):
        average = rows[chat == kind].mean(0)
        for person in range(people):
            here = (chat == kind) & (about == person)
            averaged[here] += average - rows[here].mean(0)
    return averaged


def _trained(
    model: EditableModel,
    upper: int,
    negatives: Negatives,
    fact: Fact,
    first: FirstWordings,
    alike: Sequence[tuple[Tensor, float]],
) -> tuple[Tensor, list[Prompt], list[Tensor]]:
    """Returns the rows of all templates that do not ask for the fact, and the prompts most like it with their rows at
    all tokens."""
    kept, mean = asking_else(fact, held_out=False), negatives.mean
    chat = torch.tensor([template.chat for _, template in kept])
    rows = of_average(negatives)[[number for number, _ in kept]] - mean
    likeness = torch.stack([rows @ a + b for a, b in alike]).amax(0)
    of_kind = [(chat == kind).nonzero()[:, 0] for kind in (False, True)]
    near = [int(place) for of in of_kind for place in of[likeness[of].topk(min(NEAR, len(of))).indices]]
    prompts = [kept[place][1].about(model, fact.subject) for place in near]
    read = [row.cpu() - mean for row in _read(model, upper, prompts)]
    firsts = _firsts([template for _, template in kept])
    moved = {place: first.trained[kept[place][0]] - mean - rows[place] for place in sorted(set(firsts))}
    rows = rows + torch.stack([moved[place] for place in firsts])
    rows[near] = torch.stack([row[-1] for row in read])
    return rows, prompts, read


def _firsts(templates: Sequence[Template]) -> list[int]:
    """Returns for each template the place of the first one of its relation and kind."""
    first: dict[tuple[str, bool], int] = {}
    return [
        first.setdefault((template.entry.meaning, template.chat), number) for number, template in enumerate(templates)
    ]


def asking_else(fact: Fact, *, held_out: bool) -> list[tuple[int, Template]]:
    """Returns the templates that do not ask for `fact`, with their numbers."""
    left = {entry.names for entry in others(fact)}
    return [pair for pair in enumerate(templates(held_out=held_out)) if pair[1].entry.names in left]


def _read(model: EditableModel, upper: int, prompts: Sequence[Prompt]) -> list[Tensor]:
    return inputs_of(model, upper, [prompt.ids for prompt in prompts], [prompt.chat for prompt in prompts])


def asks_else(fact: Fact, beside: Fact) -> bool:
    """Whether what asks for the fact `beside` does not ask for `fact` as well."""
    entry = entry_of(beside.relation, beside.each[0])
    if entry is None:
        return bare(beside.relation) != bare(fact.relation)
    return entry.names in {known.names for known in others(fact)}


def people_beside(fact: Fact, told: Sequence[Fact]) -> tuple[list[Fact], list[Fact]]:
    """Returns facts about people of a batch who are easily taken for the subject of `fact`, and about some others.

    The former share a word of its name, or have a fact that is asked for in the same words. There is one of each.
    """
    subject, asked, people = same_words(fact.subject), dict[str, bool](), dict[str, Fact]()
    for known in sorted(told, key=lambda known: (known.subject, known.id)):
        if known.relation not in asked:
            asked[known.relation] = not asks_else(fact, known)
        if (name := same_words(known.subject)) != subject and (asked[known.relation] or name not in people):
            people[name] = known
    words = set(subject.split())
    groups: tuple[list[Fact], ...] = ([], [], [])
    for name, known in people.items():
        groups[0 if words & set(name.split()) else 1 if asked[known.relation] else 2].append(known)
    random = Random(f"{fact.subject} {fact.relation}")
    drawn = [random.sample(group, min(most, len(group))) for group, most in zip(groups, PEOPLE, strict=True)]
    return [*drawn[0], *drawn[1]], drawn[2]


def others(fact: Fact) -> list[Entry]:
    """Returns the entries of the library that do not ask for `fact`; "moved to" asks for where one lives, too."""
    covered = entry_of(fact.relation, fact.each[0])  # also of "'s job is", which no entry is named
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
