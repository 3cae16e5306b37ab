"""Replay: rebuilds weights from the log alone, and compares every digest that the log names on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from core.errors.base import DigestMismatch
from core.errors.history import WordsErased
from core.events import Recorded
from core.events.history import CheckpointMarked, MemoryForked
from core.events.memory import BaseModel, MemoryCreated
from core.evolve import fold
from core.ids import Digest, MemoryId
from core.state.memory import NOTHING, Memory
from core.state.plan import plan
from core.weights.deltas.digest import weights_digest
from core.weights.model.editable_model import EditableModel
from service.app.cancellation import Cancelled
from service.weights.base_models import BaseModels
from service.weights.delta_store import DeltaStore
from service.weights.projection import build, digest_named, in_force
from store.log.event_log import EventLog


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay has rebuilt.

    Attributes:
        recorded, rebuilt: digests of the weights at `version`.
        edits_checked: number of recorded digests that were reproduced.
        erased: number of versions that cannot be rebuilt any more, because they need columns of erased facts.
    """

    version: int
    plan_digest: Digest
    recorded: Digest | None
    rebuilt: Digest
    edits_checked: int
    erased: int = 0


Progress = Callable[[int, int, str], None]


def replay(
    log: EventLog,
    bases: BaseModels,
    deltas: DeltaStore,
    memory: MemoryId,
    base: BaseModel,
    version: int,
    progress: Progress,
    cancelled: Callable[[], bool],
    after: int = 0,
) -> ReplayReport:
    """Folds the events up to `version` and builds the weights at each change of the plan. Reads no snapshot.

    Args:
        base: that of the memory, under the name that it has now.
        progress: called with the versions folded, those to fold, and the step.
        after: version up to which digests are not checked, as those of a parent that was replayed before.

    Raises:
        DigestMismatch: a rebuilt digest differs from the recorded one.
        WordsErased: `version` needs columns of a fact that was erased.
        Cancelled: `cancelled` returned true.
    """
    state = NOTHING
    named: list[Digest | None] = [None]  # digest by version, as folded
    model: EditableModel | None = None
    checked = erased = 0
    rebuilt: Digest | None = None  # digest of the weights of `state`, once they were built
    for recorded in log.iterate(memory, until_version=version):
        before, state = state, fold((recorded.event,), onto=state)
        report = _reports(progress, cancelled, type(recorded.event).__name__, state.version, version)
        if isinstance(recorded.event, MemoryCreated):
            model = bases.clone(replace(recorded.event, base=base))
        named.append(state.weights)
        _check_named(recorded, state, named)
        if digest_named(recorded.event) or in_force(state) != in_force(before):
            rebuilt = None
            if model is not None and state.version > after:
                try:
                    rebuilt = _rebuilt(model, deltas, state, report)
                    checked += 1
                except WordsErased:
                    erased += 1
        report("")
    assert model is not None
    if rebuilt is None:
        rebuilt = _rebuilt(model, deltas, state, lambda module: None)
    return ReplayReport(state.version, plan(state).digest, state.weights, rebuilt, checked, erased)


def _reports(
    progress: Progress, cancelled: Callable[[], bool], step: str, done: int, version: int
) -> Callable[[str], None]:
    """Returns a function that reports a module of a step, and raises Cancelled once the replay is cancelled."""

    def report(module: str) -> None:
        if cancelled():
            raise Cancelled
        progress(done, version, f"{step}: {module}" if module else step)

    return report


def _rebuilt(model: EditableModel, deltas: DeltaStore, state: Memory, each: Callable[[str], None]) -> Digest:
    rebuilt = weights_digest(build(model, deltas, plan(state), each=each))
    if state.weights is not None and rebuilt != state.weights:
        raise DigestMismatch(state.version, state.weights, rebuilt)
    return rebuilt


def _check_named(recorded: Recorded, state: Memory, named: list[Digest | None]) -> None:
    """Raises DigestMismatch where an event names another digest than was recorded at the version that it is about."""
    event = recorded.event
    digest = digest_named(event)
    if digest and digest != state.weights:
        raise DigestMismatch(state.version, digest, state.weights or "")
    if isinstance(event, CheckpointMarked | MemoryForked) and event.weights != named[event.version]:
        raise DigestMismatch(event.version, event.weights or "", named[event.version] or "")
