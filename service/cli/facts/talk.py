"""A conversation of the command line with a memory: what was said so far, and how it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypnogram.v1 import chat_pb2

    from hypnogram.client import Client


@dataclass(slots=True)
class Talk:
    """A conversation with a memory.

    Attributes:
        at_version: version whose weights reply; None for the newest.
        conversation: name under which turns are recorded; empty where they are not.
        remember: what happens with facts that the user states; empty for what the memory was created with.
        turns: what was said so far.
    """

    client: Client
    memory: str
    max_tokens: int = 128
    min_version: int | None = None
    at_version: int | None = None
    conversation: str = ""
    remember: str = ""
    turns: list[dict[str, str]] = field(default_factory=list)

    def say(self, text: str) -> Iterator[chat_pb2.ChatResponse]:
        """Yields the reply to `text` piece by piece, then what was remembered; a whole reply joins the talk."""
        said = {"role": "user", "content": text}
        past = self.at_version is not None
        pieces = self.client.chat(
            self.memory,
            [*self.turns, said],
            max_tokens=self.max_tokens,
            min_version=self.min_version,
            at_version=self.at_version,
            conversation=self.conversation,
            remember="" if past else self.remember,
        )
        texts: list[str] = []
        for piece in pieces:
            texts.append(piece.text)
            self.conversation = piece.conversation or self.conversation
            if piece.finish:
                self.turns += [said, {"role": "assistant", "content": "".join(texts)}]
            yield piece
