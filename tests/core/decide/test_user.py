"""Facts about the user: whose they are, what is learned of them in a turn, and what takes them back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.decide import decide
from core.decide.commands import AddFacts, Heard, RecordReading, SupersedeFact
from core.english.taking_back import forgotten
from core.errors.conversation import AnotherUser, NoUserFacts
from core.events.conversation import TurnRead
from core.events.facts import FactAdded
from core.events.history import FactSuperseded
from core.evolve import fold
from core.facts import USER, Fact, Source
from core.ids import EventId, FactId
from core.method import Method
from core.remember import Remember
from core.state.memory import Memory
from core.state.user import unheard_by
from core.state.work import Read, next_work
from core.wordings import generated_wordings
from tests.core.decide.test_conversations import say
from tests.core.samples import CREATED, DETECTORS, PREPARED, UPPER, add, digest, fact, heard, retracted

NEURONS = fold(
    [replace(CREATED, method=Method.NEURON, about_user=True), replace(PREPARED, detectors=DETECTORS, upper=UPPER)]
)


def about_user(id_: str, relation: str, object_: str) -> Fact:
    return fact(id_, USER, relation, object_, generated_wordings(USER, relation, object_, {}))


LISBON, PORTO = about_user("f-lisbon", "lives in", "Lisbon"), about_user("f-porto", "lives in", "Porto")
JOB = about_user("f-job", "works as", "beekeeper")


def of(client: str, *facts: Fact, request: str = "request-1") -> AddFacts:
    command = add(*facts, request=request)
    return replace(
        command, facts=tuple(replace(new, source=Source(client=client)) for new in command.facts)
    )  # fmt: skip


def told(client: str, *facts: Fact) -> Memory:
    return fold(decide(NEURONS, of(client, *facts)), onto=NEURONS)


def stated(one: Fact, *, denied: bool = False) -> Heard:
    said = heard(one, Source(client="ann", conversation="monday", turn=1), denied=denied)
    return replace(said, candidate=replace(said.candidate, about_user=True))


def read(
    memory: Memory, client: str, *candidates: Heard, said: str = "", remember: Remember = Remember.ON
) -> tuple[TurnRead, Memory]:
    memory = fold(decide(memory, say(said or "I say so.", remember=remember)), onto=memory)
    work = next_work(memory)
    assert isinstance(work, Read)
    command = RecordReading(
        work=work, client=client, said=EventId("event"), heard=candidates, forgotten=tuple(forgotten(said))
    )
    events = decide(memory, command)
    assert isinstance(events[0], TurnRead)
    return events[0], fold(events, onto=memory)


def live(memory: Memory) -> set[FactId]:
    return {one for one, state in memory.facts.items() if not state.retracted}


def test_the_words_of_a_fact_about_the_user_are_in_the_first_person() -> None:
    (added,) = decide(NEURONS, of("ann", LISBON))

    assert isinstance(added, FactAdded)
    assert added.statement.wordings.statements[0] == "I live in"
    assert added.statement.wordings.questions[0] == "Where do I live?"
    assert added.statement.wordings.answer == "You live in"


def test_a_memory_has_none_unless_it_was_created_to_learn_them() -> None:
    other = fold([CREATED, PREPARED])

    with pytest.raises(NoUserFacts):
        decide(other, of("ann", LISBON))
    turn, _ = read(other, "ann", stated(LISBON))
    assert [finding.reason for finding in turn.findings] == ["about_user"]


def test_a_memory_learns_about_one_user_alone() -> None:
    memory = told("ann", LISBON)

    with pytest.raises(AnotherUser):
        decide(memory, of("bo", JOB, request="request-2"))
    (new,) = of("bo", PORTO).facts
    supersede = SupersedeFact(
        memory=say().memory, fact=LISBON.id, new=new, request="request-2", request_digest=digest("porto")
    )
    with pytest.raises(AnotherUser):
        decide(memory, supersede)
    turn, _ = read(memory, "bo", stated(JOB))
    assert [finding.reason for finding in turn.findings] == ["another_user"]
    assert decide(memory, of("ann", JOB, request="request-2"))


def test_another_user_may_follow_once_the_facts_of_the_first_are_retracted() -> None:
    memory = told("ann", LISBON)
    memory = fold((retracted(LISBON),), onto=memory)

    assert decide(memory, of("bo", JOB, request="request-2"))


def test_what_a_user_says_supersedes_and_ends_their_own_facts() -> None:
    turn, memory = read(told("ann", LISBON), "ann", stated(PORTO))
    assert (turn.facts, turn.superseded, live(memory)) == ((PORTO.id,), (LISBON.id,), {PORTO.id})

    turn, memory = read(memory, "ann", stated(PORTO, denied=True))
    assert (turn.retracted, live(memory)) == ((PORTO.id,), set())


def test_what_another_user_says_ends_nothing() -> None:
    turn, memory = read(told("ann", LISBON), "bo", stated(LISBON, denied=True), said="Forget where I live.")

    assert (turn.retracted, live(memory)) == ((), {LISBON.id})


@pytest.mark.parametrize(
    ("said", "ended"),
    [
        ("Forget where I live.", {LISBON.id}),
        ("Please forget what my job is.", {JOB.id}),
        ("Thanks! Forget my job, please.", {JOB.id}),
        ("Forget it.", set()),
        ("I never forget where I live.", set()),
        ("Forget where Ann lives.", set()),
    ],
)
def test_a_user_has_a_fact_forgotten_by_asking_for_it(said: str, ended: set[FactId]) -> None:
    turn, memory = read(told("ann", LISBON, JOB), "ann", said=said)

    assert set(turn.retracted) == ended
    assert live(memory) == {LISBON.id, JOB.id} - ended


def test_a_turn_that_only_asks_what_to_remember_forgets_nothing() -> None:
    _, memory = read(told("ann", LISBON), "ann", said="Forget where I live.", remember=Remember.ASK)

    assert live(memory) == {LISBON.id}


def test_chats_of_others_are_answered_without_the_facts_about_the_user() -> None:
    memory = told("ann", LISBON, fact("f-bo", "Bo Lind", "lives in", "Rome"))

    assert unheard_by(memory, "ann") == frozenset()
    assert unheard_by(memory, "bo") == {LISBON.id}


def test_a_fact_of_the_user_that_is_said_again_is_known() -> None:
    turn, memory = read(told("ann", LISBON), "ann", stated(replace(LISBON, id=FactId("again"))))

    assert (turn.known, memory.facts[LISBON.id].said) == ((LISBON.id,), 2)
    assert not [event for event in decide(memory, of("ann", LISBON, request="r")) if isinstance(event, FactSuperseded)]
