"""Telling a memory facts: what is accepted, what changes nothing, what is refused."""

from dataclasses import replace

import pytest

from core.decide import decide
from core.decide.commands import AddFacts, NewFact
from core.decide.idempotency import MAX_REQUEST_ID
from core.decide.limits import MAX_BATCH, MAX_OBJECT
from core.errors.base import CapacityReached, Contradiction, InvalidField, RequestReused
from core.events import Event
from core.events.facts import FactAdded
from core.events.history import FactsRepeated, FactSuperseded
from core.evolve import fold
from core.facts import Fact, Source, Wordings
from core.hyperparameters import KEYS_PER_FACT
from core.ids import Digest, FactId
from core.method import Method
from core.state.memory import Memory, Status
from core.wordings import generated_wordings, origin_of
from tests.core.samples import (
    ARIA,
    BO,
    CREATED,
    CY,
    DEE,
    KEY_WIDTH,
    PREPARE,
    PREPARED,
    READY,
    add,
    added,
    after,
    fact,
    failed,
    when,
    with_capacity,
    write,
)


def test_new_facts_are_added_in_the_order_told() -> None:
    events = when(*READY, command=add(ARIA, BO))

    request = add(ARIA, BO).request_digest
    assert events == (replace(added(ARIA), request_digest=request), replace(added(BO), request_digest=request))


def test_facts_are_accepted_before_the_statistics_are_prepared() -> None:
    assert when(READY[0], command=add(ARIA)) == (added(ARIA),)


def test_an_added_fact_waits_to_be_written() -> None:
    memory = fold([*READY, added(ARIA)])

    state = memory.facts[ARIA.id]
    assert (state.status, state.scale, state.added) == (Status.PENDING, 0.0, 3)
    assert list(memory.pending) == [ARIA.id]


def repeated(*facts: Fact, request: str = "request-2") -> tuple[Event, ...]:
    return (FactsRepeated(request=request, facts=tuple(one.id for one in facts)),)


def test_a_known_fact_adds_nothing_but_that_the_request_is_known() -> None:
    again = replace(ARIA, id=BO.id)

    assert when(*READY, added(ARIA), command=add(again, request="request-2")) == repeated(ARIA)


def test_a_subject_and_a_relation_in_other_case_and_spacing_are_known() -> None:
    again = fact("fact-2", "aria  Moss", "Lives in", "Portland")

    assert when(*READY, added(ARIA), command=add(again, request="request-2")) == repeated(ARIA)


@pytest.mark.parametrize(
    ("object_", "again"),
    [("Acme Inc", "Acme Inc."), ("José", "Jose\u0301"), ("a\u00a0 b", "a b"), ("Yahoo!", "Yahoo!")],
)
def test_an_object_that_is_said_in_the_same_way_is_known(object_: str, again: str) -> None:
    known = replace(ARIA, object=object_)

    assert when(
        *READY, added(known), command=add(replace(ARIA, id=BO.id, object=again), request="request-2")
    ) == repeated(known)


@pytest.mark.parametrize(
    ("object_", "other"),
    [
        ("aB3x", "Ab3X"),
        ("10²", "102"),
        ("Portland", "portland"),
        ("Yahoo!", "Yahoo"),
        ("ＡＢ", "AB"),
        ("nur\u200cah", "nurah"),
    ],
)
def test_an_object_that_is_said_in_another_way_contradicts(object_: str, other: str) -> None:
    known = replace(ARIA, object=object_)

    with pytest.raises(Contradiction) as refusal:
        when(*READY, added(known), command=add(replace(ARIA, id=BO.id, object=other), request="request-2"))

    assert refusal.value.metadata["object"] == object_


def test_a_fact_told_twice_in_one_request_is_added_once() -> None:
    events = when(*READY, command=add(ARIA, replace(ARIA, id=BO.id)))

    assert [event.fact for event in events if hasattr(event, "fact")] == [ARIA.id]


def test_known_and_new_facts_may_come_together() -> None:
    events = when(*READY, added(ARIA), command=add(replace(ARIA, id=CY.id), BO, request="request-2"))

    assert [event.fact for event in events if hasattr(event, "fact")] == [BO.id]


def test_another_object_for_a_live_fact_is_refused_and_names_the_fact() -> None:
    other = fact("fact-2", "Aria Moss", "lives in", "Oslo")

    with pytest.raises(Contradiction, match=r"facts\[1\].*fact-aria.*Portland") as refusal:
        when(*READY, added(ARIA), command=add(BO, other, request="request-2"))

    assert refusal.value.metadata["fact"] == ARIA.id
    assert refusal.value.metadata["object"] == "Portland"


