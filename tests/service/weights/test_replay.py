"""Replay: the recorded weights, bit for bit, from the log and the artifacts alone, wherever they lie."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.decide.commands import RecordInjection
from core.errors.base import ArtifactCorrupt, ArtifactMissing, DigestMismatch, ModelUnavailable, VersionUnknown
from core.events.facts import EditComputed
from core.events.memory import StatisticsPrepared
from core.ids import Digest
from core.state.work import Inject, next_work
from core.weights.deltas.digest import weights_digest
from service.app.cancellation import Cancelled
from service.app.repository import MemoryRepository
from service.app.store import Store, open_store
from service.executor.editor import Editor
from service.weights.base_models import BaseModels
from service.weights.delta_store import DeltaStore
from service.weights.live_models import LiveModels
from service.weights.replay import ReplayReport
from store.log.verify import named_artifacts, verify_log
from tests.prepared import CAUSE, DEMO, Place, state_of, tell, work


def replay(place: Place, version: int | None = None) -> ReplayReport:
    """By a process that has nothing but the folder."""
    with open_store(place.settings()) as store:
        return replay_in(store, place, version)


def replay_in(store: Store, place: Place, version: int | None = None) -> ReplayReport:
    models = LiveModels(store.log, store.artifacts, store.snapshots, place.settings())
    return models.replay(DEMO, version, lambda done, total, step: None, lambda: False)


@pytest.fixture
def written(small: Place, bases: BaseModels) -> Place:
    """Two edits on a base of random weights."""
    with open_store(small.settings()) as store:
        work(store, bases)
        for name, city in (("Aria Moss", "Rome"), ("Bo Lind", "Lima")):
            tell(store, (name, "lives in", city))
            work(store, bases)
    return small


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_dormouse_is_rebuilt_at_one_thread_and_at_two(place: Place) -> None:
    found = []
    for count in (1, 2):
        torch.set_num_threads(count)
        found.append(replay(place))

    assert found[0] == found[1]
    assert found[0].rebuilt == found[0].recorded
    assert found[0].edits_checked == 3


def test_a_copy_in_another_folder_without_snapshots_is_rebuilt_to_the_same_weights(
    written: Place, tmp_path: Path
) -> None:
    here = replay(written)
    there = written.copy(tmp_path / "elsewhere")
    shutil.rmtree(written.folder / "artifacts")
    (written.folder / "hypnogram.db").unlink()

    assert replay(there) == here
    assert here.rebuilt == here.recorded


def test_every_version_is_rebuilt_and_those_with_other_weights_have_other_digests(written: Place) -> None:
    with open_store(written.settings()) as store:
        events = store.log.read(memory=DEMO)
        found = {one.version: replay_in(store, written, one.version) for one in events}

    changes = [one.version for one in events if isinstance(one.event, (StatisticsPrepared, EditComputed))]
    assert len({found[version].rebuilt for version in changes}) == len(changes) == 3
    for one in events:
        assert found[one.version].version == one.version
        assert found[one.version].edits_checked == sum(version <= one.version for version in changes)
        if one.version >= changes[0]:
            assert found[one.version].rebuilt == found[one.version].recorded


def test_the_first_weights_are_those_of_the_base(written: Place) -> None:
    with open_store(written.settings()) as store:
        created = state_of(store).created
        assert created is not None
        base = weights_digest(BaseModels("cpu").clone(created).base_weights)

    assert replay(written, 1).rebuilt == base
    assert replay(written, 1).recorded is None


def test_a_version_that_was_never_reached_is_refused(written: Place) -> None:
    with pytest.raises(VersionUnknown):
        replay(written, 99)


def test_live_weights_replayed_weights_and_recorded_weights_are_one(written: Place) -> None:
    with open_store(written.settings()) as store:
        models = LiveModels(store.log, store.artifacts, store.snapshots, written.settings())
        *_, last = models.generate(DEMO, messages=None, prompt="Aria Moss lives in", max_tokens=2)

        assert last.weights == state_of(store).weights == replay_in(store, written).rebuilt


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def artifacts(place: Place) -> list[Digest]:
    with open_store(place.settings()) as store:
        return sorted({digest for one in store.log.read(memory=DEMO) for digest in named_artifacts(one.event)})


def test_one_flipped_bit_in_any_artifact_is_found_and_named(written: Place, tmp_path: Path) -> None:
    digests = artifacts(written)
    assert len(digests) == 4  # reference text, statistics, two deltas
    for number, digest in enumerate(digests):
        copy = written.copy(tmp_path / f"copy-{number}")
        flip(copy.folder / "artifacts" / digest)

        with open_store(copy.settings()) as store:
            fault = verify_log(store.log, store.artifacts).fault

        assert fault is not None
        assert fault.what == "artifact"
        assert digest in fault.message


def test_a_replay_needs_the_deltas_and_names_the_one_that_was_altered_or_lost(written: Place) -> None:
    with open_store(written.settings()) as store:
        deltas = [edit.delta for edit in state_of(store).edits.values()]
    path = written.folder / "artifacts" / deltas[1]

    flip(path)
    with pytest.raises(ArtifactCorrupt, match=deltas[1]):
        replay(written)

    path.unlink()
    with pytest.raises(ArtifactMissing, match=deltas[1]):
        replay(written)

    before = replay(written, 5)  # the version of the first edit, which the second delta is not part of
    assert before.rebuilt == before.recorded


def test_a_base_whose_files_were_altered_is_refused(written: Place) -> None:
    flip(written.folder / "base" / "model.safetensors")

    with pytest.raises(ModelUnavailable, match="not those this memory was created on"):
        replay(written)


def with_a_broken_base(store: Store, place: Place) -> LiveModels:
    """The files are right, what was read from them is not: a broken machine, say."""
    models = LiveModels(store.log, store.artifacts, store.snapshots, place.settings())
    created = state_of(store).created
    assert created is not None
    tensor = models.bases.clone(created).base_weights[created.modules[0]]
    tensor.view(torch.int32)[0, 0] ^= 1 << 22
    return models


def test_a_base_that_has_other_weights_in_this_process_is_a_mismatch(written: Place) -> None:
    with open_store(written.settings()) as store:
        models = with_a_broken_base(store, written)

        with pytest.raises(DigestMismatch) as mismatch:
            models.replay(DEMO, None, lambda done, total, step: None, lambda: False)
        with pytest.raises(DigestMismatch):
            models.ready(DEMO)

    assert mismatch.value.metadata["version"] == "2"
    assert mismatch.value.metadata["recorded"] != mismatch.value.metadata["rebuilt"]


def test_weights_that_answered_before_a_digest_was_recorded_are_checked_once_it_is(
    small: Place, bases: BaseModels
) -> None:
    with open_store(small.settings()) as store:
        models = with_a_broken_base(store, small)
        models.ready(DEMO)
        work(store, bases)

        with pytest.raises(DigestMismatch):
            models.ready(DEMO)


def test_an_edit_that_was_recorded_with_a_wrong_digest_is_a_mismatch_at_its_version(
    small: Place, bases: BaseModels
) -> None:
    with open_store(small.settings()) as store:
        work(store, bases)
        tell(store, ("Aria Moss", "lives in", "Rome"))
        state = state_of(store)
        owed = next_work(state)
        assert isinstance(owed, Inject)
        assert state.created is not None
        editor_ = Editor(
            bases.clone(state.created), state.created, store.artifacts, DeltaStore(store.artifacts, store.log.keyring)
        )
        result = editor_.perform(owed, state)
        assert isinstance(result, RecordInjection)
        wrong = RecordInjection(edit=replace(result.edit, weights_after=result.edit.delta))
        MemoryRepository(store.log, store.snapshots).execute(DEMO, lambda _: wrong, CAUSE)

    with pytest.raises(DigestMismatch) as mismatch:
        replay(small)
    assert mismatch.value.metadata == {
        "version": "4",
        "recorded": result.edit.delta,
        "rebuilt": result.edit.weights_after,
    }


def test_a_replay_tells_how_far_it_is_and_stops_when_it_is_not_wanted_any_more(written: Place) -> None:
    with open_store(written.settings()) as store:
        models = LiveModels(store.log, store.artifacts, store.snapshots, written.settings())
        told: list[tuple[int, int, str]] = []

        with pytest.raises(Cancelled):
            models.replay(DEMO, None, lambda *step: told.append(step), lambda: len(told) == 3)

        assert {total for _, total, _ in told} == {state_of(store).version}
        assert [(done, step.partition(":")[0]) for done, _, step in told] == [
            (1, "MemoryCreated"),
            (2, "StatisticsPrepared"),
            (2, "StatisticsPrepared"),
        ]
        assert told[1][2].startswith("StatisticsPrepared: model.layers.")
