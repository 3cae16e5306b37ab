"""Says which state of the weights answers: during a sleep, one without adapters that were not judged yet."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from core.state.memory import Memory


def answering(memory: Memory) -> Memory:
    """Returns the state whose weights answer at the version of `memory`.

    An adapter that the sleep in progress has trained is left out until the gate has judged the facts that it carries
    and scales follow from that, and one that repairs until the sleep has ended. Where a refresh follows a repair, no
    event has the digest of what is left: `weights` are None then.
    """
    asleep = memory.sleep
    if asleep is None:
        return memory
    judged = asleep.rescaled_at or asleep.began
    adapters = {name: adapter for name, adapter in memory.adapters.items() if adapter.version <= judged}
    if len(adapters) == len(memory.adapters):
        return memory
    return replace(memory, adapters=MappingProxyType(adapters), weights=asleep.weights_judged)
