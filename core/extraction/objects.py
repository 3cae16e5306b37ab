"""Takes the object of a relation from its words: what belongs to it, whether it is a time, and what denies it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.extraction import lexicon
from core.extraction.candidates import Modality
from core.extraction.forms import Form, longer
from core.extraction.names import is_name, is_pronoun, noun_phrase, split_name
from core.extraction.words import Tree, Word
from core.library import Entry, ending_of, entry_of, is_of_kind
from core.texts import without_article

_TIMES = ("year", "date", "time", "month")
_TIMELY = frozenset("on at every from until by".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """A relation and its object, before the subject is known.

    Attributes:
        relation: "works as".
        object: "nurse".
        head: head of the object.
        words: words of the object.
        entry: what the library has for the relation, if it has it.
        modality: what the form of the verb, or the object, says of the time.
        flips: whether it is denied where the clause is not, and the reverse: "not in Oslo but in Bergen".
        denies: whether its own words deny it: "no brother", "neither a teacher nor a nurse".
        ends: relations that hold no longer with this object, if it is said in the past; see `core/library.py`.
        whichever: whether they hold no longer with any object: "quit her job".
    """

    relation: str
    object: str
    head: Word
    words: tuple[Word, ...]
    entry: Entry | None
    modality: Modality
    flips: bool = False
    denies: bool = False
    ends: tuple[str, ...] = ()
    whichever: bool = False


def argument_of(
    tree: Tree, options: tuple[Form, ...], head: Word, *, whole: bool = False, words: list[Word] | None = None
) -> Iterator[Argument]:
    """Yields the object around `head` with the first of `options` that fits it; `words` are its words, if given."""
    words = words or _object_words(tree, head, whole=whole)
    while len(words) > 2 and tree.said(words[-2:]).lower() in lexicon.HOW_MUCH:
        words = words[:-2]
    object_ = tree.said(words).strip("\"'“”‘’«»")
    if not object_ or head.tag in ("WDT", "WP", "WRB"):
        return
    denies = is_denied(tree, head)
    if len(words) == 1 and head.low in lexicon.ADVERBIAL and head.dep == "pobj":
        return
    bare = without_article(object_)
    timely = _is_time(head, object_)
    if len(words) > 1 and words[0].tag == "JJ" and entry_of(f"{options[0].said} {words[0].low}", "") is not None:
        options, words = longer(options, words[0].low), words[1:]  # "speaks fluent"
        object_ = bare = tree.said(words)
    for form in options:
        entry = entry_of(form.said, bare) or entry_of(form.said, object_)
        if timely and not _of_that_time(entry, form.said, object_):
            continue
        ending = ending_of(form.said)
        if form.of_library and entry is None and ending is None:
            continue
        articled = entry is not None and entry.article and form.said != "is"  # "works as" a nurse, but is "a nurse"
        said = bare if articled else object_
        yield Argument(
            relation=form.said,
            object=said,
            head=head,
            words=tuple(words),
            entry=entry,
            modality=Modality.PAST if ending and form.modality is Modality.ASSERTED else form.modality,
            denies=denies,
            ends=ending.ends if ending else (),
            whichever=ending is not None and ending.whichever,
        )
        return


def is_denied(tree: Tree, head: Word) -> bool:
    """Whether the words of a noun phrase deny it: "no brother", "neither a teacher nor a nurse"."""
    words = [word for word in tree.children(head, "det", "preconj", "neg", "advmod") if word.place < head.place]
    if any(word.low in ("no", "not", "neither", "nor", "never", "hardly") for word in words):
        return True
    first = tree.head(head)
    return head.dep == "conj" and first is not None and any(word.low == "nor" for word in tree.children(first, "cc"))


def _object_words(tree: Tree, head: Word, *, whole: bool) -> list[Word]:
    """Returns the words of an object: the name alone of "her husband Tom", and "Portland, Oregon" with its comma."""
    alias = tree.child(head, "appos")
    if alias is not None and is_name(alias) and not is_name(head):
        return split_name(tree, alias)[1]
    words = noun_phrase(tree, head, whole=whole)
    if is_name(head) and (owner := tree.child(head, "poss")) is not None and is_pronoun(owner):
        return split_name(tree, head)[1]
    if alias is not None and is_name(alias) and head.kind == alias.kind == "GPE" and alias.place == words[-1].place + 2:
        return [*words, tree.words[alias.place - 1], alias]
    return words


def _is_time(head: Word, object_: str) -> bool:
    timely = (head.kind in lexicon.TIME_KINDS or head.low in lexicon.AGES) and not is_of_kind("age", object_)
    return timely or any(is_of_kind(kind, object_) for kind in _TIMES)


def _of_that_time(entry: Entry | None, relation: str, object_: str) -> bool:
    """Whether the library's relation is one that has a time as object: "was born in" with a year."""
    if entry is None:
        return relation.rpartition(" ")[2] == "is"
    kinds = [kind for name, kind in entry.names if name == relation and kind]
    return bool(kinds) or relation.rpartition(" ")[2] in _TIMELY or relation.endswith((" is", " since"))