def test_two_objects_for_one_fact_in_one_request_are_refused() -> None:
    with pytest.raises(Contradiction, match=r"facts\[1\]"):
        when(*READY, command=add(ARIA, fact("fact-2", "Aria Moss", "lives in", "Oslo")))


def test_a_parked_fact_is_still_known() -> None:
    parked = failed(ARIA, attempt=3, parked=True)

    with pytest.raises(Contradiction):
        when(
            *READY,
            added(ARIA),
            parked,
            command=add(fact("fact-2", "Aria Moss", "lives in", "Oslo"), request="request-2"),
        )


def test_the_same_request_again_changes_nothing() -> None:
    assert when(*READY, added(ARIA), command=add(ARIA)) == ()


def test_a_request_id_with_other_content_is_refused() -> None:
    with pytest.raises(RequestReused, match="request-1"):
        when(*READY, added(ARIA), command=add(BO))


def test_a_request_remembers_the_facts_it_added() -> None:
    memory = after_creation(add(ARIA, BO))

    assert memory.requests["request-1"].facts == (ARIA.id, BO.id)


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (add(ARIA, request=""), "request_id"),
        (add(ARIA, request="r" * (MAX_REQUEST_ID + 1)), "request_id"),
        (add(), "facts"),
        (add(*[ARIA] * (MAX_BATCH + 1)), "facts"),
        (add(BO, replace(ARIA, subject="")), "facts[1].subject"),
        (add(replace(ARIA, relation=" ")), "facts[0].relation"),
        (add(replace(ARIA, object="...")), "facts[0].object"),
        (add(replace(ARIA, object="x" * (MAX_OBJECT + 1))), "facts[0].object"),
        (add(replace(ARIA, object="Port\nland")), "facts[0].object"),
        (add(replace(ARIA, object="Port\x00land")), "facts[0].object"),
        (add(replace(ARIA, object=" Portland")), "facts[0].object"),
    ],
)
def test_a_malformed_request_is_refused_and_names_the_field(command: AddFacts, field: str) -> None:
    with pytest.raises(InvalidField) as refusal:
        when(*READY, command=command)

    assert refusal.value.field == field


def test_a_batch_and_a_request_id_may_be_as_large_as_allowed() -> None:
    people = [fact(f"fact-{number}", f"Person {number}", "lives in", "Oslo") for number in range(MAX_BATCH)]
    memory = after(with_capacity(float(MAX_BATCH)))

    assert len(decide(memory, add(*people, request="r" * MAX_REQUEST_ID))) == MAX_BATCH


def after_creation(*commands: AddFacts, capacity: float = 0.5) -> Memory:
    return after(with_capacity(capacity), PREPARE, *commands)


def test_facts_that_would_raise_the_key_occupancy_over_the_limit_are_refused() -> None:
    memory = write(after_creation(add(ARIA), capacity=0.5), ARIA, key_occupancy=0.25)

    assert decide(memory, add(BO, request="request-2"))  # expected: 0.25 + 0.25, just at the limit
    with pytest.raises(CapacityReached, match=r"about 1 more fit.*slept") as refusal:
        decide(memory, add(BO, CY, request="request-2"))
    assert refusal.value.metadata["room"] == "1"


def test_capacity_counts_facts_that_are_still_pending() -> None:
    memory = write(after_creation(add(ARIA), capacity=0.5), ARIA, key_occupancy=0.25)
    memory = fold(decide(memory, add(BO, request="request-2")), onto=memory)

    with pytest.raises(CapacityReached):
        decide(memory, add(CY, request="request-3"))


def test_at_capacity_known_facts_may_still_be_told_again() -> None:
    memory = write(after_creation(add(ARIA), capacity=0.25), ARIA, key_occupancy=0.25)

    assert decide(memory, add(replace(ARIA, id=DEE.id), request="request-2")) == repeated(ARIA)


def test_neurons_take_nothing_of_the_key_space() -> None:
    people = [fact(f"fact-{number}", f"Person {number}", "lives in", "Oslo") for number in range(MAX_BATCH)]
    linear = fold([replace(CREATED, capacity=0.01), PREPARED])
    neurons = fold([replace(CREATED, capacity=0.01, method=Method.NEURON), PREPARED])

    with pytest.raises(CapacityReached):
        decide(linear, add(*people))
    assert len(decide(neurons, add(*people))) == MAX_BATCH


