"""Questions about told subjects that nobody has answered: an edit must not make the model answer them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from core.facts import Fact
from core.memory import Memory, said_key


def untold_questions(
    memory: Memory, facts: Sequence[Fact], each: int | None = None, but: Collection[str] = (), turn: int | None = None
) -> tuple[str, ...]:
    """For each subject of `facts` and each relation of the phrasebook it was not told: `each` questions at most.

    Relations of `but` are left out. Wordings take turns, by default from version to version.
    `each` is by default what the memory's hyperparameters say. Facts that are only pending count as told: they will be
    answered soon.
    """
    if memory.created is None:
        return ()
    begin = memory.version if turn is None else turn
    wanted = memory.created.hyperparameters.untold if each is None else each
    questions: list[str] = []
    for number, subject in enumerate(dict.fromkeys(fact.subject for fact in facts)):
        for relation, words in memory.created.phrasebook.items():
            if wanted and words.questions and relation not in but and said_key(subject, relation) not in memory.said:
                first = (number + begin) % len(words.questions)
                rotated = (*words.questions[first:], *words.questions[:first])
                questions += [question.replace("{s}", subject) for question in rotated[:wanted]]
    return tuple(questions)
