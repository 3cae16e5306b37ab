"""Where the wordings of a fact come from is recorded with it, and decides which wordings its successor has."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypnogram.v1 import facts_pb2

from core import wordings
from core.decide import facts
from core.events.facts import FactAdded
from core.facts import Origin, RelationWords
from core.ids import FactId, MemoryId
from hypnogram.client import new_fact
from tests.service.conftest import DEMO, Running

EARLIER = RelationWords(
    statements=("{s} is at the wheel of a",), questions=("What is {s} at the wheel of?",), answer="{s} steers a"
)  # of a library that is no longer


def origin(demo: Running, fact: str) -> Origin | None:
    return demo.states.current(MemoryId(DEMO)).facts[FactId(fact)].origin


@pytest.fixture
def told(demo: Running, monkeypatch: pytest.MonkeyPatch) -> facts_pb2.Fact:
    """A fact in the wordings of an earlier library, which none of today makes."""
    with monkeypatch.context() as earlier:
        earlier.setattr(wordings, "library_words", lambda relation, object_: EARLIER)
        return demo.client.add_facts(DEMO, [new_fact("Mara Quill", "drives", "Volvo")]).results[0].fact


def test_a_successor_gets_new_words_where_those_of_its_predecessor_came_from_the_library(
    demo: Running, told: facts_pb2.Fact
) -> None:
    assert (told.wordings.answer, origin(demo, told.fact)) == ("Mara Quill steers a", Origin.LIBRARY)

    instead = demo.client.supersede_fact(DEMO, told.fact, "an old Volvo").fact

    assert instead.wordings.answer == "Mara Quill drives"
    assert not any(statement.endswith((" a", " an")) for statement in instead.wordings.statements)
    assert origin(demo, instead.fact) is Origin.LIBRARY


def test_a_successor_keeps_the_words_of_a_client_and_remembers_whose_they_are(demo: Running) -> None:
    words = facts_pb2.Wordings(statements=["Mara steers a"], questions=["Mara steers what?"], answer="Mara steers a")
    (first,) = demo.client.add_facts(DEMO, [new_fact("Mara", "drives", "Volvo", wordings=words)]).results

    saab = demo.client.supersede_fact(DEMO, first.fact.fact, "Saab").fact
    opel = demo.client.supersede_fact(DEMO, saab.fact, "Opel").fact

    assert saab.wordings == opel.wordings == words
    assert [origin(demo, fact) for fact in (first.fact.fact, saab.fact, opel.fact)] == [Origin.CLIENT] * 3


def test_the_words_of_an_older_log_are_compared_with_what_the_memory_makes(
    demo: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(facts, "FactAdded", lambda **given: replace(FactAdded(**given), origin=None))
        (first,) = demo.client.add_facts(DEMO, [new_fact("Mara Quill", "works as", "engineer")]).results
    assert origin(demo, first.fact.fact) is None

    instead = demo.client.supersede_fact(DEMO, first.fact.fact, "baker").fact

    assert (first.fact.wordings.answer, instead.wordings.answer) == ("Mara Quill works as an", "Mara Quill works as a")
