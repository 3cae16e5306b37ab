"""Says what the words around a clause make of it: whether they deny it, report it from others, or suppose it."""

from __future__ import annotations

from collections.abc import Sequence

from core.extraction.candidates import Modality
from core.extraction.clauses import Clause
from core.extraction.lexicon import PRESUPPOSED_BY
from core.extraction.mood import Mood
from core.extraction.names import noun_phrase
from core.extraction.phrases.meant import CLAUSE, SOMEONE, Understanding
from core.extraction.words import Tree, Word

FRAMED = 0.7  # from which the words around a clause are taken to make something of it
ASSERTED = 0.9  # from which they are taken to assert it, although the grammar does not know them to do so


def framed(tree: Tree, clause: Clause, how: Mood, before: str, model: Understanding) -> Mood:
    """Returns in which way the words around `clause` have it.

    Args:
        how: what the grammar makes of it.
        before: what ends in a colon before the sentence: "Translate this into French:"; "" for nothing.
        model: tells what these words do.
    """
    around = _around(tree, clause, before)
    for frame in model.frames([around]) if around else ():
        if how != Mood():
            return Mood() if frame.asserts >= ASSERTED else how
        sure = max(frame.denies, frame.reports, frame.supposes)
        if sure < FRAMED:
            break
        if sure == frame.denies:
            return Mood(positive=False)
        return Mood(modality=Modality.QUOTED if sure == frame.reports else Modality.HYPOTHETICAL)
    return how


def _around(tree: Tree, clause: Clause, before: str) -> str:
    """Returns the sentence with CLAUSE in the place of `clause`; "" where nothing is before it that tells more."""
    below, subject = tree.subtree(clause.verb), clause.subjects[0]
    above = tree.head(clause.verb)
    if clause.verb.dep == "conj" or subject not in below or (above is not None and above.lemma in PRESUPPOSED_BY):
        return ""
    begin = noun_phrase(tree, subject)[0].place
    begin_of_part = max((word.place + 1 for word in tree.words[:begin] if word.text in (";", "–", "—")), default=0)
    first = _without_names(tree.words[begin_of_part:begin])
    last = _without_names(tree.words[below[-1].place + 1 :]) if clause.verb.dep == "advcl" else ""
    return f"{before} {first} {CLAUSE} {last}".strip() if f"{before}{first}".strip(" ,") else ""


def _without_names(words: Sequence[Word]) -> str:
    """Returns words with one stand-in for each name, and as they are said together: "I'm", "Alex's"."""
    said = ""
    for word in words:
        name = SOMEONE if word.tag in ("NNP", "NNPS") else word.text
        if name == SOMEONE and said.endswith(SOMEONE):
            continue
        joined = word.tag in ("POS", ",", ".", ":") or "'" in word.text or "’" in word.text
        said += name if joined or not said else f" {name}"
    return said
