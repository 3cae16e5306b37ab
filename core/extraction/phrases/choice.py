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
from core.extraction.mood import is_negated, is_no_longer, is_timed
from core.extraction.names import Known, is_name, party
from core.extraction.objects import is_denied
from core.extraction.phrases.meant import Meant, Understanding
from core.extraction.phrases.pairs import Pair, pairs
from core.extraction.words import Tree, Word
from core.library import Entry, entry_of, is_of_kind
from core.texts import same_words, without_article

SURE = 0.5  # from which a phrase is taken to state a relation, also in the place of one that the library lacks
PLAIN = 0.8  # likewise, in the place of what a name has by a noun of the user's own: "Robin's favourite composer"
ENDS = 0.6  # from which it is taken to say that something holds no longer
_TRYING = lexicon.WISHED_BY | lexicon.PLANNED_BY | lexicon.GUESSED_BY
_TRYING |= {"try", "need", "refuse", "fail", "pretend", "dream"}
_OF = re.compile(r"is (?:the|an?) (?P<noun>\w+) of")
_DECIDED = frozenset({Reason.NEGATED, Reason.FUTURE, Reason.WISHED, Reason.HYPOTHETICAL})
_NAMING = (" named", " collects", "collects")
_NAMED = re.compile(r"has an? .+ (?:named|called)")
_UNDER = frozenset({"xcomp", "pcomp", "ccomp", "advcl"})
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
    parsed = [pair for pair in pairs(tree, clause) if _may_be_person(tree, pair.subject)]
    stated = list(_stated(tree, clause, list(zip(parsed, model.meant([pair.phrase for pair in parsed]), strict=False))))
    chosen: list[Understood] = []
    stated = [sense for sense in stated if not any(_is_behind(tree, clause, sense, deeper) for deeper in stated)]
    for sense in sorted(stated, key=lambda sense: -sense.sure):
        if all(_goes_with(tree, sense, before) for before in chosen):
            chosen.append(sense)
    return chosen


def _may_be_person(tree: Tree, subject: Word) -> bool:
    """Whether a subject is named, and not as things are: "the Danube"."""
    article = tree.child(subject, "det")
    thing = is_name(subject) and article is not None and article.low == "the"
    return not thing and party(tree, subject).known is not Known.UNNAMED


def _stated(tree: Tree, clause: Clause, parsed: Sequence[tuple[Pair, Meant]]) -> Iterator[Understood]:
    for pair, meant in parsed:
        relation = _relation(meant.relation)
        object_ = tree.said(pair.words)
        entry = entry_of(relation, without_article(object_))
        no_longer = is_negated(tree, clause.verb) and is_no_longer(tree, clause.verb)
        over = (meant.ends >= ENDS or no_longer) and bool(meant.fits)
        if entry is None or meant.sure < (0.0 if over else SURE):
            continue
        if pair.head.kind in lexicon.TIME_KINDS and not _has_time(entry):
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


def _is_behind(tree: Tree, clause: Clause, sense: Understood, deeper: Understood) -> bool:
    """Whether `sense` has the noun alone that leads to the object of `deeper`: "cat" of "a cat named Rex"."""
    if sense.pair.head.dep in ("compound", "poss") and tree.head(sense.pair.head) == deeper.pair.head:
        return sense.relation == deeper.relation and sense.sure <= deeper.sure  # "vinyl" of "vinyl records"
    leads = sense.pair.head in list(_path(tree, deeper.pair.head, clause.verb))[1:]
    same = sense.relation == deeper.relation and sense.sure >= deeper.sure and not sense.ends
    if same or deeper.pair.head.dep == "conj" or (sense.ends and not deeper.ends):
        return False
    return leads and not _is_job(sense)


