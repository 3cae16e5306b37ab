"""Chooses the dialogues that are held with a model, and what is asked about them when they are over.

What the user says about themselves is taken from `first_person_held_out.toml`, with which nothing was tuned.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from benchmarks.conversation.dialogues import Dialogue, data, dialogues
from benchmarks.conversation.score import learned, plain
from benchmarks.real.people import DATA, relations
from core.facts import is_user
from core.state.memory import Memory
from core.unchanged import says

TRIED = 200  # dialogues among which those are chosen that are held
UNSEEN_QUESTIONS = 2  # of `wordings.toml`, beside that of the templates
OTHER_KIND = "plays"  # a relation that the templates may say of games, and `wordings.toml` asks of instruments


@dataclass(frozen=True, slots=True)
class Question:
    """A question about what holds at the end of a dialogue.

    Attributes:
        subject, relation: what it asks for; the relation by its name in the templates.
        objects: all that an answer has to say.
        dialogue: number of the dialogue that states it.
    """

    prompt: str
    subject: str
    relation: str
    objects: tuple[str, ...]
    dialogue: int

    @property
    def about_user(self) -> bool:
        return is_user(self.subject)

    def is_right(self, answer: str) -> bool:
        """Whether an answer says every object."""
        return all(says(answer, object_) for object_ in self.objects)

    def is_learned(self, memory: Memory) -> bool:
        """Whether the memory holds what is asked for, whatever words the relation has about the user."""
        if not self.about_user:
            held = learned(memory)
            return all(plain(self.subject, self.relation, object_) in held for object_ in self.objects)
        facts = [state.fact for state in memory.facts.values() if not state.retracted and is_user(state.fact.subject)]
        return all(any(says(fact.object, object_) for fact in facts) for object_ in self.objects)


@dataclass(frozen=True, slots=True)
class Session:
    """Dialogues of one user with one memory, and the questions about them."""

    dialogues: tuple[Dialogue, ...]
    questions: tuple[Question, ...]


@cache
def _first_person() -> dict[str, Any]:
    return tomllib.loads((DATA / "first_person_held_out.toml").read_text(encoding="utf-8"))


def general_questions(count: int) -> list[str]:
    """Returns questions in the first person that ask for no fact about the user."""
    return list(_first_person()["general"]["questions"][:count])


def session(count: int, seed: int, templates: str, about_user: int) -> Session:
    """Returns dialogues of which no two name the same person, with `about_user` facts about the user at their ends.

    Dialogues whose templates speak of the user are left out, because the templates have no questions for that.
    """
    chosen: list[Dialogue] = []
    named: set[str] = set()
    for dialogue in dialogues(TRIED, seed, templates):
        names = {name for subject, _, object_ in (*dialogue.holds, *dialogue.never) for name in (subject, object_)}
        people = {name for name in names if name.split()[0] in _first_names(templates)}
        if len(chosen) < count and dialogue.holds and not dialogue.about_user and not people & named:
            chosen.append(dialogue)
            named |= people
    questions = [
        question for number, dialogue in enumerate(chosen) for question in _of_others(number, dialogue, templates)
    ]
    told = Random(f"{seed}/about user").sample(_first_person()["fact"], about_user)
    for place, fact in enumerate(told):
        number = place % len(chosen)
        chosen[number].turns.append((fact["said"], data(templates)["talk"]["replies"][0]))
        questions += [
            Question(prompt, "user", fact["relation"], (fact["object"],), number) for prompt in fact["questions"]
        ]
    return Session(tuple(chosen), tuple(questions))


def _of_others(number: int, dialogue: Dialogue, templates: str) -> Sequence[Question]:
    """Returns the questions about people that a dialogue answers, those of each subject and relation together."""
    objects: dict[tuple[str, str], list[str]] = {}
    for subject, relation, object_ in dialogue.holds:
        objects.setdefault((subject, relation), []).append(object_)
    return [
        Question(prompt, subject, relation, tuple(said), number)
        for (subject, relation), said in objects.items()
        for prompt in _prompts(subject, relation, templates)
    ]


def _prompts(subject: str, relation: str, templates: str) -> list[str]:
    row = next(row for row in data(templates)["relation"] if row["name"] == relation)
    unseen = relations().get(relation) if relation != OTHER_KIND else None
    asked = unseen.asked(subject)[1][:UNSEEN_QUESTIONS] if unseen else []
    return [row["question"].format(s=subject), *(question.prompt for question in asked)]


def _first_names(templates: str) -> frozenset[str]:
    return frozenset([*data(templates)["women"], *data(templates)["men"]])
