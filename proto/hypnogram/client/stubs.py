"""The generated stubs of every service that a server offers, on one channel."""

from __future__ import annotations

from typing import Any

from google.longrunning import operations_pb2_grpc
from grpc_health.v1 import health_pb2_grpc
from hypnogram.v1 import chat_pb2_grpc, facts_pb2_grpc, history_pb2_grpc, memories_pb2_grpc, sleep_pb2_grpc


class Stubs:
    """Typed as for a blocking channel; on a channel of `grpc.aio` the same calls return awaitables."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.memories: memories_pb2_grpc.MemoriesStub = memories_pb2_grpc.MemoriesStub(channel)
        self.facts: facts_pb2_grpc.FactsStub = facts_pb2_grpc.FactsStub(channel)
        self.sleep: sleep_pb2_grpc.SleepStub = sleep_pb2_grpc.SleepStub(channel)
        self.history: history_pb2_grpc.HistoryStub = history_pb2_grpc.HistoryStub(channel)
        self.chat: chat_pb2_grpc.ChatStub = chat_pb2_grpc.ChatStub(channel)
        self.operations = operations_pb2_grpc.OperationsStub(channel)  # type: ignore[no-untyped-call]
        self.health = health_pb2_grpc.HealthStub(channel)
