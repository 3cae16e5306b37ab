"""Verifies everything that the log says about itself, and then the weights of all its memories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.errors.base import Damaged, DigestMismatch
from core.errors.history import WordsErased
from core.ids import MemoryId
from service.app.cancellation import Cancelled
from service.app.ports import ModelHost
from service.app.store import Store
from store.log.event_log import EventLog
from store.log.verify import Fault, verify_log


@dataclass(frozen=True, slots=True)
class Verified:
    """How much is as it was written, and the fault that ended the verification, if there is one.

    Attributes:
        events, artifacts: numbers of intact ones.
        weights: number of recorded digests of weights that were reproduced.
    """

    events: int
    artifacts: int
    weights: int
    fault: Fault | None


def verify(
    store: Store,
    models: ModelHost,
    *,
    skip_weights: bool,
    progress: Callable[[int, int, str], None],
    cancelled: Callable[[], bool],
) -> Verified:
    """Verifies what is stored, then replays every memory. The first fault ends it and is returned.

    Raises:
        Cancelled: `cancelled` returned true.
        ModelUnavailable: a base model cannot be loaded, so that its memory cannot be replayed.
    """
    total = store.log.position()

    def report(position: int) -> None:
        if cancelled():
            raise Cancelled
        progress(position, total, "reading the log")

    stored = verify_log(store.log, store.artifacts, report)
    weights, fault = 0, stored.fault
    listed = () if skip_weights or fault else store.log.listed()
    for memory in [there.memory for there in listed if not there.deleted]:
        try:
            weights += _replayed(store.log, models, memory, progress, cancelled)
        except DigestMismatch as error:
            position = _position(store.log, memory, int(error.metadata["version"]))
            fault = Fault(position=position, what="weights", message=f"memory {memory!r}: {error}")
        except (Damaged, WordsErased) as error:  # an artifact that was intact before, or a fact that must not be erased
            fault = Fault(position=0, what="weights", message=f"memory {memory!r} cannot be rebuilt: {error}")
        if fault:
            break
    return Verified(stored.events, stored.artifacts, weights, fault)


def _replayed(
    log: EventLog,
    models: ModelHost,
    memory: MemoryId,
    progress: Callable[[int, int, str], None],
    cancelled: Callable[[], bool],
) -> int:
    """Returns how many digests were reproduced: those of its own events, without a parent's or a deleted memory's."""
    after = max(log.ancestry(memory)[-1].after, log.begun(memory))

    def report(done: int, total: int, step: str) -> None:
        progress(done, total, f"{memory}: {step}")

    return models.replay(memory, None, report, cancelled, after).edits_checked


def _position(log: EventLog, memory: MemoryId, version: int) -> int:
    (recorded,) = log.read(memory=memory, after_version=version - 1, limit=1)
    return recorded.position
