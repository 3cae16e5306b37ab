"""A memory's own words for a fact: those of its phrasebook or plain ones, fitted to subject, relation and object."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Protocol

from core.facts import Fact, Phrasebook, RelationWords, Wordings
from core.natural import natural_question
from core.texts import same_words

_ARTICLE = re.compile(" (?:a|an|the)$")
_INDEFINITE = re.compile(" an?$")
_ENGLISH = re.compile(r"(?:what|which|who|whose|where|when|how)\b", re.IGNORECASE)
_AN = re.compile(r"[aeiou]|h(?:eir|onest|ono|our)|8|1[18]\b", re.IGNORECASE)
_YET_A = re.compile(r"e[uw]|on(?:e|ce)\b|u(?:fo|k|r[aeio]|s[^hu]|t[aeio]|ni[^mn])", re.IGNORECASE)  # begin with y or w
_POSSESSIVE = re.compile("(?P<mark>['’ʼ]s?) (?P<noun>.+?)(?: (?P<verb>is|are|was|were))?")
_APOSTROPHES = tuple("'’ʼ")
_PEOPLE = re.compile(
    r"\b(?:assistant|aunt|best man|boss|boyfriend|brother|child|coach|colleague|cousin|daughter|dentist|doctor|father|"
    r"friend|girlfriend|grand\w+|hero|husband|landlord|lawyer|manager|mother|neighbou?r|nephew|niece|partner|sister|son|"
    r"spouse|teacher|therapist|uncle|wife)s?$",
    re.IGNORECASE,
)


class Stated(Protocol):
    """A fact, here or in a message."""

    @property
    def subject(self) -> str: ...
    @property
    def relation(self) -> str: ...
    @property
    def object(self) -> str: ...


def in_words(fact: Stated) -> str:
    """`fact` as people read it; empty once its words are erased."""
    return f"{joined(fact.subject, fact.relation)} {fact.object}".strip()


def joined(subject: str, relation: str) -> str:
    """The beginning of a statement: a relation that begins with an apostrophe follows its subject at once."""
    return f"{subject}{relation}" if relation.startswith(_APOSTROPHES) else f"{subject} {relation}"


def own_wordings(subject: str, relation: str, object_: str, phrasebook: Phrasebook) -> Wordings:
    """How a memory states and asks for what a client told in three words."""
    return fitted(_words(relation, phrasebook).for_model(subject), object_)


def are_own(fact: Fact, phrasebook: Phrasebook) -> bool:
    """Whether the wordings of `fact` are the memory's own, as they are now or were before they fitted objects."""
    plain = _words(fact.relation, phrasebook).for_model(fact.subject)
    before = _completions(fact.relation).for_model(fact.subject)
    unknown = plain == plain_words(fact.relation).for_model(fact.subject)
    return fact.wordings in (plain, fitted(plain, fact.object), *([before, fitted(before, fact.object)] * unknown))


def plain_words(relation: str) -> RelationWords:
    """Words for a relation that the phrasebook lacks: serviceable, never elegant."""
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
    """Words that ask to complete a sentence, which people do not, for relations of any language."""
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


def bare(relation: str) -> str:
    """The form in which relations are looked up: that in which they are compared, without an article at the end."""
    return _ARTICLE.sub("", same_words(relation))


def noun_of(relation: str) -> str:
    """What a possessive relation names ("'s favourite colour is"); empty for any other."""
    owned = _POSSESSIVE.fullmatch(relation)
    return owned["noun"] if owned else ""


def fitted(words: Wordings, object_: str) -> Wordings:
    """`words` so that no article stands twice before the object, nor another word, and "a" before vowels is "an"."""
    first, more, _ = object_.partition(" ")
    if more and _ARTICLE.fullmatch(f" {first.lower()}"):
        return _without_article(words)
    english = any(_ENGLISH.match(question) for question in words.questions)

    def before(prompt: str) -> str:
        if more and prompt.endswith(f" {first}"):
            return prompt.removesuffix(f" {first}")
        return _INDEFINITE.sub(" an" if _takes_an(object_) else " a", prompt) if english else prompt

    return replace(
        words,
        statements=tuple(map(before, words.statements)),
        answer=before(words.answer),
        probe_statements=tuple(map(before, words.probe_statements)),
    )


def _words(relation: str, phrasebook: Phrasebook) -> RelationWords:
    """The phrasebook's words for `relation`, written in any case and with or without an article, or plain ones."""
    book = {bare(name): words for name, words in phrasebook.items()}
    if bare(relation) in book:
        return book[bare(relation)]
    if (owned := _POSSESSIVE.fullmatch(relation)) is None or bare(owned["noun"]) not in book:
        return plain_words(relation)
    words, own = book[bare(owned["noun"])], _possessive(owned["mark"], owned["noun"], owned["verb"] or "is")
    return replace(
        words, statements=(*words.statements, own.statements[0]), questions=(*words.questions, own.questions[0])
    )


def _possessive(mark: str, noun: str, verb: str) -> RelationWords:
    """Words for the `noun` of a subject; `mark` is what the subject ends in, "'s" as a rule."""
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
    """For an object that has an article: where some prompts end in one, only those, and without it."""
    statements = _open(words.statements)
    if not statements:
        return words
    answer = (*_open((words.answer,)), statements[0])[0]
    return replace(words, statements=statements, answer=answer, probe_statements=_open(words.probe_statements))


def _open(prompts: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `prompts` that end in an article, without it."""
    return tuple(_ARTICLE.sub("", prompt) for prompt in prompts if _ARTICLE.search(prompt))


def _takes_an(object_: str) -> bool:
    """Whether it is "an" before `object_`, as far as its spelling tells."""
    return _AN.match(object_) is not None and _YET_A.match(object_) is None
