"""Verifying: one flipped bit anywhere, or one thing gone, is found and named."""

import errno
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update

from core.errors.base import EventUnknown
from core.events import Event
from core.events.facts import FactAdded
from core.events.memory import StatisticsPrepared
from core.ids import Digest
from store.artifacts import Artifacts
from store.database.schema import data_keys, events, head
from store.log.event_log import EventLog
from store.log.verify import verify_log
from tests.core.samples import LIFE
from tests.store.given import DEMO, OTHER, append_raw, new, throw_key_away

TEXT = "reference text"
ARTIFACTS = (TEXT, "statistics", "delta", "MLP inputs")
EVENTS = 2 * len(LIFE)


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


@pytest.fixture
def lived(log: EventLog, artifacts: Artifacts) -> EventLog:
    """A log of two memories with every event type, whose artifacts exist and whose triggers are gone."""
    made = {name: artifacts.put(name.encode()) for name in ARTIFACTS}

    def real(event: Event) -> Event:
        names = {"artifact": "statistics", "statistics": "statistics", "delta": "delta", "reference_text": TEXT}
        if isinstance(event, StatisticsPrepared):
            assert event.detectors
            inputs = replace(event.detectors, artifact=made["MLP inputs"])
            event = replace(event, detectors=inputs, upper=inputs)
        return replace(event, **{field: made[name] for field, name in names.items() if hasattr(event, field)})  # type: ignore[arg-type]

    for memory in (DEMO, OTHER):
        log.append(memory, [new(real(event)) for event in LIFE], expected=0)
    drop = {
        "sqlite": ("DROP TRIGGER events_refuse_update", "DROP TRIGGER events_refuse_delete"),
        "postgresql": ("DROP TRIGGER events_refuse_change ON events",),
    }
    with log.engine.begin() as connection:
        for statement in drop[log.engine.dialect.name]:
            connection.execute(text(statement))
    return log


def test_a_sound_log_is_found_sound(lived: EventLog, artifacts: Artifacts) -> None:
    reached: list[int] = []
    report = verify_log(lived, artifacts, reached.append)

    assert (report.fault, report.events, report.artifacts) == (None, EVENTS, len(ARTIFACTS))
    assert reached[-1] == EVENTS


def test_an_erased_fact_leaves_a_log_that_verifies(lived: EventLog, artifacts: Artifacts) -> None:
    for recorded in lived.read():
        if isinstance(recorded.event, FactAdded):
            throw_key_away(lived, recorded.event.fact)

    assert verify_log(lived, artifacts).fault is None


@pytest.mark.parametrize("column", [column.name for column in events.c])
@pytest.mark.parametrize("position", [1, 3, EVENTS])
def test_one_flipped_bit_in_any_column_is_found_and_named(
    lived: EventLog, artifacts: Artifacts, column: str, position: int
) -> None:
    with lived.engine.begin() as connection:
        value = connection.execute(select(events.c[column]).where(events.c.position == position)).scalar()
        flipped = flip(value, random.Random(f"{column} {position}"))
        flipped = "x" if column == "fact" and value is None else flipped
        connection.execute(update(events).where(events.c.position == position).values({column: flipped}))

    fault = verify_log(lived, artifacts).fault

    assert fault
    assert fault.what == column
    assert fault.position in ({position, flipped} if column == "position" else {position})
    assert f"event {fault.position}" in fault.message


@pytest.mark.parametrize("column", ["memory", "actor", "recorded_at", "payload", "hash", "previous_hash"])
def test_a_flipped_bit_that_makes_text_no_text_is_found_and_named(tmp_path: Path, column: str) -> None:
    with EventLog.open(f"sqlite:///{tmp_path}/log.db") as log:
        log.append(DEMO, [new(event) for event in LIFE], expected=0)
        artifacts = Artifacts(tmp_path / "artifacts")
        with log.engine.begin() as connection:
            connection.execute(text("DROP TRIGGER events_refuse_update"))
            value: str = connection.execute(select(events.c[column]).where(events.c.position == 1)).scalar_one()
            raw = bytes([value.encode()[0] | 0x80]) + value.encode()[1:]
            connection.execute(
                text(f"UPDATE events SET {column} = CAST(:raw AS TEXT) WHERE position = 1"), {"raw": raw}
            )

        fault = verify_log(log, artifacts).fault

    assert fault
    assert (fault.position, fault.what) == (1, column)


