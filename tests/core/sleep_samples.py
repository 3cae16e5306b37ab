"""Sleeps for the tests of the rules: an executor that needs no model. Its weights are a function of the plan, as real
ones are, so a test that compares weights compares plans."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from core.decide import decide
from core.decide.commands import (
    CancelSleep,
    Command,
    RecordAudit,
    RecordCompaction,
    RecordEnd,
    RecordErasure,
    RecordFailure,
    RecordInjection,
    RecordRefresh,
    RecordRescale,
    RecordTraining,
    RecordWithdrawal,
    RetractFact,
    RetryFacts,
    StartSleep,
    SupersedeFact,
)
from core.decide.sleep import new_stages
from core.events import Event
from core.events.facts import EditComputed, EditKind
from core.events.history import AdaptersCompacted, FactWithdrawn
from core.events.sleep import AdapterTrained, Control, ControlsMeasured, FactAudited, ProbeResult
from core.evolve import evolve, fold
from core.facts import Fact
from core.ids import AdapterId, Digest, FactId, MemoryId, SleepId
from core.policy import SleepPolicy
from core.state.memory import FactState, Memory, replaced_by
from core.state.plan import plan, plan_at
from core.state.sleep import Occasion, Step
from core.state.work import Erase, SleepStep, Withdraw, next_work, work_on_facts
from tests.core.samples import ARIA, BO, CLEAN, CREATED, CY, READY, added, digest, edit, filled, new_fact

POLICY = SleepPolicy(scales=(1.0, 0.5, 0.0), trainings=2, refreshes=2, repairs=0)
SLEEP = SleepId("sleep-1")
FACTS = (ARIA, BO, CY)
IDS = tuple(one.id for one in FACTS)
GOOD = {"neighbours": 1.0, "strangers": 1.0, "unanswered": 1.0, "perplexity": 8.0, "base_perplexity": 8.0}


def weights_of(memory: Memory) -> Digest:
    """The digest of the weights that `memory`'s plan has here: equal plans, equal weights."""
    return digest("weights", plan(memory).digest) if plan(memory).terms else CLEAN


def do(memory: Memory, *commands: Command) -> Memory:
    for command in commands:
        memory = fold(decide(memory, command), onto=memory)
    return memory


def settled(memory: Memory, computed: EditComputed) -> EditComputed:
    """`computed` with the digest of the weights it leads to."""
    return replace(computed, weights_after=weights_of(evolve(memory, computed)))


def inject(memory: Memory, *facts: Fact | FactId, key_occupancy: float = 0.125) -> RecordInjection:
    """The result of writing `facts`."""
    assert memory.weights is not None
    computed = edit(*facts, before=memory.weights, number=memory.version, key_occupancy=key_occupancy)
    replaced = [old for one in computed.columns for old in replaced_by(memory, one.fact)]
    return RecordInjection(edit=settled(memory, replace(computed, replaced=tuple(replaced))))


def retract(one: Fact, *, erase: bool = False, reason: str = "it was wrong", request: str = "") -> RetractFact:
    request = request or f"back-{one.id}-{erase}"
    return RetractFact(
        memory=MemoryId("demo"),
        fact=one.id,
        reason=reason,
        erase=erase,
        request=request,
        request_digest=digest(one.id, reason, erase),
    )


def supersede(old: Fact, new: Fact, request: str = "") -> SupersedeFact:
    return SupersedeFact(
        memory=MemoryId("demo"),
        fact=old.id,
        new=new_fact(new),
        request=request or f"instead-{old.id}",
        request_digest=digest(old.id, new.object),
    )


def retry(one: Fact | None = None, request: str = "") -> RetryFacts:
    """Of one fact, or of all."""
    fact = one.id if one else None
    return RetryFacts(
        memory=MemoryId("demo"), fact=fact, request=request or f"retry-{fact}", request_digest=digest("retry", fact)
    )


