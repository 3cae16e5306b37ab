"""Prepares what every update of a memory's weights needs: reference text, and what edits must leave alone there."""

from __future__ import annotations

from core.decide.commands import RecordStatistics
from core.state.memory import Memory
from core.state.work import PrepareStatistics
from service.executor.work.context import Context, Done
from service.weights.own_text import generated_text
from service.weights.statistics import prepare


def perform(context: Context, work: PrepareStatistics, memory: Memory) -> Done:
    """Generates the reference text if the memory has none, and measures the model in it; finds what was made before."""
    context.model.install(context.model.base_weights)
    text = memory.reference_text or generated_text(
        context.model,
        context.created.base,
        context.artifacts,
        context.steps_of("generating text that edits must leave alone"),
    )
    prepared = prepare(
        context.model,
        context.created,
        text,
        context.artifacts,
        context.steps_of("measuring what the base model reads in text and at names"),
    )
    return Done(RecordStatistics(prepared=prepared), None)