def _has_time(entry: Entry) -> bool:
    """Whether objects of a relation are times or ages."""
    return "born on" in entry.names[0][0] or any(kind in ("year", "age", "number") for _, kind in entry.names)


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
        return bool(candidate.ends) or (
            _same_object(candidate, sense) and candidate.reason is Reason.NEGATED and bool(candidate.meaning)
        )
    of = _OF.fullmatch(candidate.relation)
    if of and f" {of['noun']} " in f" {sense.relation} ":
        return True  # who "is the father of" Mia has no father named Mia, and that she has is said by it
    if not _same_object(candidate, sense):
        if candidate.meaning and sense.pair.head in list(_path(tree, parsed[0], clause.verb))[1:]:
            return sense.entry.meaning != candidate.meaning and not _is_job(sense)  # "an employee" of Acme
        if parsed[0] == sense.pair.head and _is_part(candidate.object, sense.object):
            return True  # "sailing" of "sailing a lot"
        if candidate.reason is Reason.OBJECT_NOT_NAMED:
            return False  # "makes his living" as a baker
        return bool(candidate.meaning) and not _gives_way(tree, clause, parsed, sense)
    subject = sense.pair.subject
    if party(tree, subject).owned and subject.low not in lexicon.MEN | lexicon.WOMEN:
        return True  # "Gerhard's shop is located in Vienna": a relation of people
    if _is_most_liked(candidate, sense):
        return False
    if _is_plainer(candidate, sense) or _names_a_kind(candidate):
        return True
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
        plain = _is_plainer(candidate, sense) or _names_a_kind(candidate)
        return (not candidate.meaning and not plain) or _is_most_liked(candidate, sense)
    if candidate.meaning and candidate.meaning != sense.entry.meaning:
        return False
    above = list(_path(tree, sense.pair.head, clause.verb))
    within = {"conj"} if sense.relation.endswith(_NAMING) else {"conj", "relcl"}
    cut_off = head in above and within.isdisjoint(word.dep for word in above)
    narrower = head == sense.pair.head and _is_part(sense.object, candidate.object)
    return cut_off or narrower  # "has a career" as a biologist; "good Gaelic"


def _in_present(verb: Word, candidate: Candidate) -> bool:
    """Whether the library has what a verb in the past says of the present: the grammar knows that it is over."""
    said = candidate.relation.removeprefix("has ").removeprefix("is ").removeprefix(verb.low)
    return entry_of(f"{third(verb.lemma)}{said}", without_article(candidate.object)) is not None


def _is_plainer(candidate: Candidate, sense: Understood) -> bool:
    """Whether what a name has by a noun, as "'s favourite composer is", is not surely a relation of the library."""
    return candidate.relation.startswith("'s ") and candidate.accepted and sense.sure < PLAIN


def _names_a_kind(candidate: Candidate) -> bool:
    """Whether a candidate says of what kind the named is, as "has a parrot named" does and "has a pet named" not."""
    return candidate.accepted and _NAMED.fullmatch(candidate.relation) is not None


def _is_most_liked(candidate: Candidate, sense: Understood) -> bool:
    """Whether what is liked is understood as what is liked best: "likes tea more than any other drink"."""
    return candidate.meaning == "likes" and candidate.accepted and sense.relation.startswith("'s favourite ")


def _is_job(sense: Understood) -> bool:
    return is_of_kind("job", sense.object)


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
    is_article = before.tag == "DT" and before.low in ("a", "an") and pair.head.dep not in ("compound", "poss")
    words = (before, *pair.words) if is_article else pair.words
    return tree.said(words)


def _modality(tree: Tree, clause: Clause, pair: Pair, entry: Entry) -> Modality:
    """Returns what the tense of the verb, and the verbs between it and the object, make of the relation."""
    tried = clause.verb.lemma in _TRYING and any(word.dep in _UNDER for word in _path(tree, pair.head, clause.verb))
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
    happens = any(name.partition(" ")[0] in ({"was"} if was else {"was", *table.past}) for name, _ in entry.names)
    return Modality.ASSERTED if perfect or happens else Modality.PAST


def _path(tree: Tree, word: Word, verb: Word) -> Iterator[Word]:
    """Yields the words from `word` up to `verb`, without `verb`."""
    while word.place != verb.place:
        yield word
        above = tree.head(word)
        if above is None:
            return
        word = above
