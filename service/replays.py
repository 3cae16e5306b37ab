"""The calls of History that prove something, as long-running operations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from google.longrunning import operations_pb2
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypnogram.v1 import history_pb2

from service import fields, moments
from service.calls import Context
from service.operations import Cancelled
from service.parts import Parts


class ReplayCalls:
    """Replay."""

    _parts: Parts

    async def Replay(  # noqa: N802
        self, request: history_pb2.ReplayRequest, context: Context
    ) -> operations_pb2.Operation:
        parts, memory = self._parts, fields.memory_id(request.memory)
        moment = moments.given(request)
        state = await asyncio.to_thread(moments.as_it_was, parts.store.log, parts.states, memory, moment)
        version = state.version
        started = Timestamp()
        started.GetCurrentTime()

        def metadata(done: int, total: int, step: str) -> history_pb2.ReplayMetadata:
            return history_pb2.ReplayMetadata(
                memory=memory, version=version, step=step, done=done, total=total, started_at=started
            )

        def work(report: Callable[[Message], None], cancelled: Callable[[], bool]) -> Message:
            def progress(done: int, total: int, step: str) -> None:
                report(metadata(done, total, step))
                if cancelled():
                    raise Cancelled

            found = parts.models.replay(memory, version, progress, cancelled)
            return history_pb2.ReplayResponse(
                version=found.version,
                plan_digest=found.plan_digest,
                recorded_weights=found.recorded or "",
                rebuilt_weights=found.rebuilt,
                edits_checked=found.edits_checked,
            )

        return parts.operations.start(work, metadata(0, 0, "waiting for a thread"))
