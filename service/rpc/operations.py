"""google.longrunning.Operations: work that outlasts a call. Operations end with the server's process."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import empty_pb2
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import status_pb2
from hypnogram.v1 import history_pb2

from core.errors.base import HypnogramError, InvalidField
from core.ids import MemoryId
from service.app.cancellation import Cancelled
from service.guard.rights import ALL, Right
from service.guard.withheld import error_without_places, shown_memory
from service.rpc.interceptor import Context, current_caller
from service.rpc.messages import page_tokens
from service.rpc.messages.requests import page_size, text
from service.rpc.status import (
    OperationUnknown,
    ShuttingDown,
    TooManyOperations,
    note_unreachable,
    status_of,
    status_of_failure,
)

FINISHED_KEPT = 100
COLLECTION = "operations"


class Work(Protocol):
    """Blocking work that replaces its metadata by `report`, and raises Cancelled once `cancelled` returns true."""

    def __call__(self, report: Callable[[Message], None], cancelled: Callable[[], bool]) -> Message: ...


Follow = Callable[[Callable[[Message], None]], Awaitable[Message]]
Cancel = Callable[[], Awaitable[None]]


@dataclass(slots=True, eq=False)
class _Operation:
    name: str
    memory: str  # that it concerns, or `ALL`
    metadata: Any
    cancel: Cancel | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    response: Any | None = None
    error: status_pb2.Status | None = None
    unwanted: bool = False  # deleted while it runs, so to be forgotten when it ends

    def message(self) -> operations_pb2.Operation:
        return operations_pb2.Operation(
            name=self.name,
            metadata=self.metadata,
            done=self.finished.is_set(),
            response=_shown(self.response),
            error=self.error,
        )


class Operations(operations_pb2_grpc.OperationsServicer):
    """Starts operations for other servicers, and serves their state."""

    def __init__(self, max_running: int) -> None:
        self._max_running = max_running
        self._operations: dict[str, _Operation] = {}  # finished ones in the order in which they finished
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    def start(self, work: Work, metadata: Message) -> operations_pb2.Operation:
        """Starts `work` in a thread. Raises TooManyOperations or ShuttingDown."""
        running = sum(not known.finished.is_set() and known.cancel is None for known in self._operations.values())
        if running >= self._max_running:
            raise TooManyOperations(running)
        operation = _Operation(f"{COLLECTION}/{uuid.uuid4()}", _memory_of(metadata), _packed(metadata))
        self._begin(operation, lambda report: asyncio.to_thread(work, report, operation.cancelled.is_set))
        return operation.message()

    def follow(self, name: str, follow: Follow, cancel: Cancel, metadata: Message) -> operations_pb2.Operation:
        """Returns an operation that follows work recorded in the log; it takes no thread, and its end stops no work.

        Args:
            name: id of the work; an existing operation of that name is returned again unless it failed.
            follow: waits for the end and returns the response.
            cancel: cancels the work.

        Raises:
            ShuttingDown: the server is stopping.
        """
        known = self._operations.get(f"{COLLECTION}/{name}")
        if known is not None and known.error is None:
            return known.message()
        operation = _Operation(f"{COLLECTION}/{name}", _memory_of(metadata), _packed(metadata), cancel)
        self._begin(operation, follow)
        return operation.message()

    def _begin(self, operation: _Operation, work: Follow) -> None:
        if self._stopping:
            raise ShuttingDown
        self._operations[operation.name] = operation
        task = asyncio.create_task(self._run(operation, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Cancels running operations and waits for their end; refuses new ones. Followed work itself goes on."""
        self._stopping = True
        for operation in self._operations.values():
            operation.cancelled.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def GetOperation(  # noqa: N802
        self, request: operations_pb2.GetOperationRequest, context: Context
    ) -> operations_pb2.Operation:
        return self._find(request.name, Right.READ).message()

    async def ListOperations(  # noqa: N802
        self, request: operations_pb2.ListOperationsRequest, context: Context
    ) -> operations_pb2.ListOperationsResponse:
        if request.name not in ("", COLLECTION):
            raise InvalidField("name", f"is neither empty nor {COLLECTION!r}, the only collections")
        if request.filter:
            raise InvalidField("filter", "is not supported; leave it out")
        size = page_size(request.page_size)
        start = page_tokens.decode(request.page_token, "operations").after
        caller = current_caller()
        names = sorted(
            name
            for name, operation in self._operations.items()
            if name > start and caller.may(Right.READ, operation.memory)
        )
        token = page_tokens.encode("operations", after=names[size - 1]) if len(names) > size else ""
        return operations_pb2.ListOperationsResponse(
            operations=[self._operations[name].message() for name in names[:size]], next_page_token=token
        )

    async def CancelOperation(  # noqa: N802
        self, request: operations_pb2.CancelOperationRequest, context: Context
    ) -> empty_pb2.Empty:
        operation = self._find(request.name, Right.WRITE)
        operation.cancelled.set()
        if operation.cancel is not None:
            await operation.cancel()
        return empty_pb2.Empty()

    async def DeleteOperation(  # noqa: N802
        self, request: operations_pb2.DeleteOperationRequest, context: Context
    ) -> empty_pb2.Empty:
        operation = self._find(request.name, Right.WRITE)
        operation.unwanted = True
        self._forget()
        return empty_pb2.Empty()

    async def WaitOperation(  # noqa: N802
        self, request: operations_pb2.WaitOperationRequest, context: Context
    ) -> operations_pb2.Operation:
        operation = self._find(request.name, Right.READ)
        limit = _seconds(request.timeout) if request.HasField("timeout") else None
        try:
            async with asyncio.timeout(limit):
                await operation.finished.wait()
        except TimeoutError:
            pass  # the response says that it is not done
        return operation.message()

    def _find(self, name: str, right: Right) -> _Operation:
        """Returns an operation; one of a memory that the caller may not reach does not exist for it."""
        operation = self._operations.get(text(name, "name"))
        if operation is None or not current_caller().may(Right.READ, operation.memory):
            raise OperationUnknown(name)
        current_caller().check(right, operation.memory)
        return operation

    async def _run(self, operation: _Operation, work: Follow) -> None:
        def report(metadata: Message) -> None:
            operation.metadata = _packed(metadata)

        try:
            operation.response = _packed(await work(report))
        except Cancelled:
            operation.error = status_pb2.Status(code=grpc.StatusCode.CANCELLED.value[0], message="it was cancelled")
        except HypnogramError as error:
            note_unreachable(error, operation.name)
            operation.error = status_of(error_without_places(error))  # whoever asks for it
        except Exception as error:  # any error, because callers wait for `finished`, not for this task
            operation.error, _ = status_of_failure(error, operation.name)
        finally:
            operation.finished.set()
            if self._operations.get(operation.name) is operation:  # unless it failed and was started again
                self._operations[operation.name] = self._operations.pop(operation.name)
            self._forget()

    def _forget(self) -> None:
        """Drops finished operations that were deleted, and all but the last `FINISHED_KEPT` finished ones."""
        finished = [operation for operation in self._operations.values() if operation.finished.is_set()]
        kept = [operation for operation in finished if not operation.unwanted][-FINISHED_KEPT:]
        for operation in finished:
            if operation not in kept:
                del self._operations[operation.name]


def _seconds(timeout: Duration) -> float:
    try:
        seconds = timeout.ToTimedelta().total_seconds()
    except OverflowError:
        raise InvalidField("timeout", f"of {timeout.seconds} seconds is out of range; leave it out to wait") from None
    if seconds < 0:
        raise InvalidField("timeout", "is negative")
    return seconds


def _memory_of(metadata: Message) -> str:
    return getattr(metadata, "memory", "") or ALL


def _shown(response: Any | None) -> Any | None:
    """Returns what the caller is shown of a response: where it restored a memory, its name to its readers alone."""
    replayed = history_pb2.ReplayResponse()
    if response is None or not response.Unpack(replayed):
        return response
    replayed.restored_as = shown_memory(current_caller(), MemoryId(replayed.restored_as))
    return _packed(replayed)


def _packed(message: Message) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed
