"""Holds dialogues with a server that remembers: each turn is a chat, and facts are written meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hypnogram.v1 import memories_pb2

from benchmarks.conversation.questions import Session
from benchmarks.serve.chats import question
from core.ids import MemoryId
from core.method import Method
from core.state.memory import Memory, Status
from core.state.work import next_work
from core.unchanged import says
from hypnogram.client import Client
from service.app.repository import MemoryRepository

TOLD, UNTOLD = MemoryId("told"), MemoryId("untold")
LOOK = 0.1  # seconds between two looks at the log
REPLY_TOKENS = 8  # of replies in dialogues, which are not measured
ANSWER_TOKENS = 32
WRITTEN = frozenset({Status.INJECTED, Status.PARKED, Status.WITHDRAWN})

Message = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Replied:
    """A reply that has ended.

    Attributes:
        text: what it says.
        tokens, seconds: of the reply, from the request to its end; what is remembered comes after that.
        ended: when it ended, by `time.monotonic`.
    """

    text: str
    tokens: int
    seconds: float
    ended: float


@dataclass(frozen=True, slots=True)
class Known:
    """A fact that was told alone: seconds from its turn's end until it was written, and until an answer had ended."""

    written: float
    answered: float
    said: bool


class Holding:
    """Talks with the memory `TOLD` of a server.

    Args:
        client: connected with the server; all its turns are those of one user.
        states: of the same log.
    """

    def __init__(self, client: Client, states: MemoryRepository) -> None:
        self._client, self._states = client, states

    def create(self, model: str) -> None:
        """Creates the memory and waits until it is prepared. It learns about the user if its method can.

        The memory `UNTOLD` on the same model is made first; it learns nothing.
        """
        base = memories_pb2.BaseModel(name=model)
        there = {known.memory for known in self._client.memories()}
        for memory in (UNTOLD, TOLD):
            if memory not in there:
                self._client.create_memory(memory, base, about_user=memory == TOLD and self._by_neurons())
            self._until(lambda state: state.statistics is not None, memory)

    def _by_neurons(self) -> bool:
        created = self._states.current(UNTOLD).created
        return created is not None and created.method is Method.NEURON

    def rate(self, number: int, tokens: int, remember: str) -> float:
        """Returns the tokens a second of the reply to a turn that states nothing."""
        reply = self._chat([_user(question(number))], tokens, remember)
        return reply.tokens / reply.seconds

    def hold(self, session: Session) -> Iterator[tuple[int, Known | None]]:
        """Says what was not said yet; ends once the memory owes nothing.

        Each turn has those before it as its context. A dialogue begins when the facts of the one before are written.
        Its first fact is waited for, if its turn states no other; all others are written while the dialogue goes on.

        Yields:
            After each dialogue its number, and how soon its first fact was known; None where no fact was waited for.
        """
        for number, dialogue in enumerate(session.dialogues):
            self._until(_owes_nothing)
            name = f"dialogue-{number}"
            begun = self._states.current(TOLD).conversations.get(name)
            past = (begun.turns + 1) // 2 if begun else 0  # turns of the user that a killed run has said
            context: list[Message] = []
            known: Known | None = None
            for turn, (text, reply) in enumerate(dialogue.turns):
                if turn >= past:
                    alone = known is None and _owes_nothing(self._states.current(TOLD))
                    said = self._chat([*context, _user(text)], REPLY_TOKENS, "on", name)
                    known = self._known(said.ended) if alone else known
                context += [_user(text), {"role": "assistant", "content": reply}]
            yield number, known
        self._until(_owes_nothing)

    def _known(self, ended: float) -> Known | None:
        """Waits for the only fact that is not written, and asks for it; returns None where it is not so."""
        owed = [fact for fact, state in self._states.current(TOLD).facts.items() if state.status is Status.PENDING]
        if len(owed) != 1:
            return None
        state = self._until(lambda state: state.facts[owed[0]].status in WRITTEN).facts[owed[0]]
        written = time.monotonic() - ended
        if state.status is not Status.INJECTED:
            return None
        answer = self._chat([_user(state.fact.wordings.questions[0])], ANSWER_TOKENS, "off")
        return Known(written, answer.ended - ended, all(says(answer.text, each) for each in state.fact.each))

    def _chat(self, messages: Sequence[Message], tokens: int, remember: str, conversation: str = "") -> Replied:
        """Returns the reply once it has ended, and, where the turn is to be read, once it was."""
        began = ended = time.monotonic()
        texts, count = [], 0
        for piece in self._client.chat(
            TOLD, messages, max_tokens=tokens, remember=remember, conversation=conversation, timeout=None
        ):
            if not piece.HasField("remembered"):
                texts.append(piece.text)
                count, ended = piece.tokens, time.monotonic()
        return Replied("".join(texts), count, ended - began, ended)

    def _until(self, holds: Callable[[Memory], bool], memory: MemoryId = TOLD) -> Memory:
        while not holds(state := self._states.current(memory)):
            time.sleep(LOOK)
        return state


def _owes_nothing(memory: Memory) -> bool:
    return next_work(memory) is None


def _user(text: str) -> Message:
    return {"role": "user", "content": text}
