"""What the tests of archives begin with: a memory that has lived, the archive of it, and another machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from core.events import Event, Recorded
from core.events.memory import StatisticsPrepared
from core.ids import Digest, MemoryId
from store.archive.exporting import export_archive
from store.artifacts import Artifacts
from store.log.event_log import EventLog
from tests.core.samples import LIFE, VIOLA
from tests.store.given import DEMO, OTHER, new, throw_key_away, told

NAMED = ("reference_text", "artifact", "statistics", "delta")  # fields of events that name artifacts


def real(event: Event, artifacts: Artifacts) -> Event:
    """`event` with every artifact it names in the folder."""
    if isinstance(event, StatisticsPrepared) and event.detectors and event.upper:
        lower, upper = (
            replace(inputs, artifact=artifacts.put(f"about {inputs.artifact}".encode() * 50))
            for inputs in (event.detectors, event.upper)
        )
        event = replace(event, detectors=lower, upper=upper)
    found = {name: getattr(event, name) for name in NAMED if isinstance(getattr(event, name, None), str)}
    return replace(event, **{name: artifacts.put(f"about {value}".encode() * 50) for name, value in found.items()})  # type: ignore[arg-type]


def lived(log: EventLog, artifacts: Artifacts, memory: MemoryId = DEMO, life: Sequence[Event] = LIFE) -> None:
    log.append(memory, [new(real(event, artifacts)) for event in life], expected=0)


def history(log: EventLog, memory: MemoryId = DEMO) -> list[Recorded]:
    """What a memory's events are wherever they stand."""
    nowhere = {"memory": DEMO, "position": 0, "previous_hash": Digest(""), "hash": Digest("")}
    return [replace(recorded, **nowhere) for recorded in log.read(memory=memory)]  # type: ignore[arg-type]


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


@pytest.fixture
def there(tmp_path: Path) -> Iterator[tuple[EventLog, Artifacts]]:
    """Another machine."""
    with EventLog.open(f"sqlite:///{tmp_path}/there/log.db") as log:
        yield log, Artifacts(tmp_path / "there" / "artifacts")


@pytest.fixture
def archive(log: EventLog, artifacts: Artifacts, tmp_path: Path) -> Path:
    """Of a memory that has lived, in a log that holds others, one fact of it erased."""
    log.append(OTHER, [told(1)], expected=0)
    lived(log, artifacts)
    throw_key_away(log, VIOLA.id)
    export_archive(tmp_path / "demo.tar", log, artifacts, DEMO)
    return tmp_path / "demo.tar"
