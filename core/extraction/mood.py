"""Tells facts from questions, conditions, guesses, wishes, reports, jokes and denials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.extraction import lexicon
from core.extraction.candidates import Modality
from core.extraction.clauses import Clause
from core.extraction.forms import auxiliaries
from core.extraction.words import Tree, Word

_ASKING = frozenset("who whom whose what which where when why how".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Mood:
    """In which way a clause speaks, and whether it denies."""

    modality: Modality = Modality.ASSERTED
    positive: bool = True


def sentence_mood(tree: Tree, joking: bool) -> Modality:
    """Returns in which way the whole sentence speaks; `joking` says whether the turn is marked as a joke."""
    said = tree.said(tree.words)
    if _asks(tree):
        return Modality.ASKED
    if joking or lexicon.JOKES.search(said):
        return Modality.JOKING
    if lexicon.TALE.search(said) or _in_fiction(tree):
        return Modality.HYPOTHETICAL
    if lexicon.ACCORDING.search(said):
        return Modality.QUOTED
    return Modality.ASSERTED


def clause_mood(tree: Tree, clause: Clause, sentence: Modality) -> Mood:
    """Returns in which way `clause` speaks, by its own words and those of the clauses above it."""
    positive = not is_negated(tree, clause.verb)
    if sentence is Modality.ASKED and (_is_beside(tree, clause.verb) or _is_told(tree, clause.verb)):
        sentence = Modality.ASSERTED  # "What could I give Ann, who lives in Oslo?", "Did I tell you that ...?"
    if sentence is not Modality.ASSERTED:
        return Mood(modality=sentence, positive=positive)
    for verb in (clause.verb, *_first_conjuncts(tree, clause.verb)):
        modality = _own(tree, verb)
        if modality is not Modality.ASSERTED:
            return Mood(modality=modality, positive=positive)
    for mood in _above(tree, clause.verb):
        if mood.modality is not Modality.ASSERTED or not mood.positive:
            return Mood(modality=mood.modality, positive=positive and mood.positive)
    return Mood(positive=positive)


def is_negated(tree: Tree, verb: Word) -> bool:
    """Whether `verb` is denied; one joined by "or" to a denied verb, and without words of its own, is denied too."""
    words = tree.children(verb, "neg", "advmod", "preconj", "det", "cc")
    words += [part for aux in tree.children(verb, "aux") for part in tree.children(aux, "neg")]
    if any(word.low in lexicon.NEGATIONS or word.low in lexicon.NO_LONGER for word in words):
        only = {word.low for word in tree.words if word.head == verb.place or word.dep == "advmod"}
        return not {"not", "only"} <= only
    if lexicon.BY_NO_MEANS.search(tree.said(_nearest(tree, verb))):
        return True
    head = tree.head(verb)
    if verb.dep != "conj" or head is None or tree.child(verb, "nsubj", "nsubjpass", "aux"):
        return False
    return verb.tag == "VB" and bool(auxiliaries(tree, head)) and is_negated(tree, head)


def is_no_longer(tree: Tree, verb: Word) -> bool:
    """Whether the clause of `verb` says that something was so before: "does not like tea any more"."""
    return lexicon.ANY_MORE.search(tree.said(_nearest(tree, verb))) is not None


def _is_beside(tree: Tree, verb: Word) -> bool:
    """Whether `verb` is that of a relative clause after a name and a comma, which states something by itself."""
    name = tree.head(verb)
    if verb.dep != "relcl" or name is None or name.tag not in ("NNP", "NNPS"):
        return False
    first = tree.subtree(verb)[0]
    return first.low == "who" and first.place > 0 and tree.words[first.place - 1].text == ","


def _is_told(tree: Tree, verb: Word) -> bool:
    """Whether the user asks whether they have said already what `verb` says."""
    above = tree.head(verb)
    if verb.dep != "ccomp" or above is None or above.lemma not in ("tell", "mention", "say"):
        return False
    subject, first = tree.child(above, "nsubj"), tree.child(above, "aux")
    told = first is not None and first.lemma in ("do", "have")
    marks = [mark.low for mark in tree.children(verb, "mark")]
    return told and subject is not None and subject.low == "i" and not {"if", "whether"} & set(marks)


def is_over(tree: Tree, verb: Word) -> bool:
    """Whether words beside a verb in the past say that it holds no longer: "formerly", "until last year"."""
    return any(
        word.low in lexicon.FORMERLY or (word.low in ("until", "till") and word.dep in ("prep", "mark"))
        for word in tree.children(verb)
    )


def is_dated(tree: Tree, verb: Word) -> bool:
    """Whether the clause of `verb` says in which year, or how long ago."""
    return lexicon.DATED.search(tree.said(_nearest(tree, verb))) is not None


def is_timed(tree: Tree, verb: Word) -> bool:
    """Whether the clause of `verb` says at which time of a day: "left the office at six"."""
    return any(word.kind == "TIME" for word in _nearest(tree, verb))


def _asks(tree: Tree) -> bool:
    """Whether the sentence is a question, by its mark or by its first words."""
    words = [word for word in tree.words if word.tag not in ("``", "''", "-LRB-", "-RRB-")]
    if any(word.text == "?" for word in words[-3:]):
        return True
    first = next((word for word in words if word.tag not in (",", "UH", "CC", ":", "NFP")), None)
    if first is None:
        return False
    subject = next((word for word in words if word.dep in ("nsubj", "nsubjpass")), None)
    auxiliary = first.dep in ("aux", "auxpass") or first.lemma in ("be", "do")
    inverted = auxiliary and first.tag in ("VBZ", "VBP", "VBD", "MD") and subject is not None
    wh = first.low in _ASKING and first.dep not in ("mark", "nsubj") and first.head == _root(tree).place
    return inverted or (wh and _inverts(tree, subject))


def _inverts(tree: Tree, subject: Word | None) -> bool:
    root = _root(tree)
    verbs = [root, *tree.children(root, "aux", "auxpass")]
    return subject is not None and any(word.place < subject.place for word in verbs)


def _root(tree: Tree) -> Word:
    return next(word for word in tree.words if word.head == word.place)


def _in_fiction(tree: Tree) -> bool:
    """Whether the sentence sets itself in a story: "In my novel, ...", or begins with "Imagine"."""
    for word in tree.words:
        if word.low == "in" and word.dep == "prep" and word.place < 3:
            place = tree.child(word, "pobj")
            if place is not None and place.lemma in lexicon.FICTION:
                return True
    first = next((word for word in tree.words if word.tag not in (",", "UH", "CC", "``")), None)
    pretended = {"imagine", "suppose", "pretend", "assume", "picture", "assuming", "supposing", "say"}
    begun = " ".join(word.low for word in tree.words[:3])
    return first is not None and (first.low in pretended or begun.startswith(("let 's say", "let us say", "lets say")))


def _first_conjuncts(tree: Tree, verb: Word) -> Iterator[Word]:
    """Yields the verbs to which `verb` is joined without a subject of its own, because it shares their adverbs."""
    head = tree.head(verb)
    if verb.dep == "conj" and head is not None and not tree.child(verb, "nsubj", "nsubjpass"):
        yield head
        yield from _first_conjuncts(tree, head)


def _own(tree: Tree, verb: Word) -> Modality:
    """Returns what the adverbs and the conditions of one verb make of it."""
    children = tree.children(verb)
    adverbs = [word for word in children if word.dep in ("advmod", "npadvmod", "mark", "intj")]
    if any(word.low in lexicon.CONDITIONS for word in adverbs) or _has_condition(tree, verb):
        return Modality.HYPOTHETICAL
    if verb.dep == "advcl" and any(word.low == "as" for word in adverbs) and any(w.low == "if" for w in adverbs):
        return Modality.HYPOTHETICAL
    if verb.dep == "advcl" and verb.tag != "VBD" and any(word.low in lexicon.OCCASIONS for word in adverbs):
        return Modality.HYPOTHETICAL
    if any(word.low in lexicon.DOUBTS for word in adverbs):
        return Modality.HYPOTHETICAL
    around = tree.said(_nearest(tree, verb))
    if lexicon.EARLIER.search(around) or any(word.low in lexicon.ONCE for word in adverbs):
        return Modality.PAST if verb.tag == "VBD" or "used" in around else Modality.ASSERTED
    if lexicon.LATER.search(around) and verb.tag in ("VBZ", "VBP", "VBG"):
        return Modality.FUTURE
    return Modality.ASSERTED


def _nearest(tree: Tree, verb: Word) -> list[Word]:
    """Returns the words of the clause of `verb` without the clauses below it."""
    return tree.subtree(verb, frozenset({"ccomp", "advcl", "relcl", "conj", "parataxis"}))


def _has_condition(tree: Tree, verb: Word) -> bool:
    """Whether `verb` has a clause with "if" below it."""
    return any(
        mark.low in lexicon.CONDITIONS - {"until", "whether"}
        for clause in tree.children(verb, "advcl")
        for mark in tree.children(clause, "mark", "advmod")
    )


def _above(tree: Tree, verb: Word) -> Iterator[Mood]:
    """Yields what each clause above makes of the clause of `verb`."""
    word, head = verb, tree.head(verb)
    while head is not None:
        if word.dep in ("ccomp", "xcomp", "acl", "pcomp") and not (word.dep == "acl" and word.tag == "VBN"):
            mood = _under(tree, head)
            if mood is not None:
                yield mood
                told = head.dep == "xcomp" and head.lemma in ("say", "tell")  # "I forgot to say that ..."
                if mood == Mood() and (told or _lemma(tree, head) in lexicon.PRESUPPOSED_BY):
                    return  # "you may want to know that ...", "I wish you knew that ..."
            elif word.dep != "ccomp" or word.place > head.place or tree.child(word, "mark"):
                yield Mood(modality=Modality.HYPOTHETICAL)  # otherwise a sentence of its own: "I met Ann; she ..."
        if word.dep == "relcl":
            if head.lemma in lexicon.REPORTED_BY and tree.child(word, "nsubj", "nsubjpass"):
                yield Mood(modality=Modality.QUOTED)  # "a rumour that Robin works for Acme"
            return
        if word.dep in ("advcl", "ccomp", "conj") and _has_condition(tree, head):
            yield Mood(modality=Modality.HYPOTHETICAL)
        word, head = head, tree.head(head)


def _controlling(tree: Tree, verb: Word) -> Word | None:
    """Returns the subject that an infinitive shares with the verb above it: "I" of "I forgot to say"."""
    head = tree.head(verb)
    if head is not None and head.dep == "acomp":  # "I" of "I am happy to say"
        head = tree.head(head)
    return tree.child(head, "nsubj") if verb.dep == "xcomp" and head is not None else None


def _lemma(tree: Tree, verb: Word) -> str:
    """Returns the base of a verb: of "find out", that of another verb that means the same."""
    particles = {f"{verb.lemma} {word.low}" for word in tree.children(verb, "prt")}
    return "discover" if particles & {"find out", "figure out", "turn out", "come up"} else verb.lemma


def _under(tree: Tree, above: Word) -> Mood | None:
    """Returns what the word `above`, a verb, an adjective or a noun, makes of a clause below it; None if not known."""
    if above.lemma == "be" and (said := tree.child(above, "acomp", "attr")) is not None:
        lemma = said.lemma
    else:
        lemma = _lemma(tree, above)
    denied = is_negated(tree, above)
    subject = tree.child(above, "nsubj", "nsubjpass") or _controlling(tree, above)
    by_user = subject is None or subject.low in lexicon.USER_WORDS or subject.low in ("it", "you", "that", "this")
    if lemma in lexicon.WISHED_BY:
        return Mood(modality=Modality.WISHED)
    if lemma in lexicon.PLANNED_BY:
        return Mood(modality=Modality.FUTURE)
    if lemma in lexicon.DENIED_BY:
        return Mood(positive=denied)
    if lemma == "forget":
        return Mood(positive=denied or above.tag == "VBD")
    if lemma in lexicon.TRUE_OF:
        gives_up = denied and lemma in ("true", "sure", "certain", "clear", "fact", "mean")
        if not by_user and lemma in ("tell", "mention", "remark", "note", "write", "swear", "confirm", "mean"):
            return Mood(modality=Modality.QUOTED)
        return Mood(positive=not gives_up)
    if lemma in lexicon.REPORTED_BY:
        told = above.lemma in ("say", "state", "write") and subject is not None and subject.low in lexicon.USER_WORDS
        return Mood(positive=not denied) if told else Mood(modality=Modality.QUOTED)
    return Mood(modality=Modality.HYPOTHETICAL) if lemma in lexicon.GUESSED_BY else None
