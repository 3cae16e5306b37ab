"""Tells English sentences from those of other languages, by their little words."""

from __future__ import annotations

from core.extraction.lexicon import ENGLISH, FOREIGN
from core.extraction.words import Tree


def is_english(tree: Tree) -> bool:
    """Whether the sentence has more little words of English than other languages, names aside."""
    words = [word.low for word in tree.words if word.text.islower() and not word.kind]
    foreign = sum(word in FOREIGN for word in words)
    return not foreign or sum(word in ENGLISH for word in words) > foreign
