"""Base models as files: where they are, what they are by content, and what is said when they are not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.support.tiny import FAMILIES, make
from core.errors.base import ModelUnavailable
from core.weights.model.base_files import content_digest, find_model_folder, modules_in
from core.weights.model.editable_model import load_model


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "base"))


def test_a_folder_is_where_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("HOME", str(folder.parent))

    assert (
        find_model_folder(str(folder), "")
        == find_model_folder("base", "")
        == find_model_folder("~/base", "")
        == folder.resolve()
    )


@pytest.mark.parametrize("name", ["no-such-folder", "/no/such/folder", "./no/folder", "~/no-such-folder"])
def test_a_path_that_does_not_exist_is_named(name: str) -> None:
    with pytest.raises(ModelUnavailable, match=f"no model folder '{name}'") as refusal:
        find_model_folder(name, "")

    assert refusal.value.metadata == {"model": name}


def test_a_hub_id_that_cannot_be_had_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ModelUnavailable, match=r"nor pulled .*: run `hypnogram model pull nobody/no-such-model`"):
        find_model_folder("nobody/no-such-model", "")


def test_a_folder_without_safetensors_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model.bin")

    with pytest.raises(ModelUnavailable, match=r"no model folder.*\*\.safetensors"):
        find_model_folder(str(folder), "")


def test_the_digest_is_of_the_content_and_not_of_the_place(folder: Path, tiny_folder: Path) -> None:
    assert content_digest(folder) == content_digest(tiny_folder)


OLD = ["model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"]
NEW = ["generation_config.json", "tokenizer_config.json"]


@pytest.mark.parametrize("name", OLD + NEW)
def test_one_bit_of_any_file_that_matters_changes_the_digest(folder: Path, name: str) -> None:
    before = content_digest(folder)
    path = folder / name
    data = bytearray(path.read_bytes())

    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    assert content_digest(folder) != before


@pytest.mark.parametrize(
    "name", ["vocab.json", "merges.txt", "special_tokens_map.json", "added_tokens.json", "model.safetensors.index.json"]
)
def test_so_does_a_file_more_that_is_read_with_them(folder: Path, name: str) -> None:
    before = content_digest(folder)

    (folder / name).write_text("{}")

    assert content_digest(folder) != before


def test_digests_of_old_memories_are_made_by_the_rule_of_then(folder: Path) -> None:
    old, new = content_digest(folder, 1), content_digest(folder, 2)
    (folder / "generation_config.json").write_text("{}")

    assert old != new
    assert content_digest(folder, 1) == old
    assert content_digest(folder, 2) != new


def test_a_file_more_or_one_renamed_changes_the_digest_and_notes_beside_them_do_not(folder: Path) -> None:
    before = content_digest(folder)
    (folder / "README.md").write_text("notes")
    (folder / "hypnogram.json").unlink()
    assert content_digest(folder) == before

    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    assert content_digest(folder) != before


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_the_modules_are_known_before_weights_are_read(family: str, tmp_path: Path) -> None:
    folder = make(tmp_path, family)

    assert modules_in(folder) == load_model(folder).modules


@pytest.mark.parametrize("config", ["{}", "no JSON", '{"model_type": "no-such-family"}'])
def test_a_configuration_of_no_known_family_is_refused(folder: Path, config: str) -> None:
    (folder / "config.json").write_text(config)

    with pytest.raises(ModelUnavailable, match="cannot be read"):
        modules_in(folder)


def test_a_family_whose_blocks_are_unknown_is_refused(tmp_path: Path) -> None:
    config = {"model_type": "opt", "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1}
    (tmp_path / "config.json").write_text(json.dumps(config))

    with pytest.raises(ModelUnavailable, match="supported family"):
        modules_in(tmp_path)
