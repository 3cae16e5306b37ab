"""Facts told and read over the wire."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypnogram.v1 import facts_pb2

from core.ids import FactId, MemoryId
from hypnogram.client import CallFailed, new_fact
from service.app.repository import MemoryRepository
from tests.patience import PATIENCE, eventually
from tests.service.conftest import DEMO, Running
from tests.store.given import throw_key_away

ARIA = new_fact("Aria Voss", "lives in", "Lisbon")
BO = new_fact("Bo Lind", "lives in", "Oslo")
CY = new_fact("Cy Ames", "lives in", "Rome")


def test_a_fact_is_durable_and_pending_once_it_is_told(demo: Running) -> None:
    answer = demo.client.add_facts(DEMO, [ARIA])

    (result,) = answer.results
    assert result.added
    assert result.fact.status == facts_pb2.STATUS_PENDING
    assert result.fact.wordings.answer == "Aria Voss lives in"  # the memory's own words
    assert demo.store.log.head(MemoryId(DEMO)) == answer.version


def test_results_stand_in_the_order_of_the_request_and_name_facts_known_before(demo: Running) -> None:
    first = demo.client.add_facts(DEMO, [ARIA])
    second = demo.client.add_facts(DEMO, [BO, ARIA, new_fact("aria voss", "LIVES IN", "Lisbon.")])

    assert [one.added for one in second.results] == [True, False, False]
    assert second.results[1].fact.fact == second.results[2].fact.fact == first.results[0].fact.fact


def test_the_same_request_adds_nothing_twice(demo: Running) -> None:
    first = demo.client.add_facts(DEMO, [ARIA, BO], request_id="once")
    demo.work()
    again = demo.client.add_facts(DEMO, [ARIA, BO], request_id="once", expected_version=1)

    assert [one.fact.fact for one in again.results] == [one.fact.fact for one in first.results]
    assert [one.added for one in again.results] == [True, True]
    assert len(list(demo.client.facts(DEMO))) == 2


def test_a_request_that_added_nothing_is_remembered_and_answered_as_at_first(demo: Running) -> None:
    first = demo.client.add_facts(DEMO, [ARIA], request_id="first")
    second = demo.client.add_facts(DEMO, [ARIA], request_id="second")
    assert [one.added for one in second.results] == [False]

    assert reused(demo.client.add_facts, DEMO, [BO], request_id="second")
    demo.client.retract_fact(DEMO, first.results[0].fact.fact)
    again = demo.client.add_facts(DEMO, [ARIA], request_id="second")
    assert [(one.fact.fact, one.added) for one in again.results] == [(first.results[0].fact.fact, False)]


@pytest.mark.parametrize("since", ["retracted", "told anew", "superseded", "erased", "found and retracted"])
def test_a_request_is_answered_as_at_first_whatever_became_of_its_facts(demo: Running, since: str) -> None:
    if since.startswith("found"):
        demo.client.add_facts(DEMO, [ARIA])
    first = demo.client.add_facts(DEMO, [ARIA, BO], request_id="once")
    aria, bo = (one.fact.fact for one in first.results)
    demo.work()
    if since == "superseded":
        demo.client.supersede_fact(DEMO, aria, "Porto")
    else:
        demo.client.retract_fact(DEMO, aria, erase=since == "erased")
    if since == "told anew":
        demo.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Porto")])
    demo.work()
    version = demo.client.memory(DEMO).version

    again = demo.client.add_facts(DEMO, [ARIA, BO], request_id="once", wait=True)

    assert [one.fact.fact for one in again.results] == [aria, bo]
    assert [one.added for one in again.results] == [one.added for one in first.results]
    assert again.results[0].fact.status == facts_pb2.STATUS_WITHDRAWN
    assert again.results[0].fact.erased == (since == "erased")
    assert demo.client.memory(DEMO).version == version


def test_a_request_whose_fact_was_erased_does_not_pass_for_one_of_more_facts_or_another_kind(demo: Running) -> None:
    (told_,) = demo.client.add_facts(DEMO, [ARIA], request_id="once").results
    demo.client.retract_fact(DEMO, told_.fact.fact, erase=True)
    demo.work()
    bo = demo.client.add_facts(DEMO, [BO]).results[0].fact.fact

    for call in (
        lambda: demo.client.add_facts(DEMO, [ARIA, CY], request_id="once"),
        lambda: demo.client.supersede_fact(DEMO, bo, "Porto", request_id="once"),
    ):
        with pytest.raises(CallFailed) as failure:
            call()
        assert failure.value.reason == "REQUEST_REUSED"


def erase(demo: Running, fact: str, request_id: str = "away") -> None:
    """Retracts the fact and destroys its words; a parrot records that, and throws no key away."""
    demo.client.retract_fact(DEMO, fact, request_id=request_id, erase=True)
    demo.work()
    throw_key_away(demo.store.log, FactId(fact))


def reused(call: Callable[..., object], *given: object, **named: object) -> bool:
    with pytest.raises(CallFailed) as failure:
        call(*given, **named)
    return (failure.value.code, failure.value.reason) == ("ALREADY_EXISTS", "REQUEST_REUSED")


def test_the_id_of_a_request_that_erased_a_fact_serves_for_nothing_else(demo: Running) -> None:
    aria, bo = (one.fact.fact for one in demo.client.add_facts(DEMO, [ARIA, BO], request_id="told").results)
    porto = demo.client.supersede_fact(DEMO, aria, "Porto", request_id="moved").fact.fact
    erase(demo, porto)
    version = demo.client.memory(DEMO).version

    for request_id in ("moved", "away"):
        assert reused(demo.client.retract_fact, DEMO, bo, request_id=request_id, erase=True)
        assert reused(demo.client.supersede_fact, DEMO, bo, "Porto", request_id=request_id)
        assert reused(demo.client.add_facts, DEMO, [CY], request_id=request_id)
    assert reused(demo.client.retract_fact, DEMO, porto, request_id="moved")
    assert reused(demo.client.supersede_fact, DEMO, aria, "Porto", request_id="away")
    assert demo.client.memory(DEMO).version == version

    assert demo.client.supersede_fact(DEMO, aria, "Porto", request_id="moved").fact.fact == porto
    assert demo.client.retract_fact(DEMO, porto, request_id="away", erase=True).fact.erased


def test_a_request_whose_fact_was_erased_passes_for_one_of_as_many_facts_alone(demo: Running) -> None:
    aria, bo = (one.fact.fact for one in demo.client.add_facts(DEMO, [ARIA, BO], request_id="told").results)
    erase(demo, aria)

    assert reused(demo.client.add_facts, DEMO, [ARIA], request_id="told")
    assert reused(demo.client.add_facts, DEMO, [BO], request_id="told")
    assert reused(demo.client.add_facts, DEMO, [ARIA, CY], request_id="told")
    assert reused(demo.client.add_facts, DEMO, [ARIA, BO, CY], request_id="told")
    assert reused(demo.client.retract_fact, DEMO, aria, request_id="told")
    again = demo.client.add_facts(DEMO, [ARIA, BO], request_id="told")
    assert [one.fact.fact for one in again.results] == [aria, bo]


def test_a_request_is_answered_as_at_first_though_a_fact_that_it_found_was_erased(demo: Running) -> None:
    for one in (ARIA, BO, CY):
        demo.client.add_facts(DEMO, [one])
    erase(demo, next(one.fact for one in demo.client.facts(DEMO) if one.object == "Oslo"), "before")
    first = demo.client.add_facts(DEMO, [ARIA, BO, CY], request_id="once")
    aria, _, cy = ids = [one.fact.fact for one in first.results]
    erase(demo, aria)

    again = demo.client.add_facts(DEMO, [ARIA, BO, CY], request_id="once")

    assert [one.fact.fact for one in again.results] == ids
    assert [one.added for one in again.results] == [False, True, False]
    erase(demo, cy, "away, too")  # and now nothing tells which of the two stood first
    assert reused(demo.client.add_facts, DEMO, [ARIA, BO, CY], request_id="once")


def test_waiting_ends_when_the_weights_have_the_facts(demo: Running) -> None:
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(demo.client.add_facts, DEMO, [ARIA, BO], wait=True)
        eventually(lambda: list(demo.client.facts(DEMO)))
        assert not waiting.done()
        demo.work()
        answer = waiting.result(PATIENCE)

    assert {one.fact.status for one in answer.results} == {facts_pb2.STATUS_INJECTED}
    assert answer.results[0].fact.scale == 1.0


def test_waiting_ends_when_a_fact_is_parked_and_says_why(demo: Running) -> None:
    demo.client.add_facts(DEMO, [ARIA], request_id="once")
    demo.work(fail=True)
    answer = demo.client.add_facts(DEMO, [ARIA], request_id="once", wait=True)

    assert answer.results[0].fact.status == facts_pb2.STATUS_PARKED
    assert answer.results[0].fact.failure == "the value diverged"


def test_a_deadline_ends_the_wait_and_the_fact_stays(demo: Running) -> None:
    seconds = 0.5
    while not list(demo.client.facts(DEMO)):  # on a busy machine a deadline may pass before the fact is told
        with pytest.raises(CallFailed) as failure:
            demo.client.add_facts(DEMO, [ARIA], request_id="once", wait=True, timeout=seconds)
        assert failure.value.code == "DEADLINE_EXCEEDED"
        seconds *= 2

    assert [one.subject for one in demo.client.facts(DEMO)] == ["Aria Voss"]


def test_an_expected_version_must_be_the_current_one(demo: Running) -> None:
    version = demo.client.memory(DEMO).version
    assert demo.client.add_facts(DEMO, [ARIA], expected_version=version).version == version + 1

    with pytest.raises(CallFailed) as failure:
        demo.client.add_facts(DEMO, [BO], expected_version=version)

    assert (failure.value.code, failure.value.reason) == ("ABORTED", "VERSION_CONFLICT")
    assert failure.value.metadata["current"] == str(version + 1)


def test_many_clients_race_and_each_fact_is_added_once(demo: Running) -> None:
    def tell(number: int) -> None:
        demo.client.add_facts(DEMO, [new_fact(f"Aria Number{number % 20}", "lives in", "Lisbon")])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(tell, range(60)))

    assert len(list(demo.client.facts(DEMO))) == 20


def test_an_append_by_another_process_is_seen_and_raced_with(demo: Running) -> None:
    stop = threading.Event()

    def elsewhere() -> None:
        while not stop.is_set():
            demo.work()  # through states of its own

    thread = threading.Thread(target=elsewhere)
    thread.start()
    try:
        for number in range(20):
            demo.client.add_facts(DEMO, [new_fact(f"Aria Number{number}", "lives in", "Lisbon")])
    finally:
        stop.set()
        thread.join()
    demo.work()

    assert len(list(demo.client.facts(DEMO, status=facts_pb2.STATUS_INJECTED))) == 20


def test_facts_are_listed_in_pages_that_fit_together(demo: Running) -> None:
    names = [f"Aria Number{number}" for number in range(7)]
    demo.client.add_facts(DEMO, [new_fact(name, "lives in", "Lisbon") for name in names])
    request = facts_pb2.ListFactsRequest(memory=DEMO, page_size=3)
    seen: list[str] = []
    while True:
        page = demo.client.stubs.facts.ListFacts(request)
        seen += [one.subject for one in page.facts]
        demo.client.add_facts(DEMO, [new_fact(f"Late {uuid.uuid4().hex}", "lives in", "Oslo")])
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token

    assert seen == names  # the version of the first page, whatever was told since


def test_facts_are_filtered_by_status_and_by_subject(demo: Running) -> None:
    demo.client.add_facts(DEMO, [ARIA])
    demo.work()
    demo.client.add_facts(DEMO, [BO, new_fact("Aria Voss", "works as", "a baker")])

    pending = demo.client.facts(DEMO, status=facts_pb2.STATUS_PENDING)
    about_aria = demo.client.facts(DEMO, subject="ARIA VOSS")
    assert [one.subject for one in pending] == ["Bo Lind", "Aria Voss"]
    assert [one.object for one in about_aria] == ["Lisbon", "a baker"]


def test_a_fact_is_read_as_it_was(demo: Running) -> None:
    added = demo.client.add_facts(DEMO, [ARIA])
    demo.work()
    fact = added.results[0].fact.fact

    assert demo.client.fact(DEMO, fact).fact.status == facts_pb2.STATUS_INJECTED
    before = demo.client.fact(DEMO, fact, at_version=added.version)
    assert (before.fact.status, before.version) == (facts_pb2.STATUS_PENDING, added.version)


def test_the_lineage_of_a_fact_has_its_events_and_what_caused_them(demo: Running) -> None:
    added = demo.client.add_facts(DEMO, [ARIA, BO])
    demo.work()

    answer = demo.client.lineage(DEMO, added.results[0].fact.fact)

    assert [(one.event.type, one.concerns) for one in answer.entries] == [
        ("StatisticsPrepared", False),
        ("FactAdded", True),
        ("EditComputed", True),
        ("FactInjected", True),
    ]
    ids = {one.event.type: one.event.id for one in answer.entries}
    causes = {one.event.type: set(one.caused_by) for one in answer.entries}
    assert causes["EditComputed"] == {ids["FactAdded"], ids["StatisticsPrepared"]}
    assert causes["FactInjected"] == {ids["EditComputed"]}
    assert answer.entries[1].event.actor == "tester"
    assert answer.entries[1].summary == "told: Aria Voss lives in Lisbon"


def test_words_of_the_client_replace_those_of_the_memory(demo: Running) -> None:
    words = facts_pb2.Wordings(
        statements=["The town of Aria Voss is"],
        questions=["Which town has Aria Voss?"],
        answer="The town of Aria Voss is",
    )
    answer = demo.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon", wordings=words)])

    assert answer.results[0].fact.wordings == words


def test_a_relation_without_words_gets_plain_ones(demo: Running) -> None:
    answer = demo.client.add_facts(DEMO, [new_fact("Aria Voss", "is proud of", "chess")])

    assert answer.results[0].fact.wordings.answer == "Aria Voss is proud of"


def test_a_request_that_only_validates_shows_what_it_would_add_and_records_nothing(demo: Running) -> None:
    known = demo.client.add_facts(DEMO, [ARIA]).results[0].fact
    words = facts_pb2.Wordings(statements=["Bo backs"], questions=["Whom does Bo back?"], answer="Bo backs")
    facts = [
        ARIA,
        new_fact("Aria Voss", "resides in", "Oslo"),
        new_fact("Aria Voss", "detests", "chess"),
        new_fact("Aria Voss", "is proud of", "chess"),
        facts_pb2.NewFact(subject="Bo", relation="backs", object="Ann Lee", wordings=words),
    ]

    answer = demo.client.add_facts(DEMO, facts, validate_only=True, wait=True)

    assert [result.added for result in answer.results] == [False, True, True, True, True]
    assert [result.fact.fact for result in answer.results] == [known.fact, "", "", "", ""]
    assert [result.wordings_origin for result in answer.results] == [
        facts_pb2.WORDINGS_ORIGIN_UNSPECIFIED,
        facts_pb2.WORDINGS_ORIGIN_LIBRARY,
        facts_pb2.WORDINGS_ORIGIN_LIBRARY,
        facts_pb2.WORDINGS_ORIGIN_RULES,
        facts_pb2.WORDINGS_ORIGIN_CLIENT,
    ]
    assert answer.results[1].may_contradict[0].fact == known.fact
    assert answer.results[3].fact.wordings.questions[0] == "What is Aria Voss proud of?"
    assert answer.version == demo.store.log.head(MemoryId(DEMO))
    assert [fact.fact for fact in demo.client.facts(DEMO)] == [known.fact]


def test_a_request_that_only_validates_is_refused_as_it_would_be(demo: Running) -> None:
    demo.client.add_facts(DEMO, [ARIA])

    with pytest.raises(CallFailed) as refusal:
        demo.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Oslo")], validate_only=True)
    assert refusal.value.reason == "CONTRADICTION"
    with pytest.raises(CallFailed) as conflict:
        demo.client.add_facts(DEMO, [BO], validate_only=True, expected_version=99)
    assert conflict.value.reason == "VERSION_CONFLICT"


def test_where_wordings_come_from_is_told_of_facts_that_are_added(demo: Running) -> None:
    answer = demo.client.add_facts(DEMO, [ARIA, new_fact("Aria Voss", "detests", "chess")])

    origins = [result.wordings_origin for result in answer.results]
    assert origins == [facts_pb2.WORDINGS_ORIGIN_PHRASEBOOK, facts_pb2.WORDINGS_ORIGIN_LIBRARY]


def test_what_is_told_is_kept_in_one_form_of_spelling(demo: Running) -> None:
    wordings = facts_pb2.Wordings(
        statements=["Jose\u0301\u00a0Pen\u0303a eats at"], questions=["Where does Jose\u0301 Pen\u0303a eat?"],
        answer="Jose\u0301 Pen\u0303a eats at",
    )  # fmt: skip
    (first,) = demo.client.add_facts(
        DEMO, [new_fact("Jose\u0301\u3000Pen\u0303a", "eats\u00a0 at", "Cafe\u0301\u202fRio", wordings=wordings)]
    ).results
    (again,) = demo.client.add_facts(DEMO, [new_fact("José Peña", "eats at", "Café Rio")]).results

    assert (first.fact.subject, first.fact.relation, first.fact.object) == ("José Peña", "eats at", "Café Rio")
    assert list(first.fact.wordings.statements) == ["José Peña eats at"]
    assert list(first.fact.wordings.questions) == ["Where does José Peña eat?"]
    assert (again.added, again.fact.fact) == (False, first.fact.fact)
    assert [one.fact for one in demo.client.facts(DEMO, subject="Jose\u0301 Pen\u0303a")] == [first.fact.fact]


def test_a_successor_is_kept_in_the_same_form(demo: Running) -> None:
    (first,) = demo.client.add_facts(DEMO, [ARIA]).results

    moved = demo.client.supersede_fact(DEMO, first.fact.fact, "Sa\u0303o\u00a0Paulo")

    assert moved.fact.object == "São Paulo"


def test_a_successor_is_said_in_words_that_fit_it(demo: Running) -> None:
    (first,) = demo.client.add_facts(DEMO, [new_fact("Mara Quill", "is reading the", "news")]).results
    moved = demo.client.supersede_fact(DEMO, first.fact.fact, "the Iliad").fact
    common = demo.client.supersede_fact(DEMO, moved.fact, "It").fact

    assert [one.wordings.answer for one in (first.fact, moved, common)] == [
        "Mara Quill is reading the", "Mara Quill is reading", "Mara Quill is reading the"
    ]  # fmt: skip


def test_a_successor_keeps_the_words_of_a_client(demo: Running) -> None:
    words = facts_pb2.Wordings(statements=["Aria Voss: a"], questions=["Aria Voss?"], answer="Aria Voss: a")
    (first,) = demo.client.add_facts(DEMO, [new_fact("Aria Voss", "plays", "harp", wordings=words)]).results

    with pytest.raises(CallFailed, match=r"wordings.statements\[0\]: ends in 'a'"):
        demo.client.supersede_fact(DEMO, first.fact.fact, "a cello")
    assert demo.client.supersede_fact(DEMO, first.fact.fact, "oboe").fact.wordings == words


def test_a_fact_that_may_contradict_another_says_so_and_is_added(demo: Running) -> None:
    (home,) = demo.client.add_facts(DEMO, [new_fact("Ray Dunn", "lives in", "Tulsa")]).results

    first = demo.client.add_facts(DEMO, [new_fact("Ray Dunn", "makes a home in", "Reno"), BO], request_id="once")
    again = demo.client.add_facts(DEMO, [new_fact("Ray Dunn", "makes a home in", "Reno"), BO], request_id="once")

    for answer in (first, again):
        other, bo = answer.results
        assert other.added
        assert [one.fact for one in other.may_contradict] == [home.fact.fact]
        assert not bo.may_contradict


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("Aria", ["Lisbon", "Café Rio"]),
        ("voss, aria", ["Lisbon", "Café Rio"]),
        ("lisb", ["Lisbon"]),
        ("LIVES ARIA", ["Lisbon"]),
        ("Cafe\u0301", ["Café Rio"]),
        ("oslo aria", []),
        ('"Oslo".', ["Oslo"]),
    ],
)
def test_facts_are_found_by_any_of_their_words(demo: Running, search: str, found: list[str]) -> None:
    demo.client.add_facts(DEMO, [ARIA, BO, new_fact("Aria Voss", "eats at", "Café Rio")])

    assert [one.object for one in demo.client.facts(DEMO, search=search)] == found


def test_a_search_is_paged_and_goes_with_other_filters(demo: Running) -> None:
    demo.client.add_facts(DEMO, [new_fact(f"Aria {number}", "lives in", "Lisbon") for number in range(5)])
    request = facts_pb2.ListFactsRequest(memory=DEMO, search="lisbon", page_size=2)

    page = demo.client.stubs.facts.ListFacts(request)
    with pytest.raises(Exception, match="page_token"):
        demo.client.stubs.facts.ListFacts(
            facts_pb2.ListFactsRequest(memory=DEMO, search="aria", page_token=page.next_page_token)
        )

    assert len(page.facts) == 2
    assert [one.subject for one in demo.client.facts(DEMO, search="lisbon", subject="aria 3")] == ["Aria 3"]


def test_facts_are_acknowledged_without_a_look_at_the_log_before_them(
    demo: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Because clients that tell one memory at the same time would wait for each other's."""

    def fold(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(MemoryRepository, "at", fold)

    assert [result.fact.subject for result in demo.client.add_facts(DEMO, [ARIA]).results] == [ARIA.subject]
