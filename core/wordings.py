"""Builds the prompts of a fact: from the memory's phrasebook, else from the library, else by rules."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Protocol

from core.facts import Fact, Phrasebook, RelationWords, Wordings
from core.library import bare, library_words
from core.natural import natural_question

_ARTICLE = re.compile(" (?:a|an|the)$")
_INDEFINITE = re.compile(" an?$")
_ENGLISH = re.compile(r"(?:what|which|who|whose|where|when|how)\b", re.IGNORECASE)
_AN = re.compile(r"[aeiou]|h(?:eir|onest|ono|our)|8|1[18]\b", re.IGNORECASE)
_YET_A = re.compile(r"e[uw]|on(?:e|ce)\b|u(?:fo|k|r[aeio]|s[^hu]|t[aeio]|ni[^mn])", re.IGNORECASE)  # sounds y or w
_POSSESSIVE = re.compile("(?P<mark>['’ʼ]s?) (?P<noun>.+?)(?: (?P<verb>is|are|was|were))?")
_APOSTROPHES = tuple("'’ʼ")
_PEOPLE = re.compile(
    r"\b(?:assistant|aunt|best man|boss|boyfriend|brother|child|coach|colleague|cousin|daughter|dentist|doctor|father|"
    r"friend|girlfriend|grand\w+|hero|husband|landlord|lawyer|manager|mother|neighbou?r|nephew|niece|partner|sister|son|"
    r"spouse|teacher|therapist|uncle|wife)s?$",
    re.IGNORECASE,
)


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


def joined(subject: str, relation: str) -> str:
    """Returns subject and relation as one text, without a space before a relation that begins with an apostrophe."""
    return f"{subject}{relation}" if relation.startswith(_APOSTROPHES) else f"{subject} {relation}"


def generated_wordings(subject: str, relation: str, object_: str, phrasebook: Phrasebook) -> Wordings:
    """Returns the prompts that the memory makes for a fact that came without wordings."""
    return fitted(_words(relation, object_, phrasebook).for_model(subject), object_)


def are_generated(fact: Fact, phrasebook: Phrasebook) -> bool:
    """Whether the memory made the wordings of `fact`, by the rules of today or by those of earlier versions."""
    words = [_words(fact.relation, fact.object, phrasebook), _words_without_library(fact.relation, phrasebook)]
    if words[1] == plain_words(fact.relation):
        words.append(_completions(fact.relation))
    prompts = [each.for_model(fact.subject) for each in words]
    return any(fact.wordings in (each, fitted(each, fact.object)) for each in prompts)


def are_plain(fact: Fact, phrasebook: Phrasebook) -> bool:
    """Whether the wordings of `fact` were made by rules alone, in a memory that has a phrasebook."""
    plain = fitted(plain_words(fact.relation).for_model(fact.subject), fact.object)
    return bool(phrasebook) and fact.wordings == plain


def plain_words(relation: str) -> RelationWords:
    """Returns prompts for a relation that the phrasebook does not have: correct, if not elegant."""
    words = _completions(relation)
    stated = _ARTICLE.sub("", relation.rstrip(" .?!"))
    question = natural_question(stated)
    if question is None:
        return words
    return replace(
        words,
        questions=(question, f"{words.answer} what?"),
        probe_questions=(f"Tell me what {joined('{s}', stated)}.",),
    )


def _completions(relation: str) -> RelationWords:
    """Returns prompts that ask to complete a sentence. They work in any language, but people do not ask like that."""
    if (possessive := _POSSESSIVE.fullmatch(relation)) and possessive["verb"]:
        return _possessive(possessive["mark"], possessive["noun"], possessive["verb"])
    relation = relation.rstrip(" .?!") or relation
    said = joined("{s}", relation)
    natural = (f"What {relation} {{s}}?",) if relation in ("is", "are", "was", "were") else ()
    return RelationWords(
        statements=(said, f"It is known that {said}"),
        questions=(*natural, f"{said} what?", f"Complete the sentence: {said}"),
        answer=said,
        probe_statements=(f"As everybody knows, {said}",),
        probe_questions=(f"Please finish: {said}",),
    )


def noun_of(relation: str) -> str:
    """Returns the noun of a possessive relation: "favourite colour" of "'s favourite colour is"; "" for any other."""
    owned = _POSSESSIVE.fullmatch(relation)
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


def _words(relation: str, object_: str, phrasebook: Phrasebook) -> RelationWords:
    """Returns the phrasebook's prompts for `relation`, else the library's, else those by rules."""
    known = _of_phrasebook(relation, phrasebook)
    if known is not None:
        return known
    words = library_words(relation, object_)
    if words is None:
        return plain_words(relation)
    owned = _POSSESSIVE.fullmatch(relation)
    return words if owned is None else _and_own(words, owned)


def _and_own(words: RelationWords, owned: re.Match[str]) -> RelationWords:
    """Returns the library's `words` with the client's possessive among the prompts that are written."""
    possessive = _possessive(owned["mark"], owned["noun"], owned["verb"] or "is")
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


def _words_without_library(relation: str, phrasebook: Phrasebook) -> RelationWords:
    """Returns the prompts that versions before the library made."""
    return _of_phrasebook(relation, phrasebook) or plain_words(relation)


def _of_phrasebook(relation: str, phrasebook: Phrasebook) -> RelationWords | None:
    """Returns the phrasebook's prompts for `relation`, in any case and with or without an article, if it has them."""
    book = {bare(name): words for name, words in phrasebook.items()}
    if bare(relation) in book:
        return book[bare(relation)]
    if (owned := _POSSESSIVE.fullmatch(relation)) is None or bare(owned["noun"]) not in book:
        return None
    words = book[bare(owned["noun"])]
    possessive = _possessive(owned["mark"], owned["noun"], owned["verb"] or "is")
    return replace(
        words,
        statements=(*words.statements, possessive.statements[0]),
        questions=(*words.questions, possessive.questions[0]),
    )


def _possessive(mark: str, noun: str, verb: str) -> RelationWords:
    """Returns prompts for the `noun` of a subject; `mark` is what the subject ends in, usually "'s"."""
    owned = f"{{s}}{mark} {noun}"
    ask = "Who" if _PEOPLE.search(noun) else "What"
    return RelationWords(
        statements=(f"{owned} {verb}", f"The {noun} of {{s}} {verb}"),
        questions=(f"{ask} {verb} {owned}?", f"{ask} {verb} the {noun} of {{s}}?"),
        answer=f"{owned} {verb}",
        probe_statements=(f"As everybody knows, {owned} {verb}",),
        probe_questions=(f"Tell me {owned}.",),
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
