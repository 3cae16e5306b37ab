"""Says who or what a noun phrase names: a name, the user, something of a named owner, or nothing that has a name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from core.extraction.lexicon import PERSON_KINDS, ROLES, THIRD_PERSONS, TIME_KINDS, USER_WORDS, VAGUE
from core.extraction.words import Tree, Word
from core.facts import USER

_OUTSIDE = frozenset(
    {"relcl", "appos", "cc", "conj", "preconj", "advcl", "acl", "mark", "punct", "intj", "meta", "dep", "neg"}
)
MAX_DEPTH = 3
_PARTICLES = frozenset("al bin da de del della der di du la le of ten the van von y".split())
DAYS = re.compile(
    r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?|January|February|March|April|May|June|July|August|September|October|"
    "November|December|Spring|Summer|Autumn|Fall|Winter|Christmas|Easter|Thanksgiving|Ramadan|Diwali|Hanukkah|Passover"
)


class Known(Enum):
    """How much is known about what a noun phrase stands for."""

    NAMED = auto()
    USER = auto()
    PRONOUN = auto()  # of the third person; `core/extraction/antecedents.py` resolves it
    UNNAMED = auto()
    AMBIGUOUS = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """What a noun phrase stands for.

    Attributes:
        name: the name, `USER`, the pronoun, or the words of a phrase without a name.
        owned: what the phrase names of the bearer of `name`: "'s dog"; "" for the bearer.
        start, end: characters of the phrase.
    """

    known: Known
    name: str
    start: int
    end: int
    owned: str = ""


def noun_phrase(tree: Tree, head: Word, *, whole: bool = False) -> list[Word]:
    """Returns the words of the phrase around `head`, without clauses, appositions and what is joined by "and".

    Args:
        whole: whether to keep all its prepositions; otherwise only "of" stays.
    """
    left_out = {
        part.place for part in tree.children(head, "prep") if part.low == "since" or (not whole and part.low != "of")
    }
    words = sorted(_below(tree, head, left_out), key=lambda word: word.place)
    run = [head]
    for word in reversed([word for word in words if word.place < head.place]):
        if word.place != run[0].place - 1:
            break
        run.insert(0, word)
    for word in (word for word in words if word.place > head.place):
        if word.place != run[-1].place + 1:
            break
        run.append(word)
    return _widened(tree, run, head)


def _widened(tree: Tree, run: list[Word], head: Word) -> list[Word]:
    """Returns `run` with the first names and the digits that the parser has hung elsewhere."""
    while is_name(head) and head.kind in PERSON_KINDS and run[0].place > 0:
        before = tree.words[run[0].place - 1]
        if before.kind not in PERSON_KINDS or not before.text[:1].isupper() or before.tag != "NNP":
            break
        run = [before, *run]
    while run[-1].text[-1:].isdigit() and run[-1].place + 1 < len(tree.words):
        after = tree.words[run[-1].place + 1]
        if not after.text.isdigit():
            break
        run = [*run, after]
    return run


def _below(tree: Tree, word: Word, left_out: set[int]) -> list[Word]:
    words = [word]
    for child in tree.children(word):
        hyphen = child.dep == "punct" and child.text in {"-", "'", ".", "/"}
        if (child.dep not in _OUTSIDE or hyphen) and child.place not in left_out:
            words += _below(tree, child, left_out)
    return words


def is_name(word: Word) -> bool:
    """Whether `word` is the head of a name, by its tag or its capital letter; dates are not names."""
    if word.kind in TIME_KINDS or word.low in VAGUE | ROLES or DAYS.fullmatch(word.text):
        return False
    if word.kind in PERSON_KINDS:
        return word.tag.startswith("N")
    if not word.text[:1].isupper():
        return False
    return word.tag in ("NNP", "NNPS") or (word.place > 0 and word.tag in ("NN", "NNS", "JJ", "VBG"))


def is_pronoun(word: Word) -> bool:
    return word.tag in ("PRP", "PRP$") or word.low in USER_WORDS | THIRD_PERSONS


def split_name(tree: Tree, head: Word) -> tuple[list[Word], list[Word]]:
    """Returns the words before the name that `head` ends, as "my sister" in "my sister Ann", and the name's own."""
    words = noun_phrase(tree, head)
    if not any(word.text[:1].isupper() for word in words if word.place <= head.place and not is_pronoun(word)):
        return [], words
    begin = next(index for index, word in enumerate(words) if word.place == head.place)
    while begin and _in_name(words, begin - 1):
        begin -= 1
    while words[begin].low in _PARTICLES - {"the"} and begin < len(words) - 1:
        begin += 1
    return words[:begin], words[begin:]


