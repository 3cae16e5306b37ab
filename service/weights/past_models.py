"""Models of past versions: their weights are built beside the live ones and kept while there is room."""

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
    """What the weight of a module depends on.

    Attributes:
        plan: digest of the plan of this module.
        erased: number of facts erased before the weight was built; after another erasure it is not used any more.
    """

    base: Base
    module: str
    plan: Digest
    erased: int


@dataclass(slots=True, eq=False)
class _Clone:
    """A clone of a base model that is lent to one caller at a time; `keys` are those of the weights on it."""

    model: EditableModel
    lock: threading.Lock = field(default_factory=threading.Lock)
    keys: dict[str, _Key] = field(default_factory=dict)


class PastModels:
    """Lends models with the weights of past versions.

    Weights are kept by base, module and the plan of that module alone, so that versions share what did not change.
    Every method blocks, and is safe for any thread.
    """

    def __init__(self, bases: BaseModels, deltas: DeltaStore, keyring: Keyring, room: int) -> None:
        """Keeps at most `room` bytes of weights beside those on the clones; the least recently used go first."""
        self._bases = bases
        self._deltas = deltas
        self._keyring = keyring
        self._room = room
        self._clones: dict[Base, _Clone] = {}
        self._kept: OrderedDict[_Key, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def kept(self) -> int:
        """Size of the weights that are kept, in bytes."""
        with self._lock:
            return sum(weight.nbytes for weight in self._kept.values())

    @contextmanager
    def at(self, memory: Memory) -> Iterator[tuple[EditableModel, Digest]]:
        """Lends a model with the weights of `memory`, and their digest, for the time of the block.

        Modules that have the right weights are not touched; each other module costs one sum, or none if it is kept.

        Raises:
            ModelUnavailable: the base model cannot be loaded.
            WordsErased: the weights need columns of a fact that was erased.
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
        """Installs the weights of `memory` on `clone`; returns their digest, which is the recorded one."""
        erased, module_plans = self._keyring.thrown_away(), _plans(memory)
        keys = {module: _Key(base, module, wanted.digest, erased) for module, wanted in module_plans.items()}
        before, clone.keys = clone.keys, {}  # in case the next lines fail and leave any weights
        clone.model.install(
            {
                module: self._weight(key, clone.model, module_plans[module])
                for module, key in keys.items()
                if before.get(module) != key
            }
        )
        silenced = [mlp for mlp, neurons in clone.model.neurons.items() if mlp not in keys and len(neurons.rows)]
        clone.model.install({mlp: clone.model.base_weights[mlp] for mlp in silenced})
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
            for outdated in [kept_key for kept_key in self._kept if kept_key.erased != key.erased]:
                del self._kept[outdated]
            self._kept[key] = made
            held = sum(weight.nbytes for weight in self._kept.values())
            while held > self._room:
                held -= self._kept.popitem(last=False)[1].nbytes
        return made


def _plans(memory: Memory) -> dict[str, Plan]:
    """Returns the plan of each edited module, and of each MLP with neurons: the terms whose delta changes it."""
    assert memory.created is not None
    terms = plan(memory).terms
    changes = {edit.delta: edit.modules for edit in memory.edits.values()}
    changes |= {adapter.delta: adapter.modules for adapter in memory.adapters.values()}
    modules = dict.fromkeys(memory.created.modules)
    modules |= dict.fromkeys(module for term in terms for module in changes[term.delta])
    return {module: Plan(terms=tuple(term for term in terms if module in changes[term.delta])) for module in modules}
