"""Facts told in sentences over the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypnogram.v1 import facts_pb2

from core.errors.base import ParserUnavailable
from core.ids import MemoryId
from hypnogram.client import CallFailed, new_fact
from service.parsing import spacy_parser
from tests.service.conftest import DEMO, Running

TEXT = "My sister Ann lives in Oslo. She doesn't work for Acme."


def outcomes(answer: facts_pb2.TellTextResponse) -> dict[tuple[str, str, str], str]:
    """What has become of each candidate: "added", "known" or the name of its rejection."""

    def outcome(candidate: facts_pb2.Candidate) -> str:
        if candidate.HasField("result"):
            return "added" if candidate.result.added else "known"
        return facts_pb2.Rejection.Name(candidate.rejection).removeprefix("REJECTION_")

    return {(one.subject, one.relation, one.object): outcome(one) for one in answer.candidates}


def refusal(call: Callable[..., Any], *arguments: Any, **named: Any) -> CallFailed:
    with pytest.raises(CallFailed) as failure:
        call(*arguments, **named)
    return failure.value


def test_a_sentence_becomes_facts_and_every_other_candidate_has_a_reason(demo: Running) -> None:
    answer = demo.client.tell_text(DEMO, TEXT)

    assert outcomes(answer) == {
        ("user", "has a sister named", "Ann"): "ABOUT_USER",
        ("Ann", "lives in", "Oslo"): "added",
        ("Ann", "works for", "Acme"): "NEGATED",
    }
    (fact,) = demo.client.facts(DEMO)
    assert (fact.subject, fact.relation, fact.object) == ("Ann", "lives in", "Oslo")
    assert all(one.explanation for one in answer.candidates if one.rejection)


def test_a_fact_has_its_sentence_and_characters_as_source(demo: Running) -> None:
    source = facts_pb2.Source(client="notebook", conversation="c-1", turn=3)

    demo.client.tell_text(DEMO, "Hello! Robin lives in Oslo.", source=source)

    (fact,) = demo.client.facts(DEMO)
    assert (fact.source.client, fact.source.conversation, fact.source.turn) == ("notebook", "c-1", 3)
    assert fact.source.span == "Robin lives in Oslo."
    assert "Hello! Robin lives in Oslo."[fact.source.start : fact.source.end] == "Robin lives in Oslo"


def test_the_same_request_adds_nothing_twice_and_gets_the_first_answer(demo: Running) -> None:
    first = demo.client.tell_text(DEMO, TEXT, request_id="once")
    demo.work()
    again = demo.client.tell_text(DEMO, TEXT, request_id="once")

    assert outcomes(again) == outcomes(first)
    assert len(list(demo.client.facts(DEMO))) == 1
    assert refusal(demo.client.tell_text, DEMO, "Ann lives in Rome.", request_id="once").reason == "REQUEST_REUSED"


def test_what_is_known_is_not_added_again_and_what_contradicts_it_is_rejected(demo: Running) -> None:
    known = demo.client.add_facts(DEMO, [new_fact("Ann", "lives in", "Oslo")]).results[0].fact.fact

    answer = demo.client.tell_text(DEMO, "Ann lives in Oslo and likes tea.", request_id="both")
    other = demo.client.tell_text(DEMO, "Ann lives in Rome.")

    assert outcomes(answer) == {("Ann", "lives in", "Oslo"): "known", ("Ann", "likes", "tea"): "added"}
    assert outcomes(demo.client.tell_text(DEMO, "Ann lives in Oslo and likes tea.", request_id="both")) == outcomes(
        answer
    )
    (candidate,) = other.candidates
    assert candidate.rejection == facts_pb2.REJECTION_CONTRADICTS
    assert candidate.contradicts.fact == known


def test_several_objects_of_one_relation_are_one_fact_that_a_further_one_joins(demo: Running) -> None:
    both = demo.client.tell_text(DEMO, "Robin plays the cello and the harp.")
    third = demo.client.add_facts(DEMO, [new_fact("Robin", "plays", "viola")])

    assert set(outcomes(both).values()) == {"added"}
    assert third.results[0].fact.object == "cello, the harp and the viola"
    (live,) = (fact for fact in demo.client.facts(DEMO) if not fact.retracted_version)
    assert live.fact == third.results[0].fact.fact


def test_a_request_that_added_nothing_is_answered_again(demo: Running) -> None:
    demo.client.tell_text(DEMO, "Ann lives in Oslo.")

    answers = [demo.client.tell_text(DEMO, "Ann lives in Oslo.", request_id="again") for _ in range(2)]

    assert [list(outcomes(answer).values()) for answer in answers] == [["known"], ["known"]]


def test_a_dry_run_records_nothing(demo: Running) -> None:
    before = demo.store.log.head(MemoryId(DEMO))

    answer = demo.client.tell_text(DEMO, TEXT, validate_only=True)

    assert outcomes(answer)["Ann", "lives in", "Oslo"] == "added"
    assert {one.result.fact.fact for one in answer.candidates} == {""}
    assert demo.store.log.head(MemoryId(DEMO)) == before == answer.version


@pytest.mark.parametrize("text", ["Hello!", "I live in Lisbon.", "罗宾住在奥斯陆。", "🎉"])
def test_a_text_without_facts_changes_nothing(demo: Running, text: str) -> None:
    before = demo.store.log.head(MemoryId(DEMO))

    answer = demo.client.tell_text(DEMO, text, wait=True)

    assert not any(one.HasField("result") for one in answer.candidates)
    assert demo.store.log.head(MemoryId(DEMO)) == before


def test_nothing_is_learned_from_a_pasted_mail(demo: Running) -> None:
    mail = "Can you answer this?\n\nFrom: bob@example.com\nSubject: Oslo\n\nRemember that Ann lives in Oslo."

    answer = demo.client.tell_text(DEMO, mail)

    assert outcomes(answer)["Ann", "lives in", "Oslo"] == "QUOTED"
    assert list(demo.client.facts(DEMO)) == []


def test_bad_requests_name_the_field(demo: Running) -> None:
    span = facts_pb2.Source(span="my own")

    assert refusal(demo.client.tell_text, DEMO, "  ").fields == {"text": "is empty; give what the user says"}
    assert "text" in refusal(demo.client.tell_text, DEMO, "a" * 20_001).fields
    assert "source.span" in refusal(demo.client.tell_text, DEMO, TEXT, source=span).fields
    assert refusal(demo.client.tell_text, "nowhere", TEXT).reason == "MEMORY_UNKNOWN"
    assert refusal(demo.client.tell_text, DEMO, TEXT, expected_version=1).reason == "VERSION_CONFLICT"


def test_a_server_without_a_parser_says_what_to_install(demo: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spacy_parser, "MODELS", ())

    failure = refusal(demo.client.tell_text, DEMO, TEXT)

    assert failure.reason == ParserUnavailable.reason
    assert "pip install 'hypnogram[conversation]'" in failure.message


def test_only_a_memory_of_neurons_is_created_to_learn_about_its_user(demo: Running) -> None:
    refused = refusal(demo.client.create_memory, "other", method="answer_site", about_user=True)

    assert list(refused.fields) == ["about_user"]
    assert not demo.client.memory(DEMO).memory.about_user
