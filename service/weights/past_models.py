"""The models as they were: weights of past versions, built beside the live ones and kept while there is room."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import Tensor

from core.errors.base import DigestMismatch
from core.ids import Digest
from core.state.memory import Memory
from core.state.plan import Plan, plan
from core.weights.model.editable_model import Subject
from service.weights.base_models import Base, Subjects
from service.weights.projection import Deltas, build_module
from store.sealing.keyring import Keyring


@dataclass(frozen=True, slots=True)
class _Key:
    """What a module's weight depends on, and how many facts were erased before it was made: what is older is void."""

    base: Base
    module: str
    plan: Digest
    erased: int


@dataclass(slots=True, eq=False)
class _Twin:
    """A model of its own for questions about the past, one at a time; `keys` are those of the weights it has."""

    subject: Subject
    lock: threading.Lock = field(default_factory=threading.Lock)
    keys: dict[str, _Key] = field(default_factory=dict)


class Past:
    """Weights by base, module and the plan of that module alone, so that versions share what did not change.

    Every method blocks, and is safe for any thread.
    """

    def __init__(self, subjects: Subjects, deltas: Deltas, keyring: Keyring, room: int) -> None:
        """`room`: bytes of weights to keep beside those that are installed; the least recently used go first."""
        self._subjects = subjects
        self._deltas = deltas
        self._keyring = keyring
        self._room = room
        self._twins: dict[Base, _Twin] = {}
        self._kept: OrderedDict[_Key, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def kept(self) -> int:
        """Bytes of the weights that are kept."""
        with self._lock:
            return sum(weight.nbytes for weight in self._kept.values())

    @contextmanager
    def at(self, memory: Memory) -> Iterator[tuple[Subject, Digest]]:
        """A model with the weights of `memory`, and their digest; the caller's own inside the block.

        Modules that have the weights already are left alone, the others cost one sum each, or none if they are kept.

        Raises:
            ModelUnavailable: the base model cannot be loaded.
            WordsErased: it needs columns of a fact that was erased.
            DigestMismatch, ArtifactMissing, ArtifactCorrupt: the weights are not the recorded ones.
        """
        assert memory.created is not None
        base = Base.of(memory.created)
        with self._lock:
            if base not in self._twins:
                self._twins[base] = _Twin(self._subjects.twin(memory.created))
            twin = self._twins[base]
        with twin.lock:
            yield twin.subject, self._installed(base, twin, memory)

    def _installed(self, base: Base, twin: _Twin, memory: Memory) -> Digest:
        """Gives `twin` the weights of `memory`; returns their digest, which is the recorded one."""
        erased, plans = self._keyring.thrown_away(), _plans(memory)
        keys = {module: _Key(base, module, its.digest, erased) for module, its in plans.items()}
        before, twin.keys = twin.keys, {}  # if the next lines fail, nothing is known of its weights
        twin.subject.install(
            {
                module: self._weight(key, twin.subject, plans[module])
                for module, key in keys.items()
                if before.get(module) != key
            }
        )
        rebuilt = twin.subject.digest()
        if memory.weights is not None and rebuilt != memory.weights:
            raise DigestMismatch(memory.version, memory.weights, rebuilt)
        twin.keys = keys
        return rebuilt

    def _weight(self, key: _Key, subject: Subject, wanted: Plan) -> Tensor:
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
        made = build_module(subject, self._deltas, key.module, wanted)
        with self._lock:
            for void in [one for one in self._kept if one.erased != key.erased]:
                del self._kept[void]
            self._kept[key] = made
            held = sum(weight.nbytes for weight in self._kept.values())
            while held > self._room:
                held -= self._kept.popitem(last=False)[1].nbytes
        return made


def _plans(memory: Memory) -> dict[str, Plan]:
    """The plan of each edited module: the terms whose delta changes it."""
    assert memory.created is not None
    terms = plan(memory).terms
    changes = {edit.delta: edit.modules for edit in memory.edits.values()}
    changes |= {adapter.delta: adapter.modules for adapter in memory.adapters.values()}
    return {
        module: Plan(terms=tuple(term for term in terms if module in changes[term.delta]))
        for module in memory.created.modules
    }
