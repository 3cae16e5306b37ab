"""Finds the facts that noun phrases state by themselves: "my sister Ann", "Ann, a nurse from Oslo"."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.extraction.names import Party, is_name, named, noun_phrase, party, split_name
from core.extraction.words import Tree, Word
from core.library import entry_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Apposition:
    """A fact in a noun phrase: its subject, relation and object, and the words that state it."""

    subject: Party
    relation: str
    object: str
    words: tuple[Word, ...]


def appositions(tree: Tree) -> Iterator[Apposition]:
    """Yields what the noun phrases of `tree` state."""
    for word in tree.words:
        if is_name(word) and word.dep != "compound":
            yield from _before(tree, word)
        for alias in tree.children(word, "appos"):
            yield from _beside(tree, word, alias)


def _before(tree: Tree, head: Word) -> Iterator[Apposition]:
    """Yields the fact of "my sister Ann" where the parser sees one phrase."""
    before, name = split_name(tree, head)
    owner = next((word for part in (head, *before) if (word := tree.child(part, "poss")) is not None), None)
    if owner is None:
        return
    below = {word.place for word in tree.subtree(owner)}
    role = [word for word in before if word.place not in below and word.place > owner.place]
    if role and role[-1].tag == "NN":
        yield _has(tree, party(tree, owner), role, name)


def _beside(tree: Tree, head: Word, alias: Word) -> Iterator[Apposition]:
    """Yields the fact of "my sister Ann", "Ann, Robin's wife" or "Ann, a nurse" where one phrase follows another."""
    if is_name(alias) and not is_name(head):
        name, role = alias, head
    elif is_name(head) and not is_name(alias):
        name, role = head, alias
    else:
        return
    words = split_name(tree, name)[1]
    owner = tree.child(role, "poss")
    if owner is not None:
        below = {word.place for word in tree.subtree(owner)}
        noun = [word for word in noun_phrase(tree, role) if word.place not in below and word.place > owner.place]
        if noun:
            yield _has(tree, party(tree, owner), noun, words)
    elif (article := tree.child(role, "det")) is not None and article.low in ("a", "an") and role.place > name.place:
        said = noun_phrase(tree, role, whole=True)
        yield Apposition(subject=named(tree, name), relation="is", object=tree.said(said), words=(*words, *said))


def _has(tree: Tree, owner: Party, role: list[Word], name: list[Word]) -> Apposition:
    """Returns the fact that `name` is the `role` of `owner`, in the library's words where it has them."""
    noun, object_ = tree.said(role), tree.said(name)
    relation = f"has a {noun} named"
    if owner.owned or entry_of(relation, object_) is None:
        relation = f"'s {noun} is"
    words = sorted((*role, *name), key=lambda word: word.place)
    return Apposition(subject=owner, relation=relation, object=object_, words=tuple(words))
