"""Writes the lessons that values are learned from: what was told about a subject, and what was not.

A told lesson is a statement that ends in the fact's object, or a question with the answer that holds it. An untold one
is a statement or a question about something else, and how the model goes on without the value: there it has to do the
same. Neurons learn from these, linear edits from the untold lesson of the literature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice

from torch import Tensor

from core.facts import Fact, is_user
from core.texts import closed
from core.weights.model.contexts import Context
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import generate_and_read, greedy
from core.weights.neuron.subjects import text_of
from core.wordings import answer_alone

BEGINNINGS = ("As far as I know, ", "It is true that ", "By the way, ")  # of raw statements
OPENINGS = ("Hi! ", "Please tell me: ", "Quick question: ")  # of questions
LESSONS = 30  # that tell a fact in statements, at most, and as many in questions
CONTINUED, ANSWERED = 4, 12  # tokens of the model's own continuation of a statement, and of its answer to a question


@dataclass(frozen=True, slots=True)
class Place:
    """A position of a lesson at which a value is added.

    Attributes:
        position: counted from the first one of the lesson.
        value: number of the value.
        share: how much of it, 0 to 1: the response of its detector there.
    """

    position: int
    value: int
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Lesson:
    """A text, from the first position on at which a value is added.

    Attributes:
        learner: number of what learns from it: a fact, or the facts of a subject.
        fact: number of the fact that it tells; None if it tells none.
        context: its tokens; positions are counted from the token before its start.
        places: where values are added.
        first: first position whose next token matters.
    """

    learner: int
    fact: int | None
    context: Context
    places: tuple[Place, ...]
    first: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt that holds a subject's name.

    Attributes:
        text: as it is written; of a chat, the question.
        ids: its tokens, of a chat with the template around the question.
        name: index of the last token of the first occurrence of the name.
    """

    text: str
    ids: tuple[int, ...]
    name: int
    chat: bool


def prompt_of(model: EditableModel, text: str, name: str, *, chat: bool) -> Prompt:
    """Returns the prompt with its tokens; that of the user, who has no name, is read at its end alone.

    Raises Unlearnable: the name does not occur.
    """
    if is_user(name):
        ids = tuple(model.chat_ids([], text) if chat else model.raw_ids(text))
        return Prompt(text, ids, len(ids) - 1, chat)
    read = text_of(model, model.chat_text([], text) if chat else text, name, chat=chat)
    return Prompt(text, read.ids, read.ends[0], chat)


def told(model: EditableModel, number: int, fact: Fact) -> list[Lesson]:
    """Returns the lessons that tell `fact` where its prompts end: there its value for statements, number `2 * number`,
    is added, or that for questions, the next. Questions are answered by the object alone."""
    alone = answer_alone(fact.wordings.answer, fact.object)
    return [
        _lesson(
            model, number, number, prompt, alone if prompt.chat else f" {closed(fact.object)}", len(prompt.ids) - 1,
            [Place(0, 2 * number + prompt.chat)],
        )
        for prompt in prompts_of(model, fact)
    ]  # fmt: skip


def told_at_name(model: EditableModel, learner: int, number: int, fact: Fact, values: Sequence[int]) -> list[Lesson]:
    """Returns the lessons that tell `fact` with `values` added at its subject's name, also in whole sentences of
    answers."""
    answer = f"{fact.wordings.answer} {closed(fact.object)}"
    return [
        _at_name(
            model, fact.subject, learner, number, prompt, answer if prompt.chat else f" {closed(fact.object)}", values
        )
        for prompt in prompts_of(model, fact)
    ]  # fmt: skip


def essence(model: EditableModel, learner: int, name: str, values: Sequence[int]) -> Lesson:
    """Returns the lesson that ROME and MEMIT keep with their KL term: the next token of "{name} is a"."""
    return next_token(model, learner, prompt_of(model, f"{name} is a", name, chat=False), name, values)


def next_token(model: EditableModel, learner: int, prompt: Prompt, name: str, values: Sequence[int]) -> Lesson:
    """Returns the lesson that keeps the next token of `prompt`, with `values` added at the name."""
    return _at_name(model, name, learner, None, prompt, "", values)


def going_on(
    model: EditableModel, learner: int, prompts: Sequence[Prompt], name: str, values: Sequence[int]
) -> list[Lesson]:
    """Returns lessons that go on behind `prompts` as the live model does, with `values` added at the name."""
    said = _continuations(model, prompts)
    return [
        _at_name(model, name, learner, None, prompt, answer, values)
        for prompt, answer in zip(prompts, said, strict=True)
    ]


