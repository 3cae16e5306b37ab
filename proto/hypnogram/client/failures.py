"""Turns errors of gRPC into CallFailed, with the details that the server packed into them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from hypnogram.client.errors import CallFailed

DETAILS_KEY = "grpc-status-details-bin"


@contextmanager
def failures() -> Iterator[None]:
    """Raises CallFailed in place of grpc.RpcError."""
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
    """The failure that a status describes, as a call or an operation ends with it."""
    code = next(code.name for code in grpc.StatusCode if code.value[0] == status.code)
    failure = CallFailed(code, status.message)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        if detail.Unpack(info):
            failure.reason, failure.metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            failure.fields = {violation.field: violation.description for violation in bad.field_violations}
    return failure
