"""What the servicers need of models and executors, as protocols: so that they run without torch.

`service/weights/live_models.py` and `service/executor/loop.py` implement them. Every call blocks, some for seconds, so
never call one on the event loop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from core.events.history import AdaptersCompacted
from core.events.memory import MemoryCreated
from core.ids import Digest, MemoryId
from core.method import Method
from core.state.memory import Memory
from service.app.state_diff import Compared


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer.

    Attributes:
        finish: "stop" or "length" on the last piece, None before.
        version, weights: those that the whole answer comes from.
        prompt_tokens: tokens of what was asked.
        tokens: tokens generated up to and including this piece.
    """

    text: str
    finish: str | None
    version: int
    weights: str
    prompt_tokens: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn, in place of the likeliest: temperature above 0, share of the probability, seed."""

    temperature: float
    top_p: float
    seed: int


class Rebuilt(Protocol):
    """What a replay has rebuilt; see `service.weights.replay.ReplayReport`."""

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
        method: Method | None,
    ) -> MemoryCreated:
        """Returns the first event of a new memory; its sleep policy is not checked yet. Raises ModelUnavailable."""
        ...

    def moved(self, created: MemoryCreated, name: str, revision: str) -> str:
        """Returns the name to record for the base of a memory that has moved to `name`. Raises ModelUnavailable."""
        ...

    def generate(
        self,
        memory: MemoryId,
        *,
        messages: list[dict[str, str]] | None,
        prompt: str | None,
        max_tokens: int,
        at_version: int | None,
        sampling: Sampling | None = None,
        client: str = "",
    ) -> Generator[Piece, None, None]:
        """Generates the answer to `messages`, or the continuation of `prompt`; give one of the two.

        It comes from the newest weights, or from those of `at_version`, and is greedy without `sampling`. What was
        told about the user takes part in it only for `client`s who told it.
        """
        ...

    def gpu_bytes(self) -> tuple[int, int] | None:
        """Returns how many bytes of its GPU this process holds, and how many are free; None if it has not used one."""
        ...

    def ready(self, memory: MemoryId) -> None:
        """Returns once the model has answered a canary with weights of the recorded digest; raises otherwise."""
        ...

    def forget(self, memory: MemoryId, version: int) -> None:
        """Drops what is kept of a memory that was deleted; `version` is that of its newest event."""
        ...

    def replay(
        self,
        memory: MemoryId,
        version: int | None,
        progress: Callable[[int, int, str], None],
        cancelled: Callable[[], bool],
        after: int = 0,
    ) -> Rebuilt:
        """Rebuilds the weights from the log alone and checks the digests after version `after`.

        Raises:
            DigestMismatch: a digest is not the recorded one.
            WordsErased: the version needs a fact that was erased.
        """
        ...

    def compare(self, before: Memory, after: Memory, *, ask: bool) -> Compared:
        """Compares the weights of two states on one base model. Raises DigestMismatch, WordsErased."""
        ...

    def compact(self, memory: MemoryId, state: Memory, bound: float) -> AdaptersCompacted:
        """Computes an adapter in the place of those in force; its delta is stored. Raises NothingToCompact."""
        ...

    def export(self, memory: MemoryId, state: Memory, kind: str, folder: Path, cancelled: Callable[[], bool]) -> None:
        """Writes the weights of a state as the new folder `folder`, an `adapter` or a `merged` model for stock tools.

        Raises:
            NotExportable: a folder of this kind cannot hold them.
            WordsErased: the version needs a fact that was erased.
            Cancelled: `cancelled` returned true.
        """
        ...


class Executor(Protocol):
    """Performs the work that memories owe."""

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set."""
        ...
