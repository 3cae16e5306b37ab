"""Which questions an edit must leave unanswered, and in which wording they are asked."""

from dataclasses import replace

import pytest

from core.evolve import fold
from core.facts import RelationWords
from core.library import entry_of, library
from core.state.memory import Memory
from core.state.unanswered import unanswered_questions, untold_questions
from tests.core.samples import ARIA, BO, CREATED, LIVES_IN, PREPARED, added, fact

ABOUT = ("Where is {s} from?", "What is {s}'s origin?", "Which country did {s} come from?")
FROM = replace(LIVES_IN, questions=ABOUT)
MUTE = replace(LIVES_IN, questions=())
PHRASEBOOK: dict[str, RelationWords] = {"lives in": LIVES_IN, "comes from": FROM, "hums": MUTE}
OTHER = fact("fact-other", "Aria Moss", "plays", "the cello")


def memory(unanswered: int = 1) -> Memory:
    """One whose phrasebook has three relations, and which was told where Aria Moss lives."""
    hyperparameters = replace(CREATED.hyperparameters, unanswered=unanswered)
    return fold((replace(CREATED, phrasebook=PHRASEBOOK, hyperparameters=hyperparameters), PREPARED, added(ARIA)))


@pytest.mark.parametrize(("turn", "wording"), [(0, 0), (1, 1), (2, 2), (3, 0)])
def test_wordings_take_turns(turn: int, wording: int) -> None:
    assert unanswered_questions(memory(), [ARIA], turn=turn) == (ABOUT[wording].replace("{s}", "Aria Moss"),)


def test_wordings_take_turns_from_subject_to_subject() -> None:
    asked = unanswered_questions(memory(), [ARIA, BO], turn=0, but=["lives in"])

    assert asked == (ABOUT[0].replace("{s}", "Aria Moss"), ABOUT[1].replace("{s}", "Bo Lind"))


def test_wordings_take_turns_from_version_to_version() -> None:
    told = memory()

    assert unanswered_questions(told, [ARIA]) == unanswered_questions(told, [ARIA], turn=told.version)
    assert unanswered_questions(told, [ARIA]) != unanswered_questions(replace(told, version=told.version + 1), [ARIA])


def test_several_wordings_of_a_question_follow_one_another_and_begin_again() -> None:
    asked = unanswered_questions(memory(), [ARIA], each=2, turn=2)

    assert asked == tuple(ABOUT[index].replace("{s}", "Aria Moss") for index in (2, 0))
    assert len(unanswered_questions(memory(), [ARIA], each=9)) == len(ABOUT)


def test_each_subject_is_asked_about_once_and_never_about_what_it_was_told() -> None:
    asked = unanswered_questions(memory(), [ARIA, OTHER, BO], each=9)

    assert sorted(set(asked)) == sorted(asked)
    about_home = [question for question in asked if question in LIVES_IN.for_model("Bo Lind").questions]
    assert len(about_home) == len(LIVES_IN.questions)
    assert not any(question in LIVES_IN.for_model("Aria Moss").questions for question in asked)


@pytest.mark.parametrize(
    ("relation", "left_out"),
    [("comes from", "comes from"), ("comes from", "Comes From"), ("home town", "'s home town is")],
)
def test_a_relation_that_is_left_out_in_any_words_is_not_asked_about(relation: str, left_out: str) -> None:
    hyperparameters = replace(CREATED.hyperparameters, unanswered=1)
    created = replace(CREATED, phrasebook={"lives in": LIVES_IN, relation: FROM}, hyperparameters=hyperparameters)
    told = fold((created, PREPARED, added(ARIA)))

    assert unanswered_questions(told, [ARIA]) != ()
    assert unanswered_questions(told, [ARIA], but=[left_out]) == ()


@pytest.mark.parametrize(("recorded", "each", "asked"), [(0, None, 0), (2, None, 2), (2, 1, 1), (2, 0, 0)])
def test_how_many_are_asked_is_what_the_memory_records_unless_said(recorded: int, each: int | None, asked: int) -> None:
    assert len(unanswered_questions(memory(recorded), [ARIA], each)) == asked


def test_a_memory_that_does_not_exist_is_asked_nothing() -> None:
    assert unanswered_questions(Memory(), [ARIA]) == ()


def test_untold_questions_leave_out_what_live_facts_say_in_any_words() -> None:
    told = fact("fact-home", "Cy Ames", "resides in", "Oslo")
    memory_ = fold((replace(CREATED, phrasebook={}), PREPARED, added(told)))

    questions = untold_questions(memory_, "Cy Ames")

    lives = entry_of("lives in", "Oslo")
    assert lives is not None
    assert lives.words.for_model("Cy Ames").probe_questions[0] not in questions
    assert len(questions) == len(library()) - 1