def withdraw(memory: Memory, *, counter: bool = False, key_occupancy: float = 0.0625) -> RecordWithdrawal:
    """The result of taking a fact out of the weights, by a counter-edit or by leaving its columns out."""
    work = next_work(memory)
    assert isinstance(work, Withdraw)
    given = FactWithdrawn(
        fact=work.fact,
        edit=None,
        adapters=tuple(one.id for one in memory.adapters.values() if work.fact in one.facts),
        weights_before=work.weights,
        weights_after=CLEAN,
        key_occupancy=key_occupancy,
        seconds=0.5,
    )
    if not counter:
        weights = weights_of(evolve(memory, given))
        return RecordWithdrawal(work=work, withdrawn=replace(given, weights_after=weights), edit=None)
    computed = replace(edit(work.fact, before=work.weights, number=memory.version), kind=EditKind.WITHDRAWAL)
    computed = settled(memory, computed)
    given = replace(given, edit=computed.edit, weights_after=computed.weights_after)
    return RecordWithdrawal(work=work, withdrawn=given, edit=computed)


def erase(memory: Memory) -> RecordErasure:
    work = next_work(memory)
    assert isinstance(work, Erase)
    return RecordErasure(work=work, remains=(digest("adapter", 1),))


def compact(memory: Memory) -> RecordCompaction:
    """One adapter instead of all that are in force."""
    assert memory.weights is not None
    given = AdaptersCompacted(
        **filled(AdaptersCompacted)
        | {
            "adapter": AdapterId(f"adapter-{memory.version}"),
            "replaced": tuple(memory.adapters),
            "delta": digest("adapter", memory.version),
            "modules": CREATED.modules,
            "rank": 2,
            "weights_before": memory.weights,
            "weights_after": CLEAN,
        }
    )
    return RecordCompaction(compacted=replace(given, weights_after=weights_of(evolve(memory, given))))


def awake(*facts: Fact) -> Memory:
    """A memory whose weights carry `facts` by one edit."""
    memory = fold((*READY, *(added(one, f"request-{one.id}") for one in facts)))
    return do(memory, inject(memory, *facts))


def start(kind: str = "sleep", policy: SleepPolicy = POLICY, sleep: SleepId = SLEEP, request: str = "") -> StartSleep:
    return StartSleep(
        sleep=sleep,
        kind=kind,
        trigger="client",
        policy=policy,
        seed=7,
        request=request,
        request_digest=digest("sleep", kind, policy),
    )


CANCEL = CancelSleep(sleep=SLEEP)
AWAKE = awake(*FACTS)
ASLEEP = do(AWAKE, start())


def owed(memory: Memory, step: Step | None = None) -> SleepStep:
    """The step of the sleep that comes next, which is `step` if that is given."""
    work = work_on_facts(memory)  # turns of conversations come before it, and wait for nothing
    assert isinstance(work, SleepStep)
    assert step in (None, work.step), f"{work.step} comes next, not {step}"
    return work


def probe(passed: bool, pathway: str = "raw", base: bool | None = None, logprob: float = -0.5) -> ProbeResult:
    return ProbeResult(
        pathway=pathway,
        prompt="Aria Moss lives in",
        expected="Portland",
        output="Portland" if passed else "Oslo",
        passed=passed,
        logprob=logprob,
        base=base,
    )


def verdicts(
    work: SleepStep, memory: Memory, failing: Collection[FactId], known: Collection[FactId], logprob: float = -0.5
) -> tuple[FactAudited, ...]:
    return tuple(
        FactAudited(
            fact=fact,
            sleep=work.sleep,
            occasion=work.occasion,
            scale=memory.facts[fact].scale,
            healthy=fact not in failing,
            known=fact in known,
            passed=0 if fact in failing else 4,
            asked=4,
            weights=work.weights,
            probes=(probe(fact not in failing, logprob=logprob), probe(fact not in failing, "chat")),
        )
        for fact in work.facts
    )


def audit(
    memory: Memory,
    degraded: Collection[FactId] = (),
    known: Collection[FactId] = (),
    logprob: float = -0.5,
    controls: Mapping[str, Any] = GOOD,
) -> RecordAudit:
    """An audit that finds `degraded` facts so, and all controls well but for those given."""
    work = owed(memory, Step.AUDIT)
    measured = ControlsMeasured(
        sleep=work.sleep,
        occasion=work.occasion,
        weights=work.weights,
        controls=(Control(kind="stranger", prompt="Zoe Bly lives in", before="Oslo", output="Oslo"),),
        seconds=0.5,
        **{**GOOD, **controls},
    )
    return RecordAudit(work=work, audited=verdicts(work, memory, degraded, known, logprob), controls=measured)


