"""The Facts service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypnogram.v1 import facts_pb2, facts_pb2_grpc

from core.codec import canonical
from core.commands import AddFacts
from core.errors import FactUnknown, MemoryUnknown
from core.facts import same_words
from core.ids import FactId, MemoryId
from core.memory import FactState, Memory, Status, said_key
from service import fields, messages, pages
from service.calls import Context, cause
from service.lineage import lineage
from service.states import States
from service.tail import Tail
from store.clock import next_uuid
from store.log import EventLog


class FactsServicer(facts_pb2_grpc.FactsServicer):
    """Takes facts, and says how far they have come."""

    def __init__(self, log: EventLog, states: States, tail: Tail, retries: int) -> None:
        self._log = log
        self._states = states
        self._tail = tail
        self._retries = retries

    async def AddFacts(  # noqa: N802
        self, request: facts_pb2.AddFactsRequest, context: Context
    ) -> facts_pb2.AddFactsResponse:
        memory = fields.memory_id(request.memory)
        request_id = fields.request_id(request.request_id)
        expected = fields.optional_version(request, "expected_version")
        wait = fields.wait(request.wait)
        digest = fields.request_digest(request.facts)

        def command(state: Memory) -> AddFacts:
            if state.created is None:
                raise MemoryUnknown(memory)
            told = fields.told_facts(request.facts, state.created.phrasebook, next_uuid)
            return AddFacts(request=request_id, request_digest=digest, facts=told)

        state = await asyncio.to_thread(
            self._states.carry_out, memory, command, cause(request_id), expected, self._retries
        )
        ids = [state.said[said_key(one.subject, one.relation)] for one in request.facts]
        if wait:
            state = await self._injected(memory, state, ids)
        earlier = state.requests.get(request_id)
        added = earlier.facts if earlier else ()
        return facts_pb2.AddFactsResponse(
            results=[
                facts_pb2.AddedFact(fact=messages.fact_message(state.facts[one]), added=one in added) for one in ids
            ],
            version=state.version,
        )

    async def GetFact(  # noqa: N802
        self, request: facts_pb2.GetFactRequest, context: Context
    ) -> facts_pb2.GetFactResponse:
        memory, fact = fields.memory_id(request.memory), fields.fact_id(request.fact)
        state = await asyncio.to_thread(self._states.at, memory, *fields.as_of(request))
        return facts_pb2.GetFactResponse(fact=messages.fact_message(_known(memory, state, fact)), version=state.version)

    async def ListFacts(  # noqa: N802
        self, request: facts_pb2.ListFactsRequest, context: Context
    ) -> facts_pb2.ListFactsResponse:
        memory = fields.memory_id(request.memory)
        size = fields.page_size(request.page_size)
        status = fields.status(request.status)
        subject = same_words(fields.text(request.subject, "subject"))
        at_version, min_version = fields.as_of(request)
        listing = canonical(["facts", memory, request.status, subject, at_version, min_version])
        place = pages.read(request.page_token, listing)
        pinned = place.version if place.version is not None else at_version
        state = await asyncio.to_thread(self._states.at, memory, pinned, min_version)
        start = state.facts[FactId(place.after)].added if FactId(place.after) in state.facts else 0
        page = []
        for one in state.facts.values():
            if one.added > start and _matches(one, status, subject):
                page.append(one)
                if len(page) > size:
                    break
        token = pages.write(listing, after=page[size - 1].fact.id, version=state.version) if len(page) > size else ""
        return facts_pb2.ListFactsResponse(
            facts=[messages.fact_message(one) for one in page[:size]], next_page_token=token, version=state.version
        )

    async def GetLineage(  # noqa: N802
        self, request: facts_pb2.GetLineageRequest, context: Context
    ) -> facts_pb2.GetLineageResponse:
        memory, fact = fields.memory_id(request.memory), fields.fact_id(request.fact)
        state = await asyncio.to_thread(self._states.at, memory, *fields.as_of(request))
        known = _known(memory, state, fact)
        links = await asyncio.to_thread(lineage, self._log, memory, fact, state.version)
        return facts_pb2.GetLineageResponse(
            fact=messages.fact_message(known),
            entries=[
                facts_pb2.LineageEntry(
                    event=messages.event_message(link.recorded),
                    caused_by=link.caused_by,
                    concerns=link.concerns,
                    summary=link.summary,
                )
                for link in links
            ],
            version=state.version,
        )

    async def _injected(self, memory: MemoryId, state: Memory, ids: Sequence[FactId]) -> Memory:
        """The first state seen in which none of the facts is pending; the caller's deadline bounds the wait."""
        while True:
            position = self._tail.position
            state = await asyncio.to_thread(self._states.current, memory)
            if not any(state.facts[one].status is Status.PENDING for one in ids):
                return state
            await self._tail.beyond(position)


def _known(memory: MemoryId, state: Memory, fact: FactId) -> FactState:
    known = state.facts.get(fact)
    if known is None:
        raise FactUnknown(memory, fact)
    return known


def _matches(one: FactState, status: Status | None, subject: str) -> bool:
    return status in (None, one.status) and subject in ("", same_words(one.fact.subject))
