"""The editor of one memory: the model it writes on, and the dispatch of work to the modules of `work/`."""

from __future__ import annotations

from dataclasses import replace

from core.decide.commands import Command, RecordEnd
from core.events.memory import MemoryCreated
from core.state.memory import Memory
from core.state.sleep import Step
from core.state.work import Inject, OnWeights, PrepareStatistics, SleepStep, Withdraw
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.strangers import Measured
from service.executor.work import audit, gate, inject, prepare_statistics, refresh, rescale, train, withdraw
from service.executor.work.context import Context, Done, Live, Progress
from service.executor.work.locality import LocalityCheck
from service.executor.work.reference import Reference
from service.weights.delta_store import DeltaStore
from service.weights.strangers_cache import StrangersCache
from store.artifacts import Artifacts


class Editor:
    """Performs the work on the weights of one memory. It may be thrown away at any time: the log holds all that counts.

    Attributes:
        created: of the memory that it works for.
        model: its clone of the base model; the live weights are whatever the last work left.
    """

    def __init__(self, model: EditableModel, created: MemoryCreated, artifacts: Artifacts, deltas: DeltaStore) -> None:
        self.model = model
        self.created = created
        reference = Reference(model, created.base, artifacts, created.reference_text)
        self._context = Context(
            model=model, created=created, artifacts=artifacts, deltas=deltas, reference=reference,
            locality=LocalityCheck(model, reference), live=None,
            measured=Measured(StrangersCache(created.base, artifacts)), progress=_unwatched,
        )  # fmt: skip
        self._live: Live | None = None  # what the last work left, for the next one

    def perform(self, work: OnWeights, memory: Memory, progress: Progress | None = None) -> Command:
        """Does `work` and returns what to record. What that names is durable in the artifacts by then.

        Args:
            progress: called with each step; may raise, to end work that is not owed any more.

        Raises:
            HypnogramError: it cannot be done.
        """
        if self._context.reference.digest != memory.reference_text:  # the base model has generated it since
            reference = Reference(self.model, self.created.base, self._context.artifacts, memory.reference_text)
            self._context = replace(self._context, reference=reference, locality=LocalityCheck(self.model, reference))
        context = replace(self._context, live=self._live, progress=progress or _unwatched)
        self._live = None  # in case the work raises, because the model then has any weights
        done = _perform(context, work, memory)
        self._live = done.live
        return done.command


def _perform(context: Context, work: OnWeights, memory: Memory) -> Done:
    match work:
        case PrepareStatistics():
            return prepare_statistics.perform(context, work, memory)
        case Inject():
            return inject.perform(context, work, memory)
        case Withdraw():
            return withdraw.perform(context, work, memory)
        case SleepStep():
            return _step(context, work, memory)


def _step(context: Context, work: SleepStep, memory: Memory) -> Done:
    match work.step:
        case Step.AUDIT:
            return audit.perform(context, work, memory)
        case Step.REFRESH:
            return refresh.perform(context, work, memory)
        case Step.TRAIN:
            return train.perform(context, work, memory)
        case Step.GATE:
            return gate.perform(context, work, memory)
        case Step.RESCALE:
            return rescale.perform(context, work, memory)
        case Step.END:
            return Done(RecordEnd(work=work), context.live)


def _unwatched(done: int, total: int, loss: float | None, stage: str = "") -> None:
    """Ignores the progress of the work."""
