"""Where telling made other answers wrong, commands say so before anything else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from core.decide.commands import RecordInjection
from core.events.facts import EditComputed
from core.ids import FactId
from core.unchanged import Contamination, Unchanged
from service.app.store import open_store
from service.weights.base_models import BaseModels
from tests.core.samples import edit
from tests.patience import eventually
from tests.prepared import CAUSE, DEMO, Place, state_of, take_back, tell, work
from tests.service.cli.test_commands import ARIA, Terminal, terminal
from tests.service.cli.test_sleep import Night
from tests.service.conftest import Running
from tests.service.dream import Dream

__all__ = ["terminal"]

FINE = Unchanged(neighbours=1.0, strangers=1.0, unanswered=1.0, asked=16)
HARM = replace(FINE, strangers=0.875, unanswered=0.5625)
SAID = "only 56% of questions about relations that its subjects have no fact of, 88% of questions about strangers"


def written(demo: Running, unchanged: Unchanged | None) -> None:
    """Writes what is pending by an edit that leaves others `unchanged`."""
    eventually(lambda: demo.states.current(DEMO).pending)
    state = demo.states.current(DEMO)
    assert state.weights is not None
    computed = replace(edit(*state.pending, before=state.weights, number=state.version), unchanged=unchanged)
    demo.states.execute(DEMO, lambda _: RecordInjection(edit=computed), CAUSE)


def told(terminal: Terminal, demo: Running, unchanged: Unchanged | None, *arguments: str) -> str:
    with ThreadPoolExecutor() as threads:
        writing = threads.submit(written, demo, unchanged)
        said = terminal.out(*arguments)
        writing.result()
    return said


def test_whoever_tells_what_does_harm_reads_so_first(terminal: Terminal, demo: Running) -> None:
    said = told(terminal, demo, HARM, *ARIA)

    assert said.splitlines()[0].startswith(f"Other answers have changed: {SAID}")
    assert "injected" in said
    (fact,) = terminal.json("fact", "list")
    moved = told(terminal, demo, HARM, "fact", "supersede", fact["fact"], "Rome")
    assert moved.splitlines()[0].startswith(f"Other answers have changed: {SAID}")


@pytest.mark.parametrize("unchanged", [None, FINE])
def test_whoever_tells_what_does_none_reads_nothing_of_it(
    unchanged: Unchanged | None, terminal: Terminal, demo: Running
) -> None:
    assert "changed" not in told(terminal, demo, unchanged, *ARIA)
    assert terminal.out("status").startswith("memory")


def test_whoever_tells_what_is_said_elsewhere_reads_where(terminal: Terminal, demo: Running) -> None:
    spread = Contamination(strangers=0.0, namesakes=0.125, untold=0.25, asked=8)
    said = told(terminal, demo, replace(FINE, contamination=spread), *ARIA)

    assert said.splitlines()[0].startswith(
        "Told objects are said elsewhere: in 12% of answers about people of a similar name, in 25% of answers about "
        "relations that its subjects have no fact of, of at most 8 asked of each kind."
    )
    assert terminal.json("status")["memory"]["unchanged"]["contamination"]["untold"] == 0.25


def test_status_says_it_first_until_the_weights_are_others(terminal: Terminal, demo: Running) -> None:
    told(terminal, demo, HARM, *ARIA)
    first = terminal.out("status").splitlines()[0]
    assert first.startswith(f"Other answers have changed: {SAID}")
    assert f"of at most {HARM.asked} asked of each kind" in first
    assert first.endswith("`hypnogram nap` measures it, `hypnogram fact retract` undoes it.")
    assert terminal.json("status")["memory"]["unchanged"]["unanswered"] == HARM.unanswered

    told(terminal, demo, FINE, "fact", "add", "Bo Lind", "lives in", "Lima")
    assert terminal.out("status").startswith("memory")


def test_the_outcome_of_a_nap_says_it_beside_the_healthy_facts(terminal: Terminal, demo: Running) -> None:
    told(terminal, demo, None, *ARIA)
    with Night(demo, Dream(unanswered=0.61)):
        report = terminal.out("nap")

    outcome = next(line for line in report.splitlines() if line.startswith("outcome"))
    assert "completed: 1 of 1 facts healthy; only 61% of questions about relations that its subjects" in " ".join(
        outcome.split()
    )
    assert "only 61% of questions about relations that its subjects" in terminal.out("status").splitlines()[0]


def test_a_relation_that_the_memory_has_no_words_for_is_named(terminal: Terminal, demo: Running) -> None:
    plain = told(terminal, demo, FINE, "fact", "add", "Robin Smith", "recommends", "hiking")
    assert 'no words of its own for "recommends"; `hypnogram memory show`' in plain.splitlines()[0]

    assert "no words" not in told(terminal, demo, FINE, *ARIA)
    own = ("--statement", "Bo likes", "--question", "What does Bo like?", "--answer", "Bo likes")
    assert "no words" not in told(terminal, demo, FINE, "fact", "add", "Bo", "likes", "hiking", *own)


def test_each_edit_that_tells_records_how_a_few_others_are_answered(small: Place, bases: BaseModels) -> None:
    with open_store(small.settings()) as store:
        (fact,) = tell(store, ("Aria Moss", "plays", "chess"))
        after = work(store, bases)
        (computed,) = [one.event for one in store.log.read(limit=100) if isinstance(one.event, EditComputed)]

        assert computed.unchanged is not None
        assert computed.unchanged.asked == 1  # of the reference text of this base, one of each kind is held out
        assert after.unchanged == computed.unchanged
        take_back(store, FactId(fact))
        work(store, bases)
        assert state_of(store).unchanged is None
