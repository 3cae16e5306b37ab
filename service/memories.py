"""The Memories service."""

from __future__ import annotations

import asyncio

from hypnogram.v1 import memories_pb2, memories_pb2_grpc

from core.commands import CreateMemory, DeleteMemory, RebaseMemory
from core.deletion_events import MemoryPurged
from core.errors import InvalidField
from core.ids import MemoryId
from core.memory import Memory
from service import fields, messages, moments, pages, policies
from service.calls import Context, cause
from service.forks import fork
from service.parts import Parts
from store.executors import Execution, Executors


class MemoriesServicer(memories_pb2_grpc.MemoriesServicer):
    """Creates, forks and deletes memories, and says what they are."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._log = parts.store.log
        self._states = parts.states
        self._executors = Executors(parts.store.log.engine)

    async def CreateMemory(  # noqa: N802
        self, request: memories_pb2.CreateMemoryRequest, context: Context
    ) -> memories_pb2.CreateMemoryResponse:
        memory = fields.memory_id(request.memory)
        fields.base_model(request.base)
        overrides = fields.hyperparameters(request.hyperparameters)
        sleep, capacity = policies.given(request.sleep), fields.capacity(request)
        caused_by = cause()

        def create() -> tuple[Memory, str]:
            created = self._parts.models.describe(
                name=request.base.name,
                revision=request.base.revision,
                dtype=request.base.dtype,
                quantization=request.base.quantization,
                overrides=overrides,
                sleep=sleep,
                capacity=capacity,
            )
            state = self._states.carry_out(
                memory, lambda _: CreateMemory(memory=memory, created=created), caused_by, retries=self._parts.retries
            )
            return state, self._created_at(memory, state)

        state, created_at = await asyncio.to_thread(create)
        return memories_pb2.CreateMemoryResponse(
            memory=messages.memory_message(memory, state, created_at), version=state.version
        )

    async def GetMemory(  # noqa: N802
        self, request: memories_pb2.GetMemoryRequest, context: Context
    ) -> memories_pb2.GetMemoryResponse:
        memory = fields.memory_id(request.memory)
        at_version, min_version = fields.as_of(request)

        def find() -> tuple[Memory, str, Execution]:
            state = self._states.at(memory, at_version, min_version)
            return state, self._created_at(memory, state), self._executors.at(memory)

        state, created_at, execution = await asyncio.to_thread(find)
        return memories_pb2.GetMemoryResponse(
            memory=messages.memory_message(memory, state, created_at),
            version=state.version,
            execution=messages.execution_message(execution),
            readiness=memories_pb2.Readiness(
                proven=self._parts.readiness.proven(memory), failure=self._parts.readiness.failure(memory)
            ),
        )

    async def ForkMemory(  # noqa: N802
        self, request: memories_pb2.ForkMemoryRequest, context: Context
    ) -> memories_pb2.ForkMemoryResponse:
        memory, parent = fields.memory_id(request.memory), fields.memory_id(request.parent, "parent")
        moment, caused_by, parts = moments.given(request), cause(), self._parts

        def make() -> tuple[Memory, str]:
            state = fork(parts.store, parts.states, memory, parent, moment, caused_by, parts.retries)
            return state, self._created_at(memory, state)

        state, created_at = await asyncio.to_thread(make)
        return memories_pb2.ForkMemoryResponse(
            memory=messages.memory_message(memory, state, created_at), version=state.version
        )

    async def RebaseMemory(  # noqa: N802
        self, request: memories_pb2.RebaseMemoryRequest, context: Context
    ) -> memories_pb2.RebaseMemoryResponse:
        memory, caused_by = fields.memory_id(request.memory), cause()
        revision = fields.text(request.revision, "revision")
        if not request.name:
            raise InvalidField("name", "is empty; give the folder or the hub id under which the base model is now")
        fields.text(request.name, "name")

        def rebase() -> tuple[Memory, str]:
            created = self._states.at(memory, None).created
            assert created is not None
            name = self._parts.models.moved(created, request.name, revision)
            command = RebaseMemory(memory=memory, name=name, revision=revision)
            state = self._states.carry_out(memory, lambda _: command, caused_by, retries=self._parts.retries)
            return state, self._created_at(memory, state)

        state, created_at = await asyncio.to_thread(rebase)
        return memories_pb2.RebaseMemoryResponse(
            memory=messages.memory_message(memory, state, created_at), version=state.version
        )

    async def DeleteMemory(  # noqa: N802
        self, request: memories_pb2.DeleteMemoryRequest, context: Context
    ) -> memories_pb2.DeleteMemoryResponse:
        memory, caused_by = fields.memory_id(request.memory), cause()
        expected, command = fields.optional_version(request, "expected_version"), DeleteMemory(memory=memory)

        def delete() -> memories_pb2.DeleteMemoryResponse:
            self._states.current(memory)  # a memory must be there to be deleted
            state = self._states.carry_out(memory, lambda _: command, caused_by, expected, self._parts.retries)
            answer = memories_pb2.DeleteMemoryResponse(version=state.deleted, failure=state.failure)
            if state.purged:
                (receipt,) = self._log.read(memory=memory, after_version=state.version - 1, limit=1)
                assert isinstance(receipt.event, MemoryPurged)
                answer.purged, answer.keys, answer.kept = True, receipt.event.keys, receipt.event.kept
            return answer

        return await asyncio.to_thread(delete)

    async def ListMemories(  # noqa: N802
        self, request: memories_pb2.ListMemoriesRequest, context: Context
    ) -> memories_pb2.ListMemoriesResponse:
        size = fields.page_size(request.page_size)
        after = pages.read(request.page_token, "memories").after

        def find() -> tuple[list[memories_pb2.MemorySummary], bool]:
            listed = [there for there in self._log.listed() if there.memory > after and not there.deleted]
            page = [memories_pb2.MemorySummary(memory=there.memory, version=there.version) for there in listed[:size]]
            return page, len(listed) > size

        page, more = await asyncio.to_thread(find)
        token = pages.write("memories", after=page[-1].memory) if more else ""
        return memories_pb2.ListMemoriesResponse(memories=page, next_page_token=token)

    def _created_at(self, memory: MemoryId, state: Memory) -> str:
        """When the memory's own first event was recorded."""
        after = max(state.forked.version if state.forked else 0, state.begun)
        return self._log.read(memory=memory, after_version=after, limit=1)[0].recorded_at
