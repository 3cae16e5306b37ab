"""The calls of the Sleep service, for people who write Python; a part of `hypnogram.client.client.Client`."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

from google.longrunning import operations_pb2, operations_pb2_grpc
from hypnogram.v1 import memories_pb2, sleep_pb2, sleep_pb2_grpc

from hypnogram.client.connection import Connection, unpacked

News = sleep_pb2.WatchSleepResponse


class SleepCalls(Connection):
    """Lets memories sleep. Every method may raise CallFailed; `timeout` is in seconds, None for no limit."""

    def __init__(self, address: str, *, actor: str = "client", max_message_bytes: int = 64 * 1024 * 1024) -> None:
        super().__init__(address, actor=actor, max_message_bytes=max_message_bytes)
        self.sleep_stub = sleep_pb2_grpc.SleepStub(self.channel)
        self.operations_stub = operations_pb2_grpc.OperationsStub(self.channel)  # type: ignore[no-untyped-call]

    def sleep(
        self,
        memory: str,
        policy: memories_pb2.SleepPolicy | None = None,
        *,
        seed: int | None = None,
        request_id: str = "",
        news: Callable[[News], None] = lambda _: None,
    ) -> sleep_pb2.SleepReport:
        """Begins a sleep and waits for its end; a wait that is given up leaves it to go on."""
        return self.watched(memory, self.begin_sleep(memory, policy, seed=seed, request_id=request_id), news)

    def nap(
        self,
        memory: str,
        policy: memories_pb2.SleepPolicy | None = None,
        *,
        seed: int | None = None,
        request_id: str = "",
        news: Callable[[News], None] = lambda _: None,
    ) -> sleep_pb2.SleepReport:
        """Begins a nap and waits for its end."""
        return self.watched(memory, self.begin_nap(memory, policy, seed=seed, request_id=request_id), news)

    def begin_sleep(
        self,
        memory: str,
        policy: memories_pb2.SleepPolicy | None = None,
        *,
        seed: int | None = None,
        request_id: str = "",
        timeout: float | None = 60,
    ) -> str:
        """The id of the sleep. A `request_id` is made up when none is given."""
        request = sleep_pb2.SleepRequest(
            memory=memory, request_id=request_id or str(uuid.uuid4()), seed=seed, policy=policy
        )
        return _sleep_of(self._call(self.sleep_stub.Sleep, request, timeout))

    def begin_nap(
        self,
        memory: str,
        policy: memories_pb2.SleepPolicy | None = None,
        *,
        seed: int | None = None,
        request_id: str = "",
        timeout: float | None = 60,
    ) -> str:
        """The id of the nap. A `request_id` is made up when none is given."""
        request = sleep_pb2.NapRequest(
            memory=memory, request_id=request_id or str(uuid.uuid4()), seed=seed, policy=policy
        )
        return _sleep_of(self._call(self.sleep_stub.Nap, request, timeout))

    def watch_sleep(self, memory: str, sleep: str = "", timeout: float | None = None) -> Iterator[News]:
        """What happened in a sleep, then what happens; the last one until it has ended."""
        request = sleep_pb2.WatchSleepRequest(memory=memory, sleep=sleep)
        return self._stream(self.sleep_stub.WatchSleep, request, timeout)

    def watched(
        self, memory: str, sleep: str = "", news: Callable[[News], None] = lambda _: None
    ) -> sleep_pb2.SleepReport:
        """Waits until a sleep, by default the last one, has ended."""
        report = sleep_pb2.SleepReport()
        for one in self.watch_sleep(memory, sleep):
            news(one)
            if one.HasField("ended"):
                report = one.ended
        return report

    def sleep_report(
        self, memory: str, sleep: str = "", at_version: int | None = None, timeout: float | None = 60
    ) -> sleep_pb2.GetSleepResponse:
        """What a sleep, by default the last one, did so far or until its end."""
        request = sleep_pb2.GetSleepRequest(memory=memory, sleep=sleep, at_version=at_version)
        return self._call(self.sleep_stub.GetSleep, request, timeout)

    def sleeps(
        self, memory: str, at_version: int | None = None, timeout: float | None = 60
    ) -> Iterator[sleep_pb2.SleepSummary]:
        request = sleep_pb2.ListSleepsRequest(memory=memory, at_version=at_version)
        while True:
            page = self._call(self.sleep_stub.ListSleeps, request, timeout)
            yield from page.sleeps
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def cancel_sleep(self, memory: str, sleep: str, timeout: float | None = 60) -> sleep_pb2.CancelSleepResponse:
        request = sleep_pb2.CancelSleepRequest(memory=memory, sleep=sleep)
        return self._call(self.sleep_stub.CancelSleep, request, timeout)


def _sleep_of(operation: operations_pb2.Operation) -> str:
    return unpacked(operation.metadata, sleep_pb2.SleepMetadata()).sleep
