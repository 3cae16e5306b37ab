"""How a memory sleeps: every threshold, schedule and limit, as values that the log records with each sleep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from itertools import pairwise
from typing import Any

from core.errors.base import InvalidField
from core.kinds import of_kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How an adapter is trained: LoRA (Hu et al. 2022) on the edited modules.

    Attributes:
        rank: columns of the adapter in every edited module.
        steps: at most so many.
        learning_rate: peak, of AdamW.
        batch: contexts of facts in a step; half as many of facts that adapters carry already come on top, and more
            where those are many.
        rehearsal: rehearsed texts in a step.
        divergence_weight: of the KL to the pristine model on them, against the loss on facts.
        enough: training stops once the loss of every lesson, when last seen without the edits, is below.
    """

    rank: int = 32
    steps: int = 300
    learning_rate: float = 1e-2
    batch: int = 24
    rehearsal: int = 24
    divergence_weight: float = 1.0
    enough: float = 0.08


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepPolicy:
    """What a sleep does and when it is undone.

    Attributes:
        scales: share of a fact's edit in the weights at stage 0, 1, 2, 3; the last is 0, where the edit is dissolved.
        training: how adapters are trained.
        trainings: at most so many adapters in one sleep; another one while the gate turns facts back.
        refreshes: at most so many refreshes after one audit.
        gate: share of a fact's probes that must pass, with its edit at the next scale, for it to advance.
        healthy: share of a fact's probes that must pass for it to count as healthy.
        probes: at most so many of each kind (raw, chat) that a fact is written on, and of each that it is not.
        controls: neighbours, strangers, untold relations and texts asked about in each audit, of each so many.
        rehearsed: dissolved facts in one training, at most.
        texts: rehearsed texts of each kind in one training.
        perplexity_limit: largest growth of held-out perplexity in one sleep.
        neighbours_limit, strangers_limit: share of them that must keep the answers they had before the sleep.
        recall_limit: share of the facts healthy before the sleep that must be healthy after it; what is left of one
            fact may be lost whole.
        restful: versions without sleep after which age alone is full pressure.
        mendings: at most so many adapters more, each where the night would otherwise be undone for the harm it did.
    """

    scales: tuple[float, ...] = (1.0, 0.5, 0.1, 0.0)
    training: Training = field(default_factory=Training)
    trainings: int = 3
    refreshes: int = 3
    gate: float = 0.75
    healthy: float = 0.6
    probes: int = 2
    controls: int = 100
    rehearsed: int = 1000
    texts: int = 400
    perplexity_limit: float = 0.02
    neighbours_limit: float = 0.98
    strangers_limit: float = 0.95
    recall_limit: float = 0.98
    restful: int = 2000
    mendings: int = 1

    @property
    def dissolved(self) -> int:
        """The stage at which a fact's edit has left the weights."""
        return len(self.scales) - 1


def changed_policy(policy: SleepPolicy, given: Mapping[str, Any], path: str) -> SleepPolicy:
    """`policy` with the values that were given at `path`, those of its training in a mapping of their own.

    Raises:
        InvalidField: one of them does not exist, is of another type, or makes no sense.
    """
    new: SleepPolicy = _changed(policy, given, path)
    check_policy(new, path)
    return new


def _changed(values: Any, given: object, path: str) -> Any:
    if not isinstance(given, Mapping):
        raise InvalidField(path, "is not an object")
    names = [one.name for one in fields(values)]
    new: dict[str, Any] = {}
    for name, value in given.items():
        if name not in names:
            raise InvalidField(f"{path}.{name}", f"does not exist; there are {', '.join(names)}")
        before, place = getattr(values, name), f"{path}.{name}"
        new[name] = _changed(before, value, place) if is_dataclass(before) else of_kind(before, value, place)
    return replace(values, **new)


def check_policy(policy: SleepPolicy, path: str = "policy") -> None:
    """Raises InvalidField for the first value of `policy`, which was given at `path`, that makes no sense."""
    scales, training = policy.scales, policy.training
    descending = all(higher > lower for higher, lower in pairwise(scales))
    if len(scales) < 2 or scales[0] != 1.0 or scales[-1] != 0.0 or not descending:
        raise InvalidField(f"{path}.scales", "must fall from 1.0 to 0.0, each lower than the one before")
    for name, value, low, high in (
        ("training.rank", training.rank, 1, 1024),
        ("training.steps", training.steps, 1, 100_000),
        ("training.learning_rate", training.learning_rate, 1e-9, 1e3),
        ("training.batch", training.batch, 1, 4096),
        ("training.rehearsal", training.rehearsal, 0, 4096),
        ("training.divergence_weight", training.divergence_weight, 0.0, 1e6),
        ("training.enough", training.enough, 0.0, 1e3),
        ("trainings", policy.trainings, 1, 100),
        ("mendings", policy.mendings, 0, 100),
        ("refreshes", policy.refreshes, 0, 100),
        ("gate", policy.gate, 0.0, 1.0),
        ("healthy", policy.healthy, 0.0, 1.0),
        ("probes", policy.probes, 1, 16),
        ("controls", policy.controls, 1, 10_000),
        ("rehearsed", policy.rehearsed, 0, 1_000_000),
        ("texts", policy.texts, 0, 1_000_000),
        ("perplexity_limit", policy.perplexity_limit, 0.0, 1e9),
        ("neighbours_limit", policy.neighbours_limit, 0.0, 1.0),
        ("strangers_limit", policy.strangers_limit, 0.0, 1.0),
        ("recall_limit", policy.recall_limit, 0.0, 1.0),
        ("restful", policy.restful, 1, 1_000_000_000),
    ):
        if not low <= value <= high:
            raise InvalidField(f"{path}.{name}", f"is {value}; it must lie within {low} and {high}")
