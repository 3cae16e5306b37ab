"""Chooses which of the pairs of a clause state a relation of the library, and of which time they speak."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.english.verbs import verbs
from core.extraction import lexicon
from core.extraction.candidates import Candidate, Modality, Reason
from core.extraction.clauses import Clause
from core.extraction.forms import third
from core.extraction.mood import is_timed
from core.extraction.names import Known, party
from core.extraction.objects import is_denied
from core.extraction.phrases.meant import Meant, Understanding
from core.extraction.phrases.pairs import Pair, pairs
from core.extraction.words import Tree, Word
from core.library import Entry, entry_of
from core.texts import same_words, without_article

SURE = 0.5  # from which a phrase is taken to state a relation, also in the place of one that the library lacks
ENDS = 0.5  # from which it is taken to say that something holds no longer
_TRYING = lexicon.WISHED_BY | lexicon.PLANNED_BY | lexicon.GUESSED_BY | {"try", "need", "refuse", "fail", "pretend"}
_OF = re.compile(r"is (?:the|an?) (?P<noun>\w+) of")
_DECIDED = frozenset({Reason.NEGATED, Reason.FUTURE, Reason.WISHED, Reason.HYPOTHETICAL})
_VERBS = frozenset({"is", "has", "was", "can", "wants", "cannot"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """A pair that states a relation of the library.

    Attributes:
        relation: as facts have it: "works for", "'s favourite food is".
        entry: what the library has for it before this object.
        object: the object, with its article where the relation has none.
        sure: how likely that is.
        modality: what tense and verb say of the time.
        ends: relations that it says to hold no longer.
    """

    pair: Pair
    relation: str
    entry: Entry
    object: str
    sure: float
    modality: Modality
    ends: tuple[str, ...] = ()


Found = tuple[Word, Candidate]  # head of the object, and what the grammar makes of it
Chosen = tuple[list[Understood], list[Candidate]]


def understood(tree: Tree, clause: Clause, model: Understanding) -> list[Understood]:
    """Returns what `clause` states in the relations of the library, each object once, the surest first."""
    parsed = [pair for pair in pairs(tree, clause) if party(tree, pair.subject).known is not Known.UNNAMED]
    stated = list(_stated(tree, clause, list(zip(parsed, model.meant([pair.phrase for pair in parsed]), strict=False))))
    chosen: list[Understood] = []
    for sense in sorted(stated, key=lambda sense: -sense.sure):
        if all(_goes_with(tree, sense, before) for before in chosen):
            chosen.append(sense)
    return chosen


def _stated(tree: Tree, clause: Clause, parsed: Sequence[tuple[Pair, Meant]]) -> Iterator[Understood]:
    for pair, meant in parsed:
        relation = _relation(meant.relation)
        object_ = tree.said(pair.words)
        entry = entry_of(relation, without_article(object_))
        over = meant.ends >= ENDS and bool(meant.fits)
        if entry is None or meant.sure < (0.0 if over else SURE):
            continue
        if (over and not _may_end(tree, clause)) or _is_left_out(tree, pair):
            continue
        yield Understood(
            pair=pair,
            relation=relation,
            entry=entry,
            object=object_ if entry.article else _with_article(tree, pair),
            sure=meant.ends if over else meant.sure,
            modality=Modality.PAST if over else _modality(tree, clause, pair, entry),
            ends=tuple(map(_relation, meant.fits)) if over else (),
        )


def _is_left_out(tree: Tree, pair: Pair) -> bool:
    """Whether the object is denied by itself: "Ravel, not Debussy"."""
    first = pair.words[0]
    before = [word for word in tree.words[max(first.place - 2, 0) : first.place] if word.tag != "DT"]
    denied = before[-1:] and before[-1].low in lexicon.NEGATIONS and before[-1].place > 0
    return is_denied(tree, pair.head) or (bool(denied) and tree.words[before[-1].place - 1].text == ",")


def _may_end(tree: Tree, clause: Clause) -> bool:
    """Whether the clause speaks of what has happened: not "is leaving" or "left the office at six"."""
    happened = clause.forms[-1].modality in (Modality.ASSERTED, Modality.PAST)
    return happened and not is_timed(tree, clause.verb)


def beside(tree: Tree, clause: Clause, parsed: Sequence[Found], stated: Sequence[Understood]) -> Chosen:
    """Returns what a clause states: of what is understood and of what the grammar found, what the other leaves."""
    kept = [sense for sense in stated if not any(_settles(tree, clause, grammar, sense) for grammar in parsed)]
    left = [grammar for grammar in parsed if not any(_gives_way(tree, clause, grammar, sense) for sense in kept)]
    return kept, [candidate for _, candidate in left]


def _settles(tree: Tree, clause: Clause, parsed: Found, sense: Understood) -> bool:
    """Whether the grammar's candidate makes `sense` needless: it has the same object, or another of the relation."""
    candidate = parsed[1]
    if sense.ends:
        return bool(candidate.ends) or (_same_object(candidate, sense) and candidate.reason is Reason.NEGATED)
    of = _OF.fullmatch(candidate.relation)
    if of and f" {of['noun']} " in f" {sense.relation} ":
        return True  # who "is the father of" Mia has no father named Mia, and that she has is said by it
    if not _same_object(candidate, sense):
        if parsed[0] == sense.pair.head and _is_part(candidate.object, sense.object):
            return True  # "sailing" of "sailing a lot"
        return bool(candidate.meaning) and not _gives_way(tree, clause, parsed, sense)
    subject = sense.pair.subject
    if party(tree, subject).owned and subject.low not in lexicon.MEN | lexicon.WOMEN:
        return True  # "Gerhard's shop is located in Vienna": a relation of people
    if candidate.meaning or candidate.reason in _DECIDED or (candidate.relation == "is" and "is" in sense.entry.also):
        return True
    if candidate.reason in (Reason.PAST, Reason.MOMENTARY):
        return _in_present(clause.verb, candidate)
    return False


