"""Hyperparameters of edits: their defaults and their ranges, which hold for clients and for model folders alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from math import isfinite

from core.errors.base import InvalidField
from core.kinds import of_kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """How an edit is computed: MEMIT (Meng et al. 2023) that also preserves the keys of earlier facts.

    Attributes:
        reference_weight: weight of the covariance C of keys of reference text; lambda in the paper.
        abstention_weight: weight of the covariance of keys where the model abstains, added to lambda C.
        recall_weight: weight of the covariance of keys where the model recalls facts of its own, added to lambda C.
        steps: largest number of Adam steps for a target value (the paper's `compute_z`).
        learning_rate: learning rate of Adam, in units of the base hidden state's norm over the root of its width.
        clamp: largest change of a hidden state, in multiples of its norm in the base model.
        decay: weight of the squared relative norm of the change.
        confidence: probability that every target token must reach in every context; optimisation then stops.
        refinements: largest number of further updates for sites whose change fell short of their target value.
        unanswered: number of questions whose answers an edit must preserve, for each relation that no fact about its
            subject covers.
        batch: largest number of facts in one edit.
        history: whether keys of facts in force constrain new edits; off only to measure the effect.
    """

    reference_weight: float
    abstention_weight: float
    recall_weight: float
    steps: int
    learning_rate: float
    clamp: float
    decay: float
    confidence: float
    refinements: int
    unanswered: int
    batch: int
    history: bool


DEFAULTS = Hyperparameters(
    reference_weight=200.0,
    abstention_weight=4500.0,
    recall_weight=2000.0,
    steps=25,
    learning_rate=0.1,
    clamp=4.0,
    decay=1e-3,
    confidence=0.9,
    refinements=5,
    unanswered=2,
    batch=32,
    history=True,
)
CAPACITY = 0.03  # largest key occupancy: share of the key space
KEYS_PER_FACT = 4.0  # dimensions of the key space; used if neither the profile nor the statistics give a number

_above_zero = (lambda value: value > 0, "must be above 0")
_zero_or_more = (lambda value: value >= 0, "must be 0 or more")
RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    "reference_weight": _above_zero,
    "abstention_weight": _zero_or_more,
    "recall_weight": _zero_or_more,
    "steps": (lambda value: 1 <= value <= 1000, "must be 1 to 1000"),
    "learning_rate": _above_zero,
    "clamp": _above_zero,
    "decay": _zero_or_more,
    "confidence": (lambda value: 0 < value < 1, "must be above 0 and below 1"),
    "refinements": (lambda value: 0 <= value <= 100, "must be 0 to 100"),
    "unanswered": (lambda value: 0 <= value <= 16, "must be 0 to 16"),
    "batch": (lambda value: 1 <= value <= 1024, "must be 1 to 1024"),
    "history": (lambda _: True, ""),
}


def changed_hyperparameters(before: Hyperparameters, given: Mapping[str, object]) -> Hyperparameters:
    """Returns `before` with the values of `given`.

    Raises:
        InvalidField: a field does not exist, or its value has another type or is out of range.
    """
    kinds = asdict(before)
    values = {}
    for name, value in given.items():
        field = f"hyperparameters.{name}"
        if name not in kinds:
            raise InvalidField(field, f"does not exist; the fields are {', '.join(kinds)}")
        values[name] = of_kind(kinds[name], value, field)
        fits, problem = RANGES[name]
        if not isfinite(values[name]) or not fits(values[name]):
            raise InvalidField(field, f"is {value}; it {problem}")
    return replace(before, **values)


def checked_capacity(value: object) -> float:
    """Returns `value` as a capacity. Raises InvalidField if it is not finite and above 0."""
    return _above_zero_and_finite(value, "capacity")


def checked_keys_per_fact(value: object) -> float:
    """Returns `value` as a number of keys per fact. Raises InvalidField if it is not finite and above 0."""
    return _above_zero_and_finite(value, "keys_per_fact")


def _above_zero_and_finite(value: object, field: str) -> float:
    number: float = of_kind(1.0, value, field)
    if not isfinite(number) or number <= 0:
        raise InvalidField(field, f"is {value}; it must be above 0 and finite")
    return number
