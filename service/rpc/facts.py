"""The Facts service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from hypnogram.v1 import facts_pb2, facts_pb2_grpc

from core.decide.commands import AddFacts, Command, RetractFact, RetryFacts, SupersedeFact
from core.decide.history import MAX_REASON
from core.decide.idempotency import facts_of
from core.errors.base import FactUnknown, MemoryUnknown
from core.facts import Fact
from core.ids import FactId, MemoryId
from core.state.meaning import may_contradict
from core.state.memory import FactState, Memory, statement_key
from core.state.work import will_leave
from core.texts import same_words
from service.app.erasure import check_not_held
from service.app.lineage import Link, lineage
from service.app.reading import turns_that_state
from service.app.repository import check_not_gone
from service.guard.rights import Right
from service.rpc.dependencies import Dependencies
from service.rpc.fact_commands import FactCommands, is_pending
from service.rpc.interceptor import Context, current_caller, current_cause
from service.rpc.messages import new_facts, requests, responses
from service.rpc.messages.column_locations import columns
from service.rpc.messages.page_tokens import paged_state
from service.rpc.telling import Telling
from store.clock import next_uuid


class FactsServicer(facts_pb2_grpc.FactsServicer):
    """Adds, lists, supersedes and retracts facts, and returns their status and lineage."""

    def __init__(self, parts: Dependencies) -> None:
        self._store = parts.store
        self._states = parts.states
        self._page_bytes = parts.page_bytes
        self._commands = FactCommands(parts)
        self._telling = Telling(parts, self._commands)

    async def AddFacts(  # noqa: N802
        self, request: facts_pb2.AddFactsRequest, context: Context
    ) -> facts_pb2.AddFactsResponse:
        memory = requests.memory_id(request.memory)
        request_id = next_uuid() if request.validate_only else requests.request_id(request.request_id)
        expected = requests.optional_version(request, "expected_version")
        wait = requests.wait(request.wait, facts_pb2.WAIT_INJECTED)
        digest, caller = new_facts.request_digest(request.facts), current_cause().actor

        def command(state: Memory) -> AddFacts:
            if state.created is None:
                raise MemoryUnknown(memory)
            facts = new_facts.parse_facts(request.facts, state.created.phrasebook, next_uuid, caller)
            return AddFacts(request=request_id, request_digest=digest, facts=facts)

        keys = [statement_key(fact.subject, fact.relation) for fact in request.facts]
        if request.validate_only:
            return await asyncio.to_thread(self._validated, memory, command, request_id, expected, keys)
        state = await self._commands.execute(memory, command, request_id, expected)
        ids = await asyncio.to_thread(self._commands.facts_of_request, memory, state, request_id, keys)
        if wait:
            state = await self._commands.wait_for(
                memory, state.version, lambda now: not any(is_pending(now, fact) for fact in ids)
            )
        return await asyncio.to_thread(_added, state, request_id, ids)

    async def TellText(  # noqa: N802
        self, request: facts_pb2.TellTextRequest, context: Context
    ) -> facts_pb2.TellTextResponse:
        return await self._telling.tell(request)

    async def GetFact(  # noqa: N802
        self, request: facts_pb2.GetFactRequest, context: Context
    ) -> facts_pb2.GetFactResponse:
        memory, fact = requests.memory_id(request.memory), requests.fact_id(request.fact)
        state = await asyncio.to_thread(self._states.at, memory, *requests.as_of(request))
        _known(memory, state, fact)
        return facts_pb2.GetFactResponse(fact=responses.fact_message(state, fact), version=state.version)

    async def ListFacts(  # noqa: N802
        self, request: facts_pb2.ListFactsRequest, context: Context
    ) -> facts_pb2.ListFactsResponse:
        memory, status = requests.memory_id(request.memory), requests.status(request.status)
        subject = same_words(requests.text(request.subject, "subject"))
        words = requests.search(request.search)
        filters = (request.status, subject, words)
        paged = await paged_state(self._states, memory, request, "facts", *filters, max_bytes=self._page_bytes)
        state = paged.state
        last = state.facts.get(FactId(paged.after))
        rest = (
            responses.fact_message(state, fact.fact.id)
            for fact in state.facts.values()
            if (last is None or fact.added > last.added)
            and _matches(fact.fact, subject, words)
            and status in (None, fact.status)
        )
        page, next_token = paged.page(rest, key=lambda message: message.fact)
        return facts_pb2.ListFactsResponse(facts=page, next_page_token=next_token, version=state.version)

    async def GetLineage(  # noqa: N802
        self, request: facts_pb2.GetLineageRequest, context: Context
    ) -> facts_pb2.GetLineageResponse:
        memory, fact = requests.memory_id(request.memory), requests.fact_id(request.fact)
        paged = await paged_state(self._states, memory, request, "lineage", fact, max_bytes=self._page_bytes)
        state, store = paged.state, self._store
        known = _known(memory, state, fact)

        def find() -> tuple[list[Link], list[facts_pb2.Columns]]:
            links = lineage(store.log, memory, fact, state.version)
            return links, [] if paged.after else columns(links, fact, known, store.artifacts, store.log.keyring)

        links, where = await asyncio.to_thread(find)
        ids = [str(link.recorded.id) for link in links]
        start = ids.index(paged.after) + 1 if paged.after in ids else 0
        caller = current_caller()
        rest = (responses.link_message(link, fact, caller) for link in links[start:])
        entries, next_token = paged.page(rest, key=lambda entry: entry.event.id)
        return facts_pb2.GetLineageResponse(
            fact=responses.fact_message(state, fact),
            entries=entries,
            version=state.version,
            columns=where,
            next_page_token=next_token,
        )

    async def SupersedeFact(  # noqa: N802
        self, request: facts_pb2.SupersedeFactRequest, context: Context
    ) -> facts_pb2.SupersedeFactResponse:
        memory, old = requests.memory_id(request.memory), requests.fact_id(request.fact)
        request_id = requests.request_id(request.request_id)
        expected = requests.optional_version(request, "expected_version")
        wait = requests.wait(request.wait, facts_pb2.WAIT_INJECTED)
        digest = new_facts.supersede_digest(request)

        def command(state: Memory) -> SupersedeFact:
            superseded = _known(memory, state, old)
            assert state.created is not None
            phrasebook = state.created.phrasebook
            successor = new_facts.successor(request, superseded, phrasebook, next_uuid(), current_cause().actor)
            return SupersedeFact(memory=memory, fact=old, new=successor, request=request_id, request_digest=digest)

        state = await self._commands.execute(memory, command, request_id, expected)
        new = state.requests[request_id].facts[-1]
        if wait:
            state = await self._commands.wait_for(memory, state.version, lambda now: not is_pending(now, new))
        return facts_pb2.SupersedeFactResponse(
            fact=responses.fact_message(state, new),
            superseded=responses.fact_message(state, old),
            version=state.version,
            unchanged=responses.unchanged_message(state),
        )

    async def RetractFact(  # noqa: N802
        self, request: facts_pb2.RetractFactRequest, context: Context
    ) -> facts_pb2.RetractFactResponse:
        memory, fact = requests.memory_id(request.memory), requests.fact_id(request.fact)
        request_id = requests.request_id(request.request_id)
        reason = requests.text(request.reason, "reason", MAX_REASON)
        expected = requests.optional_version(request, "expected_version")
        wait = requests.wait(request.wait, facts_pb2.WAIT_WITHDRAWN)
        digest, caller = new_facts.retract_digest(request), current_caller()

        def command(state: Memory) -> RetractFact:
            _known(memory, state, fact)
            if request.erase and request_id not in state.requests:
                check_not_held(self._store.log, self._states, memory, fact, partial(caller.may, Right.READ))
            return RetractFact(
                memory=memory, fact=fact, reason=reason, erase=request.erase, request=request_id, request_digest=digest
            )

        state = await self._commands.execute(memory, command, request_id, expected)
        if wait:
            state = await self._commands.wait_for(memory, state.version, lambda now: not will_leave(now, fact))
        log, stating = self._store.log, dict[str, list[int]]()
        if request.erase:
            stating = await asyncio.to_thread(turns_that_state, log, memory, state, fact)
        return facts_pb2.RetractFactResponse(
            fact=responses.fact_message(state, fact),
            withdrawal=responses.WITHDRAWALS[state.facts[fact].withdrawal],
            adapters=[adapter.delta for adapter in state.adapters.values() if fact in adapter.facts],
            version=state.version,
            stated_in=[facts_pb2.StatedIn(conversation=name, turns=turns) for name, turns in stating.items()],
        )

    async def RetryFact(  # noqa: N802
        self, request: facts_pb2.RetryFactRequest, context: Context
    ) -> facts_pb2.RetryFactResponse:
        memory, fact = requests.memory_id(request.memory), requests.fact_or_all(request)
        request_id = requests.request_id(request.request_id)
        expected = requests.optional_version(request, "expected_version")
        wait = requests.wait(request.wait, facts_pb2.WAIT_INJECTED)
        digest = new_facts.retry_digest(request)

        def command(state: Memory) -> RetryFacts:
            if state.created is None:
                raise MemoryUnknown(memory)
            return RetryFacts(memory=memory, fact=fact, request=request_id, request_digest=digest)

        state = await self._commands.execute(memory, command, request_id, expected)
        known = state.requests.get(request_id)
        retried = [fact] if fact is not None else list(known.facts) if known else []
        if wait:
            state = await self._commands.wait_for(
                memory, state.version, lambda now: not any(_is_owed(now, fact) for fact in retried)
            )
        return facts_pb2.RetryFactResponse(
            facts=[responses.fact_message(state, fact) for fact in retried], version=state.version
        )

    def _validated(
        self,
        memory: MemoryId,
        command: Callable[[Memory], Command],
        request: str,
        expected: int | None,
        keys: Sequence[tuple[str, str]],
    ) -> facts_pb2.AddFactsResponse:
        """Returns the response that the request would get, without ids of what is not recorded."""
        before, after = self._states.preview(memory, command, expected)
        facts = after.requests[request].repeated or facts_of(after, request, keys)
        response = _added(after, request, facts)
        response.version = before.version
        for result in response.results:
            for fact in (result.fact, *result.may_contradict):
                if fact.added_version > response.version:
                    fact.fact, fact.added_version = "", 0
        return response


def _added(state: Memory, request: str, facts: Sequence[FactId]) -> facts_pb2.AddFactsResponse:
    """Returns the response to a request that named `facts`, at the version of `state`."""
    added = state.requests[request].facts
    contradicted = may_contradict(state, [state.facts[fact].fact for fact in facts])
    return facts_pb2.AddFactsResponse(
        results=[
            responses.added_message(state, fact, added=fact in added, may_contradict=similar)
            for fact, similar in zip(facts, contradicted, strict=True)
        ],
        version=state.version,
        unchanged=responses.unchanged_message(state),
    )


def _is_owed(state: Memory, fact: FactId) -> bool:
    return is_pending(state, fact) or will_leave(state, fact)


def _known(memory: MemoryId, state: Memory, fact: FactId) -> FactState:
    if state.created is None:
        raise MemoryUnknown(memory)
    check_not_gone(state, None)
    known = state.facts.get(fact)
    if known is None:
        raise FactUnknown(memory, fact)
    return known


def _matches(fact: Fact, subject: str, words: Sequence[str]) -> bool:
    whole = same_words(f"{fact.subject} {fact.relation} {fact.object}") if words else ""
    return subject in ("", same_words(fact.subject)) and all(word in whole for word in words)
