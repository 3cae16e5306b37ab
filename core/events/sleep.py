"""Events of a sleep. See `core/events/` for the rules of all events.

Two terms of the literature on model editing: *locality* is how far unrelated answers stay as the base model gives them,
measured on neighbours, strangers and unanswered questions; *generalization* is whether a fact is also given in answer
to paraphrases that its edit has not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from core.events.facts import Columns
from core.ids import AdapterId, Digest, EditId, FactId, SleepId
from core.policy import SleepPolicy
from core.unchanged import Distance


class SleepKind(StrEnum):
    """Values of `SleepStarted.kind`."""

    SLEEP = "sleep"
    NAP = "nap"  # an audit only, which does not change weights


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepStarted:
    """A sleep or a nap began.

    Attributes:
        kind: a `SleepKind`.
        trigger: `client`, `pressure` or `schedule`.
        policy: all settings of the sleep, so that later changes of defaults do not affect it.
        seed: seed of everything drawn at random in the sleep.
        request, request_digest: id and digest of the client's request, so that it is idempotent.
    """

    sleep: SleepId
    kind: str
    trigger: str
    policy: SleepPolicy
    seed: int
    request: str
    request_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """One prompt, answered by greedy decoding, and its result.

    Attributes:
        pathway: `raw` or `chat`: a wording that the fact's edit was computed on. `raw_paraphrase` or
            `chat_paraphrase`: a paraphrase that it was not, which measures generalization. `unanswered`: a question
            about the subject on a relation that no fact covers, which measures locality.
        expected: the object; for `unanswered`, and for a withdrawn fact, the base model's answer.
        logprob: mean log-probability, teacher-forced, of the expected answer and its full stop; in chat, of the whole
            sentence, and in a memory of neurons of the object alone. 0 for `unanswered`.
        base: whether the base model passes; None if it was not asked.
    """

    pathway: str
    prompt: str
    expected: str
    output: str
    passed: bool
    logprob: float
    base: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FactAudited:
    """A fact was probed.

    Attributes:
        occasion: `before`, `gate` or `after`. At the gate, the fact's edit has the scale of its next stage.
        scale: scale of its edit while it was probed.
        healthy: verdict on its probes; at the gate, whether it passes.
        known: whether the base model says the fact without the memory.
        passed, asked: number of its probes that passed, and of all that count.
        weights: digest of the weights that were probed.
    """

    SEALED: ClassVar[tuple[str, ...]] = ("probes",)

    fact: FactId
    sleep: SleepId
    occasion: str
    scale: float
    healthy: bool
    known: bool
    passed: int
    asked: int
    weights: Digest
    probes: tuple[ProbeResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One locality question or text: it is about no fact of the memory, so its answer must not change."""

    kind: str  # "neighbour" or "stranger"
    prompt: str
    before: str  # the base model's answer
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlsMeasured:
    """Locality and perplexity were measured; the last event of an audit.

    Attributes:
        neighbours: share of questions about people the base model knows that are answered as the base model does.
        strangers: the same share for questions about invented people.
        unanswered: the same share for questions about subjects of facts, on relations that no fact covers.
        perplexity: perplexity on held-out reference text; `base_perplexity` is that of the base model.
        distance: from the base model; None where the memory has a phrasebook, as its base model abstains.
    """

    sleep: SleepId
    occasion: str
    neighbours: float
    strangers: float
    unanswered: float
    perplexity: float
    base_perplexity: float
    weights: Digest
    controls: tuple[Control, ...]
    seconds: float
    distance: Distance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRefreshed:
    """A new edit carries a degraded fact from this version on; the fact starts over at `stage` 0."""

    fact: FactId
    edit: EditId
    sleep: SleepId
    from_stage: int
    stage: int
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterTrained:
    """An adapter was trained and is in force from this version on.

    Attributes:
        facts: facts that it was trained on.
        rehearsed: dissolved facts that were rehearsed.
        texts: number of rehearsed texts.
        first_loss, last_loss: loss at both ends of the training, mean negative log-likelihood of target tokens in nats.
        divergence: mean KL divergence from the base model on rehearsed texts, at the end, in nats.
        losses: loss curve, every few steps.
        columns: those of each fact, where they are not shared: the values that a memory of neurons learns at night
            stand behind the detectors of the facts' edits. Empty where all facts share all columns.
    """

    adapter: AdapterId
    sleep: SleepId
    delta: Digest
    modules: tuple[str, ...]
    rank: int
    facts: tuple[FactId, ...]
    rehearsed: tuple[FactId, ...]
    texts: int
    steps: int
    first_loss: float
    last_loss: float
    divergence: float
    losses: tuple[float, ...]
    seed: int
    weights_before: Digest
    weights_after: Digest
    seconds: float
    columns: tuple[Columns, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewScale:
    """The share of a fact's edit in the weights from this version on."""

    fact: FactId
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsRescaled:
    """The scales that follow from the gate are in the weights; all of them change at this one version."""

    sleep: SleepId
    scales: tuple[NewScale, ...]
    weights_before: Digest
    weights_after: Digest
    key_occupancy: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FactAdvanced:
    """A fact passed the gate with its edit at `scale`, in `passed` of `asked` probes, and moves one stage up."""

    fact: FactId
    sleep: SleepId
    from_stage: int
    stage: int
    from_scale: float
    scale: float
    passed: int
    asked: int
    audit: int  # version of the FactAudited that decided this


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRetreated:
    """A fact did not pass the gate and moves one stage down. Fields as in `FactAdvanced`."""

    fact: FactId
    sleep: SleepId
    from_stage: int
    stage: int
    from_scale: float
    scale: float
    passed: int
    asked: int
    audit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FactDissolved:
    """Only adapters carry the fact from now on: the columns of its edits are out of force and its keys are free."""

    fact: FactId
    sleep: SleepId
    edits: tuple[EditId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepCompleted:
    """A sleep was completed. `pressure` is the pressure at its end."""

    sleep: SleepId
    advanced: tuple[FactId, ...]
    retreated: tuple[FactId, ...]
    refreshed: tuple[FactId, ...]
    dissolved: tuple[FactId, ...]
    degraded: tuple[FactId, ...]  # facts still degraded at the end
    remark: str
    pressure: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepRolledBack:
    """A sleep was rolled back: plan, stages and keys are those of the version before the sleep again.

    Attributes:
        reason: `perplexity`, `neighbours`, `strangers`, `contamination`, `divergence`, `recall`, `cancelled` or
            `failed`.
        version: version whose plan is in force again.
        weights: digest of its weights.
    """

    sleep: SleepId
    reason: str
    message: str
    version: int
    weights: Digest


SleepEvent = (
    SleepStarted
    | FactAudited
    | ControlsMeasured
    | FactRefreshed
    | AdapterTrained
    | FactsRescaled
    | FactAdvanced
    | FactRetreated
    | FactDissolved
    | SleepCompleted
    | SleepRolledBack
)
