"""Facts superseded and retracted over the wire."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypnogram.v1 import facts_pb2

from core.ids import MemoryId
from core.state.sleep import Step
from hypnogram.client import CallFailed, new_fact
from tests.patience import PATIENCE, eventually
from tests.service.conftest import DEMO, Running

ARIA = new_fact("Aria Voss", "lives in", "Lisbon")


@pytest.fixture
def aria(demo: Running) -> str:
    """A fact in the weights."""
    fact = demo.client.add_facts(DEMO, [ARIA]).results[0].fact.fact
    demo.work()
    return fact


def nights(demo: Running, count: int) -> None:
    for _ in range(count):
        demo.client.begin_sleep(DEMO)
        demo.work()


class TestSupersede:
    def test_old_and_new_are_one_append_and_name_each_other(self, demo: Running, aria: str) -> None:
        before = demo.client.memory(DEMO).version

        answer = demo.client.supersede_fact(DEMO, aria, "Porto", source=facts_pb2.Source(conversation="c-2", turn=5))

        assert [one.type for one in demo.client.events(DEMO, before)] == ["FactAdded", "FactSuperseded"]
        assert answer.version == before + 2
        new, old = answer.fact, answer.superseded
        assert (new.subject, new.relation, new.object) == ("Aria Voss", "lives in", "Porto")
        assert new.wordings == old.wordings
        assert (new.source.conversation, new.source.turn) == ("c-2", 5)
        assert (new.predecessor, old.successor) == (aria, new.fact)
        assert (new.status, old.status) == (facts_pb2.STATUS_PENDING, facts_pb2.STATUS_INJECTED)
        assert old.retracted_version == answer.version

    def test_one_update_moves_the_answer(self, demo: Running, aria: str) -> None:
        with ThreadPoolExecutor() as threads:
            waiting = threads.submit(demo.client.supersede_fact, DEMO, aria, "Porto", wait=True)
            eventually(lambda: demo.client.fact(DEMO, aria).fact.successor)
            before = demo.client.memory(DEMO).version
            assert not waiting.done()
            demo.work()
            answer = waiting.result(PATIENCE)

        happened = [one.type for one in demo.client.events(DEMO, before)]
        assert happened == ["EditComputed", "FactInjected", "FactWithdrawn"]
        assert answer.fact.status == facts_pb2.STATUS_INJECTED
        assert (answer.superseded.status, answer.superseded.scale) == (facts_pb2.STATUS_WITHDRAWN, 0.0)
        assert answer.superseded.edits == []

    def test_the_same_request_supersedes_nothing_twice(self, demo: Running, aria: str) -> None:
        first = demo.client.supersede_fact(DEMO, aria, "Porto", request_id="once")
        demo.work()
        again = demo.client.supersede_fact(DEMO, aria, "Porto", request_id="once", expected_version=1)

        assert again.fact.fact == first.fact.fact
        assert again.superseded.status == facts_pb2.STATUS_WITHDRAWN
        assert len(list(demo.client.facts(DEMO))) == 2

    def test_words_of_the_client_replace_those_of_the_old_fact(self, demo: Running, aria: str) -> None:
        words = facts_pb2.Wordings(
            statements=["The town of Aria Voss is"],
            questions=["Aria Voss is where?"],
            answer="The town of Aria Voss is",
        )

        assert demo.client.supersede_fact(DEMO, aria, "Porto", wordings=words).fact.wordings == words

    def test_the_successor_may_be_superseded_in_turn(self, demo: Running, aria: str) -> None:
        porto = demo.client.supersede_fact(DEMO, aria, "Porto").fact.fact
        faro = demo.client.supersede_fact(DEMO, porto, "Faro").fact.fact
        demo.work()

        statuses = {one.object: one.status for one in demo.client.facts(DEMO)}
        assert statuses == {
            "Lisbon": facts_pb2.STATUS_WITHDRAWN,
            "Porto": facts_pb2.STATUS_WITHDRAWN,
            "Faro": facts_pb2.STATUS_INJECTED,
        }
        assert demo.client.fact(DEMO, faro).fact.predecessor == porto


class TestRetract:
    def test_it_is_durable_at_once_and_leaves_the_weights_soon(self, demo: Running, aria: str) -> None:
        answer = demo.client.retract_fact(DEMO, aria, "she moved")

        assert answer.fact.status == facts_pb2.STATUS_INJECTED
        assert answer.fact.retracted_version == answer.version == demo.store.log.head(MemoryId(DEMO))
        assert answer.withdrawal == facts_pb2.WITHDRAWAL_UNSPECIFIED
        demo.work()
        gone = demo.client.fact(DEMO, aria).fact
        assert (gone.status, gone.scale, len(gone.edits)) == (facts_pb2.STATUS_WITHDRAWN, 0.0, 0)
        assert [one.fact for one in demo.client.facts(DEMO, status=facts_pb2.STATUS_WITHDRAWN)] == [aria]
        assert demo.client.memory(DEMO).memory.facts.withdrawn == 1

    def test_its_subject_and_relation_are_free_again(self, demo: Running, aria: str) -> None:
        demo.client.retract_fact(DEMO, aria)

        assert demo.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Oslo")]).results[0].added

    def test_waiting_ends_when_the_weights_have_given_it_up(self, demo: Running, aria: str) -> None:
        with ThreadPoolExecutor() as threads:
            waiting = threads.submit(demo.client.retract_fact, DEMO, aria, wait=True)
            eventually(lambda: demo.client.fact(DEMO, aria).fact.retracted_version)
            assert not waiting.done()
            demo.work()
            answer = waiting.result(PATIENCE)

        assert answer.fact.status == facts_pb2.STATUS_WITHDRAWN
        assert answer.withdrawal == facts_pb2.WITHDRAWAL_COLUMNS
        assert answer.adapters == []

    def test_waiting_ends_when_the_last_attempt_has_failed(self, demo: Running, aria: str) -> None:
        demo.client.retract_fact(DEMO, aria, request_id="once", erase=True)
        demo.work(fail=True)
        answer = demo.client.retract_fact(DEMO, aria, request_id="once", erase=True, wait=True, timeout=PATIENCE)

        assert answer.fact.status == facts_pb2.STATUS_INJECTED
        assert answer.fact.failure == "the disk is full"
        assert not answer.fact.erased  # its columns are still needed
        again = demo.client.retract_fact(DEMO, aria)  # asked for anew, it is tried anew, and then erased
        demo.work()
        assert again.version > answer.version
        assert demo.client.fact(DEMO, aria).fact.erased

    def test_one_that_was_never_written_is_gone_at_once(self, demo: Running) -> None:
        fact = demo.client.add_facts(DEMO, [ARIA]).results[0].fact.fact

        answer = demo.client.retract_fact(DEMO, fact, wait=True)

        assert answer.fact.status == facts_pb2.STATUS_WITHDRAWN
        assert answer.withdrawal == facts_pb2.WITHDRAWAL_NEVER_WRITTEN

    def test_one_that_adapters_have_learned_takes_a_counter_edit_until_they_unlearn_it(
        self, demo: Running, aria: str
    ) -> None:
        demo.client.add_facts(DEMO, [new_fact("Bo Lind", "lives in", "Oslo")])
        demo.work()
        nights(demo, 3)
        assert demo.client.fact(DEMO, aria).fact.status == facts_pb2.STATUS_DISSOLVED
        demo.client.retract_fact(DEMO, aria, request_id="once")
        demo.work()

        answer = demo.client.retract_fact(DEMO, aria, request_id="once")
        assert answer.withdrawal == facts_pb2.WITHDRAWAL_COUNTER_EDIT
        assert len(answer.adapters) == 3
        assert len(answer.fact.edits) == 1
        nights(demo, 3)
        answer = demo.client.retract_fact(DEMO, aria, request_id="once")
        assert answer.withdrawal == facts_pb2.WITHDRAWAL_UNLEARNED
        assert answer.fact.status == facts_pb2.STATUS_WITHDRAWN

    def test_one_that_was_superseded_says_so(self, demo: Running, aria: str) -> None:
        demo.client.supersede_fact(DEMO, aria, "Porto")
        demo.work()

        answer = demo.client.retract_fact(DEMO, aria, erase=True)

        assert answer.withdrawal == facts_pb2.WITHDRAWAL_SUPERSEDED

    def test_the_same_request_retracts_nothing_twice(self, demo: Running, aria: str) -> None:
        first = demo.client.retract_fact(DEMO, aria, "she moved", request_id="once")
        again = demo.client.retract_fact(DEMO, aria, "she moved", request_id="once")

        assert first == again

    def test_while_the_memory_sleeps_the_weights_keep_it(self, demo: Running, aria: str) -> None:
        demo.client.begin_sleep(DEMO)
        demo.work(until=Step.TRAIN)
        demo.client.retract_fact(DEMO, aria)

        assert demo.client.fact(DEMO, aria).fact.status == facts_pb2.STATUS_INJECTED
        demo.work()
        assert demo.client.fact(DEMO, aria).fact.status == facts_pb2.STATUS_WITHDRAWN


class TestErase:
    def test_its_words_are_gone_and_it_is_still_there(self, demo: Running, aria: str) -> None:
        with ThreadPoolExecutor() as threads:
            waiting = threads.submit(demo.client.retract_fact, DEMO, aria, "a secret", erase=True, wait=True)
            eventually(lambda: demo.client.fact(DEMO, aria).fact.retracted_version)
            demo.work()
            answer = waiting.result(PATIENCE)

        assert answer.fact.erased
        assert (answer.fact.fact, answer.fact.subject, answer.fact.object) == (aria, "", "")
        assert answer.withdrawal == facts_pb2.WITHDRAWAL_COLUMNS

    def test_one_that_was_retracted_before_may_be_erased(self, demo: Running, aria: str) -> None:
        demo.client.retract_fact(DEMO, aria)
        demo.work()
        demo.client.retract_fact(DEMO, aria, erase=True)
        demo.work()

        assert demo.client.fact(DEMO, aria).fact.erased


@pytest.mark.parametrize("verb", ["supersede_fact", "retract_fact"])
class TestRefused:
    def failure(self, demo: Running, verb: str, fact: str, word: str, **more: object) -> tuple[str, str, str]:
        version = demo.client.memory(DEMO).version
        with pytest.raises(CallFailed) as caught:
            getattr(demo.client, verb)(DEMO, fact, word, **more)
        assert demo.client.memory(DEMO).version == version
        return caught.value.code, caught.value.reason, caught.value.metadata.get("field", "")

    def test_a_fact_that_was_taken_back_already(self, demo: Running, aria: str, verb: str) -> None:
        demo.client.retract_fact(DEMO, aria)

        assert self.failure(demo, verb, aria, "Porto")[:2] == ("FAILED_PRECONDITION", "FACT_RETRACTED")
        demo.work()
        assert self.failure(demo, verb, aria, "Porto")[:2] == ("FAILED_PRECONDITION", "FACT_RETRACTED")

    def test_a_fact_that_was_erased(self, demo: Running, aria: str, verb: str) -> None:
        demo.client.retract_fact(DEMO, aria, erase=True)
        demo.work()

        assert self.failure(demo, verb, aria, "Porto")[:2] == ("FAILED_PRECONDITION", "FACT_RETRACTED")

    def test_an_unknown_fact(self, demo: Running, verb: str) -> None:
        assert self.failure(demo, verb, "nobody", "Porto")[:2] == ("NOT_FOUND", "FACT_UNKNOWN")

    def test_no_fact(self, demo: Running, verb: str) -> None:
        assert self.failure(demo, verb, "", "Porto") == ("INVALID_ARGUMENT", "INVALID_FIELD", "fact")

    def test_a_request_id_that_came_with_something_else(self, demo: Running, aria: str, verb: str) -> None:
        demo.client.add_facts(DEMO, [new_fact("Bo Lind", "lives in", "Oslo")], request_id="once")

        failure = self.failure(demo, verb, aria, "Porto", request_id="once")
        assert failure[:2] == ("ALREADY_EXISTS", "REQUEST_REUSED")

    def test_a_version_that_was_left(self, demo: Running, aria: str, verb: str) -> None:
        failure = self.failure(demo, verb, aria, "Porto", expected_version=2)

        assert failure[:2] == ("ABORTED", "VERSION_CONFLICT")

    def test_a_memory_that_there_is_not(self, demo: Running, aria: str, verb: str) -> None:
        with pytest.raises(CallFailed) as caught:
            getattr(demo.client, verb)("nowhere", aria, "Porto")

        assert (caught.value.code, caught.value.reason) == ("NOT_FOUND", "MEMORY_UNKNOWN")

    def test_words_that_are_too_long(self, demo: Running, aria: str, verb: str) -> None:
        field = {"supersede_fact": "object", "retract_fact": "reason"}[verb]

        assert self.failure(demo, verb, aria, "x" * 1001) == ("INVALID_ARGUMENT", "INVALID_FIELD", field)

    def test_a_wait_for_something_else(self, demo: Running, aria: str, verb: str) -> None:
        kind, wait = {
            "supersede_fact": (facts_pb2.SupersedeFactRequest, facts_pb2.WAIT_WITHDRAWN),
            "retract_fact": (facts_pb2.RetractFactRequest, facts_pb2.WAIT_INJECTED),
        }[verb]
        call = {"supersede_fact": "SupersedeFact", "retract_fact": "RetractFact"}[verb]
        more = {"object": "Porto"} if verb == "supersede_fact" else {}
        with pytest.raises(Exception, match="wait") as caught:
            getattr(demo.client.stubs.facts, call)(kind(memory=DEMO, request_id="1", fact=aria, wait=wait, **more))

        assert "INVALID_ARGUMENT" in str(caught.value)


@pytest.mark.parametrize(
    ("object_", "more", "field"),
    [
        (" lisbon.", {}, "object"),  # in other letters the same
        ("", {}, "object"),
        ("Porto", {"source": facts_pb2.Source(turn=-1)}, "source.turn"),
        (
            "Porto",
            {"wordings": facts_pb2.Wordings(statements=["Aria Voss of Porto lives in"])},
            "wordings.statements[0]",
        ),
    ],
)
def test_a_successor_that_cannot_be(demo: Running, aria: str, object_: str, more: dict[str, Any], field: str) -> None:
    with pytest.raises(CallFailed) as caught:
        demo.client.supersede_fact(DEMO, aria, object_, **more)

    assert (caught.value.code, caught.value.metadata["field"]) == ("INVALID_ARGUMENT", field)
    assert not demo.client.fact(DEMO, aria).fact.successor