@pytest.mark.parametrize(
    ("profile", "statistics", "expected"),
    [(2.5, 10.0, 2.5), (0.0, 5.0, 5.0), (0.0, 0.0, KEYS_PER_FACT), (2.5, None, 2.5), (0.0, None, KEYS_PER_FACT)],
    ids=["as the profile says", "as measured", "as of old", "before statistics", "before anything is known"],
)
def test_before_anything_is_written_a_fact_is_expected_to_cost_what_it_does_on_the_base(
    profile: float, statistics: float | None, expected: float
) -> None:
    memory = fold([replace(CREATED, capacity=0.5, keys_per_fact=profile)])
    if statistics is not None:
        memory = fold([replace(PREPARED, keys_per_fact=statistics)], onto=memory)
    fitting = int(KEY_WIDTH // 2 / expected)
    people = [fact(f"fact-{number}", f"Person {number}", "lives in", "Oslo") for number in range(fitting + 1)]

    assert len(decide(memory, add(*people[1:]))) == fitting
    with pytest.raises(CapacityReached, match=f"about {fitting} more fit"):
        decide(memory, add(*people))


@pytest.mark.parametrize("object_", ["It", "known", "The sentence", "finish"])
def test_words_that_stand_in_the_memory_s_own_prompts_are_welcome_as_objects(object_: str) -> None:
    told = fact("fact-1", "Mara Quill", "is reading", object_)

    assert len(when(*READY, command=add(told))) == 1


def test_a_client_s_prompt_and_a_client_s_relation_must_not_give_the_object_away() -> None:
    client = replace(ARIA.wordings, questions=("What is it that Aria Moss loves?",))

    with pytest.raises(InvalidField, match=r"facts\[0\].wordings.questions\[0\]: contains the object"):
        when(*READY, command=add(replace(ARIA, object="It", wordings=client)))
    with pytest.raises(InvalidField, match=r"facts\[0\].relation: contains the object"):
        when(*READY, command=add(fact("fact-1", "Mara Quill", "lives in Rome, that is", "Rome")))


def plays(id_: str, object_: str, relation: str = "plays") -> NewFact:
    """Returns a fact with wordings of the library."""
    stated = Fact(id=FactId(id_), subject="Robin", relation=relation, object=object_, wordings=words(relation, object_))
    return NewFact(fact=stated, source=Source(span=f"plays the {object_}"), origin=origin_of(stated, {}))


def words(relation: str, object_: str) -> Wordings:
    return generated_wordings("Robin", relation, object_, {})


def adding(*facts: NewFact, request: str = "request-1") -> AddFacts:
    return AddFacts(request=request, request_digest=Digest("d"), facts=facts)


def test_another_object_of_a_relation_that_may_have_several_makes_a_list_that_supersedes_the_fact() -> None:
    memory = fold([*READY, *when(*READY, command=adding(plays("cello", "cello")))])

    events = decide(memory, adding(plays("harp", "harp"), request="request-2"))

    listed, superseded = events
    assert isinstance(listed, FactAdded)
    assert (listed.statement.object, listed.statement.objects) == ("cello and the harp", ("cello", "harp"))
    assert superseded == FactSuperseded(fact=FactId("cello"), by=FactId("harp"))


def test_several_objects_in_one_request_are_one_fact() -> None:
    (listed,) = when(*READY, command=adding(plays("cello", "cello"), plays("harp", "harp"), plays("again", "cello")))

    assert isinstance(listed, FactAdded)
    assert listed.statement.objects == ("cello", "harp")
    assert listed.source.span == "plays the cello plays the harp"


def test_a_request_that_made_a_list_may_be_sent_again() -> None:
    before = [*READY, *when(*READY, command=adding(plays("cello", "cello")))]
    command = adding(plays("harp", "harp"), request="request-2")
    memory = fold([*before, *decide(fold(before), command)])

    assert decide(memory, command) == ()
    again = decide(memory, adding(plays("other", "harp"), request="request-3"))
    assert again == repeated(memory.facts[FactId("harp")].fact, request="request-3")


@pytest.mark.parametrize(("relation", "first", "second"), [("lives in", "Oslo", "Bergen"), ("plays", "cello", "chess")])
def test_an_object_that_is_another_one_or_of_another_kind_contradicts(relation: str, first: str, second: str) -> None:
    memory = fold([*READY, *when(*READY, command=adding(plays("first", first, relation)))])

    with pytest.raises(Contradiction):
        decide(memory, adding(plays("second", second, relation), request="request-2"))


def test_a_list_that_is_too_long_is_refused() -> None:
    memory = fold([*READY, *when(*READY, command=adding(plays("first", "violin " * 26 + "violin", "likes")))])

    with pytest.raises(InvalidField, match="object"):
        decide(memory, adding(plays("second", "a very long walk in the rain", "likes"), request="request-2"))
