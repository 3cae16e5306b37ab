"""The live models: one for each memory, with the weights of its newest event, which chats read."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, cuda

from core.errors.base import ModelUnavailable
from core.events.deletion import MemoryPurged
from core.events.history import AdaptersCompacted
from core.events.memory import MemoryCreated
from core.ids import Digest, FactId, MemoryId
from core.method import Method
from core.state.answering import answering
from core.state.memory import Memory
from core.state.plan import plan, plan_without
from core.state.user import unheard_by
from core.weights.batching.mixed import RowWeights, row_weights
from core.weights.deltas.digest import weights_digest
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import most_likely
from core.weights.model.nucleus import Nucleus
from service.app.cancellation import Cancelled
from service.app.ports import Piece, Sampling
from service.app.repository import MemoryRepository
from service.app.state_diff import Compared, questions
from service.settings import Settings
from service.weights.base_models import Base, BaseModels
from service.weights.batched import Batched
from service.weights.compaction import compaction
from service.weights.comparison import compare_weights
from service.weights.delta_store import DeltaStore
from service.weights.describe_base import describe_base, moved_base
from service.weights.exporting import export_weights
from service.weights.past_models import PastModels
from service.weights.projection import build, build_verified
from service.weights.prompts import tokens_of, window
from service.weights.replay import Progress, ReplayReport, replay
from store.artifacts import Artifacts
from store.log.event_log import EventLog
from store.state.snapshots import Snapshots

CANARY = "Hello"


@dataclass(slots=True)
class _Live:
    """The newest weights of a memory, and which plan and digest they have; used under its lock."""

    created: MemoryCreated
    lock: threading.Lock = field(default_factory=threading.Lock)
    plan: Digest | None = None
    digest: str = ""
    weights: RowWeights | None = None
    # those that answer clients without some facts, and their digest
    without: tuple[frozenset[FactId], RowWeights, str] | None = None
    nbytes: int = 0


class LiveModels:
    """Generates with the weights of any memory of one log, and works on them. Every method blocks, some for seconds."""

    def __init__(self, events: EventLog, artifacts: Artifacts, snapshots: Snapshots, settings: Settings) -> None:
        self._events = events
        self._artifacts = artifacts
        self._settings = settings
        self._states = MemoryRepository(events, snapshots)
        self._deltas = DeltaStore(artifacts, events.keyring)
        self._live: OrderedDict[MemoryId, _Live] = OrderedDict()
        self._batched: dict[Base, Batched] = {}
        self._answered: set[tuple[Base, str]] = set()  # weights, by their digest, that have answered a canary
        self._lock = threading.Lock()
        self.bases = BaseModels(settings.device)
        self._past = PastModels(self.bases, self._deltas, events.keyring, settings.past_bytes)

    def describe(
        self,
        *,
        name: str,
        revision: str,
        dtype: str,
        quantization: str,
        overrides: Mapping[str, float | int | bool],
        sleep: Mapping[str, Any] | None = None,
        capacity: float | None = None,
        method: Method | None = None,
    ) -> MemoryCreated:
        """Returns the first event of a new memory on a base model; see `service/weights/describe_base.py`."""
        return describe_base(
            self.bases, self._artifacts, self._settings, name=name, revision=revision, dtype=dtype,
            quantization=quantization, overrides=overrides, sleep=sleep or {}, capacity=capacity, method=method,
        )  # fmt: skip

    def moved(self, created: MemoryCreated, name: str, revision: str) -> str:
        """Returns the name to record for the base of a memory that is found under `name` now."""
        return moved_base(self._settings, created, name, revision)

    def generate(
        self,
        memory: MemoryId,
        *,
        messages: list[dict[str, str]] | None,
        prompt: str | None,
        max_tokens: int,
        at_version: int | None = None,
        sampling: Sampling | None = None,
        client: str = "",
    ) -> Generator[Piece, None, None]:
        """Generates the answer to `messages`, or the continuation of `prompt`; greedily without `sampling`.

        `client` is who asks: what another one told about themselves takes no part in the answer.

        It comes from the weights that answer at the newest version, or at `at_version` (see `answering`), and from
        these to its end, whatever is written meanwhile. Answers of one base model are generated together.

        Raises:
            VersionUnknown: the memory never had that version.
            InvalidField: the prompt is longer than the model reads at once, or does not fit its chat template.
            ModelUnavailable: its base cannot be loaded, or its chat template fails.
            WordsErased: its weights hold columns of a fact that was erased.
            DigestMismatch, ArtifactMissing, ArtifactCorrupt: the weights are not the recorded ones.
        """
        created = self._states.at(memory, at_version).created
        assert created is not None
        base = self.bases.base(created)
        ids = tokens_of(base, messages, prompt)
        room = window(base) - len(ids)
        weights, version, digest = self._weights(memory, created, base, at_version, client)
        tokens = self._batch(created, base).tokens(ids, min(max_tokens, room), weights, _choice(sampling, base.device))
        try:
            for text, finish, count in _decoded(base, tokens):
                yield Piece(text, finish, version, digest, len(ids), count)
        finally:
            tokens.close()

    def _weights(
        self, memory: MemoryId, created: MemoryCreated, base: EditableModel, at_version: int | None, client: str
    ) -> tuple[RowWeights, int, Digest | str]:
        """Returns the newest weights, or those of a version, without what `client` is not told; the version; and the
        digest of these weights."""
        if at_version is not None:
            state = answering(self._states.at(memory, at_version))
            built, digest = self._past.at(state, unheard_by(state, client))
            return row_weights(base, built), state.version, digest
        return self._newest(memory, created, base, client)

    def _batch(self, created: MemoryCreated, base: EditableModel) -> Batched:
        key = Base.of(created)
        with self._lock:
            if key not in self._batched:
                self._batched[key] = Batched(base)
            return self._batched[key]

    def gpu_bytes(self) -> tuple[int, int] | None:
        """Returns how many bytes of its GPU this process holds, and how many are free; None if it has not used one.

        To ask for one that is not used would take hundreds of MB of it.
        """
        if not cuda.is_initialized():  # type: ignore[no-untyped-call]
            return None
        return cuda.memory_reserved(), cuda.mem_get_info()[0]

    def ready(self, memory: MemoryId) -> None:
        """Returns once the weights have the recorded digest and a model with such weights has answered a canary.

        Raises:
            DigestMismatch: the weights are not the recorded ones.
            ModelUnavailable: the model cannot be loaded, or its answer is empty.
        """
        created = self._states.at(memory, None).created
        assert created is not None
        _, _, digest = self._newest(memory, created, self.bases.base(created))
        if (Base.of(created), digest) in self._answered:
            return
        pieces = list(self.generate(memory, messages=None, prompt=CANARY, max_tokens=4))
        if not "".join(piece.text for piece in pieces):
            raise ModelUnavailable(f"the model of memory {memory!r} answered the canary with nothing", memory=memory)
        self._answered.add((Base.of(created), pieces[-1].weights))

    def forget(self, memory: MemoryId, version: int) -> None:
        """Drops the weights of a memory that was deleted and, once its newest event says that it is purged, its deltas.

        Without this a server would keep them until its caches are full.
        """
        with self._lock:
            self._live.pop(memory, None)
        for recorded in self._events.read(memory=memory, after_version=version - 1, limit=1):
            if isinstance(recorded.event, MemoryPurged):
                self._deltas.drop(recorded.event.artifacts)

    @property
    def kept(self) -> int:
        """Size of the newest weights, and of the deltas of any, that are kept beside base models, in bytes."""
        with self._lock:
            return self._deltas.kept + sum(live.nbytes for live in self._live.values())

    def replay(
        self,
        memory: MemoryId,
        version: int | None,
        progress: Progress,
        cancelled: Callable[[], bool],
        after: int = 0,
    ) -> ReplayReport:
        """Rebuilds the weights from the log and the artifacts as they are stored now; see `replay.replay`."""
        then = self._states.at(memory, version)
        assert then.created is not None
        fresh, base = DeltaStore(self._artifacts, self._events.keyring), then.created.base
        return replay(self._events, self.bases, fresh, memory, base, then.version, progress, cancelled, after)

    def compare(self, before: Memory, after: Memory, *, ask: bool) -> Compared:
        """Compares the weights of two states; with `ask`, also the answers about every fact of either state."""
        assert before.created is not None
        model = self.bases.clone(before.created)
        return compare_weights(model, self._deltas, before, after, questions(before, after) if ask else ())

    def compact(self, memory: MemoryId, state: Memory, bound: float) -> AdaptersCompacted:
        """Computes one adapter in the place of those in force; see `service/weights/compaction.py`."""
        assert state.created is not None
        model = self.bases.clone(state.created)
        return compaction(memory, state, model, self._deltas, bound)

    def export(self, memory: MemoryId, state: Memory, kind: str, folder: Path, cancelled: Callable[[], bool]) -> None:
        """Writes the weights of a state as a new folder; see `service/weights/exporting.py`. Raises Cancelled."""
        assert state.created is not None

        def each(module: str) -> None:
            if cancelled():
                raise Cancelled

        each("")
        quantized = state.created.base.quantization != "none"
        bases = BaseModels(self._settings.device) if quantized else self.bases  # to be forgotten afterwards
        export_weights(kind, folder, memory, state, bases, self._deltas, each)

    def _newest(
        self, memory: MemoryId, created: MemoryCreated, base: EditableModel, client: str = ""
    ) -> tuple[RowWeights, int, str]:
        """Returns the newest weights that answer `client`, built where the plan has changed, the version, and their
        digest.

        Raises:
            DigestMismatch: they are not the recorded ones.
        """
        live = self._kept(memory, created)
        with live.lock:
            state: Memory = answering(self._states.at(memory, None))
            wanted = plan(state)
            if live.weights is None or live.plan != wanted.digest or state.weights not in (None, live.digest):
                built = build_verified(base, self._deltas, state)
                live.weights, live.plan, live.digest = row_weights(base, built), wanted.digest, weights_digest(built)
                live.nbytes, live.without = live.weights.nbytes(base), None
                self._make_room(memory)
            if not (unheard := unheard_by(state, client)):
                return live.weights, state.version, live.digest
            if live.without is None or live.without[0] != unheard:
                built = build(base, self._deltas, plan_without(state, unheard))
                live.without = unheard, row_weights(base, built), weights_digest(built)
            _, weights, digest = live.without
            return weights, state.version, digest

    def _kept(self, memory: MemoryId, created: MemoryCreated) -> _Live:
        with self._lock:
            live = self._live.pop(memory, None)
            if live is None or live.created != created:  # or a new memory has the name of a deleted one
                live = _Live(created)
            self._live[memory] = live  # used last
            return live

    def _make_room(self, memory: MemoryId) -> None:
        """Forgets the weights that were used longest ago, those of `memory` last; a batch keeps what it uses."""
        with self._lock:
            held = sum(live.nbytes for live in self._live.values())
            for least_used in list(self._live):
                if held <= self._settings.live_bytes or least_used == memory:
                    break
                held -= self._live.pop(least_used).nbytes


def _choice(sampling: Sampling | None, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Returns what chooses the next tokens; see `decode`."""
    if sampling is None:
        return most_likely
    return Nucleus(sampling.seed, device, sampling.temperature, sampling.top_p)


def _decoded(model: EditableModel, tokens: Iterator[int]) -> Iterator[tuple[str, str | None, int]]:
    """Yields a continuation piece by piece: text, on the last piece why it ends, tokens so far."""
    generated, given = list[int](), ""  # tokens so far, and their text as far as it was yielded
    ends = set(model.end_tokens())
    finish = "length"
    for token in tokens:
        if token in ends:
            finish = "stop"
            break
        generated.append(token)
        text = str(model.tokenizer.decode(generated, skip_special_tokens=True))
        if text.endswith("\ufffd"):  # half a character
            continue
        yield text[len(given) :], None, len(generated)
        given = text
    yield "", finish, len(generated)
