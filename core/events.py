"""What happened, in the past tense. Plain values, never edited once shipped.

Every event carries its numbers even where a rule implies them today: the rule may be tuned, the log may not.
`SEALED` names the fields that hold a fact's own words; the store keeps them under that fact's data key, so that
throwing the key away erases the words and leaves the log verifiable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, get_args

from core.deletion_events import DeletionEvent
from core.facts import Fact, RelationWords, Source
from core.history_events import HistoryEvent
from core.ids import Digest, EditId, EventId, FactId, MemoryId
from core.policy import SleepPolicy
from core.sleep_events import SleepEvent
from core.unchanged import Unchanged


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModel:
    """The pristine model under a memory.

    Attributes:
        name: Hugging Face id or absolute path.
        revision: commit of the hub repository; empty for a path.
        digest: SHA-256 over the checkpoint's files, by content.
        digest_rule: which files that covers (`core/weights/checkpoint.py`). Rule 1, of before 0.4, left out some that
            decide on answers: settings of generation and of the tokenizer.
        dtype: of the edited modules, `float32`, `bfloat16` or `float16`; part of what the weights digest covers.
        quantization: of everything else: `none`, `int8` or `nf4`.
    """

    name: str
    revision: str
    digest: Digest
    dtype: str
    quantization: str
    digest_rule: int = 1


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


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryCreated:
    """A memory exists: its base, what may be edited and how, and how it speaks.

    `ordinary_text` is the artifact of the text whose keys an edit must keep; `prefixes` are put before raw
    statements so that a fact is written for more than one beginning of a text; `sleep` is how it sleeps unless a
    client says otherwise; `keys_per_fact` is what a fact is expected to take of the key space, as far as the model's
    profile says; 0 where it does not.
    """

    base: BaseModel
    modules: tuple[str, ...]
    key_width: int
    hyperparameters: Hyperparameters
    phrasebook: Mapping[str, RelationWords]
    prefixes: tuple[str, ...]
    ordinary_text: Digest
    capacity: float
    seed: int
    sleep: SleepPolicy = field(default_factory=SleepPolicy)
    keys_per_fact: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsPrepared:
    """What an edit must keep in general is an artifact now: the weighted second moments of the edited modules' keys.

    `tokens`, `abstentions` and `recalls` count the keys behind it; `weights` is the digest of the clean modules;
    `keys_per_fact` is how many dimensions of the key space an example of a fact takes, 0 where nobody measured it.
    """

    artifact: Digest
    tokens: int
    abstentions: int
    recalls: int
    weights: Digest
    keys_per_fact: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FactAdded:
    """A client stated a fact. `request_digest` covers the whole request, so that a reused id can be told."""

    SEALED: ClassVar[tuple[str, ...]] = (
        "statement",
        "source",
        "request_digest",
    )  # who guesses the words has the digest

    fact: FactId
    statement: Fact
    source: Source
    request: str
    request_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns of a delta that belong to one fact, and how its writing went.

    Attributes:
        first, count: columns `first .. first + count - 1` of the delta, the same in every module.
        scale: share of them in the weights from this event on; an edit and its weights change at one version.
        keys: how many keys of this fact now constrain other edits.
        residual: norm of the wanted change of the hidden state, relative to the clean state.
        absorbed: share of that change which the written weights produce at the fact's keys.
        learned: whether the optimised value made the object the greedy answer in every context.
        more: names of its sites beside those that the pristine model gets wrong.
    """

    fact: FactId
    first: int
    count: int
    keys: int
    residual: float
    absorbed: float
    learned: bool
    scale: float = 1.0
    more: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EditComputed:
    """A delta exists and is in force from this version on.

    `modules` are those the delta changes; `statistics` and `facts_in_force` (how many facts constrained it) are what
    a recomputation needs beside the events before this one; `crowding` is the share of the key space that keys in
    force hold with it. Columns that carried its facts before go out of force, and so do those that carried `replaced`,
    which are withdrawn: the facts that its own supersede, and those whose counter-edits gainsay them. `unchanged` says
    how everything else is answered with it, by a few questions; None where none was asked.
    """

    edit: EditId
    kind: str  # "injection", "refresh" or "withdrawal"
    delta: Digest
    modules: tuple[str, ...]
    columns: tuple[Columns, ...]
    statistics: Digest
    facts_in_force: int
    weights_before: Digest
    weights_after: Digest
    crowding: float
    seconds: float
    replaced: tuple[FactId, ...] = ()
    unchanged: Unchanged | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FactInjected:
    """This fact is carried by that edit from this version on, at `stage` and `scale`."""

    fact: FactId
    edit: EditId
    stage: int
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkFailed:
    """An executor could not do a piece of work. `parked` facts wait for somebody to look; others are retried."""

    work: str  # "prepare_statistics", "inject", "withdraw", "erase", or the step of a sleep
    facts: tuple[FactId, ...]
    attempt: int
    reason: str
    message: str
    parked: bool


Event = (
    MemoryCreated
    | StatisticsPrepared
    | FactAdded
    | EditComputed
    | FactInjected
    | WorkFailed
    | SleepEvent
    | HistoryEvent
    | DeletionEvent
)

EVENT_TYPES: dict[str, type[Event]] = {cls.__name__: cls for cls in get_args(Event)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Who brought an event about: part of every event's metadata."""

    actor: str
    request: str = ""
    causation: str = ""  # the event that led to this one
    correlation: str = ""  # the first event of the chain, or the client's own id


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An event as the log holds it.

    Attributes:
        version: how many events its memory had once this one was appended (1 for the first).
        position: its place among the events of all memories, dense from 1.
        recorded_at: UTC, ISO 8601 with microseconds and `Z`. Nothing is ordered by it.
        previous_hash, hash: the chain over every stored column, across all memories, by position.
    """

    id: EventId
    memory: MemoryId
    version: int
    position: int
    recorded_at: str
    cause: Cause
    schema: int
    event: Event
    previous_hash: Digest
    hash: Digest
