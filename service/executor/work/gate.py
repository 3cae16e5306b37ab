"""The gate of a sleep: whether each fact may move one stage from its edit towards the adapters."""

from __future__ import annotations

from core.decide.commands import RecordAudit
from core.decide.sleep import next_scales
from core.state.memory import Memory
from core.state.plan import plan_at
from core.state.work import SleepStep
from service.executor.work.context import Context, Done
from service.executor.work.probing import probe


def perform(context: Context, work: SleepStep, memory: Memory) -> Done:
    """Probes each fact on weights that are rebuilt with all edits at the scales they would have next."""
    scales = next_scales(memory, work.facts)
    context.model.install(context.build(plan_at(memory, scales)))
    audited = probe(context, work, memory, scales, {})
    return Done(RecordAudit(work=work, audited=audited, controls=None), context.remembered)
