"""Errors on the wire: one table from what can go wrong to gRPC status codes, and the details that go with each.

Every error carries google.rpc.ErrorInfo; an invalid field carries google.rpc.BadRequest as well, and a store that is
out of reach carries google.rpc.RetryInfo. What is not in `core.errors` is a bug: its caller learns a correlation id and
nothing else, the log learns everything.
"""

from __future__ import annotations

import grpc
import structlog
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from core import errors, export_errors, history_errors
from core.errors import HypnogramError
from store.reach import why_out_of_reach

DOMAIN = "hypnogram"
DETAILS_KEY = "grpc-status-details-bin"
RETRY_SECONDS = 1  # after which a call that found the store out of reach may try again

log = structlog.get_logger()


class OperationUnknown(errors.Refused):
    reason = "OPERATION_UNKNOWN"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no operation {name!r}; operations end with the server's process, start another", operation=name
        )


class TooManyOperations(errors.Refused):
    reason = "TOO_MANY_OPERATIONS"

    def __init__(self, running: int) -> None:
        super().__init__(f"{running} operations are running, as many as are allowed; wait for one", running=running)


class ShuttingDown(HypnogramError):
    reason = "SHUTTING_DOWN"

    def __init__(self) -> None:
        super().__init__("the server is stopping; resume where you were against the next one")


class StoreUnavailable(HypnogramError):
    reason = "STORE_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__(
            "the server cannot reach its database or its disk at the moment; repeat the call, with the same request id"
        )


CODES: dict[type[HypnogramError], grpc.StatusCode] = {
    errors.InvalidField: grpc.StatusCode.INVALID_ARGUMENT,
    errors.MemoryUnknown: grpc.StatusCode.NOT_FOUND,
    errors.MemoryGone: grpc.StatusCode.NOT_FOUND,
    errors.FactUnknown: grpc.StatusCode.NOT_FOUND,
    errors.VersionUnknown: grpc.StatusCode.NOT_FOUND,
    errors.SleepUnknown: grpc.StatusCode.NOT_FOUND,
    history_errors.CheckpointUnknown: grpc.StatusCode.NOT_FOUND,
    history_errors.MomentUnknown: grpc.StatusCode.NOT_FOUND,
    OperationUnknown: grpc.StatusCode.NOT_FOUND,
    errors.MemoryExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.RequestReused: grpc.StatusCode.ALREADY_EXISTS,
    errors.EventReused: grpc.StatusCode.ALREADY_EXISTS,
    export_errors.ExportExists: grpc.StatusCode.ALREADY_EXISTS,
    export_errors.MemoryTaken: grpc.StatusCode.ALREADY_EXISTS,
    export_errors.EventsTaken: grpc.StatusCode.ALREADY_EXISTS,
    export_errors.FactTaken: grpc.StatusCode.ALREADY_EXISTS,
    history_errors.CheckpointTaken: grpc.StatusCode.ALREADY_EXISTS,
    export_errors.ArchiveTooNew: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Contradiction: grpc.StatusCode.FAILED_PRECONDITION,
    errors.NotReady: grpc.StatusCode.FAILED_PRECONDITION,
    errors.SleepInProgress: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ModelUnavailable: grpc.StatusCode.FAILED_PRECONDITION,
    errors.SchemaMismatch: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Unlearned: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Unlearnable: grpc.StatusCode.FAILED_PRECONDITION,
    history_errors.FactRetracted: grpc.StatusCode.FAILED_PRECONDITION,
    history_errors.FactHeld: grpc.StatusCode.FAILED_PRECONDITION,
    history_errors.AsleepThen: grpc.StatusCode.FAILED_PRECONDITION,
    history_errors.HalfRecorded: grpc.StatusCode.FAILED_PRECONDITION,
    history_errors.NothingToCompact: grpc.StatusCode.FAILED_PRECONDITION,
    history_errors.WordsErased: grpc.StatusCode.FAILED_PRECONDITION,
    errors.CapacityReached: grpc.StatusCode.RESOURCE_EXHAUSTED,
    TooManyOperations: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Conflict: grpc.StatusCode.ABORTED,
    errors.StaleWork: grpc.StatusCode.ABORTED,
    errors.Damaged: grpc.StatusCode.DATA_LOSS,
    errors.LogCutShort: grpc.StatusCode.DATA_LOSS,
    errors.ArtifactMissing: grpc.StatusCode.DATA_LOSS,
    errors.ArtifactCorrupt: grpc.StatusCode.DATA_LOSS,
    export_errors.ArchiveDamaged: grpc.StatusCode.DATA_LOSS,
    errors.DigestMismatch: grpc.StatusCode.DATA_LOSS,
    errors.EventUnknown: grpc.StatusCode.DATA_LOSS,
    ShuttingDown: grpc.StatusCode.UNAVAILABLE,
    StoreUnavailable: grpc.StatusCode.UNAVAILABLE,
    errors.DeviceUnavailable: grpc.StatusCode.UNAVAILABLE,
}


def status_of(error: HypnogramError) -> status_pb2.Status:
    """The status that `error` is on the wire.

    Raises:
        KeyError: its class has no code, which a test rules out.
    """
    code = CODES[type(error)]
    details: list[Any] = [_packed(_info(error.reason, error.metadata))]
    if isinstance(error, (errors.InvalidField, errors.Contradiction)):
        details.append(_packed(_bad_request(error)))
    if isinstance(error, StoreUnavailable):
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=RETRY_SECONDS))))
    return status_pb2.Status(code=code.value[0], message=str(error), details=details)


def status_of_failure(error: Exception, correlation: str) -> tuple[status_pb2.Status, str]:
    """The status of what is not in `core.errors`, and its reason: UNAVAILABLE where it passes, INTERNAL for a bug."""
    if (why := why_out_of_reach(error)) is not None:
        log.warning("store.out_of_reach", correlation=correlation, why=why)
        return status_of(StoreUnavailable()), StoreUnavailable.reason
    return _status_of_bug(error, correlation), "INTERNAL"


def _status_of_bug(error: Exception, correlation: str) -> status_pb2.Status:
    """INTERNAL with the id under which `error` stands in the log, and nothing of `error` itself."""
    log.error("call.failed", correlation=correlation, exc_info=error)
    return status_pb2.Status(
        code=grpc.StatusCode.INTERNAL.value[0],
        message=f"something went wrong in the server; its log has it under correlation {correlation}",
        details=[_packed(_info("INTERNAL", {"correlation": correlation}))],
    )


def _info(reason: str, metadata: dict[str, str]) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)


def _bad_request(error: errors.InvalidField | errors.Contradiction) -> error_details_pb2.BadRequest:
    problem = error.problem if isinstance(error, errors.InvalidField) else str(error)
    violation = error_details_pb2.BadRequest.FieldViolation(
        field=error.metadata["field"], description=problem, reason=error.reason
    )
    return error_details_pb2.BadRequest(field_violations=[violation])


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed
