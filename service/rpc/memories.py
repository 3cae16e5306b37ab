"""The Memories service."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hypnogram.v1 import memories_pb2, memories_pb2_grpc

from core.decide.commands import CreateMemory, DeleteMemory, RebaseMemory
from core.errors.base import InvalidField
from core.events.deletion import MemoryPurged
from core.ids import MemoryId
from core.method import Method, checked_method
from core.remember import Remember, checked_days, checked_remember
from core.state.memory import Memory
from service.app.forks import fork
from service.app.progress import ProgressBoard
from service.guard.rights import Right
from service.guard.withheld import shown_text
from service.rpc.dependencies import Dependencies
from service.rpc.interceptor import Context, current_caller, current_cause
from service.rpc.messages import page_tokens, policy, requests, responses
from store.database.executors import Execution, Executors


class MemoriesServicer(memories_pb2_grpc.MemoriesServicer):
    """Creates, forks, rebases, deletes and lists memories."""

    def __init__(self, parts: Dependencies, board: ProgressBoard) -> None:
        self._parts = parts
        self._board = board
        self._log = parts.store.log
        self._states = parts.states
        self._executors = Executors(parts.store.log.engine)

    async def CreateMemory(  # noqa: N802
        self, request: memories_pb2.CreateMemoryRequest, context: Context
    ) -> memories_pb2.CreateMemoryResponse:
        memory = requests.memory_id(request.memory)
        requests.base_model(request.base)
        overrides = requests.hyperparameters(request.hyperparameters)
        sleep, capacity = policy.given(request.sleep), requests.capacity(request)
        method = checked_method(request.method) if request.method else None
        remember = checked_remember(request.remember or Remember.OFF)
        keep = checked_days(request.keep_texts_days)
        caused_by = current_cause()

        def create() -> tuple[Memory, str]:
            created = self._parts.models.describe(
                name=request.base.name,
                revision=request.base.revision,
                dtype=request.base.dtype,
                quantization=request.base.quantization,
                overrides=overrides,
                sleep=sleep,
                capacity=capacity,
                method=method,
            )
            if request.about_user and created.method is not Method.NEURON:
                why = f"is set, and the method is {created.method!r}; only 'neuron' learns about the user"
                raise InvalidField("about_user", why)
            created = replace(created, remember=remember, keep_texts=keep, about_user=request.about_user)
            state = self._states.execute(
                memory, lambda _: CreateMemory(memory=memory, created=created), caused_by, retries=self._parts.retries
            )
            return state, self._created_at(memory, state)

        state, created_at = await asyncio.to_thread(create)
        return memories_pb2.CreateMemoryResponse(
            memory=responses.memory_message(memory, state, created_at, current_caller()), version=state.version
        )

    async def GetMemory(  # noqa: N802
        self, request: memories_pb2.GetMemoryRequest, context: Context
    ) -> memories_pb2.GetMemoryResponse:
        memory = requests.memory_id(request.memory)
        at_version, min_version = requests.as_of(request)
        caller = current_caller()
        self._parts.readiness.ask(memory)

        def find() -> tuple[Memory, str, Execution]:
            state = self._states.at(memory, at_version, min_version)
            return state, self._created_at(memory, state), self._executors.at(memory)

        state, created_at, execution = await asyncio.to_thread(find)
        return memories_pb2.GetMemoryResponse(
            memory=responses.memory_message(memory, state, created_at, caller),
            version=state.version,
            execution=responses.execution_message(execution, self._board.read(memory), caller),
            readiness=memories_pb2.Readiness(
                proven=self._parts.readiness.proven(memory),
                failure=shown_text(caller, self._parts.readiness.failure(memory)),
            ),
        )

    async def ForkMemory(  # noqa: N802
        self, request: memories_pb2.ForkMemoryRequest, context: Context
    ) -> memories_pb2.ForkMemoryResponse:
        memory, parent = requests.memory_id(request.memory), requests.memory_id(request.parent, "parent")
        moment, caused_by, parts = requests.moment(request), current_cause(), self._parts

        def make() -> tuple[Memory, str]:
            state = fork(parts.store, parts.states, memory, parent, moment, caused_by, parts.retries)
            return state, self._created_at(memory, state)

        state, created_at = await asyncio.to_thread(make)
        return memories_pb2.ForkMemoryResponse(
            memory=responses.memory_message(memory, state, created_at, current_caller()), version=state.version
        )

    async def RebaseMemory(  # noqa: N802
        self, request: memories_pb2.RebaseMemoryRequest, context: Context
    ) -> memories_pb2.RebaseMemoryResponse:
        memory, caused_by = requests.memory_id(request.memory), current_cause()
        revision = requests.text(request.revision, "revision")
        if not request.name:
            raise InvalidField("name", "is empty; give the folder or the Hugging Face id where the base model is now")
        requests.text(request.name, "name")

        def rebase() -> tuple[Memory, str]:
            created = self._states.at(memory, None).created
            assert created is not None
            name = self._parts.models.moved(created, request.name, revision)
            command = RebaseMemory(memory=memory, name=name, revision=revision)
            state = self._states.execute(memory, lambda _: command, caused_by, retries=self._parts.retries)
            return state, self._created_at(memory, state)

        state, created_at = await asyncio.to_thread(rebase)
        return memories_pb2.RebaseMemoryResponse(
            memory=responses.memory_message(memory, state, created_at, current_caller()), version=state.version
        )

    async def DeleteMemory(  # noqa: N802
        self, request: memories_pb2.DeleteMemoryRequest, context: Context
    ) -> memories_pb2.DeleteMemoryResponse:
        memory, caused_by = requests.memory_id(request.memory), current_cause()
        expected, command = requests.optional_version(request, "expected_version"), DeleteMemory(memory=memory)

        def delete() -> memories_pb2.DeleteMemoryResponse:
            self._states.current(memory)  # raises MemoryUnknown
            state = self._states.execute(memory, lambda _: command, caused_by, expected, self._parts.retries)
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
        size = requests.page_size(request.page_size)
        after, caller = page_tokens.decode(request.page_token, "memories").after, current_caller()

        def find() -> tuple[list[memories_pb2.MemorySummary], bool]:
            listed = [
                memory
                for memory in self._log.listed()
                if memory.memory > after and not memory.deleted and caller.may(Right.READ, memory.memory)
            ]
            page = [
                memories_pb2.MemorySummary(memory=memory.memory, version=memory.version) for memory in listed[:size]
            ]
            return page, len(listed) > size

        page, is_cut = await asyncio.to_thread(find)
        token = page_tokens.encode("memories", after=page[-1].memory) if is_cut else ""
        return memories_pb2.ListMemoriesResponse(memories=page, next_page_token=token)

    def _created_at(self, memory: MemoryId, state: Memory) -> str:
        """Returns the time of the first event that is the memory's own, not its parent's."""
        after = max(state.forked.version if state.forked else 0, state.begun)
        return self._log.read(memory=memory, after_version=after, limit=1)[0].recorded_at
