"""`Client` for threads and `AsyncClient` for asyncio: the same calls, written once in `calls/`."""

from __future__ import annotations

from typing import Self, TypeVar

from grpc import ChannelCredentials

from hypnogram.client import calls
from hypnogram.client.connections import MAX_MESSAGE_BYTES, Access, Asyncio, Blocking
from hypnogram.client.methods import Caller, Items, Method
from hypnogram.client.stubs import Stubs

C = TypeVar("C", bound=Blocking | Asyncio)


class Calls(Caller[C]):
    """Every call of `hypnogram.v1`: pages and streams unrolled, operations waited for.

    Every method may raise CallFailed. `timeout` is in seconds, None for no limit.
    """

    create_memory = Method(calls.memories.create_memory)
    memory = Method(calls.memories.memory)
    memories = Items(calls.memories.memories)
    rebase_memory = Method(calls.memories.rebase_memory)
    delete_memory = Method(calls.memories.delete_memory)
    fork = Method(calls.memories.fork)

    add_facts = Method(calls.facts.add_facts)
    tell_text = Method(calls.facts.tell_text)
    supersede_fact = Method(calls.facts.supersede_fact)
    retract_fact = Method(calls.facts.retract_fact)
    retry_fact = Method(calls.facts.retry_fact)
    fact = Method(calls.facts.fact)
    facts = Items(calls.facts.facts)
    lineage = Method(calls.facts.lineage)

    chat = Items(calls.chat.chat)
    complete = Items(calls.chat.complete)
    conversations = Items(calls.chat.conversations)
    turns = Items(calls.chat.turns)
    erase_conversation = Method(calls.chat.erase_conversation)

    sleep = Method(calls.sleep.sleep)
    nap = Method(calls.sleep.nap)
    begin_sleep = Method(calls.sleep.begin_sleep)
    begin_nap = Method(calls.sleep.begin_nap)
    watch_sleep = Items(calls.sleep.watch_sleep)
    watched = Method(calls.sleep.watched)
    sleep_report = Method(calls.sleep.sleep_report)
    sleeps = Items(calls.sleep.sleeps)
    cancel_sleep = Method(calls.sleep.cancel_sleep)

    events = Items(calls.history.events)
    watch = Items(calls.history.watch)
    mark = Method(calls.history.mark)
    checkpoints = Items(calls.history.checkpoints)
    find_version = Method(calls.history.find_version)
    replay = Method(calls.history.replay)
    diff = Method(calls.history.diff)
    compact = Method(calls.history.compact)
    verify_log = Method(calls.history.verify_log)

    call = Method(calls.requests.call)
    stream = Items(calls.requests.stream)

    serving = Method(calls.health.serving)
    up = Method(calls.health.up)

    def __init__(self, address: str, connection: C) -> None:
        super().__init__(connection)
        self.address = address

    @property
    def stubs(self) -> Stubs:
        """The generated stubs, for `call` and `stream`; called directly they raise grpc.RpcError."""
        return self._connection.stubs


class Client(Calls[Blocking]):
    """A connection to a server, open until it is closed or left as a context."""

    def __init__(
        self,
        address: str,
        *,
        actor: str = "client",
        token: str = "",
        credentials: ChannelCredentials | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        super().__init__(address, Blocking(address, Access(actor, token, credentials, max_message_bytes)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.channel.close()


class AsyncClient(Calls[Asyncio]):
    """A connection to a server for one event loop, to be made while it runs; open until it is closed or left."""

    def __init__(
        self,
        address: str,
        *,
        actor: str = "client",
        token: str = "",
        credentials: ChannelCredentials | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        super().__init__(address, Asyncio(address, Access(actor, token, credentials, max_message_bytes)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._connection.channel.close()
