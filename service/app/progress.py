"""What the executor of this process is doing right now. Not in the log: it is of no use a moment later."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from core.ids import MemoryId
from core.state.work import SleepStep


@dataclass(frozen=True, slots=True)
class StepProgress:
    """How far a step of a sleep is: `done` of `total`, and the training loss if it has one."""

    work: SleepStep
    done: int
    total: int
    loss: float | None


class ProgressBoard:
    """The newest reading of each memory that is asleep. Written by the executor's thread, read by any."""

    def __init__(self) -> None:
        self._readings: dict[MemoryId, StepProgress] = {}
        self._lock = threading.Lock()

    def write(self, memory: MemoryId, reading: StepProgress) -> None:
        with self._lock:
            self._readings[memory] = reading

    def read(self, memory: MemoryId) -> StepProgress | None:
        """None where no executor of this process is at a step of that memory's sleep."""
        with self._lock:
            return self._readings.get(memory)

    def clear(self, memory: MemoryId) -> None:
        """The step is over."""
        with self._lock:
            self._readings.pop(memory, None)
