"""The live models: one per memory, its weights a projection of the log, kept at the head for whoever asks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core.errors.base import ModelUnavailable
from core.events.history import AdaptersCompacted
from core.events.memory import BaseModel, MemoryCreated
from core.hyperparameters import changed_hyperparameters
from core.ids import Digest, MemoryId
from core.policy import changed_policy
from core.state.memory import Memory
from core.state.plan import plan
from core.weights.deltas.digest import weights_digest
from core.weights.model import base_files
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import decode
from core.weights.model.profile import read_profile
from service.app.repository import MemoryRepository
from service.app.state_diff import Compared, questions
from service.settings import Settings
from service.weights.base_models import BaseModels, same_files
from service.weights.compaction import compaction
from service.weights.comparison import compare_weights
from service.weights.past_models import PastModels
from service.weights.projection import DeltaStore, build_verified
from service.weights.prompts import tokens_of, window
from service.weights.replay import Progress, ReplayReport, replay
from store.artifacts import Artifacts
from store.log.event_log import EventLog
from store.state.snapshots import Snapshots

KEPT_MODELS = 8
CANARY = "Hello"


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer; `finish` is "stop" or "length" on the last one, None before."""

    text: str
    finish: str | None
    version: int
    weights: str


@dataclass(slots=True)
class _Live:
    model: EditableModel
    created: MemoryCreated
    lock: threading.Lock
    version: int = 0
    plan: Digest | None = None
    weights: str = ""


