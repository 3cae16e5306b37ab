"""Finds natural wordings of common relations in the library: one file per language in `core/words`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from core.facts import RelationWords
from core.texts import same_words

WORDS = Path(__file__).parent / "words"

_ARTICLE = re.compile(" (?:a|an|the)$")
_POSSESSIVE = re.compile("'s? (?P<noun>.+?)(?: (?:is|are))?")
_HAS = re.compile("has (?:a|an|the) (?P<noun>.+)")
_PLURAL = re.compile(r"[^A-Z]*[^A-Zsui]s")
_KIND = re.compile(r"(?P<name>.+?)(?: \{(?P<kind>\w+)\})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Wordings of one relation.

    Attributes:
        names: relations that mean the same, each with the kind of object that it needs; "" is any object.
        article: article that a common noun gets as object; "" is none.
        names_take_it: whether an object that begins with a capital letter gets the article too.
        determiners: first words of an object that has no need of an article.
        many: whether a subject may have several objects, as of "likes".
        mutual: whether it holds of the object with the subject, too, as "is married to".
        also: relations that say the same of the same object: who "is" a baker works as one.
        now: relation that holds since then, of what happens at one time: "lives in" of "moved to"; "" for none.
    """

    names: tuple[tuple[str, str], ...]
    words: RelationWords
    article: str
    names_take_it: bool
    determiners: frozenset[str]
    kinds: Mapping[str, re.Pattern[str]]
    many: bool
    mutual: bool = False
    also: tuple[str, ...] = ()
    now: str = ""

    @property
    def meaning(self) -> str:
        """The name of what its relations mean: the first of them, with the kind of object that it needs."""
        name, kind = self.names[0]
        return f"{name} {{{kind}}}" if kind else bare(name)

    def before(self, object_: str, article: str) -> RelationWords:
        """Returns the wordings, ending in `article` or in the entry's own where `object_` needs one."""
        first, _, rest = object_.partition(" ")
        article = article or (self.article if self.names_take_it or object_[:1].islower() else "")
        determined = (rest and first.lower() in self.determiners) or first[:1].isdigit()
        if not article or determined or (article == "a" and _PLURAL.fullmatch(object_)):
            return self.words
        return replace(
            self.words,
            statements=tuple(f"{prompt} {article}" for prompt in self.words.statements),
            answer=f"{self.words.answer} {article}",
            probe_statements=tuple(f"{prompt} {article}" for prompt in self.words.probe_statements),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What ends facts: "left" Acme ends "works for" Acme.

    Attributes:
        names: ways to say it, in the past and without "has".
        ends: relations of the facts that it ends, each by one of the library's names for it.
        whichever: whether it ends them whatever their object is, as "quit her job" does.
    """

    names: frozenset[str]
    ends: tuple[str, ...]
    whichever: bool = False


def bare(relation: str) -> str:
    """Returns the form in which relations are looked up: as `same_words`, without an article at the end."""
    return _ARTICLE.sub("", same_words(relation))


def library_words(relation: str, object_: str) -> RelationWords | None:
    """Returns the library's wordings of `relation` before `object_`; None if the library does not have the relation."""
    article = _ARTICLE.search(same_words(relation))
    entry = entry_of(relation, object_)
    return None if entry is None else entry.before(object_, article[0].strip() if article else "")


def entry_of(relation: str, object_: str) -> Entry | None:
    """Returns what the library has for `relation` before `object_`, if it has it."""
    for name in _names(relation):
        entries = _by_name().get(name, [])
        for kind, entry in sorted(entries, key=lambda entry: not entry[0]):  # first those that need a certain object
            if not kind or entry.kinds[kind].fullmatch(object_):
                return entry
    return None


def said_also(relation: str, object_: str) -> tuple[str, ...]:
    """Returns relations that say the same of the same object: "works as" of "is", and the reverse."""
    entry = entry_of(relation, object_)
    return entry.also if entry is not None else _by_another_name().get(same_words(relation), ())


def ending_of(relation: str) -> Ending | None:
    """Returns what `relation` ends: "has left", "resigned from"; None for one that ends nothing."""
    return _ending_by_name().get(same_words(relation).removeprefix("has "))


def is_of_kind(kind: str, object_: str) -> bool:
    """Whether `object_` is of one of the kinds that the English file describes."""
    return _kinds(WORDS / "en.toml")[kind].fullmatch(object_) is not None


@cache
def library() -> tuple[Entry, ...]:
    """Returns all entries of all languages."""
    return tuple(entry for file in sorted(WORDS.glob("*.toml")) for entry in _read(file))


@cache
def _by_name() -> Mapping[str, list[tuple[str, Entry]]]:
    """Returns for each normalized relation the entries that have it, with the kind of object that each needs."""
    entries: dict[str, list[tuple[str, Entry]]] = {}
    for entry in library():
        for name, kind in entry.names:
            entries.setdefault(bare(name), []).append((kind, entry))
    return entries


@cache
def endings() -> tuple[Ending, ...]:
    """Returns what ends facts, in all languages."""
    return tuple(
        Ending(
            names=frozenset(map(same_words, ending["names"])),
            ends=tuple(ending["ends"]),
            whichever=ending.get("whichever", False),
        )
        for file in sorted(WORDS.glob("*.toml"))
        for ending in _values(file).get("ending", ())
    )


@cache
def _by_another_name() -> Mapping[str, tuple[str, ...]]:
    """Returns for each relation of `Entry.also` the entries that have it."""
    names = {name for entry in library() for name in entry.also}
    return {name: tuple(entry.names[0][0] for entry in library() if name in entry.also) for name in names}


@cache
def _ending_by_name() -> Mapping[str, Ending]:
    return {name: ending for ending in endings() for name in ending.names}


def _names(relation: str) -> Iterator[str]:
    """Yields the names under which the library may have `relation`: "favourite colour" for "'s favourite colour is"."""
    name = bare(relation.replace("’", "'").replace("ʼ", "'"))
    yield name
    if owned := _POSSESSIVE.fullmatch(name) or _HAS.fullmatch(name):
        yield owned["noun"]
    elif name.endswith(" is"):
        yield name.removesuffix(" is")


@cache
def _values(file: Path) -> Mapping[str, Any]:
    """Returns what the file of a language says."""
    return tomllib.loads(file.read_text(encoding="utf-8"))


@cache
def _kinds(file: Path) -> Mapping[str, re.Pattern[str]]:
    """Returns the kinds of objects that a language describes."""
    return {name: re.compile(pattern) for name, pattern in _values(file).get("kinds", {}).items()}


def _read(file: Path) -> Iterator[Entry]:
    """Yields the entries of one language."""
    values, kinds = _values(file), _kinds(file)
    determiners = frozenset(values.get("determiners", ()))
    for relation in values["relation"]:
        yield Entry(
            names=tuple(map(_name, relation["names"])),
            words=_words(relation),
            article=relation.get("article", ""),
            names_take_it=relation.get("names_take_it", False),
            determiners=determiners,
            kinds=kinds,
            many=relation.get("many", False),
            mutual=relation.get("mutual", False),
            also=tuple(relation.get("also", ())),
            now=relation.get("now", ""),
        )


def _name(text: str) -> tuple[str, str]:
    """Returns relation and kind of object: "was born in {year}" is ("was born in", "year")."""
    match = _KIND.fullmatch(text)
    assert match is not None, "a name is not empty"
    return match["name"], match["kind"] or ""


def _words(relation: Mapping[str, Any]) -> RelationWords:
    return RelationWords(
        statements=tuple(relation["statements"]),
        questions=tuple(relation["questions"]),
        answer=relation["answer"],
        probe_statements=tuple(relation["probe_statements"]),
        probe_questions=tuple(relation["probe_questions"]),
    )
