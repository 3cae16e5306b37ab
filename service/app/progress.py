"""The progress of the executor of this process. It is not in the log, because it is outdated a moment later."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from core.ids import MemoryId
from core.state.work import SleepStep


@dataclass(frozen=True, slots=True)
class StepProgress:
    """The progress of a step of a sleep: `done` of `total`, and the training loss where there is one."""

    work: SleepStep
    done: int
    total: int
    loss: float | None


class ProgressBoard:
    """The newest progress of each memory that is asleep, written by the thread of the executor, read by any thread."""

    def __init__(self) -> None:
        self._readings: dict[MemoryId, StepProgress] = {}
        self._lock = threading.Lock()

    def write(self, memory: MemoryId, reading: StepProgress) -> None:
        with self._lock:
            self._readings[memory] = reading

    def read(self, memory: MemoryId) -> StepProgress | None:
        """Returns None where no executor of this process is at a step of that memory's sleep."""
        with self._lock:
            return self._readings.get(memory)

    def clear(self, memory: MemoryId) -> None:
        """Removes the progress of a step that is over."""
        with self._lock:
            self._readings.pop(memory, None)
