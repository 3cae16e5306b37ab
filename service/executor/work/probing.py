"""Probes of facts on the live weights, which the audits and the gate of a sleep both record."""

from __future__ import annotations

from collections.abc import Mapping

from core.events.sleep import FactAudited
from core.ids import FactId
from core.method import Method
from core.state.gate import known, passes
from core.state.memory import Memory, Status
from core.state.sleep import Occasion
from core.state.work import SleepStep
from core.weights.evaluation.audit import UNANSWERED, audit
from service.executor.work.context import Context


def probe(
    context: Context,
    work: SleepStep,
    memory: Memory,
    scales: Mapping[FactId, float],
    unanswered: Mapping[int, list[str]],
) -> tuple[FactAudited, ...]:
    """Probes the facts of `work` on the live weights and returns their verdicts.

    Args:
        scales: of edits in the live weights, where they are not those of `memory`.
        unanswered: index of a fact -> questions about its subject that no fact of the memory answers.
    """
    assert memory.sleep is not None
    policy = memory.sleep.policy
    share = policy.gate if work.occasion is Occasion.GATE else policy.healthy
    states = [memory.facts[fact] for fact in work.facts]
    results = audit(
        context.model,
        context.reference.answers,
        [state.fact for state in states],
        policy.probes,
        [state.healthy is None for state in states],
        [state.status is Status.WITHDRAWN for state in states],
        unanswered,
        context.steps,
        alone=context.created.method is Method.NEURON,
    )
    weights = context.model.digest()
    return tuple(
        FactAudited(
            fact=fact,
            sleep=work.sleep,
            occasion=work.occasion,
            scale=scales.get(fact, state.scale),
            healthy=passes(probes, share),
            known=state.known_to_base or known(probes),
            passed=sum(result.passed for result in probes if result.pathway != UNANSWERED),
            asked=sum(result.pathway != UNANSWERED for result in probes),
            weights=weights,
            probes=probes,
        )
        for fact, state, probes in zip(work.facts, states, results, strict=True)
    )
