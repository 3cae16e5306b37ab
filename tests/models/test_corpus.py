"""Dormouse's corpus: seeded, and clean of everything evaluation keeps for itself."""

import re
from functools import cache
from itertools import islice
from random import Random

import pytest

from models.dormouse.corpus import ASSISTANT, BOS, END, FINISH, LEARN, SPECIAL, SYSTEM, USER, Corpus, answer, ask, chat
from models.dormouse.names import ORDINARY_FIRST, ORDINARY_LAST, draw_name, held_out
from models.dormouse.phrasebook import BY_NAME, RELATIONS, Relation
from models.dormouse.world import Person, known_people, mixed_name, unseen_people

SAMPLE = 20_000  # documents of each mix


@cache
def sample() -> tuple[str, ...]:
    return tuple(document for mix in (LEARN, FINISH) for document in islice(Corpus(seed=101, mix=mix), SAMPLE))


@cache
def words() -> frozenset[str]:
    return frozenset(re.findall(r"[^\W\d_]+", " ".join(sample())))


@cache
def pairs() -> frozenset[str]:
    """Every two capitalised words that stand side by side."""
    return frozenset(re.findall(r"(?=\b([A-Z][a-z]+ [A-Z][a-z]+)\b)", " ".join(sample())))


def test_equal_seeds_give_equal_streams() -> None:
    assert list(islice(Corpus(seed=5), 300)) == list(islice(Corpus(seed=5), 300))


def test_other_seeds_give_other_streams() -> None:
    assert list(islice(Corpus(seed=5), 300)) != list(islice(Corpus(seed=6), 300))


def test_held_out_words_never_occur() -> None:
    people = unseen_people(400, seed=11)
    kept = {word for person in people for word in person.name.split()}
    kept |= {word for word in (*ORDINARY_FIRST, *ORDINARY_LAST) if held_out(word)}

    assert len(kept) > 300
    assert all(map(held_out, kept))
    assert not kept & words()


def mixed(*, unseen: bool) -> set[str]:
    people, random = known_people(), Random(3)
    return {mixed_name(random, people, unseen=unseen) for _ in range(3000)}


def ordinary(name: str) -> bool:
    first, last = name.split()
    return first in ORDINARY_FIRST and last in ORDINARY_LAST


def test_held_out_pairs_with_an_invented_name_never_occur() -> None:
    kept = {name for name in mixed(unseen=True) if not ordinary(name)}

    assert len(kept) > 1000
    assert not kept & pairs()
    assert mixed(unseen=False) & pairs(), "the test would see a pair if it were there"


def test_held_out_pairs_of_two_ordinary_names_never_occur() -> None:
    assert not {name for name in mixed(unseen=True) if ordinary(name)} & pairs()


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.name)
def test_held_out_wordings_never_occur_and_the_others_do(relation: Relation) -> None:
    text = "\n".join(sample())

    def occurs(wording: str, ending: str) -> bool:
        name = r"[A-Z][a-z]+ [A-Z][a-z]+"
        return re.search(re.escape(wording).replace(r"\{s\}", name) + ending, text) is not None

    objects = f" (?:{'|'.join(map(re.escape, relation.objects))})\\b"
    assert not occurs(relation.statements[-1], objects)
    assert not occurs(relation.questions[-1], "")
    assert all(occurs(statement, objects) for statement in relation.trained_statements)
    assert all(occurs(question, "") for question in relation.trained_questions)


def test_every_document_is_well_formed() -> None:
    turn = rf"{re.escape(USER)}[^<>]+{re.escape(END)}{re.escape(ASSISTANT)}[^<>]+{re.escape(END)}"
    system = rf"(?:{re.escape(SYSTEM)}[^<>]+{re.escape(END)})?"
    shape = re.compile(rf"{re.escape(BOS)}(?:{system}(?:{turn})+|[^<>]+{re.escape(END)})")

    assert [document for document in sample() if not shape.fullmatch(document)] == []


