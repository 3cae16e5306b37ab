"""Brings the verb of a clause into the words of a relation, and says of which time it speaks."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.english.verbs import third_person, verbs
from core.extraction.candidates import Modality
from core.extraction.lexicon import AGES, LASTING, TIME_KINDS
from core.extraction.words import Tree, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way to say a verb in a relation.

    Attributes:
        said: "lives", "is reading", "moved".
        of_library: whether the relation must be in the library for this form to be used.
        modality: what the form says of the time.
    """

    said: str
    modality: Modality = Modality.ASSERTED
    of_library: bool = False


def auxiliaries(tree: Tree, verb: Word) -> list[Word]:
    """Returns the auxiliaries of `verb`, also those that a verb joined by "and" shares with the first."""
    shared = tree.children(verb, "aux", "auxpass")
    if not shared and verb.dep == "conj" and verb.tag in ("VB", "VBG", "VBN"):
        head = tree.head(verb)
        if head is not None and not tree.child(verb, "nsubj", "nsubjpass") and head.tag in (verb.tag, "VB"):
            return auxiliaries(tree, head)
    return shared


def is_verb(word: Word) -> bool:
    """Whether `word` is an English verb, which excludes most words of other languages."""
    return word.tag.startswith("VB") and (word.lemma in verbs().bases or word.lemma in ("be", "have", "do"))


def forms(tree: Tree, verb: Word) -> tuple[Form, ...]:
    """Returns the forms of `verb`, those that the library must have first."""
    particle = tree.child(verb, "prt")
    after = f" {particle.low}" if particle is not None else ""
    helpers = auxiliaries(tree, verb)
    low = [helper.low for helper in helpers]
    lemmas = [helper.lemma for helper in helpers]
    simple = f"{third(verb.lemma)}{after}"
    said = f"{verb.low}{after}"
    if any(word in ("will", "'ll", "wo", "shall") for word in low):
        return (Form(said=simple, modality=Modality.FUTURE),)
    if "can" in low or "ca" in low or "cannot" in low:
        return (Form(said=f"can {verb.lemma}{after}"),)
    if any(helper.tag == "MD" for helper in helpers):
        return (
            Form(said=f"{next(h.low for h in helpers if h.tag == 'MD')} {verb.lemma}{after}", of_library=True),
            Form(said=simple, modality=Modality.HYPOTHETICAL),
        )
    if verb.tag == "VBN" and any(helper.dep == "auxpass" for helper in helpers):
        return _passive(verb, after, helpers)
    if verb.tag == "VBN" and "have" in lemmas:
        return _perfect(tree, verb, after, simple)
    if verb.tag == "VBG" and "be" in lemmas:
        return _progressive(tree, verb, after, simple, lemmas)
    if verb.tag == "VBD" or "did" in low:
        return _past(verb, said, simple)
    return (Form(said=simple),)


def participle(tree: Tree, verb: Word) -> tuple[Form, ...]:
    """Returns the forms of a participle that stands for a passive: "Born in Rome, ..."."""
    return (
        Form(said=f"was {verb.low}", of_library=True),
        Form(said=f"is {verb.low}", of_library=True),
        Form(said=f"was {verb.low}", modality=Modality.PAST),
    )


def _passive(verb: Word, after: str, helpers: list[Word]) -> tuple[Form, ...]:
    past = any(helper.low in ("was", "were", "been") for helper in helpers)
    said = f"{'was' if past else 'is'} {verb.low}{after}"
    if not past or verb.lemma in LASTING:
        return (Form(said=said),)
    return (Form(said=said, of_library=True), Form(said=said, modality=Modality.PAST))


def _perfect(tree: Tree, verb: Word, after: str, simple: str) -> tuple[Form, ...]:
    said = f"{verb.low}{after}"
    has = Form(said=f"has {said}", of_library=True)
    complements = tree.children(verb, "attr", "acomp")
    if any(_lasts(tree, child) for word in (verb, *complements) for child in tree.children(word, "prep", "mark")):
        return (has, Form(said=simple))
    if verb.lemma in LASTING:
        return (Form(said=f"has {said}"),)
    return (has, Form(said=said, of_library=True), Form(said=f"has {said}", modality=Modality.PAST))


def _lasts(tree: Tree, word: Word) -> bool:
    """Whether `word` begins how long something has lasted: "since 2019", "for ten years"."""
    time = tree.child(word, "pobj")
    long = time is not None and (time.kind in TIME_KINDS or time.low in AGES)
    return word.low == "since" or (word.low == "for" and long)


def _progressive(tree: Tree, verb: Word, after: str, simple: str, lemmas: list[str]) -> tuple[Form, ...]:
    if verb.lemma == "go" and (goal := tree.child(verb, "xcomp")) is not None:
        return (Form(said=f"{third(goal.lemma)}", modality=Modality.FUTURE),)
    said = f"is {verb.low}{after}"
    if "have" in lemmas:
        return (Form(said=simple),)
    was = any(word.low in ("was", "were") for word in auxiliaries(tree, verb))
    if was:
        return (Form(said=simple, modality=Modality.PAST),)
    return (
        Form(said=said, of_library=True),
        Form(said=simple, of_library=True),
        Form(said=said, modality=Modality.MOMENTARY),
    )


def _past(verb: Word, said: str, simple: str) -> tuple[Form, ...]:
    if verb.tag != "VBD":
        return (Form(said=simple, modality=Modality.PAST),)
    if verb.lemma == "be":
        return (Form(said="was", modality=Modality.PAST),)
    if verb.lemma in LASTING:
        return (Form(said=said),)
    return (Form(said=said, of_library=True), Form(said=said, modality=Modality.PAST))


def longer(options: tuple[Form, ...], words: str) -> tuple[Form, ...]:
    """Returns `options` with `words` after each of them: "has a job" of "has"."""
    return tuple(replace(form, said=f"{form.said} {words}") for form in options)


def third(lemma: str) -> str:
    """Returns the third person of a verb."""
    return "is" if lemma == "be" else third_person(lemma)
