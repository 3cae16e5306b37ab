"""Summaries of events for people, one line each."""

from __future__ import annotations

from typing import assert_never

from core.events import Event
from core.events.conversation import (
    ConversationClosed,
    ConversationErased,
    ConversationEvent,
    ModelReplied,
    TurnRead,
    UserSpoke,
)
from core.events.deletion import MemoryDeleted, MemoryPurged
from core.events.facts import EditComputed, EditKind, FactAdded, FactInjected, WorkFailed
from core.events.history import (
    AdaptersCompacted,
    CheckpointMarked,
    FactErased,
    FactRetracted,
    FactRetried,
    FactsRepeated,
    FactSuperseded,
    FactWithdrawn,
    HistoryEvent,
    MemoryForked,
    MemoryRebased,
)
from core.events.memory import MemoryCreated, StatisticsPrepared
from core.events.sleep import (
    AdapterTrained,
    ControlsMeasured,
    FactAdvanced,
    FactAudited,
    FactDissolved,
    FactRefreshed,
    FactRetreated,
    FactsRescaled,
    ProbeResult,
    SleepCompleted,
    SleepEvent,
    SleepRolledBack,
    SleepStarted,
)
from core.ids import FactId
from core.wordings import in_words


def summary(event: Event, fact: FactId | None = None) -> str:
    """Returns one line about `event`; with `fact`, what an event about many facts did to this one."""
    match event:
        case MemoryCreated():
            return f"memory created on {event.base.name} ({event.base.dtype}), {len(event.modules)} modules edited"
        case StatisticsPrepared():
            return f"statistics prepared over {event.tokens} tokens; clean weights {event.weights[:12]}"
        case FactAdded():
            told = event.statement
            return f"told: {in_words(told) or '(erased)'}"
        case EditComputed():
            owned = next((columns for columns in event.columns if columns.fact == fact), None)
            share = f", {owned.count} of its columns, {owned.achieved:.0%} achieved" if owned else ""
            share += ", not learned in all wordings" if owned and not owned.learned else ""
            kind = "edit" if event.kind is EditKind.INJECTION else event.kind
            return (
                f"{kind} {event.delta[:12]} for {len(event.columns)} facts in {event.seconds:.1f} s{share}; "
                f"weights {event.weights_before[:12]} -> {event.weights_after[:12]}"
            )
        case FactInjected():
            return f"injected: carried by edit {event.edit}, stage {event.stage}, scale {event.scale:g}"
        case WorkFailed():
            after = "parked" if event.parked else "to be retried"
            return f"{event.work} failed, attempt {event.attempt}, {after}: {event.message}"
        case (
            CheckpointMarked()
            | MemoryForked()
            | MemoryRebased()
            | FactsRepeated()
            | FactSuperseded()
            | FactRetracted()
            | FactRetried()
            | FactWithdrawn()
            | FactErased()
            | AdaptersCompacted()
        ):
            return _of_history(event, fact)
        case UserSpoke() | ModelReplied() | TurnRead() | ConversationClosed() | ConversationErased():
            return _of_conversation(event)
        case MemoryDeleted():
            return "memory deleted"
        case MemoryPurged():
            kept = f"; {event.kept} facts keep their words, as forks share them" if event.kept else ""
            return f"purged: {event.keys} data keys and {len(event.artifacts)} deltas destroyed{kept}"
        case _:
            return _in_sleep(event, fact)


def _of_history(event: HistoryEvent, fact: FactId | None) -> str:
    match event:
        case CheckpointMarked():
            return f"checkpoint {event.name!r} marked at version {event.version}"
        case MemoryForked():
            parent = f"memory {event.parent!r}" if event.parent else "another memory"  # that a reader is not shown
            return f"forked from {parent} at version {event.version}"
        case MemoryRebased():
            return f"its base model is at {event.name} from now on"
        case FactsRepeated():
            return f"told again: {len(event.facts)} facts, all of them known"
        case FactSuperseded():
            return f"supersedes fact {event.fact}" if fact == event.by else f"superseded by fact {event.by}"
        case FactRetracted():
            erase = ", to be erased" if event.erase else ""
            return f"retracted{erase}" + (f": {event.reason}" if event.reason else "")
        case FactRetried():
            return f"to be tried again, as a client {'asked' if event.request else 'told it once more'}"
        case FactWithdrawn():
            how = f"edit {event.edit} answers instead" if event.edit else "its columns are out of force"
            by = f", {len(event.adapters)} adapters were trained on it" if event.adapters else ""
            return f"withdrawn: {how}{by}; weights {event.weights_before[:12]} -> {event.weights_after[:12]}"
        case FactErased():
            left = f"; {len(event.remains)} shared deltas may hold a trace" if event.remains else ""
            return f"erased: its words and its own columns cannot be read any more{left}"
        case AdaptersCompacted():
            return (
                f"{len(event.replaced)} adapters of {event.columns} columns became one of {event.rank}, which changed "
                f"weights by {event.change:.2e}; {event.weights_before[:12]} -> {event.weights_after[:12]}"
            )
        case _:
            assert_never(event)


