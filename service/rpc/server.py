"""Builds the gRPC server from its parts, runs it, and stops it in order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass

import structlog
from google.longrunning import operations_pb2, operations_pb2_grpc
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from hypnogram.v1 import (
    chat_pb2,
    chat_pb2_grpc,
    facts_pb2,
    facts_pb2_grpc,
    history_pb2,
    history_pb2_grpc,
    memories_pb2,
    memories_pb2_grpc,
    sleep_pb2,
    sleep_pb2_grpc,
)

from core.errors.base import InvalidField
from service.app.ports import Executor, ModelHost
from service.app.progress import ProgressBoard
from service.app.repository import MemoryRepository
from service.app.store import Store
from service.app.supervision import run_on
from service.guard.connections import room_for
from service.guard.door import Door
from service.guard.limits import Limits
from service.parsing.spacy_parser import shared_parser
from service.rpc import executor_health, tls
from service.rpc.address import warn_of_public
from service.rpc.conversation.servicer import ChatServicer
from service.rpc.dependencies import Dependencies
from service.rpc.facts import FactsServicer
from service.rpc.health import Readiness
from service.rpc.history.servicer import HistoryServicer
from service.rpc.interceptor import CallInterceptor
from service.rpc.log_tail import LogTail
from service.rpc.memories import MemoriesServicer
from service.rpc.operations import Operations
from service.rpc.sleep.feed import SleepFeed
from service.rpc.sleep.servicer import SleepServicer
from service.settings import Settings
from store.database.executors import Executors
from store.database.tokens import Tokens

STORE_THREADS = 32  # calls that wait for the database at the same time
SERVICES = tuple(
    module.DESCRIPTOR.services_by_name[name].full_name
    for module, name in (
        (memories_pb2, "Memories"),
        (facts_pb2, "Facts"),
        (sleep_pb2, "Sleep"),
        (history_pb2, "History"),
        (chat_pb2, "Chat"),
        (operations_pb2, "Operations"),
    )
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: its address, and what other ports of its process call.

    Attributes:
        port: the actual one where the settings ask for a free port.
        connections: that each port of the process may hold.
        servicers: by the full name of their service.
    """

    host: str
    port: int
    parts: Dependencies
    chat: ChatServicer
    door: Door
    servicers: Mapping[str, object]
    connections: int

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@asynccontextmanager
async def serving(
    settings: Settings, store: Store, models: ModelHost, board: ProgressBoard | None = None
) -> AsyncIterator[Served]:
    """Runs a server for `store` while the block lasts; at its end calls get `settings.stop_seconds` to finish.

    Args:
        board: progress of the executor in this process, if there is one.

    Raises:
        InvalidField: the address cannot be listened on, or is public without `settings.insecure_host`.
    """
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(STORE_THREADS, thread_name_prefix="store"))
    states, tail = MemoryRepository(store.log, store.snapshots), LogTail(store.log)
    operations = Operations(settings.max_operations)
    readiness = Readiness(store.log, states, tail, models, SERVICES)
    page_bytes = settings.max_message_bytes // 2
    limits = Limits(settings.client_requests, settings.client_streams, settings.client_bytes, settings.client_facts)
    parts = Dependencies(
        store,
        states,
        tail,
        models,
        operations,
        readiness,
        settings.conflict_retries,
        page_bytes,
        shared_parser(),
        limits,
    )
    chat = ChatServicer(parts, settings.max_streams)
    board = board or ProgressBoard()
    feed = SleepFeed(store.log, states, tail, board)

    tokens = Tokens(store.log.engine)
    door = Door(tokens, limits, required=settings.require_tokens)
    guarded = settings.require_tokens or await asyncio.to_thread(tokens.any)
    connections = room_for(settings.max_connections, ports=2 if settings.http else 1)
    server = aio.server(interceptors=[CallInterceptor(door)], options=_options(settings, connections))
    memories, facts, sleep = MemoriesServicer(parts, board), FactsServicer(parts), SleepServicer(parts, feed)
    history = HistoryServicer(parts)
    memories_pb2_grpc.add_MemoriesServicer_to_server(memories, server)
    facts_pb2_grpc.add_FactsServicer_to_server(facts, server)
    sleep_pb2_grpc.add_SleepServicer_to_server(sleep, server)
    history_pb2_grpc.add_HistoryServicer_to_server(history, server)
    chat_pb2_grpc.add_ChatServicer_to_server(chat, server)
    operations_pb2_grpc.add_OperationsServicer_to_server(operations, server)  # type: ignore[no-untyped-call]
    health_pb2_grpc.add_HealthServicer_to_server(readiness.servicer, server)
    health = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
    reflection.enable_server_reflection((*SERVICES, health, reflection.SERVICE_NAME), server)
    servicers = dict(zip(SERVICES, (memories, facts, sleep, history, chat, operations), strict=True))
    served = Served(settings.host, _listen(server, settings, guarded), parts, chat, door, servicers, connections)

    tail.start()
    await readiness.begin()
    await server.start()
    watching = asyncio.gather(readiness.watch(), executor_health.watch(Executors(store.log.engine), readiness.servicer))
    log.info("server.started", address=served.address)
    try:
        yield served
    finally:
        log.info("server.stopping", address=served.address)
        door.closing = True
        await tail.stop()
        await operations.stop()
        await server.stop(settings.stop_seconds)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await chat.close()
        log.info("server.stopped", address=served.address)


async def serve(
    settings: Settings,
    store: Store,
    models: ModelHost,
    *,
    executor: Executor | None,
    board: ProgressBoard,
    stop: asyncio.Event,
    beside: Callable[[Served], AbstractAsyncContextManager[str]] = lambda _: nullcontext(""),
    up: Callable[[list[str]], None],
) -> None:
    """Serves until `stop` is set, with `executor` in a thread of its own.

    Args:
        beside: opens another port of the process for the time of its block, and says its URL; empty where none is.
        up: called with the addresses once the server listens on all of them.
    """
    async with serving(settings, store, models, board) as served, beside(served) as url:
        stop_executor = threading.Event()
        if executor is not None:
            thread = threading.Thread(target=run_on, args=(executor, stop_executor), name="executor", daemon=True)
            thread.start()
        up([served.address, *([url] if url else [])])
        await stop.wait()
        stop_executor.set()
    if executor is not None:
        await asyncio.to_thread(thread.join, settings.stop_seconds)  # unfinished work is owed again after a restart


def _listen(server: aio.Server, settings: Settings, guarded: bool) -> int:
    """Opens the port and returns it; the certificates say whether it speaks TLS."""
    warn_of_public(settings, "host", settings.host, guarded)
    credentials = tls.server_credentials(settings)
    try:
        if credentials is None:
            port = server.add_insecure_port(settings.address)
        else:
            port = server.add_secure_port(settings.address, credentials)
    except RuntimeError:
        port = 0
    if not port:
        raise InvalidField(
            "port", f"{settings.address} cannot be listened on; is a server running there already? Choose another port"
        )
    return port


def _options(settings: Settings, connections: int) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.max_allowed_incoming_connections", connections),  # further ones are closed at once
        ("grpc.server_handshake_timeout_ms", max(int(settings.request_seconds * 1000), 1)),  # of TLS and of HTTP/2
        ("grpc.so_reuseport", 0),  # because two servers on one port would share its calls
        ("grpc.keepalive_time_ms", 30_000),  # detects that a watcher is gone
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ]
