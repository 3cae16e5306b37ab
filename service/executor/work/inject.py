"""Injection: writes new facts into the weights by one protected update."""

from __future__ import annotations

from dataclasses import replace

from core.decide.commands import RecordFailure, RecordInjection
from core.errors.base import Uncertified, Unlearned
from core.errors.harm import Harmful
from core.events.facts import EditKind
from core.method import Method
from core.state.memory import Memory, replaced_by
from core.state.plan import plan_at
from core.state.work import Inject
from service.executor.work.catch_up import catch_up
from service.executor.work.context import Context, Done
from service.executor.work.edit import edit_facts
from service.executor.work.neurons import edit_by_neurons


def perform(context: Context, work: Inject, memory: Memory) -> Done:
    """Writes the facts on weights without the columns of those that they replace.

    Where the model with the edit does not say some of the facts, or says told objects elsewhere, nothing is recorded
    but their failure: in a batch they are tried again one by one, a fact that was alone is parked. Neurons of other
    subjects do not depend on them and are recorded with the failure. Facts that wait may have columns themselves,
    because a fork or an archive may end between an edit and its FactInjected.
    """
    replaced = [old for fact in work.facts for old in replaced_by(memory, fact)]
    gone = [*replaced, *(fact for fact in work.facts if memory.facts[fact].edits)]
    onto = plan_at(memory, dict.fromkeys(gone, 0.0), replaced)
    live = catch_up(context, memory)
    preserved = live.preserved.without(gone)
    failures: tuple[Uncertified | Unlearned, ...] = ()
    if gone:
        context.model.install(context.build(onto))
    try:
        if context.created.method is Method.NEURON:
            edit, after, failures = edit_by_neurons(context, EditKind.INJECTION, work.facts, memory, onto, replaced)
        else:
            edit, after = edit_facts(context, EditKind.INJECTION, work.facts, memory, onto, preserved, replaced)
    except (Unlearned, Uncertified, Harmful) as error:
        # neurons are computed on other weights than those of `onto`, so that these have to be built again
        unmoved = not gone and context.created.method is not Method.NEURON
        return Done(_failure(work, error), live if unmoved else None)
    return Done(RecordInjection(edit=edit, failures=tuple(_failure(work, error) for error in failures)), after)


def _failure(work: Inject, error: Unlearned | Uncertified | Harmful) -> RecordFailure:
    retry = len(work.facts) > 1  # because the model may say a fact that is written alone
    return RecordFailure(work=replace(work, facts=error.facts), reason=error.reason, message=str(error), retry=retry)
