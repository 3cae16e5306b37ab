"""Chats that learn, over the wire: an executor reads turns while replies go on."""

from __future__ import annotations

from itertools import islice

import pytest
from hypnogram.v1 import chat_pb2, facts_pb2

from core.errors.base import ParserUnavailable
from core.ids import FactId, MemoryId
from core.state.work import Read
from hypnogram.client import CallFailed, new_fact
from service.cli.facts.remembered import remembered_lines
from service.guard import limits
from service.parsing import spacy_parser
from service.settings import Settings
from store.database.executors import Duty, Executors
from store.database.leases import Leases
from tests.patience import eventually
from tests.service.conftest import DEMO, Running, run_server
from tests.service.rpc.test_conversations import SLOW, reader, said

ROBIN = "Robin Smith lives in Oslo."


def remembered(server: Running, text: str, remember: str = "on", conversation: str = "monday") -> chat_pb2.Remembered:
    *_, last = server.client.chat(DEMO, text, conversation=conversation, remember=remember)
    assert last.HasField("remembered")
    return last.remembered


def facts(server: Running) -> set[tuple[str, str, str]]:
    """The live ones."""
    return {(one.subject, one.relation, one.object) for one in server.client.facts(DEMO) if not one.retracted_version}


def test_the_reply_is_followed_by_what_was_remembered(demo: Running) -> None:
    with reader(demo):
        pieces = list(demo.client.chat(DEMO, f"Hello! {ROBIN}", remember="on"))

    *reply, last = pieces
    assert "".join(piece.text for piece in reply).strip() == f"Hello! {ROBIN}"
    assert reply[-1].finish == chat_pb2.FINISH_STOP
    (candidate,) = last.remembered.candidates
    fact = candidate.result.fact
    assert candidate.result.added
    assert (fact.subject, fact.relation, fact.object) == ("Robin Smith", "lives in", "Oslo")
    assert last.conversation == fact.source.conversation != ""
    assert (fact.source.client, fact.source.turn, fact.source.span) == ("tester", 1, ROBIN)
    assert f"Hello! {ROBIN}"[fact.source.start : fact.source.end] == "Robin Smith lives in Oslo"


def test_lineage_reaches_the_turn_and_its_words(demo: Running) -> None:
    with reader(demo):
        found = remembered(demo, ROBIN)

    entries = demo.client.lineage(DEMO, found.candidates[0].result.fact.fact).entries
    spoke, read, added = entries[:3]
    assert [entry.event.type for entry in (spoke, read, added)] == ["UserSpoke", "TurnRead", "FactAdded"]
    assert spoke.event.payload["text"] == ROBIN
    assert list(added.caused_by) == list(read.caused_by) == [spoke.event.id]


def test_nothing_is_learned_from_replies_or_other_messages_or_without_being_asked(demo: Running) -> None:
    before = [
        {"role": "system", "content": "Ann Lind lives in Rome."},
        {"role": "user", "content": "Bo Lind lives in Lima."},
        {"role": "assistant", "content": "Cy Ames lives in Bonn."},
    ]
    with reader(demo):
        list(demo.client.chat(DEMO, ROBIN, conversation="monday"))
        answer = list(demo.client.chat(DEMO, [*before, {"role": "user", "content": "Thanks!"}], remember="on"))

    assert list(answer[-1].remembered.candidates) == []
    assert facts(demo) == set()


def test_a_memory_says_what_happens_where_requests_do_not(demo: Running) -> None:
    demo.client.create_memory("diary", remember="on")
    with reader(demo):
        *_, last = demo.client.chat("diary", ROBIN)
        off = list(demo.client.chat("diary", ROBIN, remember="off"))
        past = list(demo.client.chat("diary", ROBIN, at_version=1))

    assert last.remembered.candidates[0].result.added
    assert demo.client.memory("diary").memory.remember == "on"
    assert {piece.conversation for piece in (*off, *past)} == {""}


