"""The calls of History that prove something, as long-running operations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from google.longrunning import operations_pb2
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypnogram.v1 import history_pb2

from core.state.memory import Memory
from service.app import forks, moments
from service.app.cancellation import Cancelled
from service.app.verification import verify
from service.rpc.dependencies import Dependencies
from service.rpc.interceptor import Context, current_cause
from service.rpc.messages import requests
from store.log.verify import Fault

Metadata = Callable[[int, int, str], Message]  # done, total, step
Progress = Callable[[int, int, str], None]
Proof = Callable[[Progress, Callable[[], bool]], Message]  # blocks; told how to report, and whether to stop


class ReplayCalls:
    """Replay and VerifyLog."""

    _parts: Dependencies

    async def Replay(  # noqa: N802
        self, request: history_pb2.ReplayRequest, context: Context
    ) -> operations_pb2.Operation:
        parts, memory, moment = self._parts, requests.memory_id(request.memory), requests.moment(request)
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
            found = parts.models.replay(memory, version, progress, cancelled)
            if restored is not None:
                forks.fork(parts.store, parts.states, restored, memory, version, caused_by, parts.retries)
            return history_pb2.ReplayResponse(
                version=found.version,
                plan_digest=found.plan_digest,
                recorded_weights=found.recorded or "",
                rebuilt_weights=found.rebuilt,
                edits_checked=found.edits_checked,
                erased=found.erased,
                restored_as=restored or "",
            )

        return self._prove(proof, metadata)

    async def VerifyLog(  # noqa: N802
        self, request: history_pb2.VerifyLogRequest, context: Context
    ) -> operations_pb2.Operation:
        parts, started, skip = self._parts, _now(), request.skip_weights

        def metadata(done: int, total: int, step: str) -> history_pb2.VerifyLogMetadata:
            return history_pb2.VerifyLogMetadata(step=step, done=done, total=total, started_at=started)

        def proof(progress: Progress, cancelled: Callable[[], bool]) -> Message:
            found = verify(parts.store, parts.models, skip_weights=skip, progress=progress, cancelled=cancelled)
            return history_pb2.VerifyLogResponse(
                events=found.events,
                artifacts=found.artifacts,
                weights=found.weights,
                fault=_fault(found.fault) if found.fault else None,
            )

        return self._prove(proof, metadata)

    def _prove(self, proof: Proof, metadata: Metadata) -> operations_pb2.Operation:
        def work(report: Callable[[Message], None], cancelled: Callable[[], bool]) -> Message:
            def progress(done: int, total: int, step: str) -> None:
                report(metadata(done, total, step))
                if cancelled():
                    raise Cancelled

            return proof(progress, cancelled)

        return self._parts.operations.start(work, metadata(0, 0, "waiting for a thread"))


def _fault(fault: Fault) -> history_pb2.Fault:
    return history_pb2.Fault(position=fault.position, what=fault.what, message=fault.message)


def _now() -> Timestamp:
    now = Timestamp()
    now.GetCurrentTime()
    return now
