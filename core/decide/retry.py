"""`decide` for retrying work that failed for good. Pure; see `core/decide/`."""

from __future__ import annotations

from collections.abc import Iterable

from core.decide.commands import RetryFacts
from core.errors.base import FactUnknown
from core.events.history import FactRetried
from core.ids import Digest, FactId
from core.state.memory import Memory, Status
from core.state.work import will_leave


def retry(memory: Memory, command: RetryFacts) -> tuple[FactRetried, ...]:
    """Returns an event for each fact that the command means and whose work failed for good. Raises FactUnknown."""
    if command.fact is not None and command.fact not in memory.facts:
        raise FactUnknown(command.memory, command.fact)
    candidates = memory.facts if command.fact is None else (command.fact,)
    return tuple(
        FactRetried(fact=fact, request=command.request, request_digest=command.request_digest)
        for fact in candidates
        if given_up(memory, fact)
    )


def retry_parked(memory: Memory, facts: Iterable[FactId]) -> tuple[FactRetried, ...]:
    """Returns one event for each parked fact of `facts`, which a client has added again."""
    parked = [fact for fact in dict.fromkeys(facts) if memory.facts[fact].status is Status.PARKED]
    return tuple(FactRetried(fact=fact, request="", request_digest=Digest("")) for fact in parked)


def given_up(memory: Memory, fact: FactId) -> bool:
    """Whether executors failed to write, withdraw or erase `fact` and will not try again by themselves."""
    state = memory.facts[fact]
    if state.status is Status.PARKED:
        return True
    stays = state.awaits_withdrawal or (state.erase and bool(state.retracted) and not state.erased)
    return stays and not will_leave(memory, fact)
