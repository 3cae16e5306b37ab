"""The calls of History, one method each, pages and streams unrolled, operations waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from google.longrunning import operations_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from hypnogram.v1 import history_pb2, history_pb2_grpc

from hypnogram.client import moments
from hypnogram.client.connection import failure_of, unpacked
from hypnogram.client.moments import Moment
from hypnogram.client.sleep import SleepCalls

WAIT_SECONDS = 1  # per question how far an operation is

M = TypeVar("M", bound=Message)
R = TypeVar("R", bound=Message)


class HistoryCalls(SleepCalls):
    """Reads, names, rebuilds and compares what was. Every method may raise CallFailed.

    `at` is a version, the name of a checkpoint, a time, or None for now. `timeout` is in seconds, None for no limit.
    """

    def __init__(self, address: str, *, actor: str = "client", max_message_bytes: int = 64 * 1024 * 1024) -> None:
        super().__init__(address, actor=actor, max_message_bytes=max_message_bytes)
        self.history_stub = history_pb2_grpc.HistoryStub(self.channel)

    def events(
        self, memory: str, after_version: int = 0, until_version: int | None = None, timeout: float | None = None
    ) -> Iterator[history_pb2.Event]:
        request = history_pb2.ReadEventsRequest(
            memory=memory, after_version=after_version, until_version=until_version, page_size=1000
        )
        for page in self._stream(self.history_stub.ReadEvents, request, timeout):
            yield from page.events

    def watch(
        self, memory: str, after_version: int = 0, timeout: float | None = None
    ) -> Iterator[history_pb2.WatchResponse]:
        request = history_pb2.WatchRequest(memory=memory, after_version=after_version)
        return self._stream(self.history_stub.Watch, request, timeout)

    def mark(
        self, memory: str, name: str, version: int | None = None, timeout: float | None = 60
    ) -> history_pb2.MarkCheckpointResponse:
        request = history_pb2.MarkCheckpointRequest(memory=memory, name=name, version=version)
        return self._call(self.history_stub.MarkCheckpoint, request, timeout)

    def checkpoints(
        self, memory: str, at_version: int | None = None, timeout: float | None = 60
    ) -> Iterator[history_pb2.Checkpoint]:
        request = history_pb2.ListCheckpointsRequest(memory=memory, at_version=at_version)
        while True:
            page = self._call(self.history_stub.ListCheckpoints, request, timeout)
            yield from page.checkpoints
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def find_version(
        self, memory: str, at: Moment = None, timeout: float | None = 60
    ) -> history_pb2.FindVersionResponse:
        request = history_pb2.FindVersionRequest(memory=memory, **moments.at(at))
        return self._call(self.history_stub.FindVersion, request, timeout)

    def replay(
        self,
        memory: str,
        at: Moment = None,
        progress: Callable[[history_pb2.ReplayMetadata], None] = lambda _: None,
        *,
        restore_as: str = "",
    ) -> history_pb2.ReplayResponse:
        """Starts a replay on the server and waits for its end; a wait that is given up cancels it."""
        request = history_pb2.ReplayRequest(memory=memory, restore_as=restore_as, **moments.at(at))
        operation = self._call(self.history_stub.Replay, request, 60)
        return self._finished(operation, history_pb2.ReplayMetadata, progress, history_pb2.ReplayResponse())

    def diff(
        self,
        one: tuple[str, Moment],
        other: tuple[str, Moment],
        *,
        ask: bool = False,
        timeout: float | None = 600,
    ) -> history_pb2.DiffResponse:
        """What sets two versions apart; each is a memory, and when."""
        before, after = (history_pb2.Side(memory=name, **moments.at(at)) for name, at in (one, other))
        request = history_pb2.DiffRequest(**{"from": before}, to=after, ask=ask)
        return self._call(self.history_stub.Diff, request, timeout)

    def compact(self, memory: str, bound: float = 0.0, timeout: float | None = 600) -> history_pb2.CompactResponse:
        """`bound` 0 is the server's default."""
        return self._call(self.history_stub.Compact, history_pb2.CompactRequest(memory=memory, bound=bound), timeout)

    def verify_log(
        self,
        progress: Callable[[history_pb2.VerifyLogMetadata], None] = lambda _: None,
        *,
        skip_weights: bool = False,
    ) -> history_pb2.VerifyLogResponse:
        """Starts a verification on the server and waits for its end; a wait that is given up cancels it."""
        request = history_pb2.VerifyLogRequest(skip_weights=skip_weights)
        operation = self._call(self.history_stub.VerifyLog, request, 60)
        return self._finished(operation, history_pb2.VerifyLogMetadata, progress, history_pb2.VerifyLogResponse())

    def _finished(
        self, operation: operations_pb2.Operation, metadata: type[M], progress: Callable[[M], None], response: R
    ) -> R:
        """The response of `operation`, once it has ended."""
        wait = operations_pb2.WaitOperationRequest(name=operation.name, timeout=Duration(seconds=WAIT_SECONDS))
        try:
            while not operation.done:
                progress(unpacked(operation.metadata, metadata()))
                operation = self._call(self.operations_stub.WaitOperation, wait, 60)
        except BaseException:
            self.operations_stub.CancelOperation(operations_pb2.CancelOperationRequest(name=operation.name), timeout=5)
            raise
        if operation.HasField("error"):
            raise failure_of(operation.error)
        return unpacked(operation.response, response)
