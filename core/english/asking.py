"""Decides how people ask for the object of a clause: who, what, when, where, how old, how much."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from core.english.clauses import Clause
from core.english.verbs import verbs
from core.library import is_of_kind
from core.natural import PEOPLE

_TIMES = {
    "year": ("In which year", "What year"),
    "date": ("On which day", "What day"),
    "time": ("At what time", "What time"),
    "month": ("At what time of the year", "In which part of the year"),
}
_WHEN = frozenset(("", "after", "around", "at", "before", "by", "during", "from", "in", "on", "since", "until"))
_SINCE = frozenset(("by", "from", "since", "until"))
_STAYING = frozenset(("at", "in", "inside", "near", "outside"))
_MOVING = frozenset(("from", "through", "to", "toward", "towards"))
_PLACED = frozenset(
    "arrive attend base bear bring bury camp come die dine dwell eat enrol find fly gather get go grow hail "
    "happen hide jog keep land leave lie live locate lodge lose make meet move originate park perform practise "
    "raise reach relocate reside retire return run sail serve settle shop sing sit situate sleep spend stand "
    "start station stay stop store study swim teach train travel volunteer wait walk work".split()
)
_DONE_AT_PLACES = frozenset(
    "arrest build construct crown detain establish film found hold imprison invent kill manufacture marry print "
    "produce publish record shoot sign wound".split()
)
_OF_A_NOUN = re.compile(r"(?:.+ )?(?:a|an|the) .+")
_TO_VERB = re.compile(r".*\bto (?P<verb>[a-z]+)(?: [a-z]+)?")
_APPOSED = re.compile(r"(?P<head>.+) the (?P<noun>\w+(?: \w+)?)")  # "knows the language" French
_ON_PLACES = frozenset("born bear land live lie locate sit situate sleep stand stay".split())
_PERSONAL = re.compile(
    r"\b(?:admires?|adopted|dates?|dated|dating|engaged|friends|hired|in love|lives? with|looks? up to|loves?|"
    r"marr(?:y|ies|ied)|meets?|met|related|trusts?|works? with|worked with)\b"
)
_RELATED = re.compile(
    r"\b(?:(?:god|half-|step)(?:brother|child|daughter|father|mother|parent|sister|son)|accountant|agent|ally|classmate|"
    r"fianc[eé]e?|flatmate|guardian|idol|mentor|nanny|predecessor|rival|roommate|student|successor|tutor)s?$"
)
_MEASURES = {"cost": "How much", "earn": "How much", "weigh": "How much", "last": "How long", "take": "How long"}
_COMMON = re.compile(r"(?:the|my|our|your|his|her|its|their) ", re.IGNORECASE)
_QUALITY = re.compile(r"[a-z]+(?:-[a-z]+)?")


@dataclass(frozen=True, slots=True)
class Ask:
    """A question, and the same as a part of a sentence: "Where does {s} live?" and "where {s} lives"."""

    question: str
    indirect: str


def small(sentence: str) -> str:
    """Returns `sentence` with a small first letter."""
    return f"{sentence[:1].lower()}{sentence[1:]}"


def is_named(subject: str) -> bool:
    """Whether `subject` is a name, and not words such as "My dog" or "the capital of Atlantis"."""
    return subject[:1].isupper() and not _COMMON.match(subject)


def is_relative(noun: str) -> bool:
    """Whether `noun` ends in a word for a person in relation to another: "best friend", "godmother"."""
    return (PEOPLE.search(noun) or _RELATED.search(noun)) is not None


def how_to_ask(clause: Clause, subject: str, object_: str) -> tuple[Ask, ...]:
    """Returns at least two ways to ask for `object_`, the best first."""
    return tuple(_ways(clause, subject, object_))[:3]


def _ways(clause: Clause, subject: str, object_: str) -> Iterator[Ask]:
    """Yields ways to ask; what fits the object best comes first."""
    last = clause.preposition
    short = clause.without_preposition() if last else clause
    time = next((kind for kind in _TIMES if is_of_kind(kind, object_)), "")
    if time and last in _WHEN and (last or object_.startswith("in ") or time in ("date", "time")):
        yield from _when(short, last, time)
    elif place := _where(clause, object_):
        yield _ask(place, short if last in _STAYING or last == "on" else clause)
        yield _ask("Which place", clause)
    elif last == "near":  # "lives in a house near"
        yield _ask("Which place", clause)
        yield _ask("What place", clause)
    elif (kind := _APPOSED.fullmatch(clause.after)) and not last:
        short = clause.before_noun(f" the {kind['noun']}")
        yield _ask(f"What {kind['noun']}", short)
        yield _ask(f"Which {kind['noun']}", short)
    elif _is_person(clause, object_):
        yield from _who(clause)
    elif clause.bare and not last:
        yield from _of_being(clause, subject, object_)
    elif clause.after in ("due", "scheduled"):
        yield _ask("When", clause)
        yield _ask("When exactly", clause)
    elif clause.verb in _MEASURES and object_[:1].isdigit():
        yield _ask(_MEASURES[clause.verb], clause)
        yield _ask("What", clause)
    else:
        yield _ask("What", clause)
        yield Ask(f"What is it that {{s}} {clause.said}?", f"what it is that {{s}} {clause.said}")


def _ask(word: str, clause: Clause) -> Ask:
    return Ask(clause.asked(word), clause.indirect(word))


def _when(clause: Clause, preposition: str, time: str) -> Iterator[Ask]:
    """Yields ways to ask for a time."""
    if preposition in _SINCE:
        yield _ask(f"{preposition.capitalize()} when", clause)
        yield _ask(f"{preposition.capitalize()} which {time}", clause)
        return
    yield _ask("When", clause)
    for word in _TIMES[time]:
        yield _ask(word, clause)


def _where(clause: Clause, object_: str) -> str:
    """Returns "Where" if `object_` is a place, as far as the clause tells; otherwise ""."""
    last, name, long = clause.preposition, object_[:1].isupper(), len(clause.after.split()) > 2
    if clause.bare:
        return "Where" if last in (*_STAYING, "from") and (name or " " in object_) else ""
    if last == "near" and long:
        return ""
    if clause.after.endswith("been to") or clause.after.startswith(("take place", "taking place")):
        return "Where"
    verb = clause.verb
    if (aim := _TO_VERB.fullmatch(clause.after.removesuffix(f" {last}"))) and aim["verb"] in verbs().bases:
        verb = aim["verb"]  # "wants to live in"
    acts = clause.participle or verb not in ("be", "have", "do")
    there = name and acts and (last == "at" or (last == "in" and long))  # "volunteers at", "lost his keys in"
    of_noun = last == "at" and _OF_A_NOUN.fullmatch(clause.after) and verb in ("be", "have")  # "is a student at"
    stays = last in _STAYING and (verb in _PLACED or (clause.participle and verb in _DONE_AT_PLACES and name))
    stays = stays and (not long or clause.participle or name or _COMMON.match(object_) is not None)
    moves = last in _MOVING and verb in _PLACED and not clause.participle
    on = last == "on" and verb in _ON_PLACES
    return "Where" if there or of_noun or stays or moves or on else ""


def _is_person(clause: Clause, object_: str) -> bool:
    """Whether `object_` is a person, as far as its capitals and the clause tell."""
    if clause.bare and not clause.preposition:
        return False
    if is_of_kind("person", object_):
        return clause.preposition not in _STAYING
    made = clause.participle and clause.preposition == "by"
    related = is_relative(clause.after.removesuffix(" of").removesuffix(" to"))
    return object_[:1].isupper() and (made or related or _PERSONAL.search(clause.said) is not None)


def _who(clause: Clause) -> Iterator[Ask]:
    """Yields ways to ask for a person; "Who painted {s}?" for "was painted by"."""
    yield _ask("Who", clause)
    participle = clause.after.removesuffix(" by")
    if clause.participle and participle in verbs().participles and clause.before == "was":
        past = verbs().past_of[verbs().participles[participle]]
        yield Ask(f"Who {past} {{s}}?", f"who {past} {{s}}")
    name = f"the name of the person {{s}} {clause.said}"
    yield Ask(f"What is {name}?", name)


def _of_being(clause: Clause, subject: str, object_: str) -> Iterator[Ask]:
    """Yields ways to ask for what something is."""
    article = object_.startswith(("a ", "an "))
    person = is_of_kind("person", object_) or (is_of_kind("person", subject) and _COMMON.match(object_))
    if is_named(subject) and _QUALITY.fullmatch(object_):
        like = replace(clause, after="like", said=f"{clause.said} like")
        yield _ask("What", like)
        yield Ask(f"What would you say {{s}} {clause.said} like?", like.indirect("what"))
        return
    word = "Who" if person and not article else "What"
    yield _ask(word, clause)
    yield Ask(f"{word} would you say {{s}} {clause.said}?", clause.indirect(word))
