"""Repairs what parsers often get wrong: names at the beginning of sentences, and the bases of verbs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from core.english.verbs import verbs
from core.extraction.lexicon import PERSONAL, VAGUE
from core.extraction.words import Tree, Word


def repaired(trees: Sequence[Tree]) -> list[Tree]:
    """Returns the sentences of one turn with the tags of names and the bases of verbs repaired.

    A first word is a name where the turn has it as one elsewhere, or where it has no article and is of a kind of names
    or does what people do: "Ann lives in Oslo".
    """
    names = {word.text: word for tree in trees for word in tree.words if word.tag == "NNP"}
    based = [Tree(tree.text, tuple(_based(word) for word in tree.words)) for tree in trees]
    return [Tree(tree.text, tuple(_tagged(tree, word, names) for word in tree.words)) for tree in based]


def _based(word: Word) -> Word:
    """Returns a verb with its base by the table: "hate" of "hates", which spaCy takes for "hat"."""
    table = verbs()
    forms = {"VBZ": table.third, "VBD": table.past, "VBN": table.participles}.get(word.tag, {})
    known = word.lemma in table.bases or word.lemma in ("be", "do", "have")
    base = forms.get(word.low)
    return word if base is None or (known and word.tag != "VBZ") or word.lemma == "be" else replace(word, lemma=base)


def _tagged(tree: Tree, word: Word, names: Mapping[str, Word]) -> Word:
    """Returns a first word as a name, if it is one."""
    if word.tag not in ("NN", "NNS", "JJ", "UH") or word.low in VAGUE or not word.text[:1].isupper():
        return word
    if (known := names.get(word.text)) is not None:
        return replace(word, tag="NNP", kind=known.kind)
    head = tree.head(word)
    first = word.place == 0 and word.dep == "nsubj" and word.tag == "NN" and not tree.children(word)
    acts = head is not None and head.lemma in PERSONAL
    return replace(word, tag="NNP") if first and (acts or word.kind) else word
