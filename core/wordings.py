"""Builds the prompts of a fact: from the memory's phrasebook, else from the library, else by rules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from core.english.persons import of_user, said_to_user
from core.english.rules import english_words
from core.facts import Fact, Origin, Phrasebook, RelationWords, Wordings, is_user
from core.library import bare, library_words
from core.natural import POSSESSIVE, completions, joined, plain_words, possessive_words, spelled_out
from core.texts import closed

PERSON = "Robin Smith"  # stands for anybody in wordings that are then said of the user
_ARTICLE = re.compile(" (?:a|an|the)$")
_INDEFINITE = re.compile(" an?$")
_ENGLISH = re.compile(r"(?:what|which|who|whose|where|when|how)\b", re.IGNORECASE)
_AN = re.compile(r"[aeiou]|h(?:eir|onest|ono|our)|8|1[18]\b", re.IGNORECASE)
_YET_A = re.compile(r"e[uw]|on(?:e|ce)\b|u(?:fo|k|r[aeio]|s[^hu]|t[aeio]|ni[^mn])", re.IGNORECASE)  # sounds y or w


class Stated(Protocol):
    """Anything with the three parts of a fact: `Fact` or a protobuf message."""

    @property
    def subject(self) -> str: ...
    @property
    def relation(self) -> str: ...
    @property
    def object(self) -> str: ...


def in_words(fact: Stated) -> str:
    """Returns `fact` as one line of text; empty if its words are erased."""
    return f"{joined(fact.subject, fact.relation)} {fact.object}".strip()


def in_words_to_user(fact: Stated) -> str:
    """Returns what `in_words` does, but of a fact about the user as it is said to them: "you live in Lisbon"."""
    told = said_to_user(joined("{s}", fact.relation)) if is_user(fact.subject) else None
    return in_words(fact) if told is None else f"{told[:1].lower()}{told[1:]} {fact.object}"


def generated_wordings(subject: str, relation: str, object_: str, phrasebook: Phrasebook) -> Wordings:
    """Returns the prompts that the memory makes for a fact that came without wordings."""
    words, _ = _words(subject, relation, object_, phrasebook)
    return fitted(words.for_model(subject), object_)


def of_several(fact: Fact, objects: Sequence[str], phrasebook: Phrasebook) -> Fact:
    """Returns `fact` with `objects` in the place of its own, and wordings made for the first of them.

    The other objects get the article that the wordings have before the first: "cello and the harp" after "plays the".
    """
    made = [generated_wordings(fact.subject, fact.relation, object_, phrasebook) for object_ in objects]
    said = [f"{article_of(words.answer)} {one}".strip() for words, one in zip(made, objects, strict=True)]
    listed = ", ".join((objects[0], *said[1:-1])) + (f" and {said[-1]}" if said[1:] else "")
    several = tuple(objects) if said[1:] else ()
    return replace(fact, object=listed, objects=several, wordings=made[0])


def origin_of(fact: Fact, phrasebook: Phrasebook) -> Origin:
    """Returns where the wordings of a new `fact` come from."""
    words, origin = _words(fact.subject, fact.relation, fact.each[0], phrasebook)
    return origin if fact.wordings == fitted(words.for_model(fact.subject), fact.each[0]) else Origin.CLIENT


def are_generated(fact: Fact, phrasebook: Phrasebook) -> bool:
    """Whether the memory made the wordings of `fact`, by the rules of today or by those of earlier versions."""
    if origin_of(fact, phrasebook) is not Origin.CLIENT:
        return True
    known = _of_phrasebook(fact.relation, phrasebook)
    earlier = [plain_words(fact.relation), completions(fact.relation)] if known is None else [known]
    prompts = [words.for_model(fact.subject) for words in earlier]
    return any(fact.wordings in (words, fitted(words, fact.object)) for words in prompts)


def article_of(prompt: str) -> str:
    """Returns the article that `prompt` ends in, or nothing."""
    article = _ARTICLE.search(prompt)
    return article[0].strip() if article else ""


def answer_alone(answer: str, object_: str) -> str:
    """Returns the shortest answer: "A cook." where `answer` begins "Ann works as a" and the object is "cook"."""
    whole = f"{article_of(answer)} {object_}".strip()
    first = whole.partition(" ")[0]
    return closed(first.capitalize() + whole.removeprefix(first) if first.isalpha() and first.islower() else whole)


def noun_of(relation: str) -> str:
    """Returns the noun of a possessive relation: "favourite colour" of "'s favourite colour is"; "" for any other."""
    owned = POSSESSIVE.fullmatch(relation)
    return owned["noun"] if owned else ""


def fitted(words: Wordings, object_: str) -> Wordings:
    """Returns `words` fitted to the object: no article or word doubled before it, and "an" before a vowel."""
    first, rest, _ = object_.partition(" ")
    if rest and _ARTICLE.fullmatch(f" {first.lower()}"):
        return _without_article(words)
    english = any(_ENGLISH.match(question) for question in words.questions)

    def before(prompt: str) -> str:
        if rest and prompt.endswith(f" {first}"):
            return prompt.removesuffix(f" {first}")
        return _INDEFINITE.sub(" an" if _takes_an(object_) else " a", prompt) if english else prompt

    return replace(
        words,
        statements=tuple(map(before, words.statements)),
        answer=before(words.answer),
        probe_statements=tuple(map(before, words.probe_statements)),
    )


def _words(subject: str, relation: str, object_: str, phrasebook: Phrasebook) -> tuple[RelationWords, Origin]:
    """Returns the phrasebook's prompts for `relation`, else the library's, else those by rules."""
    if is_user(subject):
        of_anybody, origin = _words(PERSON, relation, object_, phrasebook)
        return of_user(of_anybody), origin
    if (known := _of_phrasebook(relation, phrasebook)) is not None:
        return known, Origin.PHRASEBOOK
    relation = spelled_out(relation)
    if (words := library_words(relation, object_)) is not None:
        owned = POSSESSIVE.fullmatch(relation)
        return words if owned is None else _and_own(words, owned), Origin.LIBRARY
    return english_words(subject, relation, object_) or _of_any_language(relation), Origin.RULES


def _of_any_language(relation: str) -> RelationWords:
    """Returns prompts that ask to complete a sentence: people do not ask like that, but they may be in any language."""
    said = joined("{s}", relation.rstrip(" .?!") or relation)
    return RelationWords(
        statements=(said, f"Fact: {said}"),
        questions=(f"Complete the sentence: {said}", f"Finish the sentence: {said}"),
        answer=said,
        probe_statements=(f"Note: {said}",),
        probe_questions=(f"Please finish: {said}",),
    )


def _and_own(words: RelationWords, owned: re.Match[str]) -> RelationWords:
    """Returns the library's `words` with the client's possessive among the prompts that are written."""
    possessive = possessive_words(owned["mark"], owned["noun"], owned["verb"] or "is")
    statement, question = possessive.statements[0], possessive.questions[0]
    if owned["verb"] in ("are", "were") or words.answer.endswith((" a", " the")):
        return words
    return replace(
        words,
        statements=tuple(dict.fromkeys((*words.statements, statement))),
        questions=tuple(dict.fromkeys((*words.questions, question))),
        probe_statements=tuple(prompt for prompt in words.probe_statements if prompt != statement),
        probe_questions=tuple(prompt for prompt in words.probe_questions if prompt != question),
    )


def _of_phrasebook(relation: str, phrasebook: Phrasebook) -> RelationWords | None:
    """Returns the phrasebook's prompts for `relation`, in any case and with or without an article, if it has them."""
    book = {bare(name): words for name, words in phrasebook.items()}
    if bare(relation) in book:
        return book[bare(relation)]
    if (owned := POSSESSIVE.fullmatch(relation)) is None or bare(owned["noun"]) not in book:
        return None
    words = book[bare(owned["noun"])]
    possessive = possessive_words(owned["mark"], owned["noun"], owned["verb"] or "is")
    return replace(
        words,
        statements=(*words.statements, possessive.statements[0]),
        questions=(*words.questions, possessive.questions[0]),
    )


def _without_article(words: Wordings) -> Wordings:
    """Returns only the prompts that end in an article, without it, because the object has one; all if none does."""
    statements = _open(words.statements)
    if not statements:
        return words
    answer = (*_open((words.answer,)), statements[0])[0]
    return replace(words, statements=statements, answer=answer, probe_statements=_open(words.probe_statements))


def _open(prompts: tuple[str, ...]) -> tuple[str, ...]:
    """Returns those of `prompts` that end in an article, without it."""
    return tuple(_ARTICLE.sub("", prompt) for prompt in prompts if _ARTICLE.search(prompt))


def _takes_an(object_: str) -> bool:
    """Whether `object_` takes "an", judged by its spelling."""
    return _AN.match(object_) is not None and _YET_A.match(object_) is None
