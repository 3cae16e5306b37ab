"""Sentences as a parser sees them: words, and for each the word that it belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from core.extraction.phrases.meant import Understanding


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word or a punctuation mark of a sentence.

    Attributes:
        place: index in its sentence.
        text: as written.
        start, end: characters `start .. end - 1` of the text that was parsed.
        lemma: base form, in lower case.
        tag: part of speech, of the Penn Treebank: "NNP", "VBZ".
        dep: relation to its head, of ClearNLP: "nsubj", "dobj".
        head: index of the word that it belongs to; its own for the root of the sentence.
        kind: kind of named entity, of OntoNotes: "PERSON", "GPE"; "" for none.
    """

    place: int
    text: str
    start: int
    end: int
    lemma: str
    tag: str
    dep: str
    head: int
    kind: str = ""

    @property
    def low(self) -> str:
        return self.text.lower().replace("’", "'")


@dataclass(frozen=True)
class Tree:
    """A parsed sentence; `text` is the whole text that it is a part of."""

    text: str
    words: tuple[Word, ...]

    @cached_property
    def _children(self) -> dict[int, list[Word]]:
        children: dict[int, list[Word]] = {}
        for word in self.words:
            if word.head != word.place:
                children.setdefault(word.head, []).append(word)
        return children

    def children(self, word: Word, *deps: str) -> list[Word]:
        """Returns the words that belong to `word`, of all relations or of `deps`."""
        return [child for child in self._children.get(word.place, ()) if not deps or child.dep in deps]

    def child(self, word: Word, *deps: str) -> Word | None:
        """Returns the first of `children`, if there is one."""
        return next(iter(self.children(word, *deps)), None)

    def head(self, word: Word) -> Word | None:
        """Returns the word that `word` belongs to; None for the root."""
        return None if word.head == word.place else self.words[word.head]

    def subtree(self, word: Word, without: frozenset[str] = frozenset()) -> list[Word]:
        """Returns `word` and all below it in the order of the text, without what hangs on relations in `without`."""
        below: list[Word] = [word]
        for child in self.children(word):
            if child.dep not in without:
                below += self.subtree(child, without)
        return sorted(below, key=lambda part: part.place)

    def conjuncts(self, word: Word) -> Iterator[Word]:
        """Yields `word` and the words joined to it by "and", "or" or a comma."""
        yield word
        for child in self.children(word, "conj"):
            yield from self.conjuncts(child)

    def said(self, words: Sequence[Word]) -> str:
        """Returns the text from the first of `words` to the last, with single spaces."""
        return " ".join(self.text[words[0].start : words[-1].end].split())

    @property
    def span(self) -> tuple[int, int]:
        return self.words[0].start, self.words[-1].end


class Parser(Understanding, Protocol):
    """Anything that parses English, and tells what its phrases mean."""

    def parse(self, text: str) -> Sequence[Tree]:
        """Returns the sentences of `text` in its order; their `text` is `text`. Raises ParserUnavailable."""
        ...

    def check(self) -> None:
        """Raises ParserUnavailable where it is not installed; loads nothing."""
        ...
