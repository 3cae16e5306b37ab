"""Finds what a pronoun stands for among the names that came before it in the same turn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from core.extraction.lexicon import FEMININE, MASCULINE, MEN, PERSON_KINDS, PERSONAL, PLURAL, THING, THING_KINDS, WOMEN
from core.extraction.names import Known, Party, is_name, is_pronoun, party, split_name
from core.extraction.words import Tree, Word

_PLACES = frozenset("in at from near into inside outside".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A phrase that a later pronoun may stand for.

    Attributes:
        person: whether it is a person; None if that is not known.
        surely: whether `person` is known from words, and not from the kind of name that a parser guesses alone.
        gender: "m", "f" or "".
    """

    party: Party
    person: bool | None
    gender: str = ""
    surely: bool = True


def mentions(trees: Iterable[Tree]) -> list[Mention]:
    """Returns the named phrases of a turn, and phrases such as "Robin's dog", in their order."""
    mentioned = [mention for tree in trees for word in tree.words if (mention := _mention(tree, word)) is not None]
    return sorted(mentioned, key=lambda mention: mention.party.start)


def resolved(whom: Party, before: Sequence[Mention]) -> Party:
    """Returns `whom` with its pronoun replaced; UNNAMED without an antecedent, AMBIGUOUS with several."""
    if whom.known is not Known.PRONOUN:
        return whom
    earlier = [mention for mention in before if mention.party.end <= whom.start]
    candidates = _named([mention for mention in earlier if _fits(whom.name, mention)])
    if not candidates and whom.name in MASCULINE | FEMININE:  # then a parser may have taken a person for a place
        candidates = _named([mention for mention in earlier if mention.person is False and not mention.surely])
    if len(candidates) != 1:
        return replace(whom, known=Known.AMBIGUOUS if candidates else Known.UNNAMED)
    (mention,) = candidates.values()
    return replace(mention.party, owned=mention.party.owned + whom.owned, start=whom.start, end=whom.end)


def _named(mentioned: Sequence[Mention]) -> dict[str, Mention]:
    """Returns the first mention of each name."""
    first: dict[str, Mention] = {}
    for mention in mentioned:
        key = mention.party.name + mention.party.owned
        longer = next((name for name in first if _same(name, key)), None)
        first.setdefault(longer or key, mention)
    return first


def _same(first_name: str, second_name: str) -> bool:
    """Whether one name is a part of the other: "Robin" of "Robin Smith"."""
    first, second = set(first_name.split()), set(second_name.split())
    return first <= second or second <= first


def _fits(pronoun: str, mention: Mention) -> bool:
    if pronoun in THING:
        return mention.person is not True
    if mention.person is False:
        return False
    if pronoun in PLURAL:
        return True
    gender = "m" if pronoun in MASCULINE else "f" if pronoun in FEMININE else ""
    return mention.gender in ("", gender)


def _mention(tree: Tree, word: Word) -> Mention | None:
    if is_pronoun(word) or not word.tag.startswith("N") or word.dep == "compound":
        return None
    whom = party(tree, word)
    if whom.known not in (Known.NAMED, Known.USER):
        return None
    if whom.known is Known.USER and not whom.owned:
        return None
    if not is_name(word) and not whom.owned:
        return None  # "sister" of "my sister Ann": the name has a mention of its own
    gender = _gender(_role(tree, word))
    person = True if gender else _person(tree, word)
    head = tree.head(word)
    surely = person is not False or (_in_place(tree, word) and head is not None and head.low not in ("from", "into"))
    return Mention(party=whom, person=person, gender=gender, surely=surely)


def _role(tree: Tree, word: Word) -> str:
    """Returns the common noun that says what the bearer of a name is: "sister" of "my sister Ann"."""
    head = tree.head(word)
    if word.dep == "appos" and head is not None:
        return head.low
    before, _ = split_name(tree, word)
    nouns = [part.low for part in before if part.tag == "NN"]
    return nouns[-1] if nouns and is_name(word) else word.low


def _gender(role: str) -> str:
    return "m" if role in MEN else "f" if role in WOMEN else ""


def _in_place(tree: Tree, word: Word) -> bool:
    """Whether a preposition of place stands before `word`."""
    head = tree.head(word)
    return word.dep == "pobj" and head is not None and head.low in _PLACES


def _person(tree: Tree, word: Word) -> bool | None:
    if word.kind in PERSON_KINDS:
        return True
    head = tree.head(word)
    if word.kind in THING_KINDS and (word.dep != "nsubj" or head is None or head.lemma == "be"):
        return False  # the subject of a verb may be a person, whatever kind of name the parser sees
    if _in_place(tree, word):
        return False
    if not is_name(word):
        return None
    return True if word.dep == "nsubj" and head is not None and head.lemma in PERSONAL else None
