"""The nights in the life of a fact: what happened to it in each, and because of what."""

from __future__ import annotations

import pytest

from core.ids import FactId
from core.policy import Training
from hypnogram.client import new_fact
from tests.service.conftest import DEMO, Running
from tests.service.dream import Dream

PROBED = "2 of 2 probes"


@pytest.fixture
def facts(demo: Running) -> list[FactId]:
    """Two facts in the weights."""
    demo.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon"), new_fact("Bo Lind", "lives in", "Oslo")])
    demo.work()
    return [FactId(one.fact) for one in demo.client.facts(DEMO)]


def night(server: Running, dream: Dream | None = None) -> None:
    server.client.begin_sleep(DEMO)
    server.work(dream=dream)


def life(server: Running, fact: FactId) -> list[tuple[str, list[str], str]]:
    """Since it was injected: type, types of the causes, summary."""
    entries = list(server.client.lineage(DEMO, fact).entries)
    types = {one.event.id: one.event.type for one in entries}
    injected = next(index for index, one in enumerate(entries) if one.event.type == "FactInjected")
    return [
        (one.event.type, [types[cause] for cause in one.caused_by], one.summary)
        for one in entries[injected + 1 :]
        if one.concerns
    ]


def test_other_facts_are_left_out_of_what_happened_to_many(demo: Running) -> None:
    told_ = demo.client.add_facts(
        DEMO, [new_fact(f"Aria Number{one}", "lives in", "Lisbon") for one in range(40)]
    ).results
    first, *others = (one.fact.fact for one in told_)
    demo.work()
    for _ in range(3):
        night(demo)

    answer = demo.client.lineage(DEMO, first)

    assert answer.entries[-1].event.type == "SleepCompleted"
    for entry in answer.entries:
        happened = str(entry.event.payload)
        assert not [one for one in others if one in happened]
        assert first in happened or not entry.concerns or entry.event.type == "SleepCompleted"
    assert answer.ByteSize() < 30_000  # with the others it was 45 kB


def test_a_night_in_which_a_fact_advances(demo: Running, facts: list[FactId]) -> None:
    night(demo)

    lived = life(demo, facts[0])

    assert [(type_, causes) for type_, causes, _ in lived] == [
        ("FactAudited", ["SleepStarted"]),
        ("AdapterTrained", ["SleepStarted"]),
        ("FactAudited", ["SleepStarted", "AdapterTrained"]),
        ("FactsRescaled", ["FactAudited"]),
        ("FactAdvanced", ["FactAudited", "FactsRescaled"]),
        ("FactAudited", ["SleepStarted"]),
        ("SleepCompleted", ["SleepStarted"]),
    ]
    words = [summary for _, _, summary in lived]
    assert words[0] == f"audited before: healthy, {PROBED} at scale 1"
    assert f"trained on 2 facts, this fact among them, {Training().steps} steps" in words[1]
    assert words[2] == f"at the gate: passes, {PROBED} at scale 0.5"
    assert words[3].startswith("2 edits rescaled, this fact's to 0.5; weights ")
    assert words[4].startswith(f"advanced: stage 0 -> 1, scale 1 -> 0.5: {PROBED}, audit of version ")
    assert "this fact: advanced" in words[6]


def test_a_night_in_which_a_fact_is_refreshed_and_another_one_turned_back(demo: Running, facts: list[FactId]) -> None:
    aria, bo = facts
    night(demo, Dream(degraded=[aria], turned_back=[bo]))

    refreshed = life(demo, aria)
    assert [(type_, causes) for type_, causes, _ in refreshed[:3]] == [
        ("FactAudited", ["SleepStarted"]),
        ("EditComputed", ["FactAudited", "StatisticsPrepared"]),
        ("FactRefreshed", ["EditComputed"]),
    ]
    assert refreshed[0][2] == (
        "audited before: degraded, 1 of 2 probes at scale 1; to 'Where does Aria Voss live?' it said 'Nowhere'"
    )
    assert refreshed[1][2].startswith("refresh ")
    assert refreshed[2][2].startswith("refreshed: carried by edit ")
    turned_back = [summary for type_, _, summary in life(demo, bo) if type_ in ("FactRetreated", "FactAudited")]
    assert turned_back[2].startswith("at the gate: is turned back, 1 of 2 probes at scale 0.5")
    assert turned_back[-2].startswith("stays at stage 0, scale 1: 1 of 2 probes")


def test_nights_that_dissolve_a_fact_and_one_that_is_undone(demo: Running, facts: list[FactId]) -> None:
    for _ in range(3):
        night(demo)
    demo.client.add_facts(DEMO, [new_fact("Cy Ames", "lives in", "Rome")])
    demo.work()
    night(demo, Dream(perplexity=20.0))

    lived = life(demo, facts[0])

    dissolved = next(index for index, (type_, _, _) in enumerate(lived) if type_ == "FactDissolved")
    assert lived[dissolved - 1][2].startswith("advanced: stage 2 -> 3, scale 0.1 -> 0: ")
    assert lived[dissolved][1] == ["FactAdvanced"]
    type_, causes, words = lived[-1]
    assert (type_, causes) == ("SleepRolledBack", ["SleepStarted"])
    assert "(perplexity): held-out perplexity grew by" in words


def test_what_happened_to_others_is_no_part_of_it(demo: Running, facts: list[FactId]) -> None:
    night(demo, Dream(degraded=[facts[1]]))
    demo.client.add_facts(DEMO, [new_fact("Cy Ames", "lives in", "Rome")])
    demo.work()

    assert "EditComputed" not in [type_ for type_, _, _ in life(demo, facts[0])]
    late = FactId(list(demo.client.facts(DEMO))[-1].fact)
    assert life(demo, late) == []  # the night was before
