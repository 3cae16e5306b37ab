"""Diff and Compact: how two versions differ, and one adapter of few columns in the place of all."""

from __future__ import annotations

import asyncio

from hypnogram.v1 import facts_pb2, history_pb2

from core.decide.commands import RecordCompaction
from core.errors.base import InvalidField, SleepInProgress
from core.ids import MemoryId
from core.moments import Moment
from core.state.memory import FactState, Memory
from service.app.moments import state_at
from service.app.state_diff import AnswerChange, Compared, FactChange, changes
from service.rpc.dependencies import Dependencies
from service.rpc.interceptor import current_cause
from service.rpc.messages import requests
from service.rpc.messages.responses import STATUSES

DEFAULT_BOUND = 0.001  # relative change of a module's learned weights


async def diff(parts: Dependencies, request: history_pb2.DiffRequest) -> history_pb2.DiffResponse:
    from_memory, from_moment = _side(getattr(request, "from"), "from")
    to_memory, to_moment = _side(request.to, "to")

    def compare() -> tuple[Memory, Memory, Compared]:
        before = state_at(parts.store.log, parts.states, from_memory, from_moment)
        after = state_at(parts.store.log, parts.states, to_memory, to_moment)
        if _base(before) != _base(after):
            raise InvalidField(
                "to.memory", f"is on another base model than {from_memory!r}, so their weights cannot be compared"
            )
        return before, after, parts.models.compare(before, after, ask=request.ask)

    before, after, compared = await asyncio.to_thread(compare)
    return history_pb2.DiffResponse(
        from_version=before.version,
        to_version=after.version,
        from_weights=before.weights or "",
        to_weights=after.weights or "",
        facts=[_fact_diff(change) for change in changes(before, after)],
        answers=[_answer_diff(answer) for answer in compared.answers],
        asked=compared.asked,
        modules=[
            history_pb2.ModuleDiff(module=distance.module, norm=distance.norm, relative=distance.relative)
            for distance in compared.modules
        ],
    )


async def compact(parts: Dependencies, request: history_pb2.CompactRequest) -> history_pb2.CompactResponse:
    memory, bound = requests.memory_id(request.memory), request.bound or DEFAULT_BOUND
    if not 0 < bound < 1:
        raise InvalidField("bound", f"is {bound:g}; it must be above 0 and below 1, or 0 for {DEFAULT_BOUND:g}")
    caused_by = current_cause()

    def record() -> tuple[RecordCompaction, int]:
        state = parts.states.current(memory)
        if state.sleep is not None:
            raise SleepInProgress(state.sleep.id, state.sleep.started.kind)
        command = RecordCompaction(compacted=parts.models.compact(memory, state, bound))
        after = parts.states.execute(memory, lambda _: command, caused_by, retries=parts.retries)
        return command, after.version

    command, version = await asyncio.to_thread(record)
    compacted = command.compacted
    return history_pb2.CompactResponse(
        columns_before=compacted.columns,
        columns_after=compacted.rank,
        change=compacted.change,
        weights_before=compacted.weights_before,
        weights_after=compacted.weights_after,
        version=version,
    )


def _side(side: history_pb2.Side, field: str) -> tuple[MemoryId, Moment]:
    return requests.memory_id(side.memory, f"{field}.memory"), requests.moment(side, field)


def _base(memory: Memory) -> tuple[object, ...]:
    assert memory.created is not None
    return memory.created.base.digest, memory.created.base.dtype, memory.created.modules


def _answer_diff(answer: AnswerChange) -> history_pb2.AnswerDiff:
    return history_pb2.AnswerDiff(
        fact=answer.question.fact,
        pathway=answer.question.pathway,
        prompt=answer.question.prompt,
        from_output=answer.before,
        to_output=answer.after,
    )


def _fact_diff(change: FactChange) -> history_pb2.FactDiff:
    stands, words = change.stands, change.words.fact
    kind = {
        (False, True): history_pb2.CHANGE_ADDED,
        (True, False): history_pb2.CHANGE_LOST,
        (True, True): history_pb2.CHANGE_MOVED,
    }[stands]
    return history_pb2.FactDiff(
        fact=change.fact,
        subject=words.subject,
        relation=words.relation,
        object=words.object,
        change=kind,
        from_status=_status(change.before),
        to_status=_status(change.after),
        from_stage=change.before.stage if change.before else 0,
        to_stage=change.after.stage if change.after else 0,
        from_scale=change.before.scale if change.before else 0.0,
        to_scale=change.after.scale if change.after else 0.0,
    )


def _status(state: FactState | None) -> str:
    return "" if state is None else facts_pb2.Status.Name(STATUSES[state.status])
