"""Pairs the subject of a clause with each noun in it that may be an object, and says what stands between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.extraction import lexicon
from core.extraction.clauses import Clause
from core.extraction.names import is_name, is_pronoun, noun_phrase
from core.extraction.phrases.meant import SOMEONE, SOMETHING, Phrase
from core.extraction.words import Tree, Word
from core.texts import without_article

_DROPPED = frozenset({"punct", "cc", "mark", "intj", "neg", "npadvmod"})
_OPEN = frozenset({"relcl", "advcl", "ccomp", "conj", "prep", "appos", "parataxis", "acl", "npadvmod", "xcomp"})
_WITHIN = frozenset({"compound", "poss", "nummod", "amod", "quantmod", "aux"})
_NOUNS = frozenset({"NN", "NNS", "NNP", "NNPS", "CD", "VBG"})
_DONE = frozenset({"pcomp", "xcomp", "dobj", "pobj", "conj", "attr", "nsubj"})
_COMPLEMENTS = frozenset({"acomp", "pobj", "attr", "dobj"})
_UNREAL = frozenset("former retired ex future fake toy would-be".split())  # of what something is no longer, or not yet
_OWNERS_OF = frozenset({"attr", "nsubj", "nsubjpass"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A subject and a possible object of one clause.

    Attributes:
        subject: head of the subject, which "be" may have as an owner: "Robin" of "Tea is Robin's favourite drink".
        head, words: head of the object, and its words.
        phrase: the clause without what belongs to neither.
    """

    subject: Word
    head: Word
    words: tuple[Word, ...]
    phrase: Phrase


def pairs(tree: Tree, clause: Clause) -> Iterator[Pair]:
    """Yields the pairs of `clause`; an object with describing words comes with and without them."""
    inside = [word for word in tree.subtree(clause.verb) if not _is_elsewhere(tree, word, clause.verb)]
    if len(clause.subjects) == 2:
        yield from _of_two(tree, clause)
    owners = {word.place: top for word in inside if (top := _owned(tree, word, clause)) is not None}
    for subject in (*clause.subjects, *(word for word in inside if word.place in owners)):
        top = owners.get(subject.place)
        owner_places = {word.place for word in (tree.subtree(subject) if top else noun_phrase(tree, subject))}
        barred = owner_places | {clause.verb.place, top.place if top else subject.place}
        if top is None:
            within = {word.place for word in inside}
            below = {word.place for word in tree.subtree(subject)} if subject.place in within else set()
            barred |= below | {word.place for word in clause.subjects}
        for head in inside:
            if head.place in barred or not (_may_be_object(head) or _describes(tree, head)):
                continue
            for words in _spans(tree, head):
                if not owner_places & {word.place for word in words}:
                    phrase = Phrase(
                        said=_between(tree, clause, subject, head, words),
                        object=without_article(tree.said(words)),
                    )
                    yield Pair(subject=subject, head=head, words=tuple(words), phrase=phrase)


def _of_two(tree: Tree, clause: Clause) -> Iterator[Pair]:
    """Yields the pair of "Robin and Ann", of what may be said of both together: "have gone separate ways"."""
    first, second = clause.subjects
    words = noun_phrase(tree, second)
    if not is_name(first) or not is_name(second) or second.place > clause.verb.place:
        return
    said = [word.text for word in tree.subtree(clause.verb, frozenset({"nsubj", "nsubjpass", *_OPEN - {"prep"}}))]
    phrase = Phrase(said=" ".join([SOMEONE, "and", SOMETHING, *said]).rstrip(" .!"), object=tree.said(words))
    yield Pair(subject=first, head=second, words=tuple(words), phrase=phrase)


def _owned(tree: Tree, word: Word, clause: Clause) -> Word | None:
    """Returns what `word` is the owner of, if that is what "be" speaks of: "drink" of "Robin's favourite drink"."""
    head = tree.head(word)
    if word.dep == "pobj" and is_name(word) and head is not None and head.low == "of":
        top = tree.head(head)
    elif word.dep == "poss" and (is_name(word) or word.tag == "PRP$"):
        top = head
    else:
        return None
    if top is None or clause.verb.lemma != "be":
        return None
    return top if top in clause.subjects or (top.dep in _OWNERS_OF and tree.head(top) == clause.verb) else None


def _describes(tree: Tree, word: Word) -> bool:
    """Whether a noun says of which kind the noun behind it is: "celery" of "a celery allergy", "a cook's job"."""
    noun = tree.head(word)
    if noun is None or noun.tag not in ("NN", "NNS") or not noun.text.islower() or word.tag not in ("NN", "NNS", "NNP"):
        return False
    article = tree.child(word, "det")
    of_kind = word.dep == "poss" and article is not None and article.low in ("a", "an")
    return (word.dep == "compound" and word.place == noun.place - 1) or of_kind


def _may_be_object(word: Word) -> bool:
    if word.dep in _WITHIN | {"npadvmod"} or is_pronoun(word) or word.low in lexicon.VAGUE | lexicon.AGES:
        return False
    if word.tag == "VBG":
        return word.dep in _DONE
    return word.tag in _NOUNS or (word.tag == "JJ" and word.dep in _COMPLEMENTS)