@pytest.mark.parametrize("position", [1, 3, EVENTS])
def test_a_removed_event_is_missed(lived: EventLog, artifacts: Artifacts, position: int) -> None:
    with lived.engine.begin() as connection:
        connection.execute(delete(events).where(events.c.position == position))

    fault = verify_log(lived, artifacts).fault

    assert fault
    assert (fault.position, fault.what) == (position, "event")


def test_an_event_swapped_for_a_sound_one_of_another_log_is_found(lived: EventLog, artifacts: Artifacts) -> None:
    with lived.engine.begin() as connection:
        connection.execute(delete(events))
        connection.execute(update(head).values(position=0))
    append_raw(lived, previous=Digest("1" * 64))

    fault = verify_log(lived, artifacts).fault

    assert fault
    assert (fault.position, fault.what) == (1, "previous_hash")


@pytest.mark.parametrize("values", [{"position": EVENTS + 1}, {"position": EVENTS - 1}, {"hash": "f" * 64}])
def test_a_wrong_head_is_found_and_named(lived: EventLog, artifacts: Artifacts, values: dict[str, int | str]) -> None:
    with lived.engine.begin() as connection:
        connection.execute(update(head).values(values))

    fault = verify_log(lived, artifacts).fault

    assert fault
    assert fault.what == "head"


@pytest.mark.parametrize("column", ["fact", "key"])
def test_a_flipped_bit_in_a_data_key_is_found_and_named(lived: EventLog, artifacts: Artifacts, column: str) -> None:
    with lived.engine.begin() as connection:
        fact, value = connection.execute(select(data_keys.c.fact, data_keys.c[column])).first() or ("", "")
        flipped = flip(value, random.Random(column))
        connection.execute(update(data_keys).where(data_keys.c.fact == fact).values({column: flipped}))

    fault = verify_log(lived, artifacts).fault

    assert fault
    assert (fault.position, fault.what) == (3 if fact == "fact-aria" else 6, "data key")


def _remove(path: Path) -> None:
    path.unlink()


def _flip_file(path: Path) -> None:
    path.write_bytes(flip(path.read_bytes(), random.Random(0)))


def _make_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _make_a_loop(path: Path) -> None:
    """As unreadable to root as to anybody."""
    path.unlink()
    path.symlink_to(path)


@pytest.mark.parametrize("spoil", [_remove, _flip_file, _make_a_folder, _make_a_loop])
@pytest.mark.parametrize("index", range(len(ARTIFACTS)))
def test_a_missing_or_altered_artifact_is_found_and_named(
    lived: EventLog, artifacts: Artifacts, spoil: Callable[[Path], None], index: int
) -> None:
    digests = [Artifacts(artifacts.folder / "again").put(name.encode()) for name in ARTIFACTS]
    spoil(artifacts.path(Digest(digests[index])))

    fault = verify_log(lived, artifacts).fault

    assert fault
    assert (fault.position, fault.what) == ((1, 2, 4, 2)[index], "artifact")
    assert digests[index] in fault.message


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES], ids=errno.errorcode.get)
def test_an_artifact_that_the_disk_does_not_give_is_named(
    lived: EventLog, artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def failing(path: Path) -> bytes:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "read_bytes", failing)

    fault = verify_log(lived, artifacts).fault

    assert fault
    assert (fault.position, fault.what) == (1, "artifact")
    assert os.strerror(number) in fault.message


def test_a_sound_event_of_a_later_version_is_no_damage(log: EventLog, artifacts: Artifacts) -> None:
    append_raw(log, type="FactDreamt")

    with pytest.raises(EventUnknown, match="FactDreamt"):
        verify_log(log, artifacts)


def flip(value: Any, chance: random.Random) -> Any:
    """`value` with one bit flipped; a column that was empty holds something."""
    if value is None:
        return b"x"
    if isinstance(value, int):
        return value ^ 1 << chance.randrange(5, 40)
    data = bytearray(value.encode() if isinstance(value, str) else value)
    if not data:
        return "x"
    index = chance.randrange(len(data))
    data[index] ^= 1 << chance.randrange(5 if isinstance(value, str) else 8)
    data[index] = data[index] or 1  # PostgreSQL holds no NUL
    return data.decode() if isinstance(value, str) else bytes(data)