class LiveModels:
    """Answers from the weights of any memory of one log. Every method blocks, some for seconds."""

    def __init__(self, events: EventLog, artifacts: Artifacts, snapshots: Snapshots, settings: Settings) -> None:
        self._events = events
        self._artifacts = artifacts
        self._settings = settings
        self._states = MemoryRepository(events, snapshots)
        self._deltas = DeltaStore(artifacts, events.keyring)
        self._live: OrderedDict[MemoryId, _Live] = OrderedDict()
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
    ) -> MemoryCreated:
        """What a new memory on that base model is; its ordinary text becomes an artifact.

        Raises:
            ModelUnavailable: no such model, none that loads, or nothing says what its ordinary text is.
            InvalidField: a folder is given a revision.
        """
        name = base_files.recorded_name(name or self._settings.model_path, revision)
        folder = base_files.find_model_folder(name, revision)
        profile = read_profile(folder)
        ordinary = Path(self._settings.ordinary_text or folder / "ordinary.jsonl")
        if not ordinary.is_file():
            raise ModelUnavailable(
                f"{name!r} comes without ordinary.jsonl, the text an edit must leave alone: put one beside its weights "
                "or set HYPNOGRAM_ORDINARY_TEXT",
                model=name,
            )
        base = BaseModel(
            name=name,
            revision=revision,
            digest=base_files.content_digest(folder),
            dtype=dtype or "float32",
            quantization=quantization or "none",
            digest_rule=base_files.RULE,
        )
        modules = profile.modules or base_files.modules_in(folder)
        model = self.bases.load(base, modules, folder)
        if list(modules) != sorted(modules, key=model.block_of):
            raise ModelUnavailable(
                f"the modules in the hypnogram.json of {name!r} are not in the order of their blocks"
            )
        return MemoryCreated(
            base=base,
            modules=model.modules,
            key_width=model.key_width,
            hyperparameters=changed_hyperparameters(profile.hyperparameters, overrides),
            phrasebook=profile.phrasebook,
            prefixes=profile.prefixes,
            ordinary_text=self._artifacts.put(ordinary.read_bytes()),
            capacity=profile.capacity if capacity is None else capacity,
            seed=0,
            keys_per_fact=profile.keys_per_fact,
            sleep=changed_policy(profile.sleep, sleep or {}, "sleep"),
        )

    def moved(self, created: MemoryCreated, name: str, revision: str) -> str:
        """The name under which the same base is found now; the recorded one may be away.

        Raises:
            ModelUnavailable: there is no model of that name, or it is another one.
            InvalidField: a folder is given a revision.
        """
        same_files(base_files.find_model_folder(name, revision), created.base)
        return base_files.recorded_name(name, revision)

    def generate(
        self,
        memory: MemoryId,
        *,
        messages: list[dict[str, str]] | None,
        prompt: str | None,
        max_tokens: int,
        at_version: int | None = None,
    ) -> Generator[Piece, None, None]:
        """The greedy answer to `messages`, or the continuation of `prompt`, from the newest weights or those of then.

        All of one answer comes from the same weights: what is written meanwhile waits for its end.

        Raises:
            VersionUnknown: the memory never had that version.
            InvalidField: the model does not read so much at once, or no such conversation.
            ModelUnavailable: its base cannot be loaded, or its chat template fails.
            WordsErased: its weights hold columns of a fact that was erased.
            DigestMismatch, ArtifactMissing, ArtifactCorrupt: the weights are not the recorded ones.
        """
        created = self._states.at(memory, at_version).created
        assert created is not None
        base = self.bases.base(created)
        ids = tokens_of(base, messages, prompt)
        room = window(base) - len(ids)
        with self._asked(memory, at_version) as (subject, version, weights):
            for text, finish in _spoken(subject, ids, min(max_tokens, room)):
                yield Piece(text, finish, version, weights)

    @contextmanager
    def _asked(self, memory: MemoryId, at_version: int | None) -> Iterator[tuple[EditableModel, int, str]]:
        """A model with the newest weights, or those of a version, its version and its digest."""
        if at_version is not None:
            state = self._states.at(memory, at_version)
            with self._past.at(state) as (subject, weights):
                yield subject, state.version, weights
            return
        live = self._model(memory)
        with live.lock:
            self._advance(memory, live)
            yield live.model, live.version, live.weights

    def ready(self, memory: MemoryId) -> None:
        """Returns once the weights have the recorded digest and a canary was answered.

        Raises:
            DigestMismatch: the weights are not the recorded ones.
            ModelUnavailable: the model is not to be had, or says nothing.
        """
        pieces = self.generate(memory, messages=None, prompt=CANARY, max_tokens=4)
        if not "".join(piece.text for piece in pieces):
            raise ModelUnavailable(f"the model of memory {memory!r} answered the canary with nothing", memory=memory)

    def replay(
        self,
        memory: MemoryId,
        version: int | None,
        progress: Progress,
        cancelled: Callable[[], bool],
        after: int = 0,
    ) -> ReplayReport:
        """See `service/weights/replay.py`; from artifacts as they are stored now."""
        then = self._states.at(memory, version)
        assert then.created is not None
        fresh, base = DeltaStore(self._artifacts, self._events.keyring), then.created.base
        return replay(self._events, self.bases, fresh, memory, base, then.version, progress, cancelled, after)

    def compare(self, before: Memory, after: Memory, *, ask: bool) -> Compared:
        """See `service/weights/comparison.py`; with `ask`, every fact of either side is asked about on both."""
        assert before.created is not None
        model = self.bases.clone(before.created)
        return compare_weights(model, self._deltas, before, after, questions(before, after) if ask else ())

    def compact(self, memory: MemoryId, state: Memory, bound: float) -> AdaptersCompacted:
        """See `service/weights/compaction.py`."""
        assert state.created is not None
        model = self.bases.clone(state.created)
        return compaction(memory, state, model, self._deltas, bound)

    def _model(self, memory: MemoryId) -> _Live:
        created = self._states.at(memory, None).created
        assert created is not None
        with self._lock:
            live = self._live.pop(memory, None)
            if live is not None and live.created == created:  # or a new memory has the name of a deleted one
                self._live[memory] = live  # used last
                return live
        made = _Live(self.bases.clone(created), created, threading.Lock())  # may take long, which holds up nobody
        with self._lock:
            live = self._live[memory] = self._live.pop(memory, made)
            if len(self._live) > KEPT_MODELS:
                self._live.popitem(last=False)
        return live

    def _advance(self, memory: MemoryId, live: _Live) -> None:
        """Brings the weights to the head, and checks their digest when they change."""
        state: Memory = self._states.at(memory, None)
        wanted = plan(state)
        if live.plan != wanted.digest or state.weights not in (None, live.weights):
            weights = build_verified(live.model, self._deltas, state)
            live.model.install(weights)
            live.plan, live.weights = wanted.digest, weights_digest(weights)
        live.version = state.version


def _spoken(model: EditableModel, ids: list[int], max_tokens: int) -> Iterator[tuple[str, str | None]]:
    """What the model says after `ids`, piece by piece, and on the last one why it ends."""
    spoken, said = list[int](), ""
    ends = set(model.end_tokens())
    steps = decode(model, [ids], max_tokens)
    finish = "length"
    while True:
        with torch.inference_mode():
            tokens = next(steps, None)
        if tokens is None:
            break
        if tokens[0] in ends:
            finish = "stop"
            break
        spoken.append(tokens[0])
        text = str(model.tokenizer.decode(spoken, skip_special_tokens=True))
        if text.endswith("\ufffd"):  # half a character
            continue
        yield text[len(said) :], None
        said = text
    yield "", finish
