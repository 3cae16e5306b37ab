"""The refresh of a sleep: degraded facts are written again."""

from __future__ import annotations

from core.decide.commands import RecordRefresh
from core.events.facts import EditKind
from core.method import Method
from core.state.memory import Memory
from core.state.plan import plan_at
from core.state.work import SleepStep
from service.executor.work.catch_up import install
from service.executor.work.context import Context, Done
from service.executor.work.edit import edit_facts
from service.executor.work.neurons import edit_by_neurons


def perform(context: Context, work: SleepStep, memory: Memory) -> Done:
    """Writes all degraded facts in one protected update, on weights without the edits that failed them."""
    without = plan_at(memory, dict.fromkeys(work.facts, 0.0), work.facts)
    if context.created.method is Method.NEURON:
        edit, after, _ = edit_by_neurons(context, EditKind.REFRESH, work.facts, memory, without)
        return Done(RecordRefresh(work=work, edit=edit), after)
    preserved = install(context, context.build(without), memory, set(work.facts))
    edit, after = edit_facts(context, EditKind.REFRESH, work.facts, memory, without, preserved)
    return Done(RecordRefresh(work=work, edit=edit), after)
