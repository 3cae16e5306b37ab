"""Says in OpenAI's form how a call failed."""

from __future__ import annotations

import math
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core.errors import access, base, history

HTTP_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.DATA_LOSS: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}  # as google/rpc/code.proto maps them
_OF_CODE = {code.value[0]: status for code, status in HTTP_STATUS.items()}
_NO_MODEL = (
    base.MemoryUnknown,
    base.MemoryGone,
    base.VersionUnknown,
    history.CheckpointUnknown,
    history.MomentUnknown,
)
CODES = {
    access.Unauthenticated.reason: "invalid_api_key",
    access.TooManyCalls.reason: "rate_limit_exceeded",
    access.TooManyBytes.reason: "rate_limit_exceeded",
    access.TooManyFacts.reason: "rate_limit_exceeded",
    access.TooManyAnswers.reason: "rate_limit_exceeded",
}  # by reason, where OpenAI has a word of its own
MODEL_NAME = "model name"  # field of a name that no model can have; a `model` that is not text is another fault
MODEL_NOT_FOUND = {error.reason for error in _NO_MODEL}


def failed(status: status_pb2.Status, correlation: str = "") -> Response:
    """Returns the response for `status`, with the delay after which the request may be repeated."""
    body, code = described(status), status_code(status)
    if body["error"]["code"] == "model_not_found":
        code = 404
    headers = retry_after(status) | ({"x-request-id": correlation} if correlation else {})
    if code == 401:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(body, code, headers)


def retry_after(status: status_pb2.Status) -> dict[str, str]:
    """Returns the header that says after how many seconds a call may be repeated; none where that is not known."""
    retry = error_details_pb2.RetryInfo()
    if not any(detail.Unpack(retry) for detail in status.details):
        return {}
    return {"retry-after": str(max(math.ceil(retry.retry_delay.ToTimedelta().total_seconds()), 1))}


def status_code(status: status_pb2.Status) -> int:
    """Returns the code of HTTP for `status`."""
    return _OF_CODE[status.code]


def described(status: status_pb2.Status) -> dict[str, Any]:
    """Returns `status` as OpenAI's error object."""
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    param = None
    for detail in status.details:
        detail.Unpack(info)
        if detail.Unpack(bad):
            param = bad.field_violations[0].field
    code = CODES.get(info.reason, info.reason.lower()) or None
    if info.reason in MODEL_NOT_FOUND or param == MODEL_NAME:
        param, code = "model", "model_not_found"
    return error_body(status_code(status), status.message, param, code)


def explained(request: Request, error: HTTPException) -> HTTPException:
    """Returns why no route takes the request, or its body cannot be read, in words where Starlette has none."""
    if (error.status_code, error.detail) == (404, "Not Found"):
        return HTTPException(404, f"there is nothing at {request.url.path!r}; docs/http.md lists what there is")
    if (error.status_code, error.detail) == (405, "Method Not Allowed"):
        allowed = (error.headers or {}).get("Allow", "")
        detail = f"{request.url.path!r} does not take {request.method}; it takes {allowed}"
        return HTTPException(405, detail, error.headers)
    return error


def response_to(error: HTTPException) -> Response:
    """Returns `error` as a response in OpenAI's form."""
    return JSONResponse(error_body(error.status_code, error.detail, None, None), error.status_code, error.headers)


def error_body(status: int, message: str, param: str | None, code: str | None) -> dict[str, Any]:
    """Returns OpenAI's error object."""
    if status == 429:
        kind = "rate_limit_error"
    else:
        kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
