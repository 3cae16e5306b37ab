"""The calls of History about names for versions, and about which version a moment is."""

from __future__ import annotations

import asyncio

from hypnogram.v1 import history_pb2

from core.decide.commands import MarkCheckpoint
from core.events.codec import canonical
from core.ids import MemoryId
from core.state.memory import Memory
from service.app import moments
from service.rpc.dependencies import Dependencies
from service.rpc.interceptor import Context, current_cause
from service.rpc.messages import page_tokens, requests, responses


class CheckpointCalls:
    """MarkCheckpoint, ListCheckpoints and FindVersion."""

    _parts: Dependencies

    async def MarkCheckpoint(  # noqa: N802
        self, request: history_pb2.MarkCheckpointRequest, context: Context
    ) -> history_pb2.MarkCheckpointResponse:
        memory, name = requests.memory_id(request.memory), request.name
        version = requests.optional_version(request, "version")
        states, caused_by = self._parts.states, current_cause()

        def mark() -> Memory:
            at = states.at(memory, version)  # a memory must be there to be marked

            def command(state: Memory) -> MarkCheckpoint:
                known = state.checkpoints.get(name)
                if version is None and known is not None and known.marked == state.version:
                    # nothing happened since: the call is repeated
                    return MarkCheckpoint(memory=memory, name=name, version=known.version, weights=known.weights)
                named = at if version is not None else state
                return MarkCheckpoint(memory=memory, name=name, version=named.version, weights=named.weights)

            return states.execute(memory, command, caused_by, retries=self._parts.retries)

        state = await asyncio.to_thread(mark)
        return history_pb2.MarkCheckpointResponse(
            checkpoint=responses.checkpoint_message(state.checkpoints[name]), version=state.version
        )

    async def ListCheckpoints(  # noqa: N802
        self, request: history_pb2.ListCheckpointsRequest, context: Context
    ) -> history_pb2.ListCheckpointsResponse:
        memory, size = requests.memory_id(request.memory), requests.page_size(request.page_size)
        at_version, min_version = requests.as_of(request)
        listing = canonical(["checkpoints", memory, at_version, min_version])
        place = page_tokens.decode(request.page_token, listing)
        pinned = place.version if place.version is not None else at_version
        state = await asyncio.to_thread(self._parts.states.at, memory, pinned, min_version)
        start = state.checkpoints[place.after].marked if place.after in state.checkpoints else 0
        page = [one for one in state.checkpoints.values() if one.marked > start]
        more = len(page) > size
        token = page_tokens.encode(listing, after=page[size - 1].name, version=state.version) if more else ""
        return history_pb2.ListCheckpointsResponse(
            checkpoints=[responses.checkpoint_message(one) for one in page[:size]],
            next_page_token=token,
            version=state.version,
        )

    async def FindVersion(  # noqa: N802
        self, request: history_pb2.FindVersionRequest, context: Context
    ) -> history_pb2.FindVersionResponse:
        memory, moment = requests.memory_id(request.memory), requests.moment(request)

        def find() -> tuple[Memory, str]:
            state = self._as_it_was(memory, moment)
            (last,) = self._parts.store.log.read(memory=memory, after_version=state.version - 1, limit=1)
            return state, last.recorded_at

        state, recorded_at = await asyncio.to_thread(find)
        return history_pb2.FindVersionResponse(
            version=state.version, recorded_at=responses.timestamp(recorded_at), weights_digest=state.weights or ""
        )

    def _as_it_was(self, memory: MemoryId, moment: moments.Moment) -> Memory:
        return moments.state_at(self._parts.store.log, self._parts.states, memory, moment)
