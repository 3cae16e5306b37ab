"""A channel to a server: calls with their metadata, and failures as what the server said about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hypnogram.client.errors import CallFailed

DETAILS_KEY = "grpc-status-details-bin"

T = TypeVar("T")


class Connection:
    """Open until it is closed, or left as a context."""

    def __init__(self, address: str, *, actor: str = "client", max_message_bytes: int = 64 * 1024 * 1024) -> None:
        options = [
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.initial_reconnect_backoff_ms", 200),  # of a server that is starting
            ("grpc.max_reconnect_backoff_ms", 2_000),
        ]
        self.address = address
        self.channel = grpc.insecure_channel(address, options=options)
        self._metadata = (("hypnogram-actor", actor),)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.channel.close()

    def up(self, seconds: float) -> bool:
        """Whether a server answers there, after waiting for one for so long at most."""
        if not seconds:
            return False
        check = health_pb2_grpc.HealthStub(self.channel).Check
        try:
            check(health_pb2.HealthCheckRequest(), timeout=seconds, wait_for_ready=True)
        except grpc.RpcError as error:
            answered: bool = error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED
            return answered
        return True

    def _call(self, method: Callable[..., T], request: Any, timeout: float | None) -> T:
        with _failures():
            return method(request, timeout=timeout, metadata=self._metadata)

    def _stream(self, method: Callable[..., Iterator[T]], request: Any, timeout: float | None) -> Iterator[T]:
        stream: Any = method(request, timeout=timeout, metadata=self._metadata)
        try:
            with _failures():
                yield from stream
        finally:
            stream.cancel()


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        raise _call_failed(error) from None


def _call_failed(error: Any) -> CallFailed:
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY:
            return failure_of(status_pb2.Status.FromString(value))
    return CallFailed(error.code().name, error.details() or error.code().name)


def failure_of(status: status_pb2.Status) -> CallFailed:
    code = next(code.name for code in grpc.StatusCode if code.value[0] == status.code)
    failure = CallFailed(code, status.message)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        if detail.Unpack(info):
            failure.reason, failure.metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            failure.fields = {one.field: one.description for one in bad.field_violations}
    return failure


def unpacked(packed: Any, message: T) -> T:
    packed.Unpack(message)
    return message
