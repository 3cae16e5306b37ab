"""Renders conversations, their turns, and what was remembered of them, as messages."""

from __future__ import annotations

from hypnogram.v1 import chat_pb2, facts_pb2

from core.events import Recorded
from core.events.conversation import Finding, ModelReplied, TurnRead, UserSpoke
from core.ids import FactId
from core.state.meaning import may_contradict
from core.state.memory import Memory
from service.rpc.messages import requests
from service.rpc.messages.responses import added_message, fact_message, timestamp

REMEMBER = {remember: value for value, remember in requests.REMEMBER.items() if remember is not None}


def conversation_message(memory: Memory, name: str) -> chat_pb2.Conversation:
    known = memory.conversations[name]
    return chat_pb2.Conversation(
        conversation=name,
        turns=known.turns,
        unread=sum(turn.conversation == name for turn in memory.unread),
        began_version=known.began,
        closed_version=known.closed,
        erased=known.erased,
    )


def turn_message(memory: Memory, recorded: Recorded, reading: Recorded | None) -> chat_pb2.Turn:
    """Returns a turn; `reading` is the event that says what was learned from it."""
    event, at = recorded.event, timestamp(recorded.recorded_at)
    if isinstance(event, UserSpoke):
        turn = chat_pb2.Turn(
            turn=event.turn,
            role="user",
            text=event.text,
            recorded_at=at,
            version=recorded.version,
            remember=REMEMBER[event.remember],
        )
        if reading is not None and isinstance(reading.event, TurnRead):
            turn.remembered.CopyFrom(remembered_message(memory, reading.event, event.text, reading.version))
        return turn
    assert isinstance(event, ModelReplied)
    return chat_pb2.Turn(
        turn=event.turn,
        role="assistant",
        text=event.text,
        recorded_at=at,
        version=recorded.version,
        to=event.to,
        weights_version=event.version,
        weights_digest=event.weights,
        complete=event.complete,
    )


def remembered_message(memory: Memory, read: TurnRead, text: str, version: int) -> chat_pb2.Remembered:
    """Returns what was remembered of the turn `text`; facts as they are in the state `memory`."""
    candidates = [_of_fact(memory, fact, read) for fact in (*read.facts, *read.known)]
    candidates += [_of_finding(memory, finding, text) for finding in read.findings]
    return chat_pb2.Remembered(
        turn=read.turn,
        candidates=sorted(candidates, key=lambda candidate: (candidate.start, candidate.end)),
        retracted=[fact_message(memory, fact) for fact in read.retracted if fact in memory.facts],
        failure=read.failure,
        version=version,
    )


def _of_fact(memory: Memory, id_: FactId, read: TurnRead) -> facts_pb2.Candidate:
    state, added = memory.facts[id_], id_ in read.facts
    (similar,) = may_contradict(memory, [state.fact])
    candidate = facts_pb2.Candidate(
        subject=state.fact.subject,
        relation=state.fact.relation,
        object=state.fact.object,
        start=state.source.start if added else 0,
        end=state.source.end if added else 0,
        sentence=state.source.span if added else "",
        positive=True,
        modality=facts_pb2.MODALITY_ASSERTED,
        result=added_message(memory, id_, added=added, may_contradict=similar),
    )
    if added and state.predecessor is not None:
        candidate.superseded.CopyFrom(fact_message(memory, state.predecessor))
    return candidate


def _of_finding(memory: Memory, finding: Finding, text: str) -> facts_pb2.Candidate:
    candidate = facts_pb2.Candidate(
        subject=finding.subject,
        relation=finding.relation,
        object=finding.object,
        about_user=finding.about_user,
        start=finding.start,
        end=finding.end,
        sentence=text[slice(*finding.sentence)],
        positive=finding.positive,
        modality=facts_pb2.Modality.Value(f"MODALITY_{finding.modality.upper()}"),
        rejection=facts_pb2.Rejection.Value(f"REJECTION_{finding.reason.upper()}"),
        explanation=finding.explanation,
    )
    if finding.contradicts is not None and finding.contradicts in memory.facts:
        candidate.contradicts.CopyFrom(fact_message(memory, finding.contradicts))
    return candidate
