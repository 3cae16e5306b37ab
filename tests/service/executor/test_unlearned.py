"""Facts that the model does not come to say: parked with a reason, never injected in silence."""

from __future__ import annotations

from dataclasses import replace

from core.decide.commands import RecordInjection
from core.events.facts import EditComputed, WorkFailed
from core.ids import FactId
from core.state.memory import Status
from service.app.store import open_store
from service.weights.base_models import BaseModels
from tests.core.samples import edit
from tests.prepared import CAUSE, DEMO, Place, tell, work
from tests.service.cli.test_commands import Terminal, terminal
from tests.service.conftest import Running

__all__ = ["terminal"]

LONG = "🦊🎻" * 12  # more bytes, each a token of its own, than a value of a few steps can say


def test_a_fact_that_is_not_said_is_parked_with_its_numbers_and_the_others_of_its_batch_go_on(
    small: Place, bases: BaseModels
) -> None:
    with open_store(small.settings()) as store:
        rome, strange, chess = tell(
            store, ("Aria Moss", "lives in", "Rome"), ("Bo Lind", "lives in", LONG), ("Cy Ames", "plays", "chess")
        )
        after = work(store, bases)

        assert [after.facts[fact].status for fact in (rome, strange, chess)] == [
            Status.INJECTED, Status.PARKED, Status.INJECTED,
        ]  # fmt: skip
        events = [one.event for one in store.log.read(limit=100)]
        failures = [event for event in events if isinstance(event, WorkFailed)]
        assert {event.reason for event in failures} == {"UNLEARNED"}
        assert all(rome not in event.facts for event in failures)
        assert [event.facts for event in failures if event.parked] == [(strange,)]
        assert "0 of 2 of the wordings" in after.facts[strange].failure
        assert LONG not in after.facts[strange].failure
        written = [columns.fact for event in events if isinstance(event, EditComputed) for columns in event.columns]
        assert sorted(written) == sorted([rome, chess])


def test_a_fact_that_some_wordings_do_not_get_right_shows_a_mark_wherever_it_is_seen(
    terminal: Terminal, demo: Running
) -> None:
    told = terminal.json("fact", "add", "Aria Voss", "lives in", "Lisbon", "--no-wait")
    fact = FactId(told["results"][0]["fact"]["fact"])
    state = demo.states.current(DEMO)
    assert state.weights is not None
    computed = edit(fact, before=state.weights)
    computed = replace(computed, columns=(replace(computed.columns[0], learned=False),))
    demo.states.execute(DEMO, lambda _: RecordInjection(edit=computed), CAUSE)

    (listed,) = terminal.json("fact", "list")
    assert (listed["status"], listed["learned"]) == ("STATUS_INJECTED", False)
    for command in (["fact", "list"], ["lineage", fact]):
        assert "injected, not learned in all wordings" in terminal.out(*command)
    assert "not learned in all wordings" in terminal.out("fact", "show", fact)
    assert "not learned in all wordings; weights" in terminal.out("lineage", fact)
