"""Base models as files: where they are, what they are by content, and what is said when they are not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import ModelUnavailable
from core.policy import SleepPolicy, Training
from core.weights.checkpoint import (
    DEFAULTS,
    content_digest,
    hyperparameters,
    locate,
    phrasebook,
    profile,
    shape_of,
    sleep_policy,
)
from core.weights.subject import load_subject
from service.settings import DORMOUSE
from tests.weights.tiny import FAMILIES, INNER, make


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "base"))


def test_a_folder_is_where_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("HOME", str(folder.parent))

    assert locate(str(folder), "") == locate("base", "") == locate("~/base", "") == folder.resolve()


@pytest.mark.parametrize("name", ["no-such-folder", "/no/such/folder", "./no/folder", "~/no-such-folder"])
def test_a_path_that_does_not_exist_is_named(name: str) -> None:
    with pytest.raises(ModelUnavailable, match=f"no model folder '{name}'") as refusal:
        locate(name, "")

    assert refusal.value.metadata == {"model": name}


def test_a_hub_id_that_cannot_be_had_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ModelUnavailable, match="'nobody/no-such-model' is no folder and cannot be had from the hub"):
        locate("nobody/no-such-model", "")


def test_a_folder_without_safetensors_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model.bin")

    with pytest.raises(ModelUnavailable, match=r"no \*\.safetensors"):
        locate(str(folder), "")


def test_the_digest_is_of_the_content_and_not_of_the_place(folder: Path, tiny_folder: Path) -> None:
    assert content_digest(folder) == content_digest(tiny_folder)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"])
def test_one_bit_of_any_file_that_matters_changes_the_digest(folder: Path, name: str) -> None:
    before = content_digest(folder)
    path = folder / name
    data = bytearray(path.read_bytes())

    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    assert content_digest(folder) != before


def test_a_file_more_or_one_renamed_changes_the_digest_and_notes_beside_them_do_not(folder: Path) -> None:
    before = content_digest(folder)
    (folder / "README.md").write_text("notes")
    (folder / "hypnogram.json").unlink()
    assert content_digest(folder) == before

    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    assert content_digest(folder) != before


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_the_shape_is_known_before_weights_are_read(family: str, tmp_path: Path) -> None:
    folder = make(tmp_path, family)
    modules, width = shape_of(folder)

    assert modules == load_subject(folder).modules
    assert width == INNER


@pytest.mark.parametrize("config", ["{}", "no JSON", '{"model_type": "no-such-family"}'])
def test_a_configuration_of_no_known_family_is_refused(folder: Path, config: str) -> None:
    (folder / "config.json").write_text(config)

    with pytest.raises(ModelUnavailable, match="cannot be read"):
        shape_of(folder)


def test_a_family_whose_blocks_are_unknown_is_refused(tmp_path: Path) -> None:
    config = {"model_type": "opt", "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1}
    (tmp_path / "config.json").write_text(json.dumps(config))

    with pytest.raises(ModelUnavailable, match="supported family"):
        shape_of(tmp_path)


def test_a_profile_is_optional_and_json(folder: Path) -> None:
    assert profile(folder)["capacity"] == 1000.0

    (folder / "hypnogram.json").write_text("{")
    with pytest.raises(ModelUnavailable, match=r"hypnogram\.json is no JSON"):
        profile(folder)

    (folder / "hypnogram.json").unlink()
    assert profile(folder) == {}


def test_a_client_overrides_the_profile_which_overrides_the_defaults() -> None:
    said = {"hyperparameters": {"steps": 7, "clamp": 2.0}}

    assert hyperparameters(said, {"steps": 9}) == replace(DEFAULTS, steps=9, clamp=2.0)
    assert hyperparameters({}, {}) == DEFAULTS


def test_a_hyperparameter_that_does_not_exist_is_named() -> None:
    with pytest.raises(ModelUnavailable, match="'stepz'"):
        hyperparameters({}, {"stepz": 9})


def test_a_profile_says_how_memories_on_the_model_sleep() -> None:
    said = {"sleep": {"scales": [1, 0.5, 0], "gate": 1, "probes": 3, "training": {"rank": 8, "learning_rate": 1e-3}}}

    assert sleep_policy({}) == SleepPolicy()
    assert sleep_policy(said) == SleepPolicy(
        scales=(1.0, 0.5, 0.0), gate=1.0, probes=3, training=Training(rank=8, learning_rate=1e-3)
    )


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"gait": 1.0}, "there is no sleep.gait"),
        ({"training": {"rang": 8}}, "there is no sleep.training.rang"),
        ({"training": 8}, "sleep.training is no object"),
        ([1], "sleep is no object"),
        ({"probes": 2.5}, "sleep.probes is 2.5, not a whole number"),
        ({"probes": True}, "sleep.probes is True, not a whole number"),
        ({"gate": "most"}, "sleep.gate is 'most', not a number"),
        ({"scales": [1.0, "none"]}, "sleep.scales is .*, not a list of numbers"),
        ({"scales": [1.0, 0.5]}, "sleep.scales: must fall from 1.0 to 0.0"),
        ({"training": {"rank": 0}}, "sleep.training.rank: is 0"),
    ],
)
def test_what_a_profile_says_wrongly_about_sleep_is_named(said: Any, problem: str) -> None:
    with pytest.raises(ModelUnavailable, match=problem):
        sleep_policy({"sleep": said})


def test_a_phrasebook_is_read_from_the_profile(tiny_folder: Path) -> None:
    words = phrasebook(profile(tiny_folder))["lives in"].for_subject("Aria Moss")

    assert words.questions == ("Where does Aria Moss live?",)
    assert phrasebook({}) == {}


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"questions": []}, "questions is empty"),
        ({"statements": "{s} lives in"}, "statements is no list of texts"),
        ({"probe_questions": [1]}, "probe_questions is no list of texts"),
        ({"answer": None}, "an answer, which is a text"),
        ({"more": []}, "must have"),
    ],
)
def test_what_a_phrasebook_says_wrongly_is_named(wrong: dict[str, Any], problem: str) -> None:
    words = {"statements": ["{s} lives in"], "questions": ["Where does {s} live?"], "answer": "{s} lives in"}

    assert phrasebook({"phrasebook": {"lives in": words}})["lives in"].questions == ("Where does {s} live?",)
    with pytest.raises(ModelUnavailable, match=rf"lives in.*{problem}"):
        phrasebook({"phrasebook": {"lives in": {**words, **wrong}}})


@pytest.mark.skipif(not (DORMOUSE / "model.safetensors").exists(), reason="dormouse's weights are not there")
def test_dormouse_has_all_that_a_memory_needs() -> None:
    said = profile(locate(str(DORMOUSE), ""))

    assert (DORMOUSE / "ordinary.jsonl").is_file()
    assert len(phrasebook(said)) >= 14
    assert 0 < said["capacity"] <= 1
    hyperparameters(said, {})
