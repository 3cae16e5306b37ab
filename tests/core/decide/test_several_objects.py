"""Several objects that a subject has of one relation are one fact, which lists them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.decide import decide
from core.decide.commands import Heard, RecordReading
from core.events.conversation import TurnRead
from core.evolve import fold
from core.facts import Fact, Origin, Source
from core.ids import EventId, FactId
from core.remember import Remember
from core.state.memory import Memory
from core.state.work import Read, next_work
from core.wordings import of_several
from tests.core.decide.test_conversations import say
from tests.core.samples import CREATE, PREPARE, add, after, fact, heard, new_fact

INSTRUMENTS = ("cello", "harp", "oboe", "flute")


def plays(object_: str, id_: str = "", relation: str = "plays") -> Fact:
    return of_several(fact(id_ or f"f-{object_}", "Robin Smith", relation, object_), [object_], {})


def begun(*facts: Fact) -> Memory:
    return after(CREATE, PREPARE, *([add(*facts)] if facts else []))


def turn(memory: Memory, *candidates: Heard, remember: Remember = Remember.ON, back: int | None = None) -> Memory:
    """The memory once it has read a turn; `back` is the place of "forget that" in it."""
    memory = fold(decide(memory, say(remember=remember)), onto=memory)
    work = next_work(memory)
    assert isinstance(work, Read)
    known = Source(conversation=work.conversation, turn=work.turn)
    placed = tuple(
        replace(one, new=replace(one.new, source=replace(known, span="Its words."))) if one.new else one
        for one in candidates
    )
    spare = tuple(FactId(f"spare-{work.turn}-{number}") for number in range(3))
    command = RecordReading(work=work, said=EventId("event"), heard=placed)
    if back is not None:
        command = replace(command, taken_back="Forget that", taken_back_at=back, spare=spare)
    return fold(decide(memory, command), onto=memory)


def said(object_: str, id_: str = "", relation: str = "plays", denied: bool = False) -> Heard:
    return heard(plays(object_, id_, relation), Source(), denied=denied)


def live(memory: Memory) -> list[str]:
    return [state.fact.object for state in memory.facts.values() if not state.retracted]


def test_another_object_supersedes_the_fact_by_one_that_lists_both() -> None:
    memory = turn(begun(plays("cello")), said("harp"))

    both = memory.facts[FactId("f-harp")]
    assert (both.fact.object, both.fact.objects, both.predecessor) == (
        "cello and the harp",
        ("cello", "harp"),
        "f-cello",
    )
    assert both.fact.wordings == plays("cello").wordings
    assert both.origin is Origin.LIBRARY
    assert live(memory) == ["cello and the harp"]


def test_objects_of_one_turn_are_one_fact_whose_source_is_all_that_states_them() -> None:
    memory = turn(begun(), said("cello"), said("harp"), said("oboe"))

    assert live(memory) == ["cello, the harp and the oboe"]
    assert list(memory.facts) == ["f-cello"]
    assert memory.facts[FactId("f-cello")].source.span == "Its words."


def test_an_object_in_other_words_of_the_relation_joins_and_another_kind_of_object_does_not() -> None:
    memory = turn(begun(plays("cello")), said("harp", relation="can play"), said("chess"))

    assert sorted(live(memory)) == ["cello and the harp", "chess"]
    assert memory.facts[FactId("f-harp")].fact.relation == "plays"
    assert live(turn(memory, said("cello", "again"), said("oboe"))) == ["chess", "cello, the harp and the oboe"]


def test_each_object_said_again_is_counted() -> None:
    memory = turn(turn(begun(plays("cello")), said("harp")), said("cello", "again"))

    assert live(memory) == ["cello and the harp"]
    assert memory.facts[FactId("f-harp")].said == 2


def test_a_client_that_adds_one_of_them_again_is_told_that_it_is_known() -> None:
    memory = turn(begun(plays("cello")), said("harp"))

    events = decide(memory, add(plays("cello", "again"), request="again"))

    assert [type(event).__name__ for event in events] == ["FactsRepeated"]


def test_an_end_leaves_the_others() -> None:
    both = turn(begun(plays("cello")), said("harp"))

    one_left = turn(both, said("cello", "after", denied=True))
    none_left = turn(both, said("cello", "a", denied=True), said("harp", "b", denied=True))
    exchanged = turn(both, said("cello", "a", denied=True), said("oboe"))

    assert (live(one_left), live(none_left), live(exchanged)) == (["harp"], [], ["harp and the oboe"])
    assert one_left.facts[FactId("after")].fact.objects == ()
    assert one_left.facts[FactId("after")].predecessor == "f-harp"


def two_lists() -> Memory:
    """A memory that has two lists of instruments, because a client gave one of them in other words."""
    listed = of_several(fact("f-can", "Robin Smith", "can play", "oboe"), ["oboe", "cello"], {})
    memory = turn(begun(plays("cello")), said("harp"))
    return fold(decide(memory, add(listed, request="in other words")), onto=memory)


@pytest.mark.parametrize(
    ("ends", "left"),
    [
        ({"cello": True}, ["harp and the oboe"]),
        ({"harp": True, "oboe": True}, ["cello"]),
        ({"cello": True, "flute": False}, ["harp, the oboe and the flute"]),
        ({"flute": False, "cello": True}, ["harp, the oboe and the flute"]),
        ({"cello": True, "harp": True, "oboe": True}, []),
        ({"flute": False}, ["oboe and the cello", "cello, the harp and the flute"]),
    ],
)
def test_two_lists_that_a_turn_changes_become_one(ends: dict[str, bool], left: list[str]) -> None:
    """Each object that the turn speaks of ends or is new."""
    memory = two_lists()
    assert live(memory) == ["cello and the harp", "oboe and the cello"]

    assert live(turn(memory, *(said(name, f"new-{name}", denied=over) for name, over in ends.items()))) == left


def test_a_memory_without_room_for_the_list_keeps_both() -> None:
    memory = two_lists()
    assert memory.created is not None
    full = replace(memory, created=replace(memory.created, capacity=1e-6))

    assert live(turn(full, said("cello", "new", denied=True))) == live(memory)


def test_an_end_of_one_object_and_then_of_all_ends_all() -> None:
    both = turn(begun(), said("Welsh", relation="speaks"), said("Thai", relation="speaks"))
    welsh, any_ = (said("Welsh", id_, "speaks", denied=True) for id_ in ("welsh", "any"))
    all_ = replace(any_, candidate=replace(any_.candidate, whichever=True))

    assert live(both) == ["Welsh and Thai"]
    assert live(turn(both, welsh)) == ["Thai"]
    assert live(turn(both, welsh, all_)) == live(turn(both, all_, welsh)) == []


def test_what_is_taken_back_is_as_before() -> None:
    both = turn(begun(plays("cello")), said("harp"))

    assert live(turn(both, back=0)) == ["cello"]
    assert live(turn(both, said("oboe"), back=0)) == ["cello and the oboe"]  # the oboe is what was meant
    assert live(turn(both, said("oboe"), back=5)) == ["cello and the harp"]
    assert live(turn(turn(begun(), said("harp")), back=0)) == []


def test_a_move_that_is_taken_back_leaves_the_home_of_before() -> None:
    oslo, bergen = (fact(f"f-{town}", "Robin Smith", "lives in", town) for town in ("Oslo", "Bergen"))
    moved = turn(begun(oslo), heard(bergen, Source()))

    assert (live(moved), live(turn(moved, back=0))) == (["Bergen"], ["Oslo"])


def test_where_a_client_is_to_be_asked_the_list_is_proposed() -> None:
    memory = fold(decide(begun(plays("cello")), say(remember=Remember.ASK)), onto=begun(plays("cello")))
    work = next_work(memory)
    assert isinstance(work, Read)
    read, *rest = decide(memory, RecordReading(work=work, said=EventId("event"), heard=(said("harp"),)))

    assert isinstance(read, TurnRead)
    assert rest == []
    assert [(one.reason, one.object, one.contradicts) for one in read.findings] == [
        ("proposed", "cello and the harp", "f-cello")
    ]


def test_a_list_too_long_for_an_object_is_left_as_it_was() -> None:
    long = [f"{'x' * 60}{number}" for number in range(4)]
    liked = [fact(f"f-{number}", "Robin Smith", "likes", object_) for number, object_ in enumerate(long)]
    memory = begun(liked[0])
    for one in liked[1:]:
        memory = turn(memory, heard(one, Source()))

    assert [state.fact.objects for state in memory.facts.values() if not state.retracted] == [tuple(long[:3])]


def test_wordings_of_a_client_stay() -> None:
    own = replace(plays("cello"), wordings=replace(plays("cello").wordings, answer="Robin Smith is good at the"))
    memory = fold(decide(begun(), replace(add(own), facts=(new_fact(own),))), onto=begun())
    memory = turn(memory, said("harp"))

    both = memory.facts[FactId("f-harp")]
    assert (both.fact.object, both.fact.wordings, both.origin) == ("cello and the harp", own.wordings, Origin.CLIENT)


@given(
    st.lists(st.lists(st.tuples(st.sampled_from(INSTRUMENTS), st.booleans()), min_size=1, max_size=3), max_size=6),
    st.booleans(),
)
def test_after_any_turns_there_is_one_fact_of_what_holds(turns: list[list[tuple[str, bool]]], known: bool) -> None:
    """Statements and ends of objects in any order; within a turn each object is spoken of once."""
    memory, holds = begun(*([plays("cello")] if known else [])), {"cello"} if known else set[str]()
    for number, candidates in enumerate(turns):
        spoken = dict(candidates)
        memory = turn(memory, *(said(name, f"{number}-{name}", denied=denied) for name, denied in spoken.items()))
        holds = (holds | {name for name, denied in spoken.items() if not denied}) - {
            name for name, denied in spoken.items() if denied
        }

    facts = [state.fact for state in memory.facts.values() if not state.retracted]
    assert len(facts) == bool(holds)
    assert {object_ for one in facts for object_ in one.each} == holds
    for state in memory.facts.values():
        if state.predecessor is not None:
            assert memory.facts[state.predecessor].successor == state.fact.id