def _in_name(words: Sequence[Word], index: int) -> bool:
    word = words[index]
    if is_pronoun(word) or word.tag in ("POS", "IN", ",", "RB", "CC", "PDT", "UH"):
        return False
    if word.text[:1].isupper() or word.text[:1].isdigit() or word.text in "-.&/":
        return word.low not in ("a", "an") and (word.low != "the" or words[index + 1].text[:1].isupper())
    return word.low in _PARTICLES


def party(tree: Tree, head: Word, depth: int = 0) -> Party:
    """Returns what the phrase around `head` stands for; pronouns stay as they are.

    Args:
        depth: number of phrases that the phrase owns: 2 for "Robin" of "Robin's sister's dog".
    """
    phrase = noun_phrase(tree, head)
    start, end = phrase[0].start, phrase[-1].end
    if depth > MAX_DEPTH:
        return Party(known=Known.UNNAMED, name=tree.said(phrase), start=start, end=end)
    if head.low in USER_WORDS:
        return Party(known=Known.USER, name=USER, start=start, end=end)
    if head.low in THIRD_PERSONS:
        return Party(known=Known.PRONOUN, name=head.low, start=start, end=end)
    if is_name(head):
        return named(tree, head, depth)
    alias = tree.child(head, "appos")
    if alias is not None and is_name(alias) and not tree.child(alias, "det", "poss"):
        return named(tree, alias, depth)
    if owned := _owned(tree, head, depth):
        return owned
    return Party(known=Known.UNNAMED, name=tree.said(phrase), start=start, end=end)


def named(tree: Tree, head: Word, depth: int = 0) -> Party:
    """Returns the bearer of the name that `head` ends; of "Robin's Volvo", what Robin has."""
    before, name = split_name(tree, head)
    name = name[:-1] if name[-1].tag == "POS" else name
    owner = tree.child(head, "poss")
    if owner is not None and not [word for word in before if word.tag in ("NN", "NNS") and word.place > owner.place]:
        return _of(
            tree,
            party(tree, owner, depth + 1),
            [word for word in name if word.place > owner.place and word.tag != "POS"],
        ) or Party(known=Known.NAMED, name=tree.said(name), start=name[0].start, end=name[-1].end)
    return Party(known=Known.NAMED, name=tree.said(name), start=name[0].start, end=name[-1].end)


def _owned(tree: Tree, head: Word, depth: int) -> Party | None:
    """Returns the party of "Robin's dog" or "the dog of Robin"; None if the phrase has no owner."""
    phrase = noun_phrase(tree, head)
    if (owner := tree.child(head, "poss")) is not None:
        below = {word.place for word in tree.subtree(owner)}
        noun = [word for word in phrase if word.place not in below and word.place > owner.place]
        return _of(tree, party(tree, owner, depth + 1), noun)
    of, article = tree.child(head, "prep"), tree.child(head, "det")
    if of is None or of.low != "of" or article is None or article.low != "the":
        return None
    owner = tree.child(of, "pobj")
    bearer = party(tree, owner, depth + 1) if owner is not None else None
    if bearer is None or bearer.known is Known.UNNAMED:
        return None
    return _of(tree, bearer, [word for word in phrase if article.place < word.place < of.place])


def _of(tree: Tree, bearer: Party, noun: list[Word]) -> Party | None:
    """Returns the party of `noun` that `bearer` has."""
    noun = noun[:-1] if noun and noun[-1].tag == "POS" else noun
    if not noun:
        return None
    start, end = min(bearer.start, noun[0].start), max(bearer.end, noun[-1].end)
    return replace(bearer, owned=f"{bearer.owned}'s {tree.said(noun)}", start=start, end=end)
