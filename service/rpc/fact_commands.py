"""Executes commands about facts for servicers, and waits for their effect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from core.decide.commands import Command
from core.decide.idempotency import facts_of
from core.ids import FactId, MemoryId
from core.state.memory import Memory, Status
from service.app.repository import check_not_gone
from service.rpc.dependencies import Dependencies
from service.rpc.interceptor import current_cause


class FactCommands:
    """Commands on the memories of one store."""

    def __init__(self, parts: Dependencies) -> None:
        self._states = parts.states
        self._tail = parts.tail
        self._retries = parts.retries

    async def execute(
        self, memory: MemoryId, command: Callable[[Memory], Command], request_id: str, expected: int | None
    ) -> Memory:
        """Returns the state after `command`, which is decided again where another append came first."""
        return await asyncio.to_thread(
            self._states.execute, memory, command, current_cause(request_id), expected, self._retries
        )

    async def wait_for(self, memory: MemoryId, since: int, condition: Callable[[Memory], bool]) -> Memory:
        """Returns the first state for which `condition` is true; the caller's deadline bounds the wait.

        Args:
            since: a version of the memory that is waited for, because a new one may get its name.

        Raises:
            MemoryGone: the memory is deleted meanwhile.
            ShuttingDown: the server stops before that.
        """
        while True:
            position = self._tail.position
            state = await asyncio.to_thread(self._states.current, memory)
            check_not_gone(state, since)
            if condition(state):
                return state
            await self._tail.wait_past(position)

    def accepted(self, memory: MemoryId, state: Memory, request_id: str) -> Memory:
        """Returns the state right after the request was accepted, without words that have been erased since."""
        earlier = state.requests[request_id]
        if earlier.repeated:
            return state
        version = state.facts[earlier.facts[-1]].added
        return state if version == state.version else self._states.at(memory, version)

    def facts_of_request(
        self, memory: MemoryId, state: Memory, request_id: str, keys: Sequence[tuple[str, str]]
    ) -> list[FactId]:
        """Returns the facts that the request named when it was first executed, added by it or known before."""
        repeated = state.requests[request_id].repeated
        return list(repeated) or facts_of(self.accepted(memory, state, request_id), request_id, keys)


def is_pending(state: Memory, fact: FactId) -> bool:
    return state.facts[fact].status is Status.PENDING