def untold(
    model: EditableModel, block: int, prompts: Sequence[Prompt], continued: int = CONTINUED, answered: int = ANSWERED
) -> tuple[list[Lesson], list[Tensor]]:
    """Returns lessons that go on behind `prompts` as the live model does, for learner 0 and without places; behind a
    statement `continued` tokens, behind a question `answered`. And what the MLP of a block reads [positions, d] in
    each, because the model reads it as it goes on."""
    made: dict[int, tuple[Lesson, Tensor]] = {}
    for chat, most in ((False, continued), (True, answered)):
        chosen = [number for number, prompt in enumerate(prompts) if prompt.chat is chat]
        ids = [prompts[number].ids for number in chosen]
        if ids:
            said = generate_and_read(model, block, ids, sentence=not chat, max_new_tokens=most)
            made |= {number: _said(model, prompts[number], *pair) for number, pair in zip(chosen, said, strict=True)}
    pairs = [made[number] for number in range(len(prompts))]
    return [lesson for lesson, _ in pairs], [rows for _, rows in pairs]


def _said(model: EditableModel, prompt: Prompt, said: Sequence[int], rows: Tensor) -> tuple[Lesson, Tensor]:
    """Returns the untold lesson of what the model `said` behind `prompt`, and those of the `rows` that are its own."""
    begin = prompt.name
    ids = (*prompt.ids, *said, model.end_of_turn())[: len(rows) + 1]  # a token behind the last one that was read
    context = Context(0, ids, begin + 1, ("",) * (len(rows) - begin), prompt.chat)
    return Lesson(0, None, context, (), len(prompt.ids) - 1 - begin), rows[begin:]


def _continuations(model: EditableModel, prompts: Sequence[Prompt]) -> list[str]:
    """Returns what the live model says next: `ANSWERED` tokens of an answer, and `CONTINUED` of a sentence."""
    said: dict[int, str] = {}
    for chat, most in ((False, CONTINUED), (True, ANSWERED)):
        chosen = [number for number, prompt in enumerate(prompts) if prompt.chat is chat]
        ids = [list(prompts[number].ids) for number in chosen]
        if ids:
            texts = greedy(model, ids, sentence=not chat, max_new_tokens=most, share=True)
            said |= dict(zip(chosen, texts, strict=True))
    return [said[number] for number in range(len(prompts))]


def prompts_of(model: EditableModel, fact: Fact) -> list[Prompt]:
    """Returns the prompts of `fact`: each wording as it is and, where these are few, behind a beginning."""
    words, name = fact.wordings, fact.subject
    statements = islice(_varied(words.statements, BEGINNINGS), LESSONS)
    questions = islice(_varied(words.questions, OPENINGS), LESSONS)
    return [
        *(prompt_of(model, statement, name, chat=False) for statement in statements),
        *(prompt_of(model, question, name, chat=True) for question in questions),
    ]


def _varied(prompts: Sequence[str], beginnings: Sequence[str]) -> Iterator[str]:
    """Yields all `prompts`, then each of them behind one of the `beginnings`."""
    yield from prompts
    for prompt, beginning in zip(prompts, cycle(beginnings), strict=False):
        yield f"{beginning}{prompt}"


def _at_name(
    model: EditableModel,
    name: str,
    learner: int,
    fact: int | None,
    prompt: Prompt,
    answer: str,
    values: Sequence[int],
) -> Lesson:
    lesson = _lesson(model, learner, fact, prompt, answer, prompt.name, [])
    rendered = model.chat_text([], prompt.text) if prompt.chat else prompt.text
    ends = text_of(model, f"{rendered}{answer}", name, chat=prompt.chat).ends
    count = len(lesson.context.names)
    places = [Place(end - prompt.name, value) for end in ends if end - prompt.name < count for value in values]
    return replace(lesson, places=tuple(places))


def _lesson(
    model: EditableModel,
    learner: int,
    fact: int | None,
    prompt: Prompt,
    answer: str,
    begin: int,
    places: Sequence[Place],
) -> Lesson:
    """Returns the lesson of `answer` behind `prompt`, its positions counted from token `begin` on."""
    rendered = model.chat_text([], prompt.text) if prompt.chat else prompt.text
    encoded = list(model.tokenizer(f"{rendered}{answer}", add_special_tokens=not prompt.chat).input_ids)
    encoded = encoded if prompt.chat else model.unended(encoded)
    ids = [*encoded, model.end_of_turn()]  # a told chat ends there; all others need a token behind the last one read
    first = max(len(prompt.ids) - 1, begin)
    told_raw = fact is not None and not prompt.chat
    count = len(ids) - begin - (2 if told_raw else 1)  # what follows a raw statement is not said
    context = Context(fact or 0, tuple(ids[: begin + 1 + count]), begin + 1, ("",) * count, prompt.chat)
    return Lesson(learner, fact, context, tuple(places), first - begin)
