"""The drawn histories hold what the properties over them are about: a property nothing occurs in cannot fail."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, seed, settings

from core.decide.commands import RecordRefresh, StartSleep
from core.errors.base import Refused
from core.events import EVENT_TYPES
from core.events.facts import FactInjected, WorkFailed
from core.events.history import FactRetracted, FactSuperseded, MemoryForked
from core.events.sleep import FactAdvanced, FactDissolved, FactRetreated, SleepRolledBack
from core.evolve import fold
from core.state.memory import Memory, Status, Withdrawal
from core.state.plan import plan
from tests.core.strategies import Attempt, attempts, nights

LIMITS = settings(max_examples=300, derandomize=True, suppress_health_check=list(HealthCheck))

Question = Callable[[Memory, Attempt, Memory], bool]  # of the memory before an attempt, the attempt, the memory after


def caused(kind: type, **values: object) -> Question:
    """Whether the attempt caused an event of this kind with these values."""
    return lambda before, attempt, after: any(
        isinstance(event, kind) and all(getattr(event, name) == value for name, value in values.items())
        for event in attempt.events
    )


def left(how: Withdrawal) -> Question:
    """Whether a fact has just left the weights like this."""
    return lambda before, attempt, after: any(
        state.withdrawal is how and (fact not in before.facts or before.facts[fact].withdrawal is not how)
        for fact, state in after.facts.items()
    )


QUESTIONS: dict[str, Question] = {
    **{name: caused(kind) for name, kind in EVENT_TYPES.items() if kind is not MemoryForked},
    "a refusal": lambda before, attempt, after: isinstance(attempt.refusal, Refused),
    "a command that changes nothing": lambda before, attempt, after: not (attempt.refusal or attempt.events),
    "two facts in one edit": lambda before, attempt, after: (
        sum(isinstance(event, FactInjected) for event in attempt.events) > 1
    ),
    "two terms in a plan": lambda before, attempt, after: len(plan(after).terms) > 1,
    "columns joined in a plan": lambda before, attempt, after: any(term.count > 2 for term in plan(after).terms),
    "a fact parked": caused(WorkFailed, parked=True),
    "a batch that failed": lambda before, attempt, after: any(
        isinstance(event, WorkFailed) and len(event.facts) > 1 for event in attempt.events
    ),
    "a fact retracted before it was written": left(Withdrawal.NEVER_WRITTEN),
    "a fact that left by its columns": left(Withdrawal.COLUMNS),
    "a fact that left by a counter-edit": left(Withdrawal.COUNTER_EDIT),
    "a fact that left as its successor was written": left(Withdrawal.SUPERSEDED),
    "a successor and a new fact pending": lambda before, attempt, after: (
        len({after.facts[fact].predecessor is None for fact in after.pending}) == 2
    ),
    "an erasure while facts are pending": lambda before, attempt, after: bool(after.pending_erasure and after.pending),
    "a nap": lambda before, attempt, after: (
        isinstance(attempt.command, StartSleep) and attempt.command.kind == "nap" and bool(attempt.events)
    ),
    "an advance to stage 2": caused(FactAdvanced, from_stage=1, stage=2),
    "a retreat at stage 0": caused(FactRetreated, from_stage=0, stage=0),
    "a retreat from stage 1": caused(FactRetreated, from_stage=1, stage=0),
    "a retreat from stage 2": caused(FactRetreated, from_stage=2, stage=1),
    "a fact dissolved at stage 3": lambda before, attempt, after: any(
        isinstance(event, FactDissolved) and after.facts[event.fact].stage == 3 for event in attempt.events
    ),
    "a dissolved fact refreshed": lambda before, attempt, after: (
        isinstance(attempt.command, RecordRefresh)
        and bool(attempt.events)
        and any(before.facts[fact].status is Status.DISSOLVED for fact in attempt.command.work.facts)
    ),
    "a sleep undone for harm": caused(SleepRolledBack, reason="perplexity"),
    "a sleep undone for a failure": caused(SleepRolledBack, reason="failed"),
    "a sleep cancelled": caused(SleepRolledBack, reason="cancelled"),
    "a fact retracted in a sleep": lambda before, attempt, after: (
        before.sleep is not None and caused(FactRetracted)(before, attempt, after)
    ),
    "a fact superseded in a sleep": lambda before, attempt, after: (
        before.sleep is not None and caused(FactSuperseded)(before, attempt, after)
    ),
    "a sleep undone after a fact of it was retracted": lambda before, attempt, after: (
        before.undo is not None
        and caused(SleepRolledBack)(before, attempt, after)
        and any(not before.undo.facts[fact].retracted and before.facts[fact].retracted for fact in before.undo.facts)
    ),
    "a counter-edit that faded": left(Withdrawal.UNLEARNED),
}


ROUNDS = 5  # of drawn histories, at most: some cases are rare in each


@pytest.mark.walks
def test_what_the_properties_are_about_occurs_in_drawn_histories() -> None:
    times: Counter[str] = Counter()

    @LIMITS
    @given(day=attempts(), night=nights())
    def look(day: list[Attempt], night: list[Attempt]) -> None:
        for attempt in (*day, *night):
            after = fold(attempt.events, onto=attempt.memory)
            times.update(name for name, question in QUESTIONS.items() if question(attempt.memory, attempt, after))

    for number in range(ROUNDS):
        seed(number)(look)()  # other histories each time
        if all(times[name] for name in QUESTIONS):
            break

    assert [name for name in QUESTIONS if not times[name]] == []
