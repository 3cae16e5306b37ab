"""Prepares the covariance of ordinary keys, which every update of a memory's weights needs."""

from __future__ import annotations

from core.decide.commands import RecordStatistics
from core.state.memory import Memory
from core.state.work import PrepareStatistics
from service.executor.work.context import Context, Done
from service.weights.statistics import prepare


def perform(context: Context, work: PrepareStatistics, memory: Memory) -> Done:
    """Measures the covariance on the base weights, or finds one that was measured before."""
    context.model.install(context.model.base_weights)
    prepared = prepare(
        context.model,
        context.created,
        memory.ordinary_text,
        context.artifacts,
        context.steps_of("measuring which keys reference text uses"),
    )
    return Done(RecordStatistics(prepared=prepared), None)
