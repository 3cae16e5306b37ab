"""What the servicers need from the models under the memories; `service/weights/live_models.py` has it.

All of it blocks, some of it for seconds: never call it on the event loop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from typing import Any, Protocol

from core.events.history import AdaptersCompacted
from core.events.memory import MemoryCreated
from core.ids import Digest, MemoryId
from core.state.memory import Memory
from service.app.state_diff import Compared


class Piece(Protocol):
    """A piece of an answer. `finish` is set on the last one: "stop" or "length"."""

    @property
    def text(self) -> str: ...
    @property
    def finish(self) -> str | None: ...
    @property
    def version(self) -> int: ...
    @property
    def weights(self) -> str: ...


class Rebuilt(Protocol):
    """What a replay found."""

    @property
    def version(self) -> int: ...
    @property
    def plan_digest(self) -> Digest: ...
    @property
    def recorded(self) -> Digest | None: ...
    @property
    def rebuilt(self) -> Digest: ...
    @property
    def edits_checked(self) -> int: ...
    @property
    def erased(self) -> int: ...


class ModelHost(Protocol):
    """The models under the memories of one log."""

    def describe(
        self,
        *,
        name: str,
        revision: str,
        dtype: str,
        quantization: str,
        overrides: Mapping[str, float | int | bool],
        sleep: Mapping[str, Any],
        capacity: float | None,
    ) -> MemoryCreated:
        """What a new memory on that base model is; its policy of sleep is unchecked. Raises ModelUnavailable."""
        ...

    def moved(self, created: MemoryCreated, name: str, revision: str) -> str:
        """The name to record for the base of a memory, which has moved to `name`. Raises ModelUnavailable."""
        ...

    def generate(
        self,
        memory: MemoryId,
        *,
        messages: list[dict[str, str]] | None,
        prompt: str | None,
        max_tokens: int,
        at_version: int | None,
    ) -> Generator[Piece, None, None]:
        """The greedy answer to `messages`, or the continuation of `prompt`: one of the two is given.

        From the newest weights, or from those of `at_version`.
        """
        ...

    def ready(self, memory: MemoryId) -> None:
        """Returns once a canary was answered and the weights had the recorded digest; raises otherwise."""
        ...

    def replay(
        self,
        memory: MemoryId,
        version: int | None,
        progress: Callable[[int, int, str], None],
        cancelled: Callable[[], bool],
        after: int = 0,
    ) -> Rebuilt:
        """Rebuilds the weights from the log alone and checks digests after `after`.

        Raises:
            DigestMismatch, WordsErased.
        """
        ...

    def compare(self, before: Memory, after: Memory, *, ask: bool) -> Compared:
        """How far two states on one base model are apart. Raises DigestMismatch, WordsErased."""
        ...

    def compact(self, memory: MemoryId, state: Memory, bound: float) -> AdaptersCompacted:
        """An adapter in the place of those in force, its delta stored. Raises NothingToCompact."""
        ...


class Executor(Protocol):
    """Whoever performs what memories are owed."""

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set."""
        ...
