"""Compares two states of memories without their weights, and holds the results of comparing weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.ids import FactId
from core.state.memory import FactState, Memory


@dataclass(frozen=True, slots=True)
class FactChange:
    """A fact that differs between two states; None where a state never had it."""

    fact: FactId
    before: FactState | None
    after: FactState | None

    @property
    def stands(self) -> tuple[bool, bool]:
        """Whether each state has the fact and did not retract it."""
        return _stands(self.before), _stands(self.after)

    @property
    def words(self) -> FactState:
        """The state that still has the words of the fact, if there is one."""
        known = [state for state in (self.after, self.before) if state is not None]
        return next((state for state in known if state.fact.subject), known[0])


@dataclass(frozen=True, slots=True)
class Question:
    """A question for both states; `pathway` is "raw" or "chat"."""

    fact: FactId
    pathway: str
    prompt: str


@dataclass(frozen=True, slots=True)
class AnswerChange:
    """A question whose answer differs between two states."""

    question: Question
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Distance:
    """The distance between two weights of a module: a Frobenius norm, and its ratio to that of the base weight."""

    module: str
    norm: float
    relative: float


@dataclass(frozen=True, slots=True)
class Compared:
    """The distances between the weights of two states, and which answers differ of the number `asked`."""

    modules: tuple[Distance, ...]
    answers: tuple[AnswerChange, ...]
    asked: int


def changes(before: Memory, after: Memory) -> list[FactChange]:
    """Returns the facts that differ, in the order added, without those that neither state has any more."""
    pairs = (FactChange(fact, before.facts.get(fact), after.facts.get(fact)) for fact in _either(before, after))
    return [pair for pair in pairs if any(pair.stands) and _place(pair.before) != _place(pair.after)]


def questions(before: Memory, after: Memory) -> Sequence[Question]:
    """Returns the first statement and the first question about every fact of either state whose words are known."""
    asked: list[Question] = []
    for fact in _either(before, after):
        wordings = FactChange(fact, before.facts.get(fact), after.facts.get(fact)).words.fact.wordings
        asked += [Question(fact, "raw", prompt) for prompt in wordings.statements[:1]]
        asked += [Question(fact, "chat", prompt) for prompt in wordings.questions[:1]]
    return asked


def _either(before: Memory, after: Memory) -> list[FactId]:
    """Returns the facts of either state in the order added."""
    added = {fact: state.added for side in (before, after) for fact, state in side.facts.items()}
    return sorted(added, key=added.__getitem__)


def _stands(state: FactState | None) -> bool:
    return state is not None and not state.retracted


def _place(state: FactState | None) -> tuple[object, ...]:
    return () if state is None else (_stands(state), state.status, state.stage, state.scale)
