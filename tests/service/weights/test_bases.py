"""What a memory stands on is loaded and recorded when it is created, and found again from wherever it is asked for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import structlog
from hypnogram.v1 import memories_pb2

from benchmarks.support.tiny import make
from core.errors.base import ModelUnavailable
from core.events.memory import MemoryCreated
from core.weights.model.base_files import content_digest
from core.weights.model.editable_model import load_model
from hypnogram.client import CallFailed
from service.app.store import open_store
from service.log_setup import configure
from service.pulled.folder import RECORD, ModelFolder, Pulled
from service.settings import Settings
from service.weights.base_models import BaseModels
from service.weights.live_models import LiveModels
from tests.core.weights.model.test_loading import half, pointer, without_an_end
from tests.prepared import DEMO, Place, state_of, work
from tests.service.conftest import Running, run_server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make(tmp_path / "models" / "base")


@pytest.fixture
def live(settings: Settings) -> Iterator[Running]:
    with run_server(
        settings, lambda store: LiveModels(store.log, store.artifacts, store.snapshots, settings)
    ) as server:
        yield server


def base(folder: Path | str, **values: str) -> memories_pb2.BaseModel:
    return memories_pb2.BaseModel(name=str(folder), **values)


@pytest.mark.parametrize("spoil", [pointer, half, without_an_end])
def test_a_memory_is_not_created_on_a_model_that_does_not_load(
    live: Running, folder: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(folder)

    with pytest.raises(CallFailed) as failure:
        live.client.create_memory(DEMO, base(folder))

    assert (failure.value.code, failure.value.reason) == ("FAILED_PRECONDITION", "MODEL_UNAVAILABLE")
    assert list(live.client.memories()) == []


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"hyperparameters": {"steps": "many"}}, "hyperparameters.steps: is 'many'"),
        ({"capacity": -1}, "capacity: is -1"),
        ({"modules": ["model.layers.2.mlp.down_proj", "model.layers.0.mlp.down_proj"]}, "not in the order"),
        ({"modules": ["model.layers.7.mlp.down_proj"]}, "no module"),
    ],
)
def test_nor_on_one_whose_profile_makes_no_sense(
    live: Running, folder: Path, said: dict[str, object], problem: str
) -> None:
    (folder / "hypnogram.json").write_text(json.dumps(said))

    with pytest.raises(CallFailed, match=problem) as failure:
        live.client.create_memory(DEMO, base(folder))

    assert failure.value.reason == "MODEL_UNAVAILABLE"


def test_a_pulled_model_is_found_by_its_name(live: Running, settings: Settings, folder: Path) -> None:
    models = ModelFolder(settings.model_folder)
    pulled = models.place_of("ann/base")
    shutil.copytree(folder, pulled)
    record = Pulled("ann/base", "hub:ann/base", "c0ffee", content_digest(pulled), "Llama", 1)
    (pulled / RECORD).write_text(json.dumps(asdict(record)))

    created = live.client.create_memory(DEMO, base("ann/base")).memory

    assert (created.base.name, created.base.digest) == (str(pulled), record.digest)
    with pytest.raises(CallFailed, match="pulled at revision 'c0ffee'"):
        live.client.create_memory("other", base("ann/base", revision="main"))


def test_a_folder_takes_no_revision(live: Running, folder: Path) -> None:
    with pytest.raises(CallFailed, match="a folder, which has none") as failure:
        live.client.create_memory(DEMO, base(folder, revision="v1.2-does-not-exist"))

    assert failure.value.code == "INVALID_ARGUMENT"
    assert list(failure.value.fields) == ["base.revision"]


def test_what_is_there_in_the_place_of_a_model_is_not_told(live: Running, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    said = []
    for name in ("private", "nothing"):
        with pytest.raises(CallFailed) as failure:
            live.client.create_memory(DEMO, base(tmp_path / name))
        said.append(str(failure.value).replace(name, "NAME"))

    assert said[0] == said[1]


def test_a_relative_path_is_recorded_as_an_absolute_one_and_found_from_another_folder(
    live: Running, folder: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    created = live.client.create_memory(DEMO, base("models/base"))
    assert created.memory.base.name == str(folder)

    monkeypatch.chdir("/")
    with open_store(settings) as store:
        again = LiveModels(store.log, store.artifacts, store.snapshots, settings)
        assert list(again.generate(DEMO, messages=None, prompt="Hello", max_tokens=1))


def test_a_process_loads_a_base_once_for_all_that_it_does_with_it(
    live: Running, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []

    def load(*given: object, **options: object) -> object:
        loaded.append(given)
        return load_model(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("service.weights.base_models.load_model", load)

    for name in ("demo", "other"):
        live.client.create_memory(name, base(folder))
        assert list(live.client.complete(name, "Hello", max_tokens=1))

    assert len(loaded) == 1


@pytest.mark.parametrize("rule", [1, 2])
def test_a_memory_of_before_opens_by_the_rule_of_then_which_is_told_once(small: Place, rule: int) -> None:
    with open_store(small.settings()) as store:
        created = by_rule(small, state_of(store).created, rule)
    (small.folder / "base" / "generation_config.json").write_text('{"eos_token_id": 5}')

    configure("json", "warning")
    with structlog.testing.capture_logs() as told:
        bases = BaseModels("cpu")
        if rule == 1:  # which does not cover that file
            assert bases.clone(created).end_tokens() == bases.clone(created).end_tokens() == (5,)
        else:
            with pytest.raises(ModelUnavailable, match="are not those this memory was created on"):
                bases.clone(created)

    assert [one["event"] for one in told] == ["base.covered_in_part"] * (rule == 1)


def by_rule(place: Place, created: MemoryCreated | None, rule: int) -> MemoryCreated:
    """The memory as it would have been recorded when the rule was the newest."""
    assert created is not None
    digest = content_digest(place.folder / "base", rule)
    return replace(created, base=replace(created.base, digest=digest, digest_rule=rule))


def moved(folder: Path, to: Path) -> Path:
    to.parent.mkdir(parents=True)
    return Path(shutil.move(folder, to))


def restarted(settings: Settings) -> AbstractContextManager[Running]:
    """A server that has loaded no base yet."""
    return run_server(settings, lambda store: LiveModels(store.log, store.artifacts, store.snapshots, settings))


def test_a_base_that_has_moved_is_answered_from_its_new_place_at_every_version(
    folder: Path, settings: Settings, tmp_path: Path
) -> None:
    with restarted(settings) as before:
        before.client.create_memory(DEMO, base(folder))
        work(before.store, BaseModels("cpu"))
        was = said(before)
    there = moved(folder, tmp_path / "elsewhere" / "base")

    with restarted(settings) as server:
        with pytest.raises(CallFailed, match="hypnogram memory rebase") as failure:
            said(server)
        assert failure.value.reason == "MODEL_UNAVAILABLE"

        answer = server.client.rebase_memory(DEMO, str(there))

        assert (answer.memory.base.name, answer.version) == (str(there), server.client.memory(DEMO).version)
        assert said(server) == said(server, at_version=2) == was
        assert server.client.replay(DEMO).rebuilt_weights == answer.memory.weights_digest
        assert server.client.rebase_memory(DEMO, str(there)) == answer  # it is there already


@pytest.mark.parametrize("where", ["nowhere", "another", "a revision"])
def test_a_base_cannot_move_to_where_it_is_not(live: Running, folder: Path, tmp_path: Path, where: str) -> None:
    created = live.client.create_memory(DEMO, base(folder))
    another = make(tmp_path / "another", seed=1)
    name, revision = {
        "nowhere": (str(tmp_path / "nowhere"), ""),
        "another": (str(another), ""),
        "a revision": (str(folder), "v1"),
    }[where]

    with pytest.raises(CallFailed) as failure:
        live.client.rebase_memory(DEMO, name, revision)

    assert failure.value.reason == ("INVALID_FIELD" if revision else "MODEL_UNAVAILABLE")
    assert live.client.memory(DEMO).memory.base == created.memory.base


def test_a_memory_that_does_not_exist_or_a_name_that_is_empty_is_refused(live: Running, folder: Path) -> None:
    with pytest.raises(CallFailed) as failure:
        live.client.rebase_memory("nobody", str(folder))
    assert failure.value.reason == "MEMORY_UNKNOWN"

    live.client.create_memory(DEMO, base(folder))
    with pytest.raises(CallFailed) as failure:
        live.client.rebase_memory(DEMO, "")
    assert list(failure.value.fields) == ["name"]


def said(server: Running, at_version: int | None = None) -> str:
    return "".join(
        one.text for one in server.client.complete(DEMO, "Ann Lee lives", max_tokens=4, at_version=at_version)
    )
