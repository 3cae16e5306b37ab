"""A memory on a model without reference text gets text that the model generates: once, resumed, with its progress."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.support.tiny import make
from core.errors.base import InvalidField, ModelUnavailable
from core.events.memory import NO_TEXT, StatisticsPrepared
from core.ids import Digest, MemoryId
from core.weights.model.base_files import TEXTS
from core.weights.reference.own_text import Part, generate
from service.app.progress import ProgressBoard, StepProgress
from service.app.store import Store, open_store
from service.settings import Settings
from service.weights import own_text
from service.weights.base_models import BaseModels
from service.weights.own_text import generated_text, write_text
from store.log.verify import verify_log
from tests.prepared import Place, create, state_of, tell, work

OTHER = MemoryId("other")
SMALL = (Part("text", ("The", "When", "She"), 0, 12), Part("raw fact", ("One plus one is",), 0, 4))


class Killed(Exception):
    """Ends a process in the middle of its work."""


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A base model of random weights that comes without reference text."""
    folder = make(tmp_path / "bare")
    (folder / "reference.jsonl").unlink()
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "place")


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with open_store(place.settings()) as store:
        yield store


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two small parts make the text; grows by the kind of each part that is generated."""
    kinds: list[str] = []

    def counted(model: Any, part: Part, step: Callable[[int], None]) -> list[dict[str, Any]]:
        kinds.append(part.kind)
        return generate(model, part, step)

    monkeypatch.setattr(own_text, "parts_for", lambda _: list(SMALL))
    monkeypatch.setattr(own_text, "generate", counted)
    return kinds


@pytest.mark.usefixtures("generated")
def test_a_memory_is_created_without_reference_text_and_ends_with_its_own(
    store: Store, bare: Path, bases: BaseModels
) -> None:
    create(store, str(bare))
    created = state_of(store).created
    assert created is not None
    assert (created.reference_text, state_of(store).reference_text) == (NO_TEXT, NO_TEXT)

    tell(store, ("Ann Lee", "lives in", "Rome"))
    state = work(store, bases)

    assert state.statistics is not None
    assert state.reference_text == state.statistics.reference_text != NO_TEXT
    assert {kind for line in _lines(store, state.reference_text) for kind in line} >= {"text", "abstention"}
    report = verify_log(store.log, store.artifacts)
    assert (report.fault, report.artifacts) == (None, 3)  # its own text, statistics, a delta


def test_its_own_text_is_used_as_any_other(store: Store, bare: Path, bases: BaseModels, generated: list[str]) -> None:
    """An executor that begins with the prepared memory reads it."""
    create(store, str(bare))
    work(store, bases)

    tell(store, ("Ann Lee", "lives in", "Rome"))
    state = work(store, BaseModels("cpu"))

    assert len(generated) == len(SMALL)
    assert state.unchanged is not None
    assert state.unchanged.asked > 10  # strangers of its own text


def test_a_second_memory_on_the_base_has_the_text_of_the_first(
    store: Store, bare: Path, bases: BaseModels, generated: list[str]
) -> None:
    create(store, str(bare))
    create(store, str(bare), memory=OTHER, abstention_weight=0.7)  # so that its statistics are measured anew
    work(store, bases)

    work(store, bases, memory=OTHER)

    assert generated == [part.kind for part in SMALL]
    assert state_of(store, OTHER).reference_text == state_of(store).reference_text


def test_what_was_generated_before_a_kill_is_not_generated_again(
    store: Store, bare: Path, bases: BaseModels, generated: list[str]
) -> None:
    create(store, str(bare))
    created = state_of(store).created
    assert created is not None
    model, steps = bases.clone(created), sum(part.limit for part in SMALL)

    def killed(done: int, total: int) -> None:
        if done > SMALL[0].limit:
            raise Killed

    with pytest.raises(Killed):
        generated_text(model, created.base, store.artifacts, killed)
    told: list[tuple[int, int]] = []
    digest = generated_text(model, created.base, store.artifacts, lambda done, total: told.append((done, total)))

    assert generated == [SMALL[0].kind, SMALL[1].kind, SMALL[1].kind]
    assert told[0] == (0, steps)
    assert told[1][0] >= SMALL[0].limit
    assert told == sorted(told)
    assert store.artifacts.list() == [digest]  # and no part of it


def test_a_kill_makes_no_other_text(store: Store, bare: Path, bases: BaseModels, tmp_path: Path) -> None:
    """The same model makes the same text on the same machine, however often it was interrupted."""
    create(store, str(bare))
    created = state_of(store).created
    assert created is not None
    with open_store(Place(tmp_path / "elsewhere").settings()) as elsewhere, pytest.MonkeyPatch.context() as patch:
        patch.setattr(own_text, "parts_for", lambda _: list(SMALL))
        whole = generated_text(bases.clone(created), created.base, elsewhere.artifacts, lambda done, total: None)
        calls: list[int] = []

        def killed_once(done: int, total: int) -> None:
            calls.append(done)
            if len(calls) == SMALL[0].limit + 3:
                raise Killed

        with pytest.raises(Killed):
            generated_text(bases.clone(created), created.base, store.artifacts, killed_once)
        resumed = generated_text(bases.clone(created), created.base, store.artifacts, killed_once)

    assert resumed == whole


@pytest.mark.usefixtures("generated")
def test_its_stages_are_told(
    store: Store, place: Place, bare: Path, bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings: list[StepProgress] = []
    monkeypatch.setattr(ProgressBoard, "write", lambda _, memory, reading: readings.append(reading))
    create(store, str(bare))

    work(store, bases)

    stages = list(dict.fromkeys(reading.stage for reading in readings))
    assert stages == [
        "generating text that edits must leave alone",
        "measuring what the base model reads in text and at names",
    ]
    assert all(0 <= reading.done <= reading.total for reading in readings)
    assert any(reading.seconds_left is not None for reading in readings)


@pytest.mark.parametrize("name", TEXTS)
def test_text_beside_the_weights_or_in_the_settings_is_still_honoured(
    store: Store, bare: Path, bases: BaseModels, generated: list[str], tmp_path: Path, name: str
) -> None:
    given = tmp_path / "given.jsonl"
    given.write_text('{"text": "The lamp stood near the river."}\n')
    create(store, str(bare), given)
    (bare / name).write_text('{"text": "A fox comes."}\n')
    create(store, str(bare), memory=OTHER)

    work(store, bases)

    assert generated == []
    assert _lines(store, state_of(store).reference_text) == [{"text": "The lamp stood near the river."}]
    assert _lines(store, state_of(store, OTHER).reference_text) == [{"text": "A fox comes."}]


@pytest.mark.parametrize("name", ["HYPNOGRAM_REFERENCE_TEXT", "HYPNOGRAM_ORDINARY_TEXT"])
def test_the_setting_is_read_by_its_name_of_before_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "given.jsonl")

    assert Settings().reference_text == Path("given.jsonl")


def test_a_setting_that_names_no_file_is_refused(store: Store, bare: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="HYPNOGRAM_REFERENCE_TEXT"):
        create(store, str(bare), tmp_path / "missing.jsonl")


def test_the_event_of_a_memory_with_text_of_its_own_names_no_other(
    store: Store, small: Place, bases: BaseModels
) -> None:
    create(store, str(small.folder / "base"))
    work(store, bases)

    (prepared,) = [line.event for line in store.log.read() if isinstance(line.event, StatisticsPrepared)]
    assert prepared.reference_text == NO_TEXT
    assert state_of(store).reference_text != NO_TEXT


@pytest.mark.usefixtures("generated")
def test_text_is_prepared_without_a_memory_and_found_by_the_next_one(
    store: Store, place: Place, bare: Path, bases: BaseModels, generated: list[str]
) -> None:
    settings = place.settings()
    told: list[str] = []

    path = write_text(settings, str(bare), place.folder / "text.jsonl", lambda done, total, step: told.append(step))

    assert path == place.folder / "text.jsonl"
    assert {"reading the base model", "generating text"} == set(told)
    create(store, str(bare))
    state = work(store, bases)
    assert len(generated) == len(SMALL)
    assert store.artifacts.get(state.reference_text) == path.read_bytes()


@pytest.mark.usefixtures("generated")
def test_prepared_text_lies_beside_the_weights_and_replaces_nothing(settings: Settings, bare: Path) -> None:
    path = write_text(settings, str(bare), None, lambda done, total, step: None)

    assert path == bare / TEXTS[0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    for name in TEXTS:
        path = path.rename(bare / name)
        with pytest.raises(InvalidField, match="is there already"):
            write_text(settings, str(bare), None, lambda done, total, step: None)


def _lines(store: Store, digest: Digest) -> list[dict[str, Any]]:
    return [json.loads(line) for line in store.artifacts.get(digest).splitlines()]
