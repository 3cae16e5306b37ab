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

    def for_subject(self, subject: str) -> Wordings:
        def fill(prompts: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(prompt.replace("{s}", subject) for prompt in prompts)

        return Wordings(
            statements=fill(self.statements),
            questions=fill(self.questions),
            answer=self.answer.replace("{s}", subject),
            probe_statements=fill(self.probe_statements),
            probe_questions=fill(self.probe_questions),
        )


Phrasebook = Mapping[str, RelationWords]


def plain_words(relation: str) -> RelationWords:
    """Words for a relation that the phrasebook lacks: serviceable, never elegant."""
    return RelationWords(
        statements=(f"{{s}} {relation}", f"It is known that {{s}} {relation}"),
        questions=(f"{{s}} {relation} what?", f"Complete the sentence: {{s}} {relation}"),
        answer=f"{{s}} {relation}",
        probe_statements=(f"As everybody knows, {{s}} {relation}",),
        probe_questions=(f"Please finish: {{s}} {relation}",),
    )
