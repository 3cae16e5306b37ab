"""What there is to say about two states of memories, without their weights; and the words in which weights answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.ids import FactId
from core.state.memory import FactState, Memory


@dataclass(frozen=True, slots=True)
class FactChange:
    """A fact that is not the same on both sides; None where a side was not told it."""

    fact: FactId
    before: FactState | None
    after: FactState | None

    @property
    def stands(self) -> tuple[bool, bool]:
        """Whether each side has it: told, and not taken back."""
        return _stands(self.before), _stands(self.after)

    @property
    def words(self) -> FactState:
        """The side that still knows its words, if one does."""
        known = [state for state in (self.after, self.before) if state is not None]
        return next((state for state in known if state.fact.subject), known[0])


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked on both sides; `pathway` is "raw" or "chat"."""

    fact: FactId
    pathway: str
    prompt: str


@dataclass(frozen=True, slots=True)
class AnswerChange:
    """A question that is answered otherwise on the two sides."""

    question: Question
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Distance:
    """How far the weights of a module are apart: a Frobenius norm, and it over that of the pristine ones."""

    module: str
    norm: float
    relative: float


@dataclass(frozen=True, slots=True)
class Compared:
    """How far weights are apart, and which of the questions `asked` they answer otherwise."""

    modules: tuple[Distance, ...]
    answers: tuple[AnswerChange, ...]
    asked: int


def changes(before: Memory, after: Memory) -> list[FactChange]:
    """Facts that are not the same on both sides, in the order told. What neither side has any more is no change."""
    found = (FactChange(fact, before.facts.get(fact), after.facts.get(fact)) for fact in _either(before, after))
    return [one for one in found if any(one.stands) and _place(one.before) != _place(one.after)]


def questions(before: Memory, after: Memory) -> Sequence[Question]:
    """About every fact of either side whose words are known: its first statement, and its first question."""
    asked: list[Question] = []
    for fact in _either(before, after):
        wordings = FactChange(fact, before.facts.get(fact), after.facts.get(fact)).words.fact.wordings
        asked += [Question(fact, "raw", prompt) for prompt in wordings.statements[:1]]
        asked += [Question(fact, "chat", prompt) for prompt in wordings.questions[:1]]
    return asked


def _either(before: Memory, after: Memory) -> list[FactId]:
    """Facts that either side was told, in the order told."""
    added = {fact: state.added for side in (before, after) for fact, state in side.facts.items()}
    return sorted(added, key=added.__getitem__)


def _stands(state: FactState | None) -> bool:
    return state is not None and not state.retracted


def _place(state: FactState | None) -> tuple[object, ...]:
    return () if state is None else (_stands(state), state.status, state.stage, state.scale)
