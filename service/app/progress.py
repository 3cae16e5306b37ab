"""The progress of the executor of this process. It is not in the log, because it is outdated a moment later."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from core.ids import MemoryId
from core.state.work import PrepareStatistics, SleepStep


@dataclass(frozen=True, slots=True)
class StepProgress:
    """The progress of a step of a sleep, or of preparing a memory.

    Attributes:
        done, total: steps.
        loss: of the training; None where there is none.
        stage: words for what the steps do, where the work has several stages.
        seconds_left: of the stage, by its pace so far; None while that is not known.
    """

    work: SleepStep | PrepareStatistics
    done: int
    total: int
    loss: float | None
    stage: str = ""
    seconds_left: float | None = None


class Pace:
    """How fast the steps of a stage of work come."""

    def __init__(self) -> None:
        self._stage: str | None = None
        self._began = (0.0, 0)  # seconds of the monotonic clock, and steps that were done by then

    def seconds_left(self, stage: str, done: int, total: int) -> float | None:
        """Returns the seconds until `stage` has all its steps; None before its second step."""
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._began = stage, (now, done)
        began, before = self._began
        return (now - began) / (done - before) * (total - done) if done > before else None


class ProgressBoard:
    """The newest progress of each memory that is asleep or being prepared.

    The thread of the executor writes it, and any thread reads it.
    """

    def __init__(self) -> None:
        self._readings: dict[MemoryId, StepProgress] = {}
        self._lock = threading.Lock()

    def write(self, memory: MemoryId, reading: StepProgress) -> None:
        with self._lock:
            self._readings[memory] = reading

    def read(self, memory: MemoryId) -> StepProgress | None:
        """Returns None where no executor of this process is at a step of that memory's sleep or prepares it."""
        with self._lock:
            return self._readings.get(memory)

    def clear(self, memory: MemoryId) -> None:
        """Removes the progress of a step that is over."""
        with self._lock:
            self._readings.pop(memory, None)
