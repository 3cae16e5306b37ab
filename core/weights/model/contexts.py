"""Builds the texts that a fact is written on, and names the sites in them where hidden states have to change.

A context is a prompt and the target that should follow: the object and its full stop in raw text, the whole answer and
the end of the turn in chat. A *site* is a token whose successor the base model gets wrong. As a rule there are two:
the token before the object, and in chat the token before the answer, where a model that knows what it does not know
begins "I do not know". (ROME and MEMIT write at the last token of the subject instead.) Contexts of one fact share
their sites by name (`answer:0`, `object:0`, ...), and with each site one change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.errors.base import Unlearnable
from core.facts import Fact, Wordings
from core.texts import closed
from core.weights.model.editable_model import EditableModel

# An edit at the answer site and an adapter learn a fact from all its wordings up to so many statements and questions:
# those of dormouse's phrasebook and a client's possessive. Where there are more, as in the library, they learn it
# from the first FEW of each, as many as there were without a library, because small models do not learn a fact from
# all.
STATEMENTS, QUESTIONS, FEW = 4, 5, 2


@dataclass(frozen=True, slots=True)
class Context:
    """A text of a fact.

    Attributes:
        fact: index of the fact in its batch.
        ids: tokens of prompt and target.
        start: index in `ids` of the first target token.
        names: for each target token, the name of the site that predicts it.
        chat: whether it is a chat or raw text.
    """

    fact: int
    ids: tuple[int, ...]
    start: int
    names: tuple[str, ...]
    chat: bool = False


def written_contexts(model: EditableModel, facts: Sequence[Fact], prefixes: Sequence[str]) -> list[Context]:
    """Returns the contexts of all `facts` in the wordings that are written.

    Raises:
        Unlearnable: an object has no tokens.
    """
    written = [replace(fact, wordings=written_wordings(fact.wordings)) for fact in facts]
    return [context for index, fact in enumerate(written) for context in contexts_of(model, index, fact, prefixes)]


def written_wordings(words: Wordings) -> Wordings:
    """Returns `words` with those statements and questions that an edit at the answer site is computed on."""

    def first(prompts: tuple[str, ...], most: int) -> tuple[str, ...]:
        return prompts if len(prompts) <= most else prompts[:FEW]

    return replace(words, statements=first(words.statements, STATEMENTS), questions=first(words.questions, QUESTIONS))


def contexts_of(model: EditableModel, index: int, fact: Fact, prefixes: Sequence[str]) -> list[Context]:
    """Returns raw statements, all but the first behind a prefix where there are any, and questions in chat.

    Raises:
        Unlearnable: no token belongs to the object.
    """
    wordings = fact.wordings
    beginnings = ["", *prefixes]
    raw = [
        _raw(model, index, f"{beginnings[number % len(beginnings)]}{statement}", fact)
        for number, statement in enumerate(wordings.statements)
    ]
    return raw + [_chat(model, index, question, fact) for question in wordings.questions]


def _raw(model: EditableModel, index: int, prompt: str, fact: Fact) -> Context:
    ids, spans = _encode(model, f"{prompt} {closed(fact.object)}", special=True)
    first = _object_after(spans, len(prompt), fact)
    return Context(index, tuple(ids), first, _names("object", len(ids) - first))


def _chat(model: EditableModel, index: int, question: str, fact: Fact) -> Context:
    head = model.chat_text([], question)
    answer = f"{head}{fact.wordings.answer}"
    ids, spans = _encode(model, f"{answer} {closed(fact.object)}", special=False)
    first, before = _object_after(spans, len(answer), fact), _first_after(spans, len(head))
    ids = [*ids, model.end_of_turn()]
    names = _names("answer", first - before) + _names("object", len(ids) - first)
    return Context(index, tuple(ids), before, names, chat=True)


def _encode(model: EditableModel, text: str, *, special: bool) -> tuple[list[int], list[tuple[int, int]]]:
    """Returns token ids, and the span of characters of each; `special` adds what the tokenizer puts before raw text."""
    encoding = model.tokenizer(text, add_special_tokens=special, return_offsets_mapping=True)
    ids = list(encoding.input_ids)
    ids = model.unended(ids) if special else ids
    return ids, list(encoding.offset_mapping)[: len(ids)]


def _object_after(spans: list[tuple[int, int]], length: int, fact: Fact) -> int:
    """Returns the first token of the object, which follows `length` characters and a space. Raises Unlearnable."""
    begin = length + 1
    if not any(start < begin + len(fact.object) and end > begin for start, end in spans):
        raise Unlearnable(f"fact {fact.id}: its object has no tokens", fact=fact.id)
    return _first_after(spans, length)


def _first_after(spans: list[tuple[int, int]], length: int) -> int:
    """Returns the first token that reaches past `length` characters."""
    return next(token for token, (_, end) in enumerate(spans) if end > length)


def _names(part: str, count: int) -> tuple[str, ...]:
    return tuple(f"{part}:{number}" for number in range(count))
