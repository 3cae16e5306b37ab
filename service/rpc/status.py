"""Maps errors to gRPC status codes and their details.

Every error carries google.rpc.ErrorInfo, an invalid field google.rpc.BadRequest as well; an unreachable store and a
client beyond its limits google.rpc.RetryInfo. An error outside `core.errors` is a bug: the client gets a correlation
id, the log the traceback.
"""

from __future__ import annotations

from datetime import timedelta

import grpc
import structlog
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from core.errors import access, archive, base, conversation, harm, history
from core.errors.base import HypnogramError
from store.database.reach import why_out_of_reach

DOMAIN = "hypnogram"
DETAILS_KEY = "grpc-status-details-bin"
RETRY_SECONDS = 1  # before a call that found the store unreachable should be repeated

log = structlog.get_logger()


class OperationUnknown(base.Refused):
    reason = "OPERATION_UNKNOWN"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"operation {name!r} does not exist; operations end with the server's process, start another",
            operation=name,
        )


class TooManyOperations(base.Refused):
    reason = "TOO_MANY_OPERATIONS"

    def __init__(self, running: int) -> None:
        super().__init__(f"{running} operations are running, as many as are allowed; wait for one", running=running)


class ShuttingDown(HypnogramError):
    reason = "SHUTTING_DOWN"

    def __init__(self) -> None:
        super().__init__("the server is stopping; resume on the next one")


class StoreUnavailable(HypnogramError):
    reason = "STORE_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__(
            "the server cannot reach its database or its disk at the moment; repeat the call, with the same request id"
        )


