"""Finds the clauses of a sentence: a verb, and the heads of its subjects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.extraction.forms import Form, forms, is_verb, participle
from core.extraction.names import is_name
from core.extraction.words import Tree, Word

_CLAUSES = frozenset({"ROOT", "conj", "ccomp", "relcl", "advcl", "parataxis", "pcomp", "acl", "dep", "xcomp"})
_RELATIVE = frozenset({"WP", "WDT"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """A verb with its subjects.

    Attributes:
        subjects: heads of the phrases that are its subject, several where "and" joins them.
        forms: ways to say the verb in a relation.
    """

    verb: Word
    subjects: tuple[Word, ...]
    forms: tuple[Form, ...]


def clauses(tree: Tree) -> Iterator[Clause]:
    """Yields the clauses of `tree` that have an English verb and a subject."""
    for word in tree.words:
        if word.dep == "acl" and word.low in ("named", "called"):
            continue  # a part of the object: "has a dog called Rex"
        if not is_verb(word) or word.dep not in _CLAUSES:
            continue
        if word.dep in ("acl", "advcl") and word.tag == "VBN" and not tree.child(word, "nsubj", "nsubjpass", "aux"):
            yield from _participial(tree, word)
        elif subject := _subject(tree, word):
            yield Clause(verb=word, subjects=tuple(tree.conjuncts(subject)), forms=forms(tree, word))


def _participial(tree: Tree, verb: Word) -> Iterator[Clause]:
    """Yields the clause of "born in Rome", about the subject of its main clause or the noun it stands at."""
    head = tree.head(verb)
    subject = head if verb.dep == "acl" or head is None else _subject(tree, head)
    if subject is not None:
        yield Clause(verb=verb, subjects=(subject,), forms=participle(tree, verb))


def _subject(tree: Tree, verb: Word) -> Word | None:
    """Returns the head of the subject of `verb`, which a verb joined by "and" shares with the first."""
    bearers = (verb, *tree.children(verb, "aux", "auxpass"))
    subject = next((word for part in bearers if (word := tree.child(part, "nsubj", "nsubjpass")) is not None), None)
    head = tree.head(verb)
    if subject is None:
        shared = verb.dep == "conj" and head is not None and (is_verb(head) or head.tag == "MD")
        bare = verb.tag == "VB" and not tree.children(verb, "aux")  # "She lives here, so keep quiet"
        asked = bare and head is not None and head.tag in ("VBZ", "VBD")
        return _subject(tree, head) if shared and head is not None and not asked else None
    if subject.tag in _RELATIVE and verb.dep == "relcl" and head is not None:
        being = tree.head(head)  # of "Robin is a nurse who lives in Oslo", Robin
        return _subject(tree, being) if head.dep == "attr" and being is not None and not is_name(head) else head
    return subject
