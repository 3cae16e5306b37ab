"""TellText: from the text of a user to facts in a memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from hypnogram.v1 import facts_pb2

from core.decide import told
from core.decide.commands import AddFacts, NewFact
from core.decide.held import addable
from core.decide.told import says_the_same, why_unusable
from core.errors.base import InvalidField, MemoryUnknown
from core.extraction.candidates import EXPLANATIONS, Candidate
from core.extraction.extract import extract
from core.facts import Source
from core.ids import FactId, MemoryId
from core.state.meaning import may_contradict
from core.state.memory import Memory, statement_key
from core.state.user import refusal_about_user
from service.rpc.dependencies import Dependencies
from service.rpc.fact_commands import FactCommands, is_pending
from service.rpc.interceptor import current_cause
from service.rpc.messages import new_facts, requests, responses
from store.clock import next_uuid

MAX_TEXT = 20_000  # characters of a turn


class NothingToAdd(Exception):
    """The text states no fact that the memory can add."""


@dataclass(frozen=True, slots=True)
class Stated:
    """A candidate with the fact that it would be; None where it is rejected."""

    candidate: Candidate
    new: NewFact | None


class Telling:
    """Performs TellText."""

    def __init__(self, parts: Dependencies, commands: FactCommands) -> None:
        self._states = parts.states
        self._parser = parts.parser
        self._commands = commands

    async def tell(self, request: facts_pb2.TellTextRequest) -> facts_pb2.TellTextResponse:
        memory, text = requests.memory_id(request.memory), _text(request.text)
        request_id = next_uuid() if request.validate_only else requests.request_id(request.request_id)
        expected = requests.optional_version(request, "expected_version")
        wait = requests.wait(request.wait, facts_pb2.WAIT_INJECTED)
        if request.source.span or request.source.end:
            raise InvalidField("source.span", "is given; leave it out, because the call notes the words itself")
        source = new_facts.source(request.source, "source")
        self._parser.check()
        state = await asyncio.to_thread(self._states.at, memory, None)
        stated = await asyncio.to_thread(self._stated, memory, state, text, source)
        candidates = [one.new for one in stated if one.new is not None]
        digest = new_facts.told_digest(request)

        def command(now: Memory) -> AddFacts:
            if now.created is None:
                raise MemoryUnknown(memory)
            facts = addable(now, request_id, candidates)
            if not facts and request_id not in now.requests:
                raise NothingToAdd
            return AddFacts(request=request_id, request_digest=digest, facts=facts)

        try:
            if request.validate_only:
                before, then = await asyncio.to_thread(self._states.preview, memory, command, expected)
                return _unrecorded(before, _response(text, stated, then, request_id))
            state = await self._commands.execute(memory, command, request_id, expected)
        except NothingToAdd:
            state = await asyncio.to_thread(self._states.current, memory)
            return _response(text, stated, state, "")
        then = await asyncio.to_thread(self._commands.accepted, memory, state, request_id)
        if wait:
            known = then.requests[request_id]
            ids = known.repeated or known.facts
            state = await self._commands.wait_for(
                memory, then.version, lambda now: not any(is_pending(now, fact) for fact in ids)
            )
        return _response(text, stated, then, request_id, state)

    def _stated(self, memory: MemoryId, state: Memory, text: str, source: Source) -> list[Stated]:
        """Returns what `text` states, with the memory's wordings."""
        if state.created is None:
            raise MemoryUnknown(memory)
        phrasebook, stated, caller = state.created.phrasebook, list[Stated](), current_cause().actor
        for candidate in extract(text, self._parser):
            new = told.stated(candidate, told.noted(text, candidate, source), phrasebook, FactId(next_uuid()))
            new = new_facts.by_user(new, caller)
            stated.append(Stated(candidate, new if candidate.accepted else None))
        return stated


def _text(value: str) -> str:
    if not value.strip():
        raise InvalidField("text", "is empty; give what the user says")
    return requests.text(value, "text", MAX_TEXT)


def _response(
    text: str, stated: Sequence[Stated], then: Memory, request_id: str, now: Memory | None = None
) -> facts_pb2.TellTextResponse:
    """Returns the response to a request that was accepted at the state `then`; `now` has the status of its facts."""
    now = now or then
    return facts_pb2.TellTextResponse(
        candidates=[_message(text, one, then, request_id, now) for one in stated],
        version=now.version,
        unchanged=responses.unchanged_message(now),
    )


def _message(text: str, stated: Stated, then: Memory, request_id: str, now: Memory) -> facts_pb2.Candidate:
    candidate = stated.candidate
    message = facts_pb2.Candidate(
        subject=candidate.subject,
        relation=candidate.relation,
        object=candidate.object,
        about_user=candidate.about_user,
        start=candidate.start,
        end=candidate.end,
        sentence=text[slice(*candidate.sentence)],
        positive=candidate.positive,
        modality=facts_pb2.Modality.Value(f"MODALITY_{candidate.modality.name}"),
    )
    if candidate.reason is not None:
        message.rejection = facts_pb2.Rejection.Value(f"REJECTION_{candidate.reason.name}")
        message.explanation = EXPLANATIONS[candidate.reason]
    elif stated.new is not None:
        _add_outcome(message, stated.new, then, request_id, now)
    return message


def _add_outcome(message: facts_pb2.Candidate, new: NewFact, then: Memory, request_id: str, now: Memory) -> None:
    """Adds to `message` the fact that it has become, or why it could not."""
    id_ = then.by_statement.get(statement_key(new.fact.subject, new.fact.relation))
    if (refusal := refusal_about_user(then, new.fact.subject, new.source.client)) is not None:
        message.rejection = facts_pb2.Rejection.Value(f"REJECTION_{refusal.reason}")
        message.explanation = str(refusal)
    elif id_ is None:
        message.rejection = facts_pb2.REJECTION_UNUSABLE
        message.explanation = why_unusable(new.fact) or "it was erased since"
    elif says_the_same(then.facts[id_].fact, new.fact):
        request = then.requests.get(request_id)
        (similar,) = may_contradict(now, [now.facts[id_].fact])
        added = request is not None and id_ in request.facts
        message.result.CopyFrom(responses.added_message(now, id_, added=added, may_contradict=similar))
    else:
        message.rejection = facts_pb2.REJECTION_CONTRADICTS
        message.explanation = "there is another object for its subject and relation; supersede or retract that fact"
        message.contradicts.CopyFrom(responses.fact_message(now, id_))


def _unrecorded(before: Memory, response: facts_pb2.TellTextResponse) -> facts_pb2.TellTextResponse:
    """Returns `response` at the version of `before`, without ids of what is not recorded."""
    response.version = before.version
    for candidate in response.candidates:
        for fact in (candidate.result.fact, candidate.contradicts, *candidate.result.may_contradict):
            if fact.added_version > before.version:
                fact.fact, fact.added_version = "", 0
    return response