def gate(memory: Memory, turned_back: Collection[FactId] = (), logprob: float = -0.5) -> RecordAudit:
    work = owed(memory, Step.GATE)
    assert work.occasion is Occasion.GATE
    return RecordAudit(work=work, audited=verdicts(work, memory, turned_back, (), logprob), controls=None)


def refresh(memory: Memory) -> RecordRefresh:
    work = owed(memory, Step.REFRESH)
    computed = replace(edit(*work.facts, before=work.weights, number=memory.version), kind=EditKind.REFRESH)
    return RecordRefresh(work=work, edit=settled(memory, computed))


def train(memory: Memory) -> RecordTraining:
    work = owed(memory, Step.TRAIN)
    adapter = AdapterTrained(
        **filled(AdapterTrained)
        | {
            "adapter": AdapterId(f"adapter-{memory.version}"),
            "sleep": work.sleep,
            "delta": digest("adapter", memory.version),
            "modules": CREATED.modules,
            "rank": 2,
            "facts": work.facts,
            "rehearsed": (),
            "losses": (2.5, 0.5),
            "columns": (),
            "weights_before": work.weights,
            "weights_after": CLEAN,
        }
    )
    return RecordTraining(work=work, adapter=replace(adapter, weights_after=weights_of(evolve(memory, adapter))))


def rescale(memory: Memory, key_occupancy: float = 0.0625) -> RecordRescale:
    work = owed(memory, Step.RESCALE)
    assert memory.sleep is not None
    scales = {fact: memory.sleep.policy.scales[stage] for fact, stage in new_stages(memory).items()}
    terms = plan_at(memory, scales)
    weights = digest("weights", terms.digest) if terms.terms else CLEAN
    return RecordRescale(work=work, weights=weights, key_occupancy=key_occupancy, seconds=0.5)


def end(memory: Memory) -> RecordEnd:
    return RecordEnd(work=owed(memory, Step.END))


def fail(memory: Memory, *, retry: bool = True) -> RecordFailure:
    work = next_work(memory)
    assert work is not None
    return RecordFailure(work=work, reason="TEST", message="it broke", retry=retry)


STEPS: Mapping[Step, Callable[[Memory], Command]] = {
    Step.AUDIT: audit,
    Step.REFRESH: refresh,
    Step.TRAIN: train,
    Step.GATE: gate,
    Step.RESCALE: rescale,
    Step.END: end,
}


def until(memory: Memory, step: Step) -> Memory:
    """`memory` once a sleep in which all goes well has come to `step`."""
    while (work := owed(memory)).step is not step:
        memory = do(memory, STEPS[work.step](memory))
    return memory


def rescaled(memory: Memory) -> Memory:
    """`memory` once the scales have changed, in a sleep in which all goes well from here."""
    memory = until(memory, Step.RESCALE)
    return do(memory, rescale(memory))


def morning(memory: Memory) -> Memory:
    """`memory` once its sleep, in which all goes well from here, has ended."""
    while memory.sleep is not None:
        memory = do(memory, STEPS[owed(memory).step](memory))
    return memory


def night(memory: Memory, number: int = 1, policy: SleepPolicy = POLICY) -> Memory:
    """`memory` after a whole sleep in which all goes well."""
    return morning(do(memory, start(policy=policy, sleep=SleepId(f"night-{number}"))))


def dissolved(*facts: Fact) -> Memory:
    """A memory whose adapters alone carry `facts`."""
    return night(night(awake(*facts), 1), 2)


def last(memory: Memory, command: Command) -> Event:
    """The last event that `command` causes."""
    return decide(memory, command)[-1]


def given_back(memory: Memory) -> tuple[object, ...]:
    """All of `memory` that a sleep must give back when it is undone, the plan's digest among it.

    That a fact was taken back, or is to be erased, since then is not undone.
    """
    as_told: dict[FactId, FactState] = {
        fact: replace(state, retracted=0, successor=None, predecessor=None, erase=False, failures=0, failure="")
        for fact, state in memory.facts.items()
    }
    facts = {fact: state for fact, state in as_told.items() if state.in_weights or state.carried_by_edit}
    adapters = dict(memory.adapters)
    return facts, dict(memory.edits), adapters, memory.weights, memory.key_occupancy, plan(memory).digest, memory.slept
