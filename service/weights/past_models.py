"""Weights of past versions, which are built beside the live ones and kept while there is room."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

from torch import Tensor

from core.errors.base import DigestMismatch
from core.ids import Digest, FactId
from core.state.memory import Memory
from core.state.plan import Plan, plan, plan_without
from core.weights.deltas.digest import weights_digest
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


class PastModels:
    """Builds the weights of past versions.

    Weights are kept by base, module and the plan of that module alone, so that versions share what did not change.
    Every method blocks, and is safe for any thread.
    """

    def __init__(self, bases: BaseModels, deltas: DeltaStore, keyring: Keyring, room: int) -> None:
        """Keeps at most `room` bytes of weights; the least recently used go first."""
        self._bases = bases
        self._deltas = deltas
        self._keyring = keyring
        self._room = room
        self._kept: OrderedDict[_Key, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def kept(self) -> int:
        """Size of the weights that are kept, in bytes."""
        with self._lock:
            return sum(weight.nbytes for weight in self._kept.values())

    def at(self, memory: Memory, unheard: Collection[FactId] = ()) -> tuple[dict[str, Tensor], Digest]:
        """Returns the weights of `memory`, not to be written to, and their digest.

        Each module costs one sum, or none if it is kept.

        Args:
            unheard: facts whose columns are left out of the weights, once the digest of the whole was checked.

        Raises:
            ModelUnavailable: the base model cannot be loaded.
            WordsErased: the weights need columns of a fact that was erased.
            DigestMismatch, ArtifactMissing, ArtifactCorrupt: the weights are not the recorded ones.
        """
        weights = self._built(memory, plan(memory))
        rebuilt = weights_digest(weights)
        if memory.weights is not None and rebuilt != memory.weights:
            raise DigestMismatch(memory.version, memory.weights, rebuilt)
        if not unheard:
            return weights, rebuilt
        heard = self._built(memory, plan_without(memory, unheard))
        return heard, weights_digest(heard)

    def _built(self, memory: Memory, whole: Plan) -> dict[str, Tensor]:
        assert memory.created is not None
        base, model = Base.of(memory.created), self._bases.base(memory.created)
        erased = self._keyring.thrown_away()
        return {
            module: self._weight(_Key(base, module, wanted.digest, erased), model, wanted)
            for module, wanted in _plans(memory, whole).items()
        }

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


def _plans(memory: Memory, whole: Plan) -> dict[str, Plan]:
    """Returns the part of a plan for each edited module, and each MLP with neurons: terms whose delta changes it."""
    assert memory.created is not None
    terms = whole.terms
    changes = {edit.delta: edit.modules for edit in memory.edits.values()}
    changes |= {adapter.delta: adapter.modules for adapter in memory.adapters.values()}
    modules = dict.fromkeys(memory.created.modules)
    modules |= dict.fromkeys(module for term in terms for module in changes[term.delta])
    return {module: Plan(terms=tuple(term for term in terms if module in changes[term.delta])) for module in modules}
