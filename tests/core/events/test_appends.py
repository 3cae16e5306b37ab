"""What was recorded at once is told from the events alone, whatever happened."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given

from core.decide import decide
from core.errors.history import HalfRecorded
from core.events import Event
from core.events.appends import continues, whole_around
from core.evolve import evolve
from core.state.memory import NOTHING
from tests.core.decide.test_forks import fork
from tests.core.samples import ARIA, DEE, add, fact
from tests.core.sleep_samples import AWAKE, do, supersede
from tests.core.strategies import Attempt, attempts, nights

OSLO = fact("f-oslo", ARIA.subject, ARIA.relation, "Oslo")


@given(attempts() | nights())
def test_an_append_is_whole_where_it_ended_and_nowhere_inside(made: list[Attempt]) -> None:
    previous: Event | None = None
    for attempt in made:
        memory = attempt.memory
        for before, event in pairwise(attempt.events):
            memory = evolve(memory, before)
            assert continues(before, event) or memory.sleep is not None  # nothing begins inside a sleep anyway
        if attempt.events and previous is not None:
            assert not continues(previous, attempt.events[0])
        previous = attempt.events[-1] if attempt.events else previous


def test_the_nearest_versions_around_each_place_are_named() -> None:
    telling = add(DEE, fact("f-eli", "Eli Orr", "speaks", "Welsh"), request="two")
    events = [*decide(AWAKE, telling), *decide(do(AWAKE, telling), supersede(ARIA, OSLO))]

    assert [whole_around(events, index) for index in range(4)] == [(-1, 1), (1, 1), (1, 3), (3, 3)]


def test_a_fork_is_refused_between_a_fact_and_the_end_of_the_one_that_it_supersedes() -> None:
    added, ended = decide(AWAKE, supersede(ARIA, OSLO))
    between = evolve(AWAKE, added)
    command = replace(fork(between), whole=(AWAKE.version, AWAKE.version + 2))
    with pytest.raises(HalfRecorded, match=f"fork it at version {AWAKE.version} or {AWAKE.version + 2}"):
        decide(NOTHING, command)

    assert decide(NOTHING, fork(evolve(between, ended)))
