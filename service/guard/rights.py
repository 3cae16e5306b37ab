"""Rights on memories, and who calls."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from core.errors.access import NotPermitted
from core.errors.base import InvalidField
from core.ids import MEMORY_ID
from store.database.tokens import Token

ALL = "*"  # every memory, and what concerns the database as a whole


class Right(IntEnum):
    """What a call needs; a higher right includes the lower ones."""

    READ = 1
    WRITE = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes:
        client: whom limits are counted for: the token, else the address.
        token: None where the server asks for none; such a caller may do everything.
    """

    client: str
    token: Token | None = None

    def may(self, right: Right, memory: str) -> bool:
        token = self.token
        return token is None or (Right[token.may.upper()] >= right and _covers(token.memory, memory))

    @property
    def may_create(self) -> bool:
        """Whether there are names of memories that the caller may create."""
        return self.token is None or self.token.may == Right.ADMIN.word

    def check(self, right: Right, memory: str) -> None:
        """Raises NotPermitted, whether the memory exists or not."""
        if not self.may(right, memory):
            raise NotPermitted(right.word, memory)


def check_pattern(memory: str) -> None:
    """Raises InvalidField unless `memory` is the name of a memory, the beginning of names and a star, or a star."""
    name = memory.removesuffix(ALL)
    if memory != ALL and not MEMORY_ID.fullmatch(name):
        raise InvalidField("memory", f"{memory!r} is not the name of a memory, nor the beginning of one and a star")


def _covers(pattern: str, memory: str) -> bool:
    """Whether a token for `pattern` is one for `memory`; only one for all is one for what concerns all."""
    if pattern.endswith(ALL):
        return pattern == ALL or (memory != ALL and memory.startswith(pattern.removesuffix(ALL)))
    return pattern == memory
