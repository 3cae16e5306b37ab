"""`decide` for the start, the steps and the end of a sleep. Pure; see `core/decide/`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import isfinite

from core.decide.commands import (
    CancelSleep,
    RecordAudit,
    RecordEnd,
    RecordRefresh,
    RecordRescale,
    RecordTraining,
    StartSleep,
)
from core.errors.base import InvalidField, NotReady, RequestReused, SleepInProgress, SleepUnknown, StaleWork
from core.events import Event
from core.events.sleep import (
    FactAdvanced,
    FactDissolved,
    FactRefreshed,
    FactRetreated,
    FactsRescaled,
    NewScale,
    SleepCompleted,
    SleepKind,
    SleepRolledBack,
    SleepStarted,
)
from core.ids import Digest, FactId
from core.policy import SleepPolicy, check_policy
from core.state.memory import Memory
from core.state.pressure import pressure
from core.state.sleep import Sleep, Step
from core.state.work import SleepStep, still_owed


def start(memory: Memory, command: StartSleep) -> tuple[Event, ...]:
    """Starts a sleep or a nap; does nothing if the request is a retry of the one that started it.

    Raises RequestReused, SleepInProgress, NotReady or InvalidField.
    """
    earlier = memory.requests.get(command.request) if command.request else None
    if earlier is not None:
        if earlier.digest != command.request_digest:
            raise RequestReused(command.request)
        return ()
    if memory.sleep is not None:
        raise SleepInProgress(memory.sleep.id, memory.sleep.started.kind)
    if memory.created is None or memory.statistics is None:
        raise NotReady("its statistics are not prepared yet; wait until they are (`hypnogram status`), then try again")
    if not any(state.in_weights or state.carried_by_edit for state in memory.facts.values()):
        raise NotReady("no fact is in its weights yet, so there is nothing to sleep on; add facts first")
    check_policy(command.policy)
    if command.kind == SleepKind.SLEEP:  # a nap changes no stage
        _check_stages(memory, command.policy)
    return (
        SleepStarted(
            sleep=command.sleep,
            kind=command.kind,
            trigger=command.trigger,
            policy=command.policy,
            seed=command.seed,
            request=command.request,
            request_digest=command.request_digest,
        ),
    )


def _check_stages(memory: Memory, policy: SleepPolicy) -> None:
    """Raises InvalidField if `policy` has no next stage for a fact that an edit carries."""
    carried = [state.stage for state in memory.facts.values() if state.carried_by_edit]
    if (highest := max(carried, default=0)) >= policy.dissolved:
        raise InvalidField(
            "policy.scales",
            f"has {len(policy.scales)} scales, but a fact is at stage {highest}: it needs at least {highest + 2}",
        )


def cancel(memory: Memory, command: CancelSleep) -> tuple[Event, ...]:
    """Rolls back the sleep in progress; does nothing if it has ended already. Raises SleepUnknown."""
    if memory.sleep is not None and memory.sleep.id == command.sleep:
        return (_rolled_back(memory, memory.sleep, "cancelled", "a client cancelled it"),)
    if command.sleep in memory.nights:
        return ()
    raise SleepUnknown(command.sleep)


def record_audit(memory: Memory, command: RecordAudit) -> tuple[Event, ...]:
    """Records an audit or a gate. If a measured number is not finite, the sleep is rolled back instead.

    The log could not hold such a number, because JSON has none. Raises StaleWork.
    """
    sleep = _current_sleep(memory, command.work, Step.GATE if command.controls is None else Step.AUDIT)
    _check_facts(command.work, (audit.fact for audit in command.audited))
    controls = () if command.controls is None else (command.controls,)
    for measured in controls:
        if not isfinite(measured.perplexity):
            return (_rolled_back(memory, sleep, "perplexity", f"held-out perplexity is {measured.perplexity}"),)
    for audit in command.audited:
        if not all(isfinite(probe.logprob) for probe in audit.probes):
            return (_rolled_back(memory, sleep, "failed", f"the log-probability of fact {audit.fact} is not a number"),)
    return (*command.audited, *controls)


def record_refresh(memory: Memory, command: RecordRefresh) -> tuple[Event, ...]:
    """Records the new edit of degraded facts, which start over at stage 0. Raises StaleWork."""
    sleep = _current_sleep(memory, command.work, Step.REFRESH)
    edit = command.edit
    _check_facts(command.work, (columns.fact for columns in edit.columns))
    _check_weights(command.work, edit.weights_before)
    refreshed = tuple(
        FactRefreshed(
            fact=columns.fact,
            edit=edit.edit,
            sleep=sleep.id,
            from_stage=memory.facts[columns.fact].stage,
            stage=0,
            scale=columns.scale,
        )
        for columns in edit.columns
    )
    return (edit, *refreshed)


def record_training(memory: Memory, command: RecordTraining) -> tuple[Event, ...]:
    """Records a trained adapter. Raises StaleWork."""
    _current_sleep(memory, command.work, Step.TRAIN)
    _check_weights(command.work, command.adapter.weights_before)
    return (command.adapter,)


def new_stages(memory: Memory) -> dict[FactId, int]:
    """Returns the new stage of each fact that the gate asked: one stage up if it passed, otherwise one down."""
    assert memory.sleep is not None
    stages = {}
    for fact, verdict in memory.sleep.gate.items():
        stage = memory.facts[fact].stage
        stages[fact] = stage + 1 if verdict.healthy else max(stage - 1, 0)
    return stages


def next_scales(memory: Memory, facts: Sequence[FactId]) -> dict[FactId, float]:
    """Returns the scale that each of `facts` has one stage up, at which the gate probes it; edits must carry them."""
    assert memory.sleep is not None
    scales = memory.sleep.policy.scales
    return {fact: scales[memory.facts[fact].stage + 1] for fact in facts}


def record_rescale(memory: Memory, command: RecordRescale) -> tuple[Event, ...]:
    """Records the scales of all stages that the gate changed, then what that means for each fact. Raises StaleWork."""
    sleep = _current_sleep(memory, command.work, Step.RESCALE)
    scales, stages = sleep.policy.scales, new_stages(memory)
    assert memory.weights is not None
    events: list[Event] = [
        FactsRescaled(
            sleep=sleep.id,
            scales=tuple(NewScale(fact=fact, scale=scales[stage]) for fact, stage in stages.items()),
            weights_before=memory.weights,
            weights_after=command.weights,
            key_occupancy=command.key_occupancy,
            seconds=command.seconds,
        )
    ]
    for fact, stage in stages.items():
        state, verdict = memory.facts[fact], sleep.gate[fact]
        kind = FactAdvanced if verdict.healthy else FactRetreated
        events.append(
            kind(
                fact=fact,
                sleep=sleep.id,
                from_stage=state.stage,
                stage=stage,
                from_scale=state.scale,
                scale=scales[stage],
                passed=verdict.passed,
                asked=verdict.asked,
                audit=verdict.version,
            )
        )
        if stage == sleep.policy.dissolved:
            events.append(FactDissolved(fact=fact, sleep=sleep.id, edits=state.edits))
    return tuple(events)


def record_end(memory: Memory, command: RecordEnd) -> tuple[Event, ...]:
    """Ends the sleep: completed, or rolled back if it did more harm than its policy allows. Raises StaleWork."""
    sleep = _current_sleep(memory, command.work, Step.END)
    harm = sleep.harm()
    if harm is not None:
        return (_rolled_back(memory, sleep, *harm),)
    ended = memory.version + 1
    rested = replace(memory, version=ended, slept=ended if sleep.started.kind == SleepKind.SLEEP else memory.slept)
    return (
        SleepCompleted(
            sleep=sleep.id,
            advanced=sleep.advanced,
            retreated=sleep.retreated,
            refreshed=sleep.refreshed,
            dissolved=sleep.dissolved,
            degraded=sleep.degraded,
            remark=_remark(sleep),
            pressure=pressure(rested).total,
        ),
    )


def failed(memory: Memory, work: SleepStep, message: str, *, final: bool) -> tuple[Event, ...]:
    """Returns what a failure of `work` causes beside its WorkFailed: a rollback of the sleep if it is `final`.

    Raises StaleWork.
    """
    if not still_owed(memory, work):
        raise StaleWork("the sleep has moved on or has ended")
    assert memory.sleep is not None
    reason = f"{work.name} failed: {message}"
    return (_rolled_back(memory, memory.sleep, "failed", reason),) if final else ()


def _rolled_back(memory: Memory, sleep: Sleep, reason: str, message: str) -> SleepRolledBack:
    assert memory.undo is not None
    weights = memory.undo.weights
    assert weights is not None
    return SleepRolledBack(sleep=sleep.id, reason=reason, message=message, version=memory.undo.version, weights=weights)


def _remark(sleep: Sleep) -> str:
    """Returns the remark for the sleep report: which degraded facts are left, and why."""
    if not sleep.degraded:
        return ""
    if sleep.started.kind == SleepKind.NAP:
        return f"{len(sleep.degraded)} facts are degraded; a sleep would refresh them"
    used_up = sleep.refreshes >= sleep.policy.refreshes
    why = "more are not allowed" if used_up else "the last one made no progress"
    return f"{len(sleep.degraded)} facts stay degraded after {sleep.refreshes} refreshes: {why}"


def _current_sleep(memory: Memory, work: SleepStep, step: Step) -> Sleep:
    """Returns the sleep in progress, whose next step must be `work`. Raises StaleWork."""
    if work.step is not step or not still_owed(memory, work):
        raise StaleWork("the sleep has moved on or has ended")
    assert memory.sleep is not None
    return memory.sleep


def _check_facts(work: SleepStep, facts: Iterable[FactId]) -> None:
    """Raises StaleWork if a result is not about the facts of `work`."""
    if sorted(facts) != sorted(work.facts):
        raise StaleWork("it is about other facts than the step of the sleep")


def _check_weights(work: SleepStep, weights: Digest) -> None:
    """Raises StaleWork if a result was computed on other weights than those of `work`."""
    if weights != work.weights:
        raise StaleWork("it was computed on other weights than those of the step")