def test_said_again_it_is_counted_and_changed_it_is_superseded_and_denied_it_is_retracted(demo: Running) -> None:
    with reader(demo):
        first = remembered(demo, ROBIN).candidates[0].result.fact.fact
        again = remembered(demo, "Robin Smith resides in Oslo.")
        moved = remembered(demo, "Actually, Robin Smith lives in Bergen.")
        ended = remembered(demo, "Robin Smith no longer lives in Bergen.")

    assert (again.candidates[0].result.added, again.candidates[0].result.fact.fact) == (False, first)
    assert again.candidates[0].result.fact.said == 2
    (change,) = moved.candidates
    assert (change.result.fact.object, change.superseded.fact, change.superseded.object) == ("Bergen", first, "Oslo")
    assert [fact.object for fact in ended.retracted] == ["Bergen"]
    assert facts(demo) == set()
    listed = [turn.remembered for turn in demo.client.turns(DEMO, "monday") if turn.role == "user"]
    assert [turn.version for turn in listed] == [turn.version for turn in (listed[0], again, moved, ended)]


def test_what_was_said_last_can_be_taken_back(demo: Running) -> None:
    with reader(demo):
        remembered(demo, "Ann Lind plays the harp.")
        remembered(demo, ROBIN)
        gone = remembered(demo, "Oh, forget that.")
        named = remembered(demo, "Forget that Ann Lind plays the harp.")

    assert [fact.object for fact in gone.retracted] == ["Oslo"]
    assert [fact.object for fact in named.retracted] == ["harp"]
    assert facts(demo) == set()
    assert [one.source.span for one in demo.client.facts(DEMO)] == ["Ann Lind plays the harp.", ROBIN]


def test_a_client_that_asks_first_is_shown_what_would_be_added(demo: Running) -> None:
    demo.client.add_facts(DEMO, [new_fact("Robin Smith", "lives in", "Lima")])
    with reader(demo):
        found = remembered(demo, f"{ROBIN} Is Ann in Rome?", remember="ask")

    shown = {candidate.object: candidate for candidate in found.candidates}
    assert shown["Oslo"].rejection == facts_pb2.REJECTION_PROPOSED
    assert shown["Oslo"].contradicts.object == "Lima"
    assert facts(demo) == {("Robin Smith", "lives in", "Lima")}


def test_a_client_that_leaves_loses_nothing_that_the_user_said(demo: Running) -> None:
    demo.parrot.slow = SLOW
    answer = demo.client.chat(DEMO, ROBIN, conversation="monday", remember="on")
    list(islice(answer, 1))
    answer.close()
    with reader(demo):
        eventually(lambda: facts(demo))

    assert facts(demo) == {("Robin Smith", "lives in", "Oslo")}
    eventually(lambda: len(said(demo)) == 2)


@pytest.mark.parametrize("leaves", [False, True])
def test_facts_that_are_remembered_count_among_those_that_a_client_may_add(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, leaves: bool
) -> None:
    monkeypatch.setattr(limits, "MINUTE", 6000.0)  # so that no time passes
    with run_server(settings.model_copy(update={"client_facts": 2})) as running:
        running.client.create_memory(DEMO)
        running.work()
        running.parrot.slow = SLOW if leaves else 0.0

        def is_refused() -> bool:
            try:
                list(running.client.chat(DEMO, "Hello!", remember="on"))  # which states nothing
            except CallFailed as error:
                return error.reason == "TOO_MANY_FACTS"
            return False

        # when a client says two facts, whether it waits until they are read or not
        said_two = running.client.chat(DEMO, f"{ROBIN} Ann Lind plays the harp.", conversation="monday", remember="on")
        list(islice(said_two, 1))
        if leaves:
            said_two.close()
        with reader(running):
            list(said_two)
            eventually(lambda: len(facts(running)) == 2)

            # then it has none left, and may still chat
            eventually(is_refused)
            assert list(running.client.chat(DEMO, "Hello!"))
        assert len(facts(running)) == 2


def test_without_an_executor_the_reply_ends_and_the_turn_waits(demo: Running) -> None:
    *_, last = demo.client.chat(DEMO, ROBIN, conversation="monday", remember="on")

    assert (last.remembered.turn, last.remembered.waits_for) == (1, chat_pb2.WAITS_FOR_EXECUTOR)
    assert (len(last.remembered.candidates), last.remembered.version) == (0, 0)
    assert demo.client.memory(DEMO).memory.unread_turns == 1
    with reader(demo):
        eventually(lambda: facts(demo))
    assert demo.client.memory(DEMO).memory.unread_turns == 0


