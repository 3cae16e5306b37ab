"""What a piece of work on the weights takes and gives: `perform(context, work, memory) -> Done`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from core.decide.commands import Command
from core.events.memory import MemoryCreated
from core.facts import Fact
from core.ids import Digest
from core.method import Method
from core.state.memory import Memory
from core.state.plan import Plan
from core.weights.deltas.fixed_point import Delta
from core.weights.linear import mean_keys
from core.weights.memit.covariance import KeyCovariance
from core.weights.memit.edit import keys_in_force
from core.weights.memit.preserved_keys import PreservedKeys
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.strangers import Measured
from service.executor.work.locality import LocalityCheck
from service.executor.work.reference import Reference
from service.weights.delta_store import DeltaStore
from service.weights.projection import build
from store.artifacts import Artifacts


class Progress(Protocol):
    """Takes the steps done, those in all, the loss where there is one, and words for the stage of the work."""

    def __call__(self, done: int, total: int, loss: float | None, stage: str = "") -> None: ...


@dataclass(frozen=True, slots=True)
class Live:
    """Which weights a piece of work leaves, and the keys that an update of these weights must not move.

    Attributes:
        digest: of the weights.
        preserved: the keys of reference text and of every fact that an edit carries in these weights.
        weights: module -> [d_out, d_in]; None where the model has these weights already.
    """

    digest: Digest
    preserved: PreservedKeys
    weights: Mapping[str, Tensor] | None


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a piece of work.

    Attributes:
        command: what to record; every artifact that it names is durable.
        live: the weights that are in force once `command` is recorded; None where the next work has to rebuild them.
    """

    command: Command
    live: Live | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Everything that work on the weights of one memory needs beside the state of the memory.

    Attributes:
        model: a clone of the base model; nothing else installs weights on it.
        created: base model, modules and hyperparameters of the memory.
        live: what the work before this one left.
        measured: what is known of the base model, for neurons.
        progress: called with each step of the work; may raise, to end work that is not owed any more.
    """

    model: EditableModel
    created: MemoryCreated
    artifacts: Artifacts
    deltas: DeltaStore
    reference: Reference
    locality: LocalityCheck
    live: Live | None
    measured: Measured
    progress: Progress

    @property
    def remembered(self) -> Live | None:
        """The part of `live` that stays true once the model has other weights."""
        return self.live if self.live is not None and self.live.weights is not None else None

    def steps(self, done: int, total: int) -> None:
        """Reports the progress of steps that have no loss."""
        self.progress(done, total, None)

    def steps_of(self, stage: str) -> Callable[[int, int], None]:
        """Returns what reports the progress of steps that have no loss, in a stage of the work."""
        return lambda done, total: self.progress(done, total, None, stage)

    def build(self, wanted: Plan, unplanned: Delta | None = None) -> dict[str, Tensor]:
        """Returns the weights of a plan, module -> [d_out, d_in], with a delta on top that no plan names yet."""
        return build(self.model, self.deltas, wanted, unplanned)

    def keys_of(
        self, facts: Sequence[Fact], extra_sites: Sequence[Sequence[str]] = ()
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Measures the keys of facts that the live weights carry.

        Args:
            extra_sites: as in `keys_in_force`; names have none.

        Returns:
            Module -> [k, d_in] keys, and [k] which of `facts` each key is of.
        """
        if self.created.method is Method.MEMIT:
            return mean_keys(self.model, facts)
        return keys_in_force(self.model, facts, self.created.prefixes, extra_sites)

    def covariance(self, memory: Memory) -> KeyCovariance:
        """Reads the covariance of keys of reference text that was prepared for `memory`."""
        assert memory.statistics is not None
        return KeyCovariance.from_bytes(self.artifacts.get(memory.statistics.artifact))
