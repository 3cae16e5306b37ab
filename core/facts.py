"""Facts, and the words that state them and ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.ids import FactId


@dataclass(frozen=True, slots=True, kw_only=True)
class Wordings:
    """The prompts of one fact, with its subject filled in.

    Attributes:
        statements: raw prompts that end right before the object; the fact is written on these.
        questions: what a user may ask; the fact is written on these.
        answer: how a chat answer to them begins, up to the object.
        probe_statements: further raw prompts, never used in writing; audits measure on them.
        probe_questions: further questions, never used in writing.
    """

    statements: tuple[str, ...]
    questions: tuple[str, ...]
    answer: str
    probe_statements: tuple[str, ...] = ()
    probe_questions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What a client stated: `subject` `relation` `object`."""

    id: FactId
    subject: str
    relation: str
    object: str
    wordings: Wordings


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a fact came from."""

    client: str = ""
    conversation: str = ""
    turn: int = 0
    span: str = ""  # the words of that turn the fact was taken from


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationWords:
    """How a memory speaks about one relation; `{s}` stands for the subject. Fields as in `Wordings`."""

    statements: tuple[str, ...]
    questions: tuple[str, ...]
    answer: str
    probe_statements: tuple[str, ...] = ()
    probe_questions: tuple[str, ...] = ()

    def for_model(self, subject: str) -> Wordings:
        def fill(prompts: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(_filled(prompt, subject) for prompt in prompts)

        return Wordings(
            statements=fill(self.statements),
            questions=fill(self.questions),
            answer=_filled(self.answer, subject),
            probe_statements=fill(self.probe_statements),
            probe_questions=fill(self.probe_questions),
        )


Phrasebook = Mapping[str, RelationWords]

_OWNERS = ("My", "Our", "Your", "His", "Her", "Its", "Their")


def _filled(prompt: str, subject: str) -> str:
    """`prompt` with its subject; "My name" is "my name" inside a sentence."""
    first, _, rest = subject.partition(" ")
    if first in _OWNERS and rest and not prompt.startswith("{s}"):
        subject = f"{first.lower()} {rest}"
    return prompt.replace("{s}", subject)