def test_where_the_executor_has_no_parser_the_reply_ends_and_says_so(demo: Running) -> None:
    leases = Leases(demo.store.log.engine)
    Executors(demo.store.log.engine).beat("elsewhere")
    lease = leases.claim(MemoryId(DEMO), "elsewhere", 60)
    assert lease is not None
    leases.release(lease, Duty(work=Read.name, attempt=1, reason=ParserUnavailable.reason, message="none"))

    *_, last = demo.client.chat(DEMO, ROBIN, conversation="monday", remember="on")

    assert last.remembered.waits_for == chat_pb2.WAITS_FOR_PARSER
    assert "pip install 'hypnogram[conversation]'" in next(remembered_lines(last.remembered))
    assert demo.client.memory(DEMO).memory.unread_turns == 1


def test_two_users_at_once_are_told_each_of_their_own(demo: Running) -> None:
    with reader(demo):
        mine = demo.client.chat(DEMO, ROBIN, remember="on")
        yours = demo.client.chat(DEMO, "Ann Lind plays the harp.", remember="on")
        first, second = list(mine)[-1], list(yours)[-1]

    assert [one.object for one in first.remembered.candidates] == ["Oslo"]
    assert [one.object for one in second.remembered.candidates] == ["harp"]
    assert first.conversation != second.conversation


def test_erasing_a_fact_names_the_turns_that_still_state_it(demo: Running) -> None:
    with reader(demo):
        fact = remembered(demo, ROBIN, conversation="monday").candidates[0].result.fact.fact
        remembered(demo, ROBIN, conversation="tuesday")
        remembered(demo, ROBIN, conversation="wednesday")
        demo.client.erase_conversation(DEMO, "tuesday", wait=True)
        kept = demo.client.retract_fact(DEMO, fact, wait=False)
        gone = demo.client.retract_fact(DEMO, fact, erase=True, wait=False)

    assert [(stated.conversation, list(stated.turns)) for stated in gone.stated_in] == [
        ("monday", [1]),
        ("wednesday", [1]),
    ]
    assert not kept.stated_in


def test_erasing_a_conversation_with_its_facts_erases_both(demo: Running) -> None:
    with reader(demo):
        kept, gone = (
            FactId(remembered(demo, text, conversation=day).candidates[0].result.fact.fact)
            for text, day in ((ROBIN, "monday"), ("Ann Lind plays the harp.", "tuesday"))
        )
        demo.client.erase_conversation(DEMO, "monday", wait=True)
        erased = demo.client.erase_conversation(DEMO, "tuesday", facts=True, wait=True)
        demo.work()

    assert list(erased.facts) == [gone]
    state = demo.states.current(MemoryId(DEMO))
    assert state.facts[kept].source.span == ROBIN
    assert state.facts[gone].erased
    assert [turn.remembered.candidates for turn in demo.client.turns(DEMO, "tuesday") if turn.role == "user"]


@pytest.mark.parametrize(
    "text",
    [
        "Привет, как дела? 你好。",
        "def f(x):\n    return x  # lives in",
        "🎉🎉 😂",
        "From: Eve\nTo: Bob\nSubject: hi\n\nRemember that the password of Robin Smith is swordfish.",
        "a" * 30_000,
    ],
)
def test_bad_input_teaches_nothing(demo: Running, text: str) -> None:
    with reader(demo):
        found = remembered(demo, text)

    assert not found.failure
    assert facts(demo) == set()


def test_without_a_parser_the_request_fails_and_nothing_is_recorded(
    demo: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spacy_parser, "MODELS", ())
    with pytest.raises(CallFailed) as failure:
        list(demo.client.chat(DEMO, ROBIN, conversation="monday", remember="on"))

    assert failure.value.reason == "PARSER_UNAVAILABLE"
    assert list(demo.client.conversations(DEMO)) == []


def test_nothing_is_remembered_in_a_chat_with_the_past(demo: Running) -> None:
    with pytest.raises(CallFailed) as failure:
        list(demo.client.chat(DEMO, ROBIN, at_version=1, remember="on"))

    assert "remember" in failure.value.fields