def _gives_way(tree: Tree, clause: Clause, parsed: Found, sense: Understood) -> bool:
    """Whether the grammar's candidate is cut off, or worded as the library does not have it, and `sense` is meant."""
    head, candidate = parsed
    if candidate.ends or sense.ends:
        return False
    if _same_object(candidate, sense):
        return not candidate.meaning
    if candidate.meaning and candidate.meaning != sense.entry.meaning:
        return False
    above = list(_path(tree, sense.pair.head, clause.verb))
    cut_off = head in above and not any(word.dep in ("relcl", "conj") for word in above)
    narrower = head == sense.pair.head and _is_part(sense.object, candidate.object)
    return cut_off or narrower  # "has a career" as a biologist; "good Gaelic"


def _in_present(verb: Word, candidate: Candidate) -> bool:
    """Whether the library has what a verb in the past says of the present: the grammar knows that it is over."""
    said = candidate.relation.removeprefix("has ").removeprefix("is ").removeprefix(verb.low)
    return entry_of(f"{third(verb.lemma)}{said}", without_article(candidate.object)) is not None


def _is_part(object_: str, whole: str) -> bool:
    return f" {same_words(without_article(object_))} " in f" {same_words(whole)} "


def _same_object(parsed: Candidate, sense: Understood) -> bool:
    return same_words(without_article(parsed.object)) == same_words(without_article(sense.object))


def _goes_with(tree: Tree, sense: Understood, before: Understood) -> bool:
    """Whether a clause may state both: objects joined by "and", or another relation of another object."""
    places = {word.place for word in before.pair.words}
    if sense.pair.subject != before.pair.subject or places & {word.place for word in sense.pair.words}:
        return False
    joined = before.pair.head in tree.conjuncts(sense.pair.head) or sense.pair.head in tree.conjuncts(before.pair.head)
    return joined if sense.entry.meaning == before.entry.meaning else not joined


def _relation(name: str) -> str:
    """Returns a name of the library as facts have it: "'s favourite food is" of "favourite food"."""
    name = name.partition(" {")[0]
    first = name.partition(" ")[0]
    table = verbs()
    return name if first in _VERBS or first in table.third or first in table.past else f"'s {name} is"


def _with_article(tree: Tree, pair: Pair) -> str:
    """Returns the object with the article before it, as "a nurse" after "works as"."""
    first = pair.words[0]
    before = tree.words[first.place - 1] if first.place else first
    words = (before, *pair.words) if before.tag == "DT" and before.low in ("a", "an") else pair.words
    return tree.said(words)


def _modality(tree: Tree, clause: Clause, pair: Pair, entry: Entry) -> Modality:
    """Returns what the tense of the verb, and the verbs between it and the object, make of the relation."""
    tried = clause.verb.lemma in _TRYING and any(word.dep == "xcomp" for word in _path(tree, pair.head, clause.verb))
    if tried and not entry.names[0][0].startswith("wants"):
        return Modality.WISHED
    modality = clause.forms[-1].modality
    table = verbs()
    event = entry.names[0][0].partition(" ")[0] in table.past
    if modality is Modality.MOMENTARY and event:
        return Modality.FUTURE  # "is moving to Oslo"
    if modality is Modality.MOMENTARY:
        around = tree.said(tree.subtree(clause.verb, frozenset({"ccomp", "conj", "relcl"})))
        return Modality.MOMENTARY if lexicon.MOMENT.search(around) else Modality.ASSERTED
    if modality is not Modality.PAST:
        return modality
    perfect = clause.verb.tag == "VBN" and any(word.lemma == "have" for word in tree.children(clause.verb, "aux"))
    was = clause.verb.lemma == "be" or tree.child(clause.verb, "auxpass") is not None
    happens = any(name.partition(" ")[0] in ({"was"} if was else table.past) for name, _ in entry.names)
    return Modality.ASSERTED if perfect or happens else Modality.PAST


def _path(tree: Tree, word: Word, verb: Word) -> Iterator[Word]:
    """Yields the words from `word` up to `verb`, without `verb`."""
    while word.place != verb.place:
        yield word
        above = tree.head(word)
        if above is None:
            return
        word = above
