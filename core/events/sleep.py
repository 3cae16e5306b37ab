"""What happens in a sleep, in the past tense. See `core/events/` for the rules that all events follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.ids import AdapterId, Digest, EditId, FactId, SleepId
from core.policy import SleepPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepStarted:
    """A sleep or a nap began.

    Attributes:
        kind: `sleep`, or `nap`: audit only, no weight changes.
        trigger: `client`, `pressure` or `schedule`.
        policy: all that the sleep goes by; later changes of defaults do not touch it.
        request, request_digest: of the client's call, so that a repeated one starts nothing new.
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
    """One deterministic question and what came of it.

    Attributes:
        pathway: `raw` or `chat`, wordings the fact is written on; `raw-unseen` or `chat-unseen`, wordings it is not;
            `untold`, a question about the subject that nobody has answered.
        expected: the object; for `untold`, and of a withdrawn fact, what the pristine model says.
        logprob: mean log-probability of what it should say and of the full stop, teacher-forced; in chat that is a
            whole sentence; 0 for `untold`.
        base: whether the pristine model passes, where it was asked too.
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
    """A fact was probed at the weights of `weights`.

    Attributes:
        occasion: `before`, `gate` or `after`; at the gate the fact's edit was at the scale it would have next.
        scale: of its edit while it was probed.
        healthy: the verdict on its probes; at the gate, whether it passes.
        known: whether the pristine model says it without any memory.
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
    """One question to a control, or text: a place where nothing was told and nothing may change."""

    kind: str  # "neighbour" or "stranger"
    prompt: str
    before: str  # what the pristine model says
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlsMeasured:
    """How everything that was not told fares; the end of an audit.

    Attributes:
        neighbours, strangers: share of outputs equal to the pristine model's.
        untold: share of questions about told subjects, on what was not told, answered as the pristine model does.
        perplexity: on held-out ordinary text; `base_perplexity` is the pristine model's.
    """

    sleep: SleepId
    occasion: str
    neighbours: float
    strangers: float
    untold: float
    perplexity: float
    base_perplexity: float
    weights: Digest
    controls: tuple[Control, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRefreshed:
    """A degraded fact is carried by a new edit from this version on; it starts over at `stage` 0."""

    fact: FactId
    edit: EditId
    sleep: SleepId
    from_stage: int
    stage: int
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterTrained:
    """An adapter exists and is in force from this version on.

    Attributes:
        facts: trained on; `rehearsed`: dissolved facts that were rehearsed; `texts`: rehearsed texts.
        first_loss, last_loss: ends of the loss curve, mean negative log-likelihood of target tokens.
        divergence: mean KL to the pristine model on rehearsed texts at the end.
        losses: the curve, every few steps.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class NewScale:
    """The share of a fact's edit in the weights from now on."""

    fact: FactId
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsRescaled:
    """The gate's verdicts in the weights: all scales, and the weights, change at this one version."""

    sleep: SleepId
    scales: tuple[NewScale, ...]
    weights_before: Digest
    weights_after: Digest
    crowding: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FactAdvanced:
    """A fact passed the gate: `passed` of `asked` probes with its edit at `scale`, by its audit in event `audit`."""

    fact: FactId
    sleep: SleepId
    from_stage: int
    stage: int
    from_scale: float
    scale: float
    passed: int
    asked: int
    audit: int  # version of the FactAudited that decided it


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRetreated:
    """A fact did not pass the gate. Fields as in `FactAdvanced`."""

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
    """Adapters carry the fact alone: its edits' columns are out of force, its keys constrain no other edit."""

    fact: FactId
    sleep: SleepId
    edits: tuple[EditId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepCompleted:
    """A sleep ended well. `pressure` is what is left of it."""

    sleep: SleepId
    advanced: tuple[FactId, ...]
    retreated: tuple[FactId, ...]
    refreshed: tuple[FactId, ...]
    dissolved: tuple[FactId, ...]
    degraded: tuple[FactId, ...]  # still, at the end
    remark: str
    pressure: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepRolledBack:
    """A sleep was undone: plan, stages and keys of the version before it began are in force again.

    Attributes:
        reason: `perplexity`, `neighbours`, `strangers`, `recall`, `cancelled` or `failed`.
        version: the one whose plan is in force again; `weights` its digest.
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