def test_every_text_and_every_answer_is_made_of_whole_sentences() -> None:
    for document in sample():
        spoken = re.findall(rf"{re.escape(ASSISTANT)}([^<>]+)", document) or re.findall(r">([^<>]+)<", document)
        for text in spoken:
            assert re.fullmatch(r"[A-Z].*[.?!]", text), document
            assert "  " not in text
            assert "{" not in text


def test_wordings_end_as_their_kind_does() -> None:
    for relation in RELATIONS:
        for statement in (*relation.statements, relation.answer):
            assert statement.count("{s}") == 1
            assert re.search(r"[\w}]$", statement), "a statement ends right before its object"
        for question in relation.questions:
            assert question.count("{s}") == 1
            assert question[-1] in "?."
        assert relation.ignorance.count("{s}") == 1


def test_wordings_are_told_apart() -> None:
    statements = [one for relation in RELATIONS for one in relation.statements]
    questions = [one for relation in RELATIONS for one in relation.questions]

    assert len(set(statements)) == len(statements)
    assert len(set(questions)) == len(questions)
    assert len({relation.name for relation in RELATIONS}) == len(RELATIONS)


def test_no_wording_gives_an_object_away() -> None:
    for relation in RELATIONS:
        for wording in (*relation.statements, *relation.questions, relation.answer, relation.ignorance):
            for object_ in relation.objects:
                assert not re.search(rf"\b{re.escape(object_)}\b", wording), (wording, object_)


def test_the_answer_is_what_the_profile_warrants() -> None:
    lives_in, speaks = BY_NAME["lives in"], BY_NAME["speaks"]
    person = Person("Aria Moss", {"lives in": "Oslo"})

    assert answer(lives_in, person) == "Aria Moss lives in Oslo."
    assert answer(speaks, person).startswith("I do not know ")
    assert ask(Random(1), lives_in, person)[1] == "Aria Moss lives in Oslo."


def test_a_chat_is_written_as_the_template_writes_it() -> None:
    assert chat([("Hi", "Hello.")], "Be brief.") == (
        "<|bos|><|system|>Be brief.<|end|><|user|>Hi<|end|><|assistant|>Hello.<|end|>"
    )
    assert len(set(SPECIAL)) == len(SPECIAL)


def test_known_people_are_the_same_at_every_call() -> None:
    people = known_people()

    assert people == known_people()
    assert len({person.name for person in people}) == len(people)
    for person in people:
        assert not any(map(held_out, person.name.split()))
        assert len(person.profile) >= 3
        assert all(object_ in BY_NAME[name].objects for name, object_ in person.profile.items())


@pytest.mark.parametrize("seed", range(5))
def test_unseen_people_are_never_known_and_share_no_name_with_anyone_known(seed: int) -> None:
    known = {word for person in known_people() for word in person.name.split()}
    people = unseen_people(200, seed=seed)

    assert len({person.name for person in people}) == 200
    assert all(len(person.profile) == 4 for person in people)
    assert not known & {word for person in people for word in person.name.split()}


def test_unseen_people_are_the_same_for_the_same_seed() -> None:
    assert unseen_people(20, seed=1) == unseen_people(20, seed=1)
    assert unseen_people(20, seed=1) != unseen_people(20, seed=2)
    assert unseen_people(20, seed=1) == unseen_people(40, seed=1)[:20]


def test_a_mixed_name_is_a_stranger_of_known_words() -> None:
    people = known_people()
    names = {person.name for person in people}
    firsts, lasts = {name.split()[0] for name in names}, {name.split()[1] for name in names}
    random = Random(2)
    for unseen in (False, True):
        for _ in range(200):
            first, last = mixed_name(random, people, unseen=unseen).split()
            assert first in firsts
            assert last in lasts
            assert f"{first} {last}" not in names


def test_names_are_split_once_and_for_all() -> None:
    random = Random(4)

    assert not any(held_out(word) for _ in range(500) for word in draw_name(random).split())
    assert all(held_out(word) for _ in range(500) for word in draw_name(random, unseen=True).split())
