"""Locality questions about the subjects of facts, on relations that no fact covers; an edit must not answer them.

Those of the phrasebook are asked where the base model abstains; those of the library have no known answer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from core.english.persons import of_user
from core.facts import Fact, is_user
from core.library import library
from core.state.meaning import Meanings, live_facts_about
from core.state.memory import Memory
from core.texts import same_words


def unanswered_questions(
    memory: Memory, facts: Sequence[Fact], each: int | None = None, but: Collection[str] = (), turn: int | None = None
) -> tuple[str, ...]:
    """Returns questions for each subject of `facts` and each relation of the phrasebook that no live fact covers.

    A live fact covers all relations of the same meaning as its own, even while it is pending, because the model will
    answer them soon.

    Args:
        each: largest number of questions for one subject and relation; None for the hyperparameter `unanswered`.
        but: relations to leave out, with all of the same meaning.
        turn: where to begin among the phrasebook's questions, so that wordings alternate; None for the version.
    """
    if memory.created is None:
        return ()
    begin = memory.version if turn is None else turn
    most = memory.created.hyperparameters.unanswered if each is None else each
    questions: list[str] = []
    subjects = tuple(dict.fromkeys(fact.subject for fact in facts))
    meanings, covered = Meanings(memory.created.phrasebook), live_facts_about(memory, subjects)
    left_out = set(map(meanings.of, but))
    for number, subject in enumerate(subjects):
        for relation, words in memory.created.phrasebook.items():
            meaning = meanings.of(relation)
            is_open = (same_words(subject), meaning) not in covered and meaning not in left_out
            if most and words.questions and is_open:
                first = (number + begin) % len(words.questions)
                rotated = (*words.questions[first:], *words.questions[:first])
                questions += [question.replace("{s}", subject) for question in rotated[:most]]
    return tuple(questions)


def untold_questions(memory: Memory, subject: str) -> tuple[str, ...]:
    """Returns a question about `subject` for each relation of the library that no live fact covers.

    They are held-out ones, with which nothing is written.
    """
    covered = {meaning for _, meaning in live_facts_about(memory, [subject])}
    words = [entry.words for entry in library() if entry.meaning not in covered]
    if is_user(subject):
        words = [turned for turned in map(of_user, words) if turned.probe_questions]
    return tuple(each.for_model(subject).probe_questions[0] for each in words)
