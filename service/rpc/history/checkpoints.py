"""MarkCheckpoint, ListCheckpoints and FindVersion: names for versions, and which version a moment is."""

from __future__ import annotations

import asyncio

from hypnogram.v1 import history_pb2

from core.decide.commands import MarkCheckpoint
from core.state.memory import Memory
from service.app.moments import state_at
from service.rpc.dependencies import Dependencies
from service.rpc.interceptor import current_cause
from service.rpc.messages import requests, responses
from service.rpc.messages.page_tokens import paged_state


async def mark_checkpoint(
    parts: Dependencies, request: history_pb2.MarkCheckpointRequest
) -> history_pb2.MarkCheckpointResponse:
    memory, name = requests.memory_id(request.memory), request.name
    version = requests.optional_version(request, "version")
    caused_by = current_cause()

    def mark() -> Memory:
        at = parts.states.at(memory, version)  # raises MemoryUnknown before a command could create the stream

        def command(state: Memory) -> MarkCheckpoint:
            known = state.checkpoints.get(name)
            if version is None and known is not None and known.marked == state.version:
                # nothing happened since, so this is a repeated call
                return MarkCheckpoint(memory=memory, name=name, version=known.version, weights=known.weights)
            named = at if version is not None else state
            return MarkCheckpoint(memory=memory, name=name, version=named.version, weights=named.weights)

        return parts.states.execute(memory, command, caused_by, retries=parts.retries)

    state = await asyncio.to_thread(mark)
    return history_pb2.MarkCheckpointResponse(
        checkpoint=responses.checkpoint_message(state.checkpoints[name]), version=state.version
    )


async def list_checkpoints(
    parts: Dependencies, request: history_pb2.ListCheckpointsRequest
) -> history_pb2.ListCheckpointsResponse:
    memory = requests.memory_id(request.memory)
    paged = await paged_state(parts.states, memory, request, "checkpoints", max_bytes=parts.page_bytes)
    checkpoints = paged.state.checkpoints
    start = checkpoints[paged.after].marked if paged.after in checkpoints else 0
    rest = (responses.checkpoint_message(mark) for mark in checkpoints.values() if mark.marked > start)
    page, next_token = paged.page(rest, key=lambda checkpoint: checkpoint.name)
    return history_pb2.ListCheckpointsResponse(
        checkpoints=page, next_page_token=next_token, version=paged.state.version
    )


async def find_version(parts: Dependencies, request: history_pb2.FindVersionRequest) -> history_pb2.FindVersionResponse:
    memory, moment = requests.memory_id(request.memory), requests.moment(request)

    def find() -> tuple[Memory, str]:
        state = state_at(parts.store.log, parts.states, memory, moment)
        (last,) = parts.store.log.read(memory=memory, after_version=state.version - 1, limit=1)
        return state, last.recorded_at

    state, recorded_at = await asyncio.to_thread(find)
    return history_pb2.FindVersionResponse(
        version=state.version, recorded_at=responses.timestamp(recorded_at), weights_digest=state.weights or ""
    )
