"""Why a fact is where it is, where that is, and both ends of a supersession."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from hypnogram.v1 import facts_pb2

from core.decide.commands import RetractFact
from core.ids import Digest, FactId
from hypnogram.client import new_fact
from service.app.lineage import lineage
from service.app.repository import MemoryRepository
from service.app.store import Store, open_store
from service.rpc.messages.column_locations import columns
from service.rpc.messages.page_tokens import fitting
from service.weights.base_models import BaseModels
from store.sealing.delta_columns import extents, unseal
from tests.prepared import CAUSE, Place, state_of, tell, work
from tests.prepared import DEMO as MEMORY
from tests.service.cli.test_commands import Terminal, terminal
from tests.service.conftest import DEMO, Running
from tests.service.dream import Dream
from tests.store.given import throw_key_away

__all__ = ["terminal"]

SOURCE = facts_pb2.Source(client="notebook", conversation="c-17", turn=3, span="Aria has moved to Lisbon")


@pytest.fixture
def aria(demo: Running) -> str:
    """A fact in the weights."""
    fact = (
        demo.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon", source=SOURCE)]).results[0].fact.fact
    )
    demo.work()
    return fact


def night(demo: Running, dream: Dream | None = None) -> None:
    demo.client.begin_sleep(DEMO)
    demo.work(dream=dream)


class Counted:
    """A call, and what it answered."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.answers: list[facts_pb2.GetLineageResponse] = []

    def __call__(self, *given: Any, **named: Any) -> facts_pb2.GetLineageResponse:
        answer: facts_pb2.GetLineageResponse = self.call(*given, **named)
        kept = facts_pb2.GetLineageResponse()
        kept.CopyFrom(answer)
        self.answers.append(kept)
        return answer


