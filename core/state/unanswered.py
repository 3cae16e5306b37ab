"""Questions about told subjects that nobody has answered: an edit must not make the model answer them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from core.facts import Fact
from core.state.meaning import Meanings, told_about
from core.state.memory import Memory
from core.texts import same_words


def unanswered_questions(
    memory: Memory, facts: Sequence[Fact], each: int | None = None, but: Collection[str] = (), turn: int | None = None
) -> tuple[str, ...]:
    """For each subject of `facts` and each relation of the phrasebook it was not told: `each` questions at most.

    A relation was told, too, if another one of its meaning was, and left out if one of `but` has its meaning. Wordings
    take turns, by default from version to version. `each` is by default what the memory's hyperparameters say. Facts
    that are only pending count as told: they will be answered soon.
    """
    if memory.created is None:
        return ()
    begin = memory.version if turn is None else turn
    wanted = memory.created.hyperparameters.untold if each is None else each
    questions: list[str] = []
    subjects = tuple(dict.fromkeys(fact.subject for fact in facts))
    meanings, told = Meanings(memory.created.phrasebook), told_about(memory, subjects)
    left_out = set(map(meanings.of, but))
    for number, subject in enumerate(subjects):
        for relation, words in memory.created.phrasebook.items():
            meaning = meanings.of(relation)
            asked = (same_words(subject), meaning) not in told and meaning not in left_out
            if wanted and words.questions and asked:
                first = (number + begin) % len(words.questions)
                rotated = (*words.questions[first:], *words.questions[:first])
                questions += [question.replace("{s}", subject) for question in rotated[:wanted]]
    return tuple(questions)
