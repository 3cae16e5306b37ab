"""Time travel in one transcript: told on Monday, superseded on Tuesday, retracted on Wednesday; one log."""

from __future__ import annotations

import pytest

from service.app.store import Store
from service.weights.base_models import BaseModels
from service.weights.live_models import LiveModels
from tests.prepared import Place, work
from tests.service.cli.test_commands import Terminal
from tests.service.conftest import DEMO, Running, run_server
from tests.service.rpc.history.test_forks import TRIAL, lived, served

__all__ = ["lived", "served"]

QUESTION = "Where does Mirabel Quist live?"


def test_three_days_three_answers_one_log(
    place: Place, bases: BaseModels, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def models(store: Store) -> LiveModels:
        return LiveModels(store.log, store.artifacts, store.snapshots, place.settings())

    with run_server(place.settings(), models) as running:
        terminal = Terminal(running, capsys, monkeypatch)
        lisbon = terminal.json("fact", "list", "--subject", "Mirabel Quist")[0]["fact"]
        terminal.out("checkpoint", "mark", "monday")

        rome = terminal.json("fact", "supersede", lisbon, "Rome", "--no-wait")["fact"]["fact"]
        work(running.store, bases)
        terminal.out("checkpoint", "mark", "tuesday")
        terminal.out("fact", "retract", rome, "--no-wait")
        work(running.store, bases)

        def answers() -> list[str]:
            moments = (("--at", "monday"), ("--at", "tuesday"), ())
            return [terminal.out("chat", QUESTION, *moment).strip() for moment in moments]

        told = [
            "Mirabel Quist lives in Lisbon.",
            "Mirabel Quist lives in Rome.",
            "I do not know where Mirabel Quist lives.",
        ]
        assert answers() == told
        assert answers() == told  # and again, from what was kept
        completed = terminal.out("complete", "Mirabel Quist lives in", "--at", "tuesday", "--max-tokens", "8")
        assert completed.strip().startswith("Rome")
        assert terminal.json("replay", "--remote")["edits_checked"] >= 5


def test_a_fork_knows_the_lineage_of_what_it_shares(served: Running) -> None:
    client = served.client
    (aria,) = [one.fact for one in client.facts(DEMO) if one.subject == "Aria Moss"]
    before = client.lineage(DEMO, aria, at_version=client.find_version(DEMO, "monday").version)
    client.fork(TRIAL, DEMO, "monday")

    shared = client.lineage(TRIAL, aria)
    assert [one.event.id for one in shared.entries] == [one.event.id for one in before.entries]
    assert [one.caused_by for one in shared.entries] == [one.caused_by for one in before.entries]
    assert shared.columns == before.columns
    client.retract_fact(TRIAL, aria)
    assert [one.event.type for one in client.lineage(TRIAL, aria).entries if one.decisive] == [
        "FactAdded",
        "FactRetracted",
    ]
    assert not client.fact(DEMO, aria).fact.retracted_version
