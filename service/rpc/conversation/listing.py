"""Lists conversations and their turns."""

from __future__ import annotations

import asyncio

from hypnogram.v1 import chat_pb2

from core.decide.conversation import known_conversation
from core.events.conversation import ModelReplied, TurnRead, UserSpoke
from core.ids import MemoryId
from core.state.memory import Memory
from service.rpc.conversation.messages import conversation_message, turn_message
from service.rpc.dependencies import Dependencies
from service.rpc.messages import requests
from service.rpc.messages.page_tokens import paged_state
from store.log.conversations import readings_of, turns_of


class Listing:
    """Lists the conversations of one store."""

    def __init__(self, parts: Dependencies) -> None:
        self._states = parts.states
        self._log = parts.store.log
        self._page_bytes = parts.page_bytes

    async def conversations(self, request: chat_pb2.ListConversationsRequest) -> chat_pb2.ListConversationsResponse:
        memory = requests.memory_id(request.memory)
        paged = await paged_state(self._states, memory, request, "conversations", max_bytes=self._page_bytes)
        names = list(paged.state.conversations)
        left = names[names.index(paged.after) + 1 :] if paged.after in names else names
        page, token = paged.page(
            (conversation_message(paged.state, name) for name in left), lambda message: message.conversation
        )
        return chat_pb2.ListConversationsResponse(
            conversations=page, next_page_token=token, version=paged.state.version
        )

    async def turns(self, request: chat_pb2.ListTurnsRequest) -> chat_pb2.ListTurnsResponse:
        memory, name = requests.memory_id(request.memory), requests.conversation_name(request.conversation)
        paged = await paged_state(self._states, memory, request, "turns", name, max_bytes=self._page_bytes)
        after = int(paged.after) if paged.after.isdecimal() else 0
        turns = await asyncio.to_thread(self._turns, memory, paged.state, name, after, paged.size + 1)
        page, token = paged.page(turns, lambda turn: str(turn.version))
        return chat_pb2.ListTurnsResponse(turns=page, next_page_token=token, version=paged.state.version)

    def _turns(self, memory: MemoryId, state: Memory, name: str, after: int, limit: int) -> list[chat_pb2.Turn]:
        """Returns the turns recorded after version `after`, at most `limit`."""
        known = known_conversation(state, memory, name)
        begin = max(after, known.began - 1)
        events = turns_of(self._log, memory, known.key, begin, state.version, limit)
        readings = {
            recorded.event.turn: recorded
            for recorded in readings_of(self._log, memory, known.key, begin, state.version)
            if isinstance(recorded.event, TurnRead)
        }
        return [
            turn_message(state, recorded, readings.get(recorded.event.turn))
            for recorded in events
            if isinstance(recorded.event, UserSpoke | ModelReplied)
        ]
