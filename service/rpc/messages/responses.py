"""Renders `core` values as messages of `hypnogram.v1`; nothing is decided here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, fields, replace

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from hypnogram.v1 import facts_pb2, history_pb2, memories_pb2

from core.events import Recorded
from core.events.codec import event_type, to_json
from core.events.facts import EditComputed
from core.events.history import FactsRepeated
from core.events.memory import BaseModel
from core.events.sleep import AdapterTrained, FactsRescaled, SleepCompleted
from core.facts import Origin, Source, Wordings
from core.hyperparameters import Hyperparameters
from core.ids import FactId
from core.state.false_fires import false_fires
from core.state.memory import Checkpoint, Memory, Status, Withdrawal, learned
from core.state.pressure import pressure
from core.state.work import PrepareStatistics, SleepStep, work_on_facts
from core.wordings import origin_of
from service.app.event_summaries import summary
from service.app.lineage import Link
from service.app.progress import StepProgress
from service.guard.rights import Caller
from service.guard.withheld import shown_event, shown_memory, shown_model, shown_text
from service.rpc.messages.policy import policy_message
from store.database.executors import Duty, Execution

STATUSES = {
    Status.PENDING: facts_pb2.STATUS_PENDING,
    Status.INJECTED: facts_pb2.STATUS_INJECTED,
    Status.DISSOLVED: facts_pb2.STATUS_DISSOLVED,
    Status.PARKED: facts_pb2.STATUS_PARKED,
    Status.WITHDRAWN: facts_pb2.STATUS_WITHDRAWN,
}
ORIGINS = {
    Origin.CLIENT: facts_pb2.WORDINGS_ORIGIN_CLIENT,
    Origin.PHRASEBOOK: facts_pb2.WORDINGS_ORIGIN_PHRASEBOOK,
    Origin.LIBRARY: facts_pb2.WORDINGS_ORIGIN_LIBRARY,
    Origin.RULES: facts_pb2.WORDINGS_ORIGIN_RULES,
}
WITHDRAWALS = {
    None: facts_pb2.WITHDRAWAL_UNSPECIFIED,
    Withdrawal.NEVER_WRITTEN: facts_pb2.WITHDRAWAL_NEVER_WRITTEN,
    Withdrawal.COLUMNS: facts_pb2.WITHDRAWAL_COLUMNS,
    Withdrawal.COUNTER_EDIT: facts_pb2.WITHDRAWAL_COUNTER_EDIT,
    Withdrawal.UNLEARNED: facts_pb2.WITHDRAWAL_UNLEARNED,
    Withdrawal.SUPERSEDED: facts_pb2.WITHDRAWAL_SUPERSEDED,
}


def timestamp(text: str) -> Timestamp:
    """Converts ISO 8601 text, as in `Recorded.recorded_at`."""
    stamp = Timestamp()
    stamp.FromJsonString(text)
    return stamp


def event_message(recorded: Recorded, caller: Caller) -> history_pb2.Event:
    recorded = shown_event(caller, recorded)
    payload = Struct()
    json_format.ParseDict(to_json(recorded.event), payload)
    return history_pb2.Event(
        id=recorded.id,
        memory=recorded.memory,
        version=recorded.version,
        position=recorded.position,
        recorded_at=timestamp(recorded.recorded_at),
        actor=recorded.cause.actor,
        request_id=recorded.cause.request,
        causation=recorded.cause.causation,
        correlation=recorded.cause.correlation,
        schema=recorded.schema,
        type=event_type(recorded.event),
        payload=payload,
        previous_hash=recorded.previous_hash,
        hash=recorded.hash,
    )


def link_message(link: Link, fact: FactId, caller: Caller) -> facts_pb2.LineageEntry:
    """Returns `link` as an entry in the lineage of `fact`."""
    return facts_pb2.LineageEntry(
        event=event_message(_share(link.recorded, fact), caller),
        caused_by=link.caused_by,
        concerns=link.concerns,
        summary=summary(shown_event(caller, link.recorded).event, fact),
        decisive=link.decisive,
    )


def _share(recorded: Recorded, fact: FactId) -> Recorded:
    """Cuts the lists of `recorded` to `fact`, because whole lists of every sleep would exceed the size of a message."""
    event = recorded.event

    def only(facts: tuple[FactId, ...]) -> tuple[FactId, ...]:
        return (fact,) if fact in facts else ()

    match event:
        case EditComputed():
            event = replace(event, columns=tuple(columns for columns in event.columns if columns.fact == fact))
        case AdapterTrained():
            event = replace(event, facts=only(event.facts), rehearsed=only(event.rehearsed))
        case FactsRepeated():
            event = replace(event, facts=only(event.facts))
        case FactsRescaled():
            event = replace(event, scales=tuple(new for new in event.scales if new.fact == fact))
        case SleepCompleted():
            event = replace(
                event,
                advanced=only(event.advanced),
                retreated=only(event.retreated),
                refreshed=only(event.refreshed),
                dissolved=only(event.dissolved),
                degraded=only(event.degraded),
            )
        case _:
            return recorded
    return replace(recorded, event=event)


def fact_message(memory: Memory, id_: FactId) -> facts_pb2.Fact:
    state = memory.facts[id_]
    fact = state.fact
    return facts_pb2.Fact(
        fact=fact.id,
        subject=fact.subject,
        relation=fact.relation,
        object=fact.object,
        wordings=_wordings_message(fact.wordings),
        source=_source_message(state.source),
        status=STATUSES[state.status],
        stage=state.stage,
        scale=state.scale,
        added_version=state.added,
        edits=state.edits,
        failures=state.failures,
        failure=state.failure,
        healthy=state.healthy,
        known=state.known_to_base,
        retracted_version=state.retracted,
        successor=state.successor or "",
        predecessor=state.predecessor or "",
        erased=state.erased,
        learned=learned(memory, id_),
        said=state.said,
    )


def added_message(
    memory: Memory, fact: FactId, *, added: bool, may_contradict: Iterable[FactId]
) -> facts_pb2.AddedFact:
    state = memory.facts[fact]
    book = memory.created.phrasebook if memory.created else {}
    origin = state.origin or origin_of(state.fact, book)
    return facts_pb2.AddedFact(
        fact=fact_message(memory, fact),
        added=added,
        may_contradict=[fact_message(memory, similar) for similar in may_contradict],
        plain=bool(book) and origin is Origin.RULES,
        wordings_origin=ORIGINS[origin] if added else facts_pb2.WORDINGS_ORIGIN_UNSPECIFIED,
    )


def unchanged_message(memory: Memory) -> facts_pb2.Unchanged | None:
    shares = memory.unchanged
    if shares is None:
        return None
    said = shares.contamination
    return facts_pb2.Unchanged(
        neighbours=shares.neighbours,
        strangers=shares.strangers,
        unanswered=shares.unanswered,
        asked=shares.asked,
        contamination=facts_pb2.Contamination(**asdict(said)) if said else None,
    )


def execution_message(execution: Execution, progress: StepProgress | None, caller: Caller) -> memories_pb2.Execution:
    """Returns what executors do for a memory, with the progress of preparing it where that is known here."""
    duty = execution.duty or Duty(work="", attempt=0)
    at = progress if progress and duty.work == progress.work.name == PrepareStatistics.name else None
    return memories_pb2.Execution(
        alive=execution.alive,
        work=duty.work,
        attempt=duty.attempt,
        seconds=duty.seconds,
        reason=duty.reason,
        waits_for=shown_text(caller, duty.message),
        elsewhere=shown_memory(caller, execution.elsewhere) if execution.elsewhere else "",
        stage=at.stage if at else "",
        done=at.done if at else 0,
        total=at.total if at else 0,
        seconds_left=at.seconds_left if at else None,
    )


def memory_message(name: str, memory: Memory, created_at: str, caller: Caller) -> memories_pb2.Memory:
    """Raises ValueError for a memory that was never created."""
    created = memory.created
    if created is None:
        raise ValueError(f"memory {name!r} was never created")
    needs = pressure_message(memory)
    return memories_pb2.Memory(
        memory=name,
        base=_base_message(created.base, caller),
        hyperparameters=_hyperparameters_message(created.hyperparameters),
        modules=created.modules,
        facts=_counts(memory),
        pressure=needs.total,
        capacity=created.capacity,
        method=created.method.value,
        weights_digest=memory.weights or "",
        statistics_prepared=memory.statistics is not None,
        statistics_failure=memory.failure,
        created_at=timestamp(created_at),
        relations=sorted(created.phrasebook),
        needs=needs,
        key_occupancy=memory.key_occupancy,
        sleep=policy_message(created.sleep),
        asleep=_asleep(memory),
        slept_version=memory.slept,
        nights=len(memory.nights),
        edits=len(memory.edits),
        adapters=len(memory.adapters),
        parent=shown_memory(caller, memory.forked.parent) if memory.forked else "",
        parent_version=memory.forked.version if memory.forked else 0,
        checkpoints=len(memory.checkpoints),
        unchanged=unchanged_message(memory),
        false_fires=false_fires(memory),
        remember=created.remember.value,
        keep_texts_days=created.keep_texts,
        about_user=created.about_user,
        unread_turns=len(memory.unread),
    )


def checkpoint_message(checkpoint: Checkpoint) -> history_pb2.Checkpoint:
    return history_pb2.Checkpoint(
        name=checkpoint.name,
        version=checkpoint.version,
        weights_digest=checkpoint.weights or "",
        marked_version=checkpoint.marked,
    )


def pressure_message(memory: Memory) -> memories_pb2.Pressure:
    """Returns the pressure of `memory`, whole and in parts."""
    needs = pressure(memory)
    return memories_pb2.Pressure(
        key_occupancy=needs.key_occupancy,
        unachieved=needs.unachieved,
        degraded=needs.degraded,
        age=needs.age,
        total=needs.total,
    )


def step_at(memory: Memory) -> str:
    """Returns the step of the sleep in progress; empty while `memory` is awake."""
    work = work_on_facts(memory)
    return work.name if isinstance(work, SleepStep) else ""


def _counts(memory: Memory) -> memories_pb2.FactCounts:
    count = Counter(state.status for state in memory.facts.values())
    stages = Counter(state.stage for state in memory.facts.values() if state.in_weights)
    last = max(stages, default=0)
    if memory.created is not None:
        last = max(last, memory.created.sleep.dissolved)
    return memories_pb2.FactCounts(
        pending=count[Status.PENDING],
        injected=count[Status.INJECTED],
        parked=count[Status.PARKED],
        dissolved=count[Status.DISSOLVED],
        withdrawn=count[Status.WITHDRAWN],
        stages=[stages[stage] for stage in range(last + 1)],
    )


def _asleep(memory: Memory) -> memories_pb2.Asleep | None:
    sleep = memory.sleep
    if sleep is None:
        return None
    return memories_pb2.Asleep(sleep=sleep.id, kind=sleep.started.kind, step=step_at(memory), began_version=sleep.began)


def _wordings_message(wordings: Wordings) -> facts_pb2.Wordings:
    return facts_pb2.Wordings(
        statements=wordings.statements,
        questions=wordings.questions,
        answer=wordings.answer,
        probe_statements=wordings.probe_statements,
        probe_questions=wordings.probe_questions,
    )


def _source_message(source: Source) -> facts_pb2.Source:
    return facts_pb2.Source(
        client=source.client,
        conversation=source.conversation,
        turn=source.turn,
        span=source.span,
        start=source.start,
        end=source.end,
    )


def _base_message(base: BaseModel, caller: Caller) -> memories_pb2.BaseModel:
    return memories_pb2.BaseModel(
        name=shown_model(caller, base.name),
        revision=base.revision,
        digest=base.digest,
        dtype=base.dtype,
        quantization=base.quantization,
    )


def _hyperparameters_message(values: Hyperparameters) -> memories_pb2.Hyperparameters:
    message = memories_pb2.Hyperparameters()
    for field in fields(values):
        setattr(message, field.name, getattr(values, field.name))
    return message
