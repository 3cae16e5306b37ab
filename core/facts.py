"""Facts, and the prompts that state them and ask for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from core.ids import FactId
from core.texts import same_words

USER = "user"  # subject of facts about whoever speaks


@dataclass(frozen=True, slots=True, kw_only=True)
class Wordings:
    """The prompts of one fact, with its subject filled in.

    An edit is computed on `statements` and `questions`. Audits also ask the `probe_` prompts, which no edit has seen:
    they are paraphrases and measure generalization.

    Attributes:
        statements: raw prompts that end right before the object.
        questions: chat questions.
        answer: beginning of a chat answer to them, up to the object.
        probe_statements: paraphrased raw prompts.
        probe_questions: paraphrased questions.
    """

    statements: tuple[str, ...]
    questions: tuple[str, ...]
    answer: str
    probe_statements: tuple[str, ...] = ()
    probe_questions: tuple[str, ...] = ()


class Origin(StrEnum):
    """Where the wordings of a fact come from."""

    CLIENT = "client"
    PHRASEBOOK = "phrasebook"
    LIBRARY = "library"
    RULES = "rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What a client stated: `subject` `relation` `object`.

    Attributes:
        objects: each of several objects, which `object` lists: "cello" and "harp" of "cello and the harp"; empty for a
            single one.
    """

    id: FactId
    subject: str
    relation: str
    object: str
    wordings: Wordings
    objects: tuple[str, ...] = ()

    @property
    def each(self) -> tuple[str, ...]:
        """Every object that it states."""
        return self.objects or (self.object,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a fact came from."""

    client: str = ""
    conversation: str = ""
    turn: int = 0
    span: str = ""  # words of that turn that state the fact
    start: int = 0  # characters `start .. end - 1` of that turn state it; 0 and 0 where that was not noted
    end: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationWords:
    """Prompt templates for one relation; `{s}` stands for the subject. Fields as in `Wordings`.

    Attributes:
        many: whether a subject may have several objects, as of "likes".
    """

    statements: tuple[str, ...]
    questions: tuple[str, ...]
    answer: str
    probe_statements: tuple[str, ...] = ()
    probe_questions: tuple[str, ...] = ()
    many: bool = False

    def for_model(self, subject: str) -> Wordings:
        """Returns the prompts with `subject` filled in."""

        def fill(prompts: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(filled(prompt, subject) for prompt in prompts)

        return Wordings(
            statements=fill(self.statements),
            questions=fill(self.questions),
            answer=filled(self.answer, subject),
            probe_statements=fill(self.probe_statements),
            probe_questions=fill(self.probe_questions),
        )


Phrasebook = Mapping[str, RelationWords]


def is_user(subject: str) -> bool:
    """Whether a fact of that subject is about the user who states it, who says "I" and needs no name."""
    return len(subject) < 16 and same_words(subject) == USER  # most subjects are not looked at closely


_DETERMINERS = frozenset("a an her his its my our that the their these this those your".split())
_PLURAL = re.compile(r".* \w*[^\Ws]s", re.IGNORECASE)


def filled(prompt: str, subject: str) -> str:
    """Returns `prompt` with its subject: "My name" is "my name" inside a sentence, and "the Beatles" own with "'"."""
    first, _, rest = subject.partition(" ")
    if rest and first.lower() in _DETERMINERS:
        begins = prompt.startswith("{s}")
        if begins and first.islower():
            subject = f"{first.capitalize()} {rest}"
        elif not begins:
            subject = f"{first.lower()} {rest}"
        if _PLURAL.fullmatch(subject):
            prompt = prompt.replace("{s}'s", "{s}'")
    return prompt.replace("{s}", subject)