class TestPages:
    def test_together_they_are_the_lineage_as_of_the_first(self, demo: Running, aria: str) -> None:
        night(demo)
        whole = demo.client.lineage(DEMO, aria)
        request = facts_pb2.GetLineageRequest(memory=DEMO, fact=aria, page_size=4)

        found = [demo.client.stubs.facts.GetLineage(request)]
        night(demo)  # what happens in between shows in none of them
        while token := found[-1].next_page_token:
            request.page_token = token
            found.append(demo.client.stubs.facts.GetLineage(request))

        assert [entry for page in found for entry in page.entries] == list(whole.entries)
        assert [len(page.entries) for page in found[:-1]] == [4] * (len(found) - 1)
        assert {page.version for page in found} == {whole.version}
        assert [list(page.columns) for page in found] == [list(whole.columns), *[[]] * (len(found) - 1)]

    def test_the_client_reads_all_of_them(self, demo: Running, aria: str, monkeypatch: pytest.MonkeyPatch) -> None:
        night(demo)
        whole = demo.client.lineage(DEMO, aria)

        monkeypatch.setattr("hypnogram.client.calls.facts.LINKS", 1)

        assert demo.client.lineage(DEMO, aria) == whole

    def test_one_ends_before_it_is_too_large_for_a_message(
        self, demo: Running, aria: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        night(demo)
        whole = demo.client.lineage(DEMO, aria)

        monkeypatch.setattr(
            demo.client.stubs.facts, "GetLineage", counted := Counted(demo.client.stubs.facts.GetLineage)
        )
        monkeypatch.setattr("service.rpc.messages.page_tokens.fitting", lambda items, most: fitting(items, 3000))

        assert demo.client.lineage(DEMO, aria) == whole
        assert len(counted.answers) > 2
        assert all(len(one.entries) == 1 or sum(e.ByteSize() for e in one.entries) <= 3000 for one in counted.answers)

    @pytest.mark.parametrize("wrong", [{"page_size": 1001}, {"page_token": "x"}, {"page_token": "WyJhIl0"}])
    def test_what_is_none_is_refused(self, demo: Running, aria: str, wrong: dict[str, Any]) -> None:
        (field,) = wrong
        request = facts_pb2.GetLineageRequest(memory=DEMO, fact=aria, **wrong)

        with pytest.raises(grpc.RpcError, match=field) as refused:
            demo.client.stubs.facts.GetLineage(request)

        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def why(demo: Running, fact: str) -> list[str]:
    """Types of the decisive events."""
    return [one.event.type for one in demo.client.lineage(DEMO, fact).entries if one.decisive]


class TestWhy:
    def test_a_pending_fact_because_it_was_told(self, demo: Running) -> None:
        fact = demo.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon")]).results[0].fact.fact

        assert why(demo, fact) == ["FactAdded"]

    def test_a_fact_in_the_weights_because_an_edit_wrote_it(self, demo: Running, aria: str) -> None:
        assert why(demo, aria) == ["StatisticsPrepared", "FactAdded", "EditComputed", "FactInjected"]

    def test_a_parked_fact_because_writing_failed(self, demo: Running) -> None:
        fact = demo.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon")]).results[0].fact.fact
        demo.work(fail=True)

        assert why(demo, fact) == ["FactAdded", "WorkFailed"]

    def test_a_fact_that_advanced_because_of_the_gate_and_the_adapter(self, demo: Running, aria: str) -> None:
        night(demo)

        assert why(demo, aria) == [
            "SleepStarted", "AdapterTrained", "FactAudited", "FactsRescaled", "FactAdvanced",
        ]  # fmt: skip

    def test_a_fact_that_was_audited_since_because_of_the_same(self, demo: Running, aria: str) -> None:
        night(demo)
        before = why(demo, aria)
        demo.client.begin_nap(DEMO)
        demo.work()

        assert why(demo, aria) == before

    def test_a_dissolved_fact_because_of_its_last_night(self, demo: Running, aria: str) -> None:
        for _ in range(3):
            night(demo)
        entries = demo.client.lineage(DEMO, aria).entries

        assert why(demo, aria)[-2:] == ["FactAdvanced", "FactDissolved"]
        last = max(one.event.version for one in entries if one.event.type == "SleepStarted")
        assert all(one.event.version >= last for one in entries if one.decisive)

    def test_a_fact_whose_night_was_undone_because_of_that(self, demo: Running, aria: str) -> None:
        demo.client.begin_sleep(DEMO)
        demo.work(dream=Dream(perplexity=99.0))

        assert why(demo, aria) == ["SleepStarted", "SleepRolledBack"]

    def test_a_retracted_fact_because_somebody_took_it_back(self, demo: Running, aria: str) -> None:
        demo.client.retract_fact(DEMO, aria, "she moved")
        assert why(demo, aria) == ["FactAdded", "FactRetracted"]
        demo.work()

        assert why(demo, aria) == ["FactAdded", "FactRetracted", "FactWithdrawn"]

    def test_a_superseded_fact_because_of_its_successor(self, demo: Running, aria: str) -> None:
        demo.client.supersede_fact(DEMO, aria, "Porto")
        demo.work()

        assert why(demo, aria) == [
            "FactAdded", "FactAdded", "FactSuperseded", "EditComputed", "FactWithdrawn",
        ]  # fmt: skip


class TestBothEnds:
    def test_each_names_the_other(self, demo: Running, aria: str) -> None:
        porto = demo.client.supersede_fact(DEMO, aria, "Porto").fact.fact
        demo.work()
        old, new = demo.client.lineage(DEMO, aria), demo.client.lineage(DEMO, porto)
        summaries = {one.event.type: one.summary for one in old.entries if one.concerns}

        assert summaries["FactSuperseded"] == f"superseded by fact {porto}"
        assert "told: Aria Voss lives in Porto" in [one.summary for one in old.entries if not one.concerns]
        assert (old.fact.successor, new.fact.predecessor) == (porto, aria)
        link = next(one for one in new.entries if one.event.type == "FactSuperseded")
        causes = {one.event.id: one.summary for one in new.entries}
        assert link.summary == f"supersedes fact {aria}"
        assert {causes[one] for one in link.caused_by} == {
            "told: Aria Voss lives in Lisbon", "told: Aria Voss lives in Porto",
        }  # fmt: skip


@pytest.fixture
def written(small: Place, bases: BaseModels) -> Iterator[Store]:
    """Two facts in one edit, on a base of random weights."""
    with open_store(small.settings()) as store:
        work(store, bases)
        tell(store, ("Aria Moss", "lives in", "Rome"), ("Bo Lind", "lives in", "Lima"))
        work(store, bases)
        yield store


class TestWhere:
    def where(self, store: Store, fact: FactId) -> list[facts_pb2.Columns]:
        state = state_of(store)
        links = lineage(store.log, MEMORY, fact, state.version)
        return columns(links, fact, state.facts[fact], store.artifacts, store.log.keyring)

    def test_the_bytes_named_are_the_columns(self, written: Store) -> None:
        for fact in state_of(written).facts:
            (own,) = self.where(written, fact)
            data = written.artifacts.get(Digest(own.artifact))
            (extent,) = (one for one in extents(data) if one.fact == fact)
            key = written.log.keyring.key(fact)

            assert (own.in_force, own.scale, own.readable) == (True, 1.0, True)
            assert (own.offset, own.length, own.first) == (extent.offset, extent.length, extent.first)
            assert key is not None
            assert unseal(data, extent, key)

    def test_columns_of_a_fact_that_left_are_out_of_force(self, written: Store, bases: BaseModels) -> None:
        fact = next(iter(state_of(written).facts))
        command = RetractFact(memory=MEMORY, fact=fact, reason="", erase=False, request="1", request_digest=Digest("1"))
        MemoryRepository(written.log, written.snapshots).execute(MEMORY, lambda _: command, CAUSE)
        work(written, bases, until=lambda memory: not memory.pending_withdrawal)

        own, *_ = self.where(written, fact)
        assert (own.in_force, own.scale, own.readable) == (False, 0.0, True)

    def test_columns_of_an_erased_fact_cannot_be_read(self, written: Store) -> None:
        fact, other = state_of(written).facts
        throw_key_away(written.log, fact)

        assert [one.readable for one in self.where(written, fact)] == [False]
        assert [one.readable for one in self.where(written, other)] == [True]


class TestTerminal:
    def test_a_tree_with_the_source_above_it(self, terminal: Terminal, demo: Running, aria: str) -> None:
        night(demo)
        out = terminal.out("lineage", aria)

        assert "added by notebook, in conversation c-17, turn 3, in the words 'Aria has moved to Lisbon'" in out
        lines = out.splitlines()
        edit = next(line for line in lines if "EditComputed" in line)
        injected = next(line for line in lines if "FactInjected" in line)
        assert injected.index("FactInjected") > edit.index("EditComputed")  # below its cause
        assert "← also 2" in edit

    def test_why_leaves_out_what_did_not_decide(self, terminal: Terminal, demo: Running, aria: str) -> None:
        night(demo)
        out = terminal.out("lineage", aria, "--why")

        assert "FactAdvanced" in out
        assert "FactInjected" not in out

    def test_where_shows_columns(self, terminal: Terminal, demo: Running, aria: str) -> None:
        assert "in force at scale 1" in terminal.out("lineage", aria, "--where")
        assert terminal.run("lineage", aria, "--where", "--why")[0] == 2

    def test_a_fact_is_superseded_and_retracted(self, terminal: Terminal, demo: Running, aria: str) -> None:
        out = terminal.out("fact", "supersede", aria, "Porto", "--no-wait")
        assert "Aria Voss lives in Porto: pending" in out
        demo.work()
        porto = terminal.json("fact", "show", aria)["fact"]["successor"]
        assert terminal.json("fact", "retract", porto, "--no-wait")["fact"]["status"] == "STATUS_INJECTED"
        demo.work()
        assert "status" in terminal.out("fact", "show", porto)
        assert terminal.run("fact", "retract", porto)[0] == 1

    def test_erasing_needs_a_yes(self, terminal: Terminal, demo: Running, aria: str) -> None:
        status, _, err = terminal.run("fact", "retract", aria, "--erase", "--no-wait")
        assert (status, "--yes" in err) == (2, True)
        assert not terminal.json("fact", "show", aria)["fact"]["retracted_version"]

        terminal.out("fact", "retract", aria, "--erase", "--yes", "--no-wait")
        demo.work()
        assert terminal.json("fact", "show", aria)["fact"]["erased"]
        assert terminal.out("lineage", aria).startswith("(erased): withdrawn")
