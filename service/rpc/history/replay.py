"""Replay and VerifyLog: long-running operations that prove the weights follow from the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from google.longrunning import operations_pb2
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypnogram.v1 import history_pb2

from core.state.memory import Memory
from service.app import forks, moments, verification
from service.app.cancellation import Cancelled
from service.rpc.dependencies import Dependencies
from service.rpc.interceptor import current_cause
from service.rpc.messages import requests
from service.rpc.operations import Operations
from store.log.verify import Fault

Metadata = Callable[[int, int, str], Message]  # done, total, step
Progress = Callable[[int, int, str], None]
Proof = Callable[[Progress, Callable[[], bool]], Message]  # blocking; reports progress, asks whether it was cancelled


async def replay(parts: Dependencies, request: history_pb2.ReplayRequest) -> operations_pb2.Operation:
    memory, moment = requests.memory_id(request.memory), requests.moment(request)
    restored = requests.memory_id(request.restore_as, "restore_as") if request.restore_as else None
    started, caused_by = _now(), current_cause()

    def find() -> Memory:
        if restored is not None:
            return forks.prepare(parts.store, parts.states, restored, memory, moment).at
        return moments.state_at(parts.store.log, parts.states, memory, moment)

    version = (await asyncio.to_thread(find)).version

    def metadata(done: int, total: int, step: str) -> history_pb2.ReplayMetadata:
        return history_pb2.ReplayMetadata(
            memory=memory, version=version, step=step, done=done, total=total, started_at=started
        )

    def proof(progress: Progress, cancelled: Callable[[], bool]) -> Message:
        replayed = parts.models.replay(memory, version, progress, cancelled)
        if restored is not None:
            forks.fork(parts.store, parts.states, restored, memory, version, caused_by, parts.retries)
        return history_pb2.ReplayResponse(
            version=replayed.version,
            plan_digest=replayed.plan_digest,
            recorded_weights=replayed.recorded or "",
            rebuilt_weights=replayed.rebuilt,
            edits_checked=replayed.edits_checked,
            erased=replayed.erased,
            restored_as=restored or "",
        )

    return _prove(parts.operations, proof, metadata)


async def verify_log(parts: Dependencies, request: history_pb2.VerifyLogRequest) -> operations_pb2.Operation:
    started, skip_weights = _now(), request.skip_weights

    def metadata(done: int, total: int, step: str) -> history_pb2.VerifyLogMetadata:
        return history_pb2.VerifyLogMetadata(step=step, done=done, total=total, started_at=started)

    def proof(progress: Progress, cancelled: Callable[[], bool]) -> Message:
        verified = verification.verify(
            parts.store, parts.models, skip_weights=skip_weights, progress=progress, cancelled=cancelled
        )
        return history_pb2.VerifyLogResponse(
            events=verified.events,
            artifacts=verified.artifacts,
            weights=verified.weights,
            fault=_fault(verified.fault) if verified.fault else None,
        )

    return _prove(parts.operations, proof, metadata)


def _prove(operations: Operations, proof: Proof, metadata: Metadata) -> operations_pb2.Operation:
    """Starts an operation that runs `proof` and reports its progress as metadata."""

    def work(report: Callable[[Message], None], cancelled: Callable[[], bool]) -> Message:
        def progress(done: int, total: int, step: str) -> None:
            report(metadata(done, total, step))
            if cancelled():
                raise Cancelled

        return proof(progress, cancelled)

    return operations.start(work, metadata(0, 0, "waiting for a thread"))


def _fault(fault: Fault) -> history_pb2.Fault:
    return history_pb2.Fault(position=fault.position, what=fault.what, message=fault.message)


def _now() -> Timestamp:
    now = Timestamp()
    now.GetCurrentTime()
    return now
