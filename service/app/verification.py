"""Verification: everything the log says about itself, and then the weights of all its memories."""

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
    """How much was found sound, and the fault that ended it, if any.

    Attributes:
        weights: recorded digests of weights that were reproduced.
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
    """Checks what is stored, then replays every memory. A fault is an answer; the first one ends it.

    Raises:
        Cancelled: `cancelled` said so.
        ModelUnavailable: a base model is not to be had, so nothing can be said about its memory.
    """
    total = store.log.position()

    def tell(position: int) -> None:
        if cancelled():
            raise Cancelled
        progress(position, total, "reading the log")

    found = verify_log(store.log, store.artifacts, tell)
    weights, fault = 0, found.fault
    listed = () if skip_weights or fault else store.log.listed()
    for memory in [there.memory for there in listed if not there.deleted]:
        try:
            weights += _replayed(store.log, models, memory, progress, cancelled)
        except DigestMismatch as error:
            position = _position(store.log, memory, int(error.metadata["version"]))
            fault = Fault(position=position, what="weights", message=f"memory {memory!r}: {error}")
        except (Damaged, WordsErased) as error:  # what was read soundly a moment ago, or what nobody should have erased
            fault = Fault(position=0, what="weights", message=f"memory {memory!r} cannot be rebuilt: {error}")
        if fault:
            break
    return Verified(found.events, found.artifacts, weights, fault)


def _replayed(
    log: EventLog,
    models: ModelHost,
    memory: MemoryId,
    progress: Callable[[int, int, str], None],
    cancelled: Callable[[], bool],
) -> int:
    """How many digests were reproduced; a fork's are those of its own events, a deleted memory's are gone."""
    own = max(log.ancestry(memory)[-1].after, log.begun(memory))

    def tell(done: int, total: int, step: str) -> None:
        progress(done, total, f"{memory}: {step}")

    return models.replay(memory, None, tell, cancelled, own).edits_checked


def _position(log: EventLog, memory: MemoryId, version: int) -> int:
    (recorded,) = log.read(memory=memory, after_version=version - 1, limit=1)
    return recorded.position
