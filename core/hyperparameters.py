"""How facts are written when nobody says otherwise, and which values make sense, whoever gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from math import isfinite

from core.errors.base import InvalidField
from core.kinds import of_kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """How facts are written: MEMIT (Meng et al. 2023) with history, at the places where the model answers.

    Attributes:
        ordinary_weight: lambda, the weight of the second moment C of ordinary keys.
        abstention_weight: weight of the second moment of the keys of ordinary abstentions, added to lambda C.
        recall_weight: weight of the second moment of keys at which ordinary facts are recalled, added likewise.
        steps: at most so many Adam steps for a value.
        learning_rate: of Adam, in units of the clean hidden state's norm over the root of its width.
        clamp: longest change of a hidden state, in multiples of its clean norm.
        decay: weight of the squared relative length of the change.
        confidence: a value is found once every target token has this probability in every context.
        retouches: at most so many times, sites that protection left short of their target are moved on.
        untold: questions, for each relation that a told subject was not told about, whose answers an edit must keep.
        batch: facts optimised together.
        history: whether keys in force constrain new edits; off only to measure what it is worth.
    """

    ordinary_weight: float
    abstention_weight: float
    recall_weight: float
    steps: int
    learning_rate: float
    clamp: float
    decay: float
    confidence: float
    retouches: int
    untold: int
    batch: int
    history: bool


DEFAULTS = Hyperparameters(
    ordinary_weight=200.0,
    abstention_weight=4500.0,
    recall_weight=2000.0,
    steps=25,
    learning_rate=0.1,
    clamp=4.0,
    decay=1e-3,
    confidence=0.9,
    retouches=5,
    untold=2,
    batch=32,
    history=True,
)
CAPACITY = 0.03
KEYS_PER_FACT = 4.0  # where neither the model's profile says how many, nor statistics measured it

_above_zero = (lambda value: value > 0, "must be above 0")
_zero_or_more = (lambda value: value >= 0, "must be 0 or more")
RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    "ordinary_weight": _above_zero,
    "abstention_weight": _zero_or_more,
    "recall_weight": _zero_or_more,
    "steps": (lambda value: 1 <= value <= 1000, "must be 1 to 1000"),
    "learning_rate": _above_zero,
    "clamp": _above_zero,
    "decay": _zero_or_more,
    "confidence": (lambda value: 0 < value < 1, "must be above 0 and below 1"),
    "retouches": (lambda value: 0 <= value <= 100, "must be 0 to 100"),
    "untold": (lambda value: 0 <= value <= 16, "must be 0 to 16"),
    "batch": (lambda value: 1 <= value <= 1024, "must be 1 to 1024"),
    "history": (lambda _: True, ""),
}


def changed_hyperparameters(before: Hyperparameters, given: Mapping[str, object]) -> Hyperparameters:
    """`before` with the values that were given.

    Raises:
        InvalidField: one of them does not exist, is of another type, or out of its range.
    """
    kinds = asdict(before)
    values = {}
    for name, value in given.items():
        field = f"hyperparameters.{name}"
        if name not in kinds:
            raise InvalidField(field, f"does not exist; there are {', '.join(kinds)}")
        values[name] = of_kind(kinds[name], value, field)
        fits, problem = RANGES[name]
        if not isfinite(values[name]) or not fits(values[name]):
            raise InvalidField(field, f"is {value}; it {problem}")
    return replace(before, **values)


def checked_capacity(value: object) -> float:
    """`value`, if a memory can have it as its capacity. Raises InvalidField."""
    return _above_zero_and_finite(value, "capacity")


def checked_keys_per_fact(value: object) -> float:
    """`value`, if a fact can be expected to take so many keys. Raises InvalidField."""
    return _above_zero_and_finite(value, "keys_per_fact")


def _above_zero_and_finite(value: object, field: str) -> float:
    number: float = of_kind(1.0, value, field)
    if not isfinite(number) or number <= 0:
        raise InvalidField(field, f"is {value}; it must be above 0 and finite")
    return number
