"""The settings of sleeps and injections: every threshold, schedule and limit. The log records them with each sleep."""

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
        steps: largest number of optimizer steps.
        learning_rate: peak learning rate of AdamW.
        batch: contexts of new facts in a step; half as many of facts that adapters already carry are added, or more
            if there are many such facts.
        rehearsal: rehearsed texts in a step.
        divergence_weight: weight of the KL divergence from the base model on rehearsed texts, beside the loss on facts.
        enough: loss in nats; training stops once every context, when last seen without the edits, is below it.
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
    """What a sleep does, and the harm for which it, or an injection, is rolled back.

    Attributes:
        scales: share of a fact's edit in the weights at stage 0, 1, 2, 3 (the dissolution schedule). The last is 0:
            the edit is dissolved.
        training: how adapters are trained.
        trainings: largest number of adapters trained before the rescale; a further one is trained if facts fail the
            gate.
        refreshes: largest number of refreshes, counted from the start and again from each rescale or repair training.
        gate: share of a fact's probes that must pass, with its edit at the next scale, for it to advance.
        healthy: share of a fact's probes that must pass for the fact to count as healthy.
        probes: largest number of prompts asked per fact of each kind: raw and chat, seen by its edit and not
            (paraphrases, which measure generalization).
        controls: number of questions of each kind in an audit that measures locality (neighbours, strangers,
            unanswered), and of held-out texts.
        rehearsed: largest number of dissolved facts in one training.
        texts: number of rehearsed texts of each kind in one training.
        perplexity_limit: largest relative growth of held-out perplexity in one sleep.
        neighbours_limit, strangers_limit: 1 minus the largest drop, in one sleep, of the share of these questions that
            are answered as the base model does (locality).
        recall_limit: share of the facts healthy before the sleep that must be healthy after it; the allowed loss is
            rounded up to whole facts.
        restful: number of versions without sleep after which age alone makes the pressure 1.
        repairs: largest number of repair trainings, each of one more adapter, before a sleep that did harm is rolled
            back.
        contamination_limit: largest share of strangers, and of namesakes, whose answers may say a told object after an
            injection or a sleep; beyond it that is undone. For an injection, of the memory's own policy.
        untold_limit: the same of answers about untold relations of subjects.
        divergence_limit: largest KL divergence from the base model, in nats a token, on text and on answers to general
            questions, after a sleep of a memory without a phrasebook.
        false_fires_limit: largest number of responses of neurons in force, in a million tokens of text that they have
            nothing to do with; facts are refused from there on, or parked. Of the memory's own policy.
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
    repairs: int = 1
    contamination_limit: float = 0.2
    untold_limit: float = 0.75
    false_fires_limit: float = 180.0
    divergence_limit: float = 0.01

    @property
    def dissolved(self) -> int:
        """The last stage, at which a fact's edit is no longer in the weights."""
        return len(self.scales) - 1


def changed_policy(policy: SleepPolicy, given: Mapping[str, Any], path: str) -> SleepPolicy:
    """Returns `policy` with the values of `given`; those of its training are in a nested mapping.

    Args:
        path: path of `given` in the request, for error messages.

    Raises:
        InvalidField: a field does not exist, or its value has another type or is out of range.
    """
    new: SleepPolicy = _changed(policy, given, path)
    check_policy(new, path)
    return new


def _changed(values: Any, given: object, path: str) -> Any:
    """Returns the dataclass `values` with the values of `given`, checked for existence and type only."""
    if not isinstance(given, Mapping):
        raise InvalidField(path, "is not an object")
    names = [attribute.name for attribute in fields(values)]
    new: dict[str, Any] = {}
    for name, value in given.items():
        if name not in names:
            raise InvalidField(f"{path}.{name}", f"does not exist; the fields are {', '.join(names)}")
        before, place = getattr(values, name), f"{path}.{name}"
        new[name] = _changed(before, value, place) if is_dataclass(before) else of_kind(before, value, place)
    return replace(values, **new)


def check_policy(policy: SleepPolicy, path: str = "policy") -> None:
    """Raises InvalidField for the first value of `policy` that is out of range; `path` is where it was given."""
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
        ("repairs", policy.repairs, 0, 100),
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
        ("contamination_limit", policy.contamination_limit, 0.0, 1.0),
        ("untold_limit", policy.untold_limit, 0.0, 1.0),
        ("false_fires_limit", policy.false_fires_limit, 0.0, 1e6),
        ("divergence_limit", policy.divergence_limit, 0.0, 1e9),
    ):
        if not low <= value <= high:
            raise InvalidField(f"{path}.{name}", f"is {value}; it must lie within {low} and {high}")