def _is_elsewhere(tree: Tree, word: Word, verb: Word) -> bool:
    """Whether `word` is in another clause than `verb`: not in "a dog whose name is Rex", which describes an object."""
    while word.place != verb.place:
        if word.dep in ("ccomp", "advcl", "parataxis"):
            return True
        if word.dep == "conj" and word.tag.startswith("VB") and word.tag != "VBG":
            return True
        subject = tree.child(word, "nsubj", "nsubjpass") if word.dep == "relcl" else None
        described = tree.head(word)
        if word.dep == "relcl" and described is not None and is_name(described):
            return True
        describes = subject is None or subject.tag in ("WP", "WDT", "WP$", "PRP")
        if not describes and not any(part.tag == "WP$" for part in tree.subtree(word)):
            return True
        above = tree.head(word)
        if above is None:
            return True
        word = above
    return False


def _spans(tree: Tree, head: Word) -> Iterator[list[Word]]:
    """Yields the words of an object without article and owner, then without describing words, then the head alone."""
    words = noun_phrase(tree, head)
    while len(words) > 1 and (words[0].tag in ("DT", "PRP$") or (words[0].dep == "poss" and words[0].tag != "NNP")):
        words = words[1:]
    told = len(words) > 1 and words[0].tag.startswith("JJ") and words[0].text.islower() and head.text[:1].isupper()
    if not told:  # not "old Volvo", whose name alone is the object
        yield words
    core = [head]
    for word in reversed([word for word in words if word.place < head.place]):
        joined = word.dep in ("compound", "nummod") or word.text[:1].isupper() or word.text == "-"
        if not joined or word.place != core[0].place - 1:
            break
        core.insert(0, word)
    for word in (word for word in words if word.place > head.place):
        goes_on = word.text[:1].isupper() or word.text.isdigit() or word.text in "-."
        if not goes_on or word.place != core[-1].place + 1:
            break
        core.append(word)
    if core != words:
        yield core
    if len(core) > 1 and not head.text[:1].isupper():
        yield [head]


def _between(tree: Tree, clause: Clause, subject: Word, head: Word, words: list[Word]) -> str:
    """Returns the clause with stand-ins for subject and object, and without what belongs to neither."""
    kept = _kept(tree, clause.verb, subject, head)
    first = head
    while first.dep == "conj" and (above := tree.head(first)) is not None:  # "harp" of "plays the cello and the harp"
        kept = [word for word in kept if word.place == head.place or word.place != above.place]
        first = above
    if first is not head:
        gone = {word.place for word in noun_phrase(tree, first)} - {word.place for word in tree.subtree(head)}
        kept = [word for word in kept if word.place not in gone]
    chosen = {word.place for word in words}
    apart = [word for word in tree.children(head, "amod") if word.place not in chosen and word.low not in _UNREAL]
    gone = {part.place for word in apart for part in tree.subtree(word)}
    kept = [word for word in kept if word.place not in gone]
    named = {word.place for word in (noun_phrase(tree, subject) if not is_pronoun(subject) else [subject])}
    object_ = {word.place for word in words}
    said: list[str] = []
    for word in kept:
        relative = word.tag in ("WP", "WDT") and subject in clause.subjects and word.dep in ("nsubj", "nsubjpass")
        if word.place in named or relative:
            if SOMEONE not in (part.removesuffix("'s") for part in said):
                said.append(f"{SOMEONE}'s" if subject.dep == "poss" else SOMEONE)
        elif word.place in object_:
            said += [SOMETHING] if word.place == words[0].place else []
        elif word.low in lexicon.NEGATIONS or word.low in lexicon.NO_LONGER or word.tag == "POS":
            continue
        elif word.tag in ("PRP", "PRP$"):
            said.append("their" if word.tag == "PRP$" else "them" if word.dep != "nsubj" else "they")
        else:
            said.append("can" if word.low == "ca" else word.text)
    if SOMEONE not in (part.removesuffix("'s") for part in said):
        said.insert(0, SOMEONE)
    return " ".join(said)


def _kept(tree: Tree, verb: Word, subject: Word, head: Word) -> list[Word]:
    """Returns the words of the clause without the branches that hold neither subject nor object."""
    of_subject, of_object = _up(tree, subject, verb), _up(tree, head, verb)
    needed = of_subject | of_object
    kept: list[Word] = []

    def walk(word: Word) -> None:
        kept.append(word)
        for child in tree.children(word):
            if child.place in needed:
                walk(child)
            elif child.dep in _OPEN:
                if child.dep == "prep" and (word.place in of_subject or not tree.children(child)):
                    walk(child)  # "by" of "gets by in Greek"
            elif child.dep not in _DROPPED or child.text == "-":
                walk(child)

    walk(verb)
    return sorted(kept, key=lambda word: word.place)


def _up(tree: Tree, word: Word, verb: Word) -> set[int]:
    """Returns the places from `word` up to `verb`; none where it does not hang there."""
    places: set[int] = set()
    while word.place != verb.place:
        places.add(word.place)
        above = tree.head(word)
        if above is None:
            return set()
        word = above
    return places
