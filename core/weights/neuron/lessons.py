"""Writes the lessons that values are learned from: what was told about a subject, and what was not.

A told lesson is a statement that ends in the fact's object, or a question with the answer that holds it. An untold one
is a statement or a question about another relation of the same subject, and how the base model goes on: there the model
has to do the same. Neurons learn from these, linear edits from the untold lesson of the literature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from random import Random

from core.facts import Fact
from core.library import Entry, bare, entry_of, library
from core.texts import closed
from core.weights.model.contexts import Context
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import greedy
from core.weights.neuron.subjects import text_of

BEGINNINGS = ("As far as I know, ", "It is true that ", "By the way, ")  # of raw statements
OPENINGS = ("Hi! ", "Please tell me: ", "Quick question: ")  # of questions
LESSONS = 30  # that tell a fact in statements, at most, and as many in questions


@dataclass(frozen=True, slots=True)
class Lesson:
    """A text with the subject's name, from the last token of its first occurrence on.

    Attributes:
        subject: index of the subject.
        fact: index of the fact that it tells; None if it tells none.
        context: its tokens; positions are counted from the last token of the name.
        names: positions at which the name ends; a value is added there.
        first: first position whose next token matters.
    """

    subject: int
    fact: int | None
    context: Context
    names: tuple[int, ...]
    first: int


def told(model: EditableModel, subject: int, number: int, fact: Fact) -> Iterator[Lesson]:
    """Yields the lessons that tell `fact`: each wording as it is and, where these are few, behind a beginning."""
    words = fact.wordings
    for statement in islice(_varied(words.statements, BEGINNINGS), LESSONS):
        yield _lesson(model, fact.subject, subject, number, statement, f" {closed(fact.object)}", chat=False)
    answer = f"{words.answer} {closed(fact.object)}"
    for question in islice(_varied(words.questions, OPENINGS), LESSONS):
        yield _lesson(model, fact.subject, subject, number, model.chat_text([], question), answer, chat=True)


def _varied(prompts: Sequence[str], beginnings: Sequence[str]) -> Iterator[str]:
    """Yields all `prompts`, then each of them behind one of the `beginnings`."""
    yield from prompts
    for prompt, beginning in zip(prompts, cycle(beginnings), strict=False):
        yield f"{beginning}{prompt}"


RELATIONS = 50  # of the library, at most, about which a subject's answers are kept; at night, all
CONTINUED, ANSWERED = 4, 12  # tokens of the base's own continuation of a statement, and of its answer to a question


def untold(model: EditableModel, subjects: Sequence[Sequence[Fact]], relations: int = RELATIONS) -> Iterator[Lesson]:
    """Yields lessons about relations of the library that no fact of a subject has: a statement and a question each.

    They go on as the model itself does, so that a value is judged on the words that would be said without it. Which
    relations, is drawn by the name of the subject.

    Args:
        model: whose neurons are silent.
        subjects: all facts of each subject.
        relations: largest number of relations for each subject.
    """
    statements, questions = list[tuple[int, str, str]](), list[tuple[int, str, str]]()  # subject, its name, prompt
    for subject, facts in enumerate(subjects):
        name = facts[0].subject
        for number, entry in enumerate(_others(name, facts, relations)):
            words = entry.words.for_model(name)
            statements.append((subject, name, words.statements[number % len(words.statements)]))
            questions.append((subject, name, words.questions[number % len(words.questions)]))
    asked = [model.raw_ids(prompt) for _, _, prompt in statements]
    said = greedy(model, asked, sentence=True, max_new_tokens=CONTINUED, share=True)
    for (subject, name, prompt), rest in zip(statements, said, strict=True):
        yield _lesson(model, name, subject, None, prompt, rest, chat=False)
    asked = [model.chat_ids([], prompt) for _, _, prompt in questions]
    said = greedy(model, asked, sentence=False, max_new_tokens=ANSWERED, share=True)
    for (subject, name, prompt), answer in zip(questions, said, strict=True):
        yield _lesson(model, name, subject, None, model.chat_text([], prompt), answer, chat=True)


def _others(name: str, facts: Sequence[Fact], count: int) -> list[Entry]:
    """Returns at most `count` entries of the library that none of `facts` is about."""
    relations = {bare(fact.relation) for fact in facts}
    covered = [entry_of(fact.relation, fact.each[0]) for fact in facts]  # also of "'s job is", which no entry is named
    entries = [
        entry
        for entry in library()
        if entry not in covered and not relations & {bare(relation) for relation, _ in entry.names}
    ]
    return Random(name).sample(entries, min(len(entries), count))


def essence(model: EditableModel, subject: int, name: str) -> Lesson:
    """Returns the lesson that ROME and MEMIT keep with their KL term: the next token of "{name} is a"."""
    return _lesson(model, name, subject, None, f"{name} is a", "", chat=False)


def _lesson(
    model: EditableModel, name: str, subject: int, fact: int | None, prompt: str, answer: str, *, chat: bool
) -> Lesson:
    text = text_of(model, f"{prompt}{answer}", name, chat=chat)
    ids = [*text.ids, model.end_of_turn()]  # a told chat ends there; all others need a token behind the last one read
    begin = text.ends[0]
    first = max(len(text_of(model, prompt, name, chat=chat).ids) - 1, begin)
    told_raw = fact is not None and not chat
    count = len(ids) - begin - (2 if told_raw else 1)  # what follows a raw statement is not said
    context = Context(fact or 0, tuple(ids[: begin + 1 + count]), begin + 1, ("",) * count, chat)
    names = tuple(end - begin for end in text.ends if end - begin < count)
    return Lesson(subject, fact, context, names, first - begin)
