"""Events of facts on their way into the weights. See `core/events/` for the rules of all events."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from core.facts import Fact, Origin, Source
from core.ids import Digest, EditId, FactId
from core.unchanged import Unchanged


@dataclass(frozen=True, slots=True, kw_only=True)
class FactAdded:
    """A client added a fact.

    Attributes:
        request_digest: covers the whole request, so that a reused id is noticed.
        origin: where the wordings of the fact come from; None where the log is older than this field.
    """

    # the digest is sealed because anyone who can guess the words could confirm them by it
    SEALED: ClassVar[tuple[str, ...]] = ("statement", "source", "request_digest")

    fact: FactId
    statement: Fact
    source: Source
    request: str
    request_digest: Digest
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What was measured of a detector on texts that it was not computed from.

    Attributes:
        own: least response where it has to respond: of a subject, at its name in all but one of a hundred texts; of a
            fact, in nine of ten of the prompts that ask for it.
        others: largest response at what must stay as it is: tokens of reference text, and of a subject, the names of
            strangers and all but two in a hundred of namesakes; of a fact, all but one in a hundred of the same prompts
            about these.
        low, high: responses up to which the neuron is silent, and from which on it responds fully.
        false_fires: tokens of reference text at which the neuron responds at all, in a million.
    """

    own: float
    others: float
    low: float
    high: float
    false_fires: float

    @property
    def holds(self) -> bool:
        """Whether the subject responds fully and nothing else does at all."""
        return self.others <= self.low < self.high <= self.own


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns of a delta that belong to one fact, and how well they carry it.

    Attributes:
        first, count: columns `first .. first + count - 1` of the delta, the same in every module.
        scale: share of the columns in the weights from this event on.
        keys: number of keys of this fact that now constrain other edits.
        residual: norm of the target change of the hidden state, relative to the norm of the base model's.
        achieved: share of that change which the edited weights achieve at the fact's keys.
        learned: whether the target value makes the object the greedy answer in every context.
        extra_sites: names of the sites edited in addition to those at which the base model is wrong.
        certificate: of the detector of the subject, where the columns are neurons.
        heard: of the detectors of the fact, for statements and for questions; empty for neurons at names alone.
    """

    fact: FactId
    first: int
    count: int
    keys: int
    residual: float
    achieved: float
    learned: bool
    scale: float = 1.0
    extra_sites: tuple[str, ...] = ()
    certificate: Certificate | None = None
    heard: tuple[Certificate, ...] = ()

    @property
    def false_fires(self) -> float:
        """Responses of the detectors to tokens of reference text, in a million."""
        return sum(certificate.false_fires for certificate in (self.certificate, *self.heard) if certificate)


class EditKind(StrEnum):
    """What an edit was computed for."""

    INJECTION = "injection"  # to write new facts
    REFRESH = "refresh"  # to write degraded facts again, in a sleep
    WITHDRAWAL = "withdrawal"  # a counter-edit, which makes the model answer as its base model does


@dataclass(frozen=True, slots=True, kw_only=True)
class EditComputed:
    """A delta was computed and is in force from this version on; earlier columns of its facts are not.

    Attributes:
        modules: modules that the delta changes.
        columns: columns of the delta, by fact.
        statistics: artifact of the covariance that the edit was computed with.
        facts_in_force: number of other facts whose keys constrained the edit.
        key_occupancy: share of the key space that keys in force occupy from this version on, 0 to 1.
        seconds: duration of the computation.
        replaced: facts whose columns go out of force with this edit: those that its facts supersede, and withdrawn ones
            whose counter-edits would work against it.
        unchanged: locality with this edit, measured on a few questions; None if none was asked.
    """

    edit: EditId
    kind: EditKind
    delta: Digest
    modules: tuple[str, ...]
    columns: tuple[Columns, ...]
    statistics: Digest
    facts_in_force: int
    weights_before: Digest
    weights_after: Digest
    key_occupancy: float
    seconds: float
    replaced: tuple[FactId, ...] = ()
    unchanged: Unchanged | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FactInjected:
    """The edit `edit` carries the fact from this version on, at `stage` and `scale`."""

    fact: FactId
    edit: EditId
    stage: int
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkFailed:
    """An attempt at a piece of work failed. Executors try it again, unless its fact is `parked`: then a client may.

    Attributes:
        work: `prepare_statistics`, `inject`, `withdraw`, `erase`, `purge`, `read`, `erase_texts`, or the step of a
            sleep.
        facts: facts that the work was about; empty for work on the whole memory.
        attempt: number of the attempt, from 1.
    """

    work: str
    facts: tuple[FactId, ...]
    attempt: int
    reason: str
    message: str
    parked: bool