def _of_conversation(event: ConversationEvent) -> str:
    match event:
        case UserSpoke():
            return f"turn {event.turn} of conversation {event.conversation!r}, by a user"
        case ModelReplied():
            cut = "" if event.complete else ", cut off"
            return (
                f"turn {event.turn} of conversation {event.conversation!r}, a reply from version {event.version}{cut}"
            )
        case TurnRead():
            counts = {
                "learned": event.facts,
                "said again": event.known,
                "superseded": event.superseded,
                "retracted": event.retracted,
            }
            became = ", ".join(f"{len(facts)} {what}" for what, facts in counts.items() if facts) or "nothing learned"
            why = f"; it could not be read: {event.failure}" if event.failure else ""
            return f"turn {event.turn} of conversation {event.conversation!r} read: {became}{why}"
        case ConversationClosed():
            return f"conversation {event.conversation!r} closed, its texts to be erased"
        case ConversationErased():
            return f"conversation {event.conversation!r} erased: its texts cannot be read any more"
        case _:
            assert_never(event)


def _in_sleep(event: SleepEvent, fact: FactId | None) -> str:
    match event:
        case SleepStarted():
            return f"{event.kind} {event.sleep} began, by {event.trigger}, seed {event.seed}"
        case FactAudited():
            return _audited(event)
        case ControlsMeasured():
            return (
                f"audited {event.occasion}: {event.neighbours:.1%} of neighbours, {event.strangers:.1%} of strangers, "
                f"{event.unanswered:.1%} of unanswered questions unchanged; perplexity {event.perplexity:.3f}"
            )
        case FactRefreshed():
            return (
                f"refreshed: carried by edit {event.edit}, stage {event.from_stage} -> {event.stage}, "
                f"scale {event.scale:g}"
            )
        case AdapterTrained():
            role = (
                ", this fact among them" if fact in event.facts else ", this fact rehearsed" * (fact in event.rehearsed)
            )
            return (
                f"adapter {event.delta[:12]} trained on {len(event.facts)} facts{role}, {event.steps} steps in "
                f"{event.seconds:.1f} s, loss {event.first_loss:.3f} -> {event.last_loss:.3f}; "
                f"weights {event.weights_before[:12]} -> {event.weights_after[:12]}"
            )
        case FactsRescaled():
            this = [f", this fact's to {new.scale:g}" for new in event.scales if new.fact == fact]
            return (
                f"{len(event.scales)} edits rescaled{''.join(this)}; "
                f"weights {event.weights_before[:12]} -> {event.weights_after[:12]}"
            )
        case FactAdvanced() | FactRetreated():
            return _moved(event)
        case FactDissolved():
            return "dissolved: adapters carry it alone, its edit has left the weights"
        case SleepCompleted():
            return _completed(event, fact)
        case SleepRolledBack():
            return (
                f"sleep {event.sleep} rolled back to version {event.version} ({event.reason}): {event.message}; "
                f"weights {event.weights[:12]}"
            )
        case _:
            assert_never(event)


def _audited(event: FactAudited) -> str:
    gate = event.occasion == "gate"
    verdict = ("passes" if event.healthy else "is turned back") if gate else "healthy" if event.healthy else "degraded"
    place = "at the gate" if gate else f"audited {event.occasion}"
    known = "; the base model says it too" if event.known else ""
    wrong = [probe for probe in event.probes if not probe.passed and probe.pathway != "unanswered"]
    said = f"; {_said(wrong[0])}" if wrong else ""
    return f"{place}: {verdict}, {event.passed} of {event.asked} probes at scale {event.scale:g}{known}{said}"


def _said(probe: ProbeResult) -> str:
    return f"to {probe.prompt!r} it said {probe.output.strip()!r}"


def _moved(event: FactAdvanced | FactRetreated) -> str:
    evidence = f"{event.passed} of {event.asked} probes, audit of version {event.audit}"
    if event.stage == event.from_stage:
        return f"stays at stage {event.stage}, scale {event.scale:g}: {evidence}"
    verb = "advanced" if isinstance(event, FactAdvanced) else "retreated"
    return (
        f"{verb}: stage {event.from_stage} -> {event.stage}, scale {event.from_scale:g} -> {event.scale:g}: {evidence}"
    )


def _completed(event: SleepCompleted, fact: FactId | None) -> str:
    lists = {
        "advanced": event.advanced,
        "retreated": event.retreated,
        "refreshed": event.refreshed,
        "dissolved": event.dissolved,
        "degraded": event.degraded,
    }
    if fact is not None:
        moves = [name for name, facts in lists.items() if fact in facts]
        became = f"this fact: {', '.join(moves) or 'as it was'}"
    else:
        became = ", ".join(f"{len(facts)} {name}" for name, facts in lists.items())
    return f"sleep {event.sleep} completed; {became}; pressure {event.pressure:.2f}" + f"; {event.remark}" * bool(
        event.remark
    )
