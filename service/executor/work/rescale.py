"""The rescaling of a sleep: edits get the scales that the gate decided on."""

from __future__ import annotations

import time

from core.decide.commands import RecordRescale
from core.decide.sleep import new_stages
from core.state.memory import Memory
from core.state.plan import plan_at
from core.state.work import SleepStep
from core.weights.deltas.digest import weights_digest
from service.executor.work.catch_up import install
from service.executor.work.context import Context, Done, Live


def perform(context: Context, work: SleepStep, memory: Memory) -> Done:
    """Builds the weights with the gate's scales. Columns scale exactly; the next audit finds what that degrades."""
    began = time.monotonic()
    assert memory.sleep is not None
    policy, stages = memory.sleep.policy, new_stages(memory)
    scales = {fact: policy.scales[stage] for fact, stage in stages.items()}
    weights = context.build(plan_at(memory, scales))
    dissolved = {fact for fact, stage in stages.items() if stage == policy.dissolved}
    preserved = install(context, weights, memory, dissolved)
    after = Live(weights_digest(weights), preserved, weights)
    seconds = round(time.monotonic() - began, 6)
    return Done(
        RecordRescale(work=work, weights=after.digest, key_occupancy=preserved.key_occupancy(), seconds=seconds), after
    )
