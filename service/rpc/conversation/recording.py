"""Records conversations: turns of users, replies, their erasure; and waits for what is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from hypnogram.v1 import chat_pb2

from core.decide.commands import CloseConversation, RecordReply, Say
from core.errors.base import MemoryGone, MemoryUnknown, ParserUnavailable, Refused
from core.events import Cause
from core.events.conversation import TurnRead
from core.ids import ConversationKey, Digest, FactId, MemoryId
from core.remember import Remember, for_turn
from core.state.memory import Memory
from core.state.work import Read
from service.app.erasure import check_not_held
from service.app.ports import Piece
from service.guard.rights import Right
from service.rpc.conversation.messages import conversation_message, remembered_message
from service.rpc.dependencies import Dependencies
from service.rpc.fact_commands import FactCommands
from service.rpc.interceptor import current_caller, current_cause
from service.rpc.messages import requests
from service.rpc.status import ShuttingDown
from store.clock import next_uuid
from store.database.executors import Executors

LOOK_SECONDS = 0.25  # from one look at the executors to the next


@dataclass(frozen=True, slots=True)
class Spoken:
    """A turn of a user as it was recorded; `version` is that of its event."""

    conversation: str
    turn: int
    text: str
    version: int
    remember: Remember
    cause: Cause


class Recorder:
    """Records conversations of one store."""

    def __init__(self, parts: Dependencies) -> None:
        self._parts = parts
        self._states = parts.states
        self._log = parts.store.log
        self._commands = FactCommands(parts)
        self._executors = Executors(parts.store.log.engine)
        self._replies: set[asyncio.Task[None]] = set()
        self._counts: set[asyncio.Task[None]] = set()  # of facts that turns add, once they are read

    async def said(self, memory: MemoryId, request: chat_pb2.ChatRequest) -> Spoken | None:
        """Records the last message of `request`, if its conversation is recorded.

        Raises:
            InvalidField, MemoryUnknown, ConversationGone, ParserUnavailable.
            NotPermitted: the caller may only read the memory.
            TooManyFacts: facts would be learned, and the caller has added as many as it may for now.
        """
        state = await asyncio.to_thread(self._states.at, memory, None)
        asked, past = requests.remember(request.remember), request.HasField("at_version")
        remember = for_turn(asked, state.created.remember if state.created else Remember.OFF, in_the_past=past)
        if remember is Remember.OFF and not request.conversation:
            return None
        caller = current_caller()
        caller.check(Right.WRITE, memory)
        if remember is Remember.ON:
            self._parts.limits.facts.check(caller.client)
        conversation = requests.conversation_name(request.conversation or next_uuid())
        if remember is not Remember.OFF:
            self._parts.parser.check()
        cause, text = current_cause(), request.messages[-1].content
        say = Say(
            memory=memory,
            conversation=conversation,
            key=ConversationKey(FactId(next_uuid())),
            text=text,
            remember=remember,
        )
        state = await self._commands.execute(memory, lambda _: say, "", None)
        spoken = Spoken(conversation, state.conversations[conversation].turns, text, state.version, remember, cause)
        if remember is Remember.ON and self._parts.limits.facts.limited:
            counting = asyncio.create_task(self._count(memory, spoken, caller.client))
            self._counts.add(counting)
            counting.add_done_callback(self._counts.discard)
        return spoken

    async def replied(self, memory: MemoryId, to: Spoken, pieces: Sequence[Piece]) -> None:
        """Records the reply that `pieces` make, also where the call that asks for it is cancelled meanwhile."""
        reply = RecordReply(
            memory=memory,
            conversation=to.conversation,
            to=to.turn,
            text="".join(piece.text for piece in pieces),
            version=pieces[-1].version,
            weights=Digest(pieces[-1].weights),
            complete=pieces[-1].finish is not None,
        )

        async def record() -> None:
            try:
                await asyncio.to_thread(
                    self._states.execute, memory, lambda _: reply, to.cause, retries=self._parts.retries
                )
            except Refused:
                return  # the memory was deleted

        recording = asyncio.create_task(record())
        self._replies.add(recording)
        recording.add_done_callback(self._replies.discard)
        await asyncio.shield(recording)

    async def remembered(self, memory: MemoryId, spoken: Spoken) -> chat_pb2.Remembered | None:
        """Returns what was remembered of a turn once it is read, or what it waits for; None if it never will be."""
        if spoken.remember is Remember.OFF:
            return None

        is_read = partial(_is_read, spoken)
        reading = asyncio.create_task(self._commands.wait_for(memory, spoken.version, is_read))
        hindrance = asyncio.create_task(self._hindrance(memory))
        try:
            await asyncio.wait((reading, hindrance), return_when=asyncio.FIRST_COMPLETED)
            if not reading.done() and not is_read(await asyncio.to_thread(self._states.current, memory)):
                return chat_pb2.Remembered(turn=spoken.turn, waits_for=await hindrance)
            return await asyncio.to_thread(self._found, memory, await reading, spoken)
        except MemoryGone:  # after it was answered
            return None
        finally:
            for task in (reading, hindrance):
                task.cancel()

    async def _hindrance(self, memory: MemoryId) -> chat_pb2.WaitsFor.ValueType:
        """Returns why turns of a memory cannot be read, as soon as that is so."""
        while True:
            execution = await asyncio.to_thread(self._executors.at, memory)
            duty = execution.duty
            if not execution.alive:
                return chat_pb2.WAITS_FOR_EXECUTOR
            if duty is not None and (duty.work, duty.reason) == (Read.name, ParserUnavailable.reason):
                return chat_pb2.WAITS_FOR_PARSER
            await asyncio.sleep(LOOK_SECONDS)

    async def erase(self, request: chat_pb2.EraseConversationRequest) -> chat_pb2.EraseConversationResponse:
        """Closes a conversation, for an executor to erase. Raises MemoryUnknown, ConversationUnknown or FactHeld."""
        memory, name = requests.memory_id(request.memory), requests.conversation_name(request.conversation)
        may_read = partial(current_caller().may, Right.READ)

        def command(state: Memory) -> CloseConversation:
            if state.created is None:
                raise MemoryUnknown(memory)
            for fact in _learned_from(state, name) if request.facts else ():
                check_not_held(self._log, self._states, memory, fact, may_read)
            return CloseConversation(memory=memory, conversation=name, facts=request.facts)

        before = await asyncio.to_thread(self._states.current, memory)
        state = await self._commands.execute(memory, command, "", None)
        facts = _learned_from(before, name) if request.facts else []
        if request.wait:
            state = await self._commands.wait_for(memory, state.version, lambda now: name not in now.closing)
        return chat_pb2.EraseConversationResponse(
            conversation=conversation_message(state, name), facts=facts, version=state.version
        )

    async def finish(self) -> None:
        """Waits for the replies that are being recorded."""
        for counting in self._counts:
            counting.cancel()
        await asyncio.gather(*self._replies, *self._counts, return_exceptions=True)

    async def _count(self, memory: MemoryId, spoken: Spoken, client: str) -> None:
        """Counts the facts that a turn adds, once an executor has read it, whether its caller still waits or not."""
        try:
            state = await self._commands.wait_for(memory, spoken.version, partial(_is_read, spoken))
            reading = await asyncio.to_thread(self._reading, memory, state, spoken)
        except (Refused, ShuttingDown):
            return  # the memory was deleted, or the server stops
        if reading is not None:
            self._parts.limits.facts.add(client, len(reading[0].facts))

    def _found(self, memory: MemoryId, state: Memory, spoken: Spoken) -> chat_pb2.Remembered | None:
        reading = self._reading(memory, state, spoken)
        return None if reading is None else remembered_message(state, reading[0], spoken.text, reading[1])

    def _reading(self, memory: MemoryId, state: Memory, spoken: Spoken) -> tuple[TurnRead, int] | None:
        """Returns what was read in a turn, and its version; None where the conversation was erased meanwhile."""
        for recorded in self._log.iterate(memory, after_version=spoken.version, until_version=state.version):
            match recorded.event:
                case TurnRead(conversation=spoken.conversation, turn=spoken.turn) as read:
                    return read, recorded.version
                case _:
                    pass
        return None


def _is_read(spoken: Spoken, state: Memory) -> bool:
    return all((turn.conversation, turn.turn) != (spoken.conversation, spoken.turn) for turn in state.unread)


def _learned_from(state: Memory, conversation: str) -> list[FactId]:
    return [
        fact for fact, known in state.facts.items() if known.source.conversation == conversation and not known.erased
    ]