CODES: dict[type[HypnogramError], grpc.StatusCode] = {
    base.InvalidField: grpc.StatusCode.INVALID_ARGUMENT,
    base.MemoryUnknown: grpc.StatusCode.NOT_FOUND,
    base.MemoryGone: grpc.StatusCode.NOT_FOUND,
    base.FactUnknown: grpc.StatusCode.NOT_FOUND,
    conversation.ConversationUnknown: grpc.StatusCode.NOT_FOUND,
    base.VersionUnknown: grpc.StatusCode.NOT_FOUND,
    base.SleepUnknown: grpc.StatusCode.NOT_FOUND,
    history.CheckpointUnknown: grpc.StatusCode.NOT_FOUND,
    history.MomentUnknown: grpc.StatusCode.NOT_FOUND,
    OperationUnknown: grpc.StatusCode.NOT_FOUND,
    base.MemoryExists: grpc.StatusCode.ALREADY_EXISTS,
    base.RequestReused: grpc.StatusCode.ALREADY_EXISTS,
    base.EventReused: grpc.StatusCode.ALREADY_EXISTS,
    archive.ExportExists: grpc.StatusCode.ALREADY_EXISTS,
    archive.MemoryTaken: grpc.StatusCode.ALREADY_EXISTS,
    archive.EventsTaken: grpc.StatusCode.ALREADY_EXISTS,
    archive.FactTaken: grpc.StatusCode.ALREADY_EXISTS,
    history.CheckpointTaken: grpc.StatusCode.ALREADY_EXISTS,
    archive.NotExportable: grpc.StatusCode.FAILED_PRECONDITION,
    archive.ArchiveTooNew: grpc.StatusCode.FAILED_PRECONDITION,
    base.Contradiction: grpc.StatusCode.FAILED_PRECONDITION,
    base.NotReady: grpc.StatusCode.FAILED_PRECONDITION,
    base.SleepInProgress: grpc.StatusCode.FAILED_PRECONDITION,
    base.ModelUnavailable: grpc.StatusCode.FAILED_PRECONDITION,
    base.ParserUnavailable: grpc.StatusCode.FAILED_PRECONDITION,
    conversation.ConversationGone: grpc.StatusCode.FAILED_PRECONDITION,
    conversation.NoUserFacts: grpc.StatusCode.FAILED_PRECONDITION,
    conversation.AnotherUser: grpc.StatusCode.FAILED_PRECONDITION,
    base.SchemaMismatch: grpc.StatusCode.FAILED_PRECONDITION,
    base.Unlearned: grpc.StatusCode.FAILED_PRECONDITION,
    base.Uncertified: grpc.StatusCode.FAILED_PRECONDITION,
    base.Unlearnable: grpc.StatusCode.FAILED_PRECONDITION,
    harm.Harmful: grpc.StatusCode.FAILED_PRECONDITION,
    harm.Contaminated: grpc.StatusCode.FAILED_PRECONDITION,
    harm.FalseFiresExceeded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    history.FactRetracted: grpc.StatusCode.FAILED_PRECONDITION,
    history.FactHeld: grpc.StatusCode.FAILED_PRECONDITION,
    history.AsleepThen: grpc.StatusCode.FAILED_PRECONDITION,
    history.HalfRecorded: grpc.StatusCode.FAILED_PRECONDITION,
    history.NothingToCompact: grpc.StatusCode.FAILED_PRECONDITION,
    history.WordsErased: grpc.StatusCode.FAILED_PRECONDITION,
    base.CapacityReached: grpc.StatusCode.RESOURCE_EXHAUSTED,
    harm.FalseFiresReached: grpc.StatusCode.RESOURCE_EXHAUSTED,
    TooManyOperations: grpc.StatusCode.RESOURCE_EXHAUSTED,
    base.Conflict: grpc.StatusCode.ABORTED,
    base.StaleWork: grpc.StatusCode.ABORTED,
    base.Damaged: grpc.StatusCode.DATA_LOSS,
    base.LogCutShort: grpc.StatusCode.DATA_LOSS,
    base.ArtifactMissing: grpc.StatusCode.DATA_LOSS,
    base.ArtifactCorrupt: grpc.StatusCode.DATA_LOSS,
    archive.ArchiveDamaged: grpc.StatusCode.DATA_LOSS,
    base.DigestMismatch: grpc.StatusCode.DATA_LOSS,
    base.EventUnknown: grpc.StatusCode.DATA_LOSS,
    ShuttingDown: grpc.StatusCode.UNAVAILABLE,
    StoreUnavailable: grpc.StatusCode.UNAVAILABLE,
    base.DeviceUnavailable: grpc.StatusCode.UNAVAILABLE,
    base.ArtifactsUnreachable: grpc.StatusCode.UNAVAILABLE,
    access.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    access.NotPermitted: grpc.StatusCode.PERMISSION_DENIED,
    access.ForeignForm: grpc.StatusCode.PERMISSION_DENIED,
    access.TooManyCalls: grpc.StatusCode.RESOURCE_EXHAUSTED,
    access.TooManyBytes: grpc.StatusCode.RESOURCE_EXHAUSTED,
    access.TooManyFacts: grpc.StatusCode.RESOURCE_EXHAUSTED,
    access.TooManyAnswers: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


def status_of(error: HypnogramError) -> status_pb2.Status:
    """Returns the status of `error`.

    Raises:
        KeyError: the class of `error` has no code, which a test rules out.
    """
    code = CODES[type(error)]
    details: list[Any] = [_packed(_info(error.reason, error.metadata))]
    if isinstance(error, (base.InvalidField, base.Contradiction)):
        details.append(_packed(_bad_request(error)))
    if (seconds := _retry_seconds(error)) is not None:
        delay = Duration()
        delay.FromTimedelta(timedelta(seconds=seconds))
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    return status_pb2.Status(code=code.value[0], message=str(error), details=details)


def _retry_seconds(error: HypnogramError) -> float | None:
    """Returns after how many seconds a call should be repeated; None where that does not help by itself."""
    if isinstance(error, access.TooManyCalls):
        return error.seconds
    return RETRY_SECONDS if isinstance(error, StoreUnavailable | base.ArtifactsUnreachable) else None


def note_unreachable(error: BaseException | None, correlation: str) -> None:
    """Logs where artifacts are that cannot be reached, because callers may not be shown it."""
    if isinstance(error, base.ArtifactsUnreachable):
        log.warning("artifacts.unreachable", correlation=correlation, url=error.url, why=error.why)


def status_of_failure(error: Exception, correlation: str) -> tuple[status_pb2.Status, str]:
    """Returns status and reason of an error outside `core.errors`: UNAVAILABLE if transient, INTERNAL for a bug."""
    if (why := why_out_of_reach(error)) is not None:
        log.warning("store.out_of_reach", correlation=correlation, why=why)
        return status_of(StoreUnavailable()), StoreUnavailable.reason
    return _status_of_bug(error, correlation), "INTERNAL"


def _status_of_bug(error: Exception, correlation: str) -> status_pb2.Status:
    """Returns INTERNAL with the correlation id of `error` in the log, and nothing of `error` itself."""
    log.error("call.failed", correlation=correlation, exc_info=error)
    return status_pb2.Status(
        code=grpc.StatusCode.INTERNAL.value[0],
        message=f"something went wrong in the server; its log has it under correlation {correlation}",
        details=[_packed(_info("INTERNAL", {"correlation": correlation}))],
    )


def _info(reason: str, metadata: dict[str, str]) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)


def _bad_request(error: base.InvalidField | base.Contradiction) -> error_details_pb2.BadRequest:
    problem = error.problem if isinstance(error, base.InvalidField) else str(error)
    violation = error_details_pb2.BadRequest.FieldViolation(
        field=error.metadata["field"], description=problem, reason=error.reason
    )
    return error_details_pb2.BadRequest(field_violations=[violation])


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed
