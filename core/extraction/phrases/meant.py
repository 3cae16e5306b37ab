"""What phrases mean in the library's relations, whatever their words: the port, and what it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

CLAUSE = "it is so"  # stands for a clause
SOMEONE, SOMETHING = "Alex", "something"  # stand for subject and object in a phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """A clause with what belongs to its subject and one object alone: "Alex is on the staff of something", "Acme"."""

    said: str
    object: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """What a phrase means.

    Attributes:
        relation: name of the library's relation that fits best: "works for".
        sure: how likely the phrase states that relation of that object, from 0 to 1.
        ends: how likely it says that something holds no longer.
        fits: relations that may have the object, which a phrase that ends something may end.
    """

    relation: str
    sure: float
    ends: float = 0.0
    fits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """How likely a part of a sentence says that something is a joke, and that something is taken back; from 0 to 1."""

    jokes: float
    takes_back: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """How likely the words around a clause assert, deny or suppose it, or say that others say so; from 0 to 1."""

    asserts: float
    denies: float
    reports: float
    supposes: float


class Understanding(Protocol):
    """Anything that tells what phrases mean."""

    def meant(self, phrases: Sequence[Phrase]) -> Sequence[Meant]:
        """Returns what each of `phrases` means; nothing at all where the model for it is not installed."""
        ...

    def does(self, texts: Sequence[str]) -> Sequence[Act]:
        """Returns what each of `texts` does; nothing at all where the model for it is not installed."""
        ...

    def frames(self, texts: Sequence[str]) -> Sequence[Frame]:
        """Returns what each of `texts`, in which CLAUSE stands for a clause, makes of it; nothing at all likewise."""
        ...
