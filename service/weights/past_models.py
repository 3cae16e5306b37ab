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
from core.weights.model.editable_model import EditableModel
from service.weights.base_models import Base, BaseModels
from service.weights.delta_store import DeltaStore
from service.weights.projection import build_module
from store.sealing.keyring import Keyring


@dataclass(frozen=True, slots=True)
class _Key:
    """What a module's weight depends on, and how many facts were erased before it was made: what is older is void."""

    base: Base
    module: str
    plan: Digest
    erased: int


@dataclass(slots=True, eq=False)
class _Clone:
    """A model of its own for questions about the past, one at a time; `keys` are those of the weights it has."""

    model: EditableModel
    lock: threading.Lock = field(default_factory=threading.Lock)
    keys: dict[str, _Key] = field(default_factory=dict)


class PastModels:
    """Weights by base, module and the plan of that module alone, so that versions share what did not change.

    Every method blocks, and is safe for any thread.
    """

    def __init__(self, bases: BaseModels, deltas: DeltaStore, keyring: Keyring, room: int) -> None:
        """`room`: bytes of weights to keep beside those that are installed; the least recently used go first."""
        self._bases = bases
        self._deltas = deltas
        self._keyring = keyring
        self._room = room
        self._clones: dict[Base, _Clone] = {}
        self._kept: OrderedDict[_Key, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def kept(self) -> int:
        """Bytes of the weights that are kept."""
        with self._lock:
            return sum(weight.nbytes for weight in self._kept.values())

    @contextmanager
    def at(self, memory: Memory) -> Iterator[tuple[EditableModel, Digest]]:
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
            if base not in self._clones:
                self._clones[base] = _Clone(self._bases.clone(memory.created))
            clone = self._clones[base]
        with clone.lock:
            yield clone.model, self._installed(base, clone, memory)

    def _installed(self, base: Base, clone: _Clone, memory: Memory) -> Digest:
        """Gives `twin` the weights of `memory`; returns their digest, which is the recorded one."""
        erased, plans = self._keyring.thrown_away(), _plans(memory)
        keys = {module: _Key(base, module, its.digest, erased) for module, its in plans.items()}
        before, clone.keys = clone.keys, {}  # if the next lines fail, nothing is known of its weights
        clone.model.install(
            {
                module: self._weight(key, clone.model, plans[module])
                for module, key in keys.items()
                if before.get(module) != key
            }
        )
        rebuilt = clone.model.digest()
        if memory.weights is not None and rebuilt != memory.weights:
            raise DigestMismatch(memory.version, memory.weights, rebuilt)
        clone.keys = keys
        return rebuilt

    def _weight(self, key: _Key, model: EditableModel, wanted: Plan) -> Tensor:
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
        made = build_module(model, self._deltas, key.module, wanted)
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
