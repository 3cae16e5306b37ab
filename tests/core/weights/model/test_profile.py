"""The profile of a model folder: read whole, or refused with the name of the wrong value."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors.base import InvalidField, ModelUnavailable
from core.hyperparameters import CAPACITY, DEFAULTS, changed_hyperparameters
from core.policy import SleepPolicy, Training
from core.weights.model.profile import Profile, profile_of, read_profile
from models.dormouse import profile as dormouse
from service.settings import DORMOUSE

WORDS = {"statements": ["{s} lives in"], "questions": ["Where does {s} live?"], "answer": "{s} lives in"}


def test_without_a_file_all_is_as_by_default(tmp_path: Path) -> None:
    assert read_profile(tmp_path) == Profile()
    assert (Profile().hyperparameters, Profile().capacity, Profile().sleep) == ({}, CAPACITY, SleepPolicy())


@pytest.mark.parametrize("text", ["{", "[1]", "\xff"])
def test_a_file_that_is_not_an_object_of_json_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "hypnogram.json").write_text(text, encoding="latin-1")

    with pytest.raises(ModelUnavailable, match=r"hypnogram\.json(: the file: is not an object| cannot be read)"):
        read_profile(tmp_path)


def test_a_client_overrides_the_profile_which_overrides_the_defaults() -> None:
    said = profile_of({"hyperparameters": {"steps": 7, "clamp": 2}})

    assert said.hyperparameters == {"steps": 7, "clamp": 2.0}
    given = {**said.hyperparameters, "steps": 9}
    assert changed_hyperparameters(DEFAULTS, given) == replace(DEFAULTS, steps=9, clamp=2.0)


def test_a_profile_says_how_memories_on_the_model_write_and_sleep() -> None:
    said = profile_of(
        {
            "modules": ["model.layers.1.mlp.down_proj"],
            "prefixes": ["Yesterday "],
            "capacity": 1,
            "phrasebook": {"lives in": WORDS},
            "sleep": {"scales": [1, 0.5, 0], "gate": 1, "probes": 3, "training": {"rank": 8, "learning_rate": 1e-3}},
        }
    )

    assert (said.modules, said.prefixes, said.capacity) == (("model.layers.1.mlp.down_proj",), ("Yesterday ",), 1.0)
    assert said.phrasebook["lives in"].for_model("Aria Moss").questions == ("Where does Aria Moss live?",)
    assert said.sleep == SleepPolicy(
        scales=(1.0, 0.5, 0.0), gate=1.0, probes=3, training=Training(rank=8, learning_rate=1e-3)
    )


@pytest.mark.parametrize(
    ("said", "field", "problem"),
    [
        ({"capasity": 0.5}, "capasity", "does not exist; there are modules"),
        ({"hyperparameters": {"stepz": 9}}, "hyperparameters.stepz", "does not exist"),
        ({"hyperparameters": {"steps": "many"}}, "hyperparameters.steps", "is 'many', not a whole number"),
        ({"hyperparameters": {"steps": 2.5}}, "hyperparameters.steps", "is 2.5, not a whole number"),
        ({"hyperparameters": {"steps": True}}, "hyperparameters.steps", "is True, not a whole number"),
        ({"hyperparameters": {"steps": 0}}, "hyperparameters.steps", "must be 1 to 1000"),
        ({"hyperparameters": {"confidence": 7}}, "hyperparameters.confidence", "must be above 0 and below 1"),
        ({"hyperparameters": {"clamp": float("nan")}}, "hyperparameters.clamp", "must be above 0"),
        ({"hyperparameters": {"decay": float("inf")}}, "hyperparameters.decay", "must be 0 or more"),
        ({"hyperparameters": {"history": 1}}, "hyperparameters.history", "is 1, not true or false"),
        ({"hyperparameters": [1]}, "hyperparameters", "is not an object"),
        ({"capacity": "wide"}, "capacity", "is 'wide', not a number"),
        ({"capacity": 0}, "capacity", "must be above 0"),
        ({"capacity": float("inf")}, "capacity", "must be above 0 and finite"),
        ({"modules": "model.layers.1.mlp.down_proj"}, "modules", "is not a list of texts"),
        ({"modules": []}, "modules", "is empty"),
        ({"modules": ["a", "a"]}, "modules", "names a module twice"),
        ({"prefixes": [1]}, "prefixes", "is not a list of texts"),
        ({"sleep": [1]}, "sleep", "is not an object"),
        ({"sleep": {"gait": 1.0}}, "sleep.gait", "does not exist"),
        ({"sleep": {"training": {"rang": 8}}}, "sleep.training.rang", "does not exist"),
        ({"sleep": {"training": 8}}, "sleep.training", "is not an object"),
        ({"sleep": {"probes": 2.5}}, "sleep.probes", "is 2.5, not a whole number"),
        ({"sleep": {"probes": True}}, "sleep.probes", "is True, not a whole number"),
        ({"sleep": {"gate": "most"}}, "sleep.gate", "is 'most', not a number"),
        ({"sleep": {"scales": [1.0, "none"]}}, "sleep.scales", "not a list of numbers"),
        ({"sleep": {"scales": [1.0, 0.5]}}, "sleep.scales", "must fall from 1.0 to 0.0"),
        ({"sleep": {"training": {"rank": 0}}}, "sleep.training.rank", "is 0"),
        ({"phrasebook": [1]}, "phrasebook", "is not an object"),
        ({"phrasebook": {"lives in": {**WORDS, "questions": []}}}, "phrasebook['lives in'].questions", "is empty"),
        ({"phrasebook": {"lives in": {**WORDS, "statements": "a"}}}, "phrasebook['lives in'].statements", "is not a"),
        ({"phrasebook": {"lives in": {**WORDS, "probe_questions": [1]}}}, "phrasebook['lives in'].probe_questions", ""),
        ({"phrasebook": {"lives in": {**WORDS, "answer": None}}}, "phrasebook['lives in']", "an answer, which is a"),
        ({"phrasebook": {"lives in": {**WORDS, "many": 1}}}, "phrasebook['lives in'].many", "is not true or false"),
        ({"phrasebook": {"lives in": {**WORDS, "more": []}}}, "phrasebook['lives in']", "must have"),
    ],
)
def test_what_a_profile_says_wrongly_is_named(said: dict[str, Any], field: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidField) as refusal:
        profile_of(said)

    assert refusal.value.field == field
    assert problem in refusal.value.problem

    (tmp_path / "hypnogram.json").write_text(json.dumps(said))
    with pytest.raises(ModelUnavailable, match=r"hypnogram\.json: .*correct the file"):
        read_profile(tmp_path)


@pytest.mark.skipif(not (DORMOUSE / "model.safetensors").exists(), reason="dormouse's weights are not there")
def test_dormouse_has_all_that_a_memory_needs_and_repeats_no_default() -> None:
    said = read_profile(DORMOUSE)

    assert (DORMOUSE / "reference.jsonl").is_file()
    assert len(said.phrasebook) >= 14
    assert (said.hyperparameters, said.capacity) == ({"batch": 8}, 0.03)
    assert json.loads((DORMOUSE / "hypnogram.json").read_text()) == json.loads(
        json.dumps({**dormouse.PROFILE, "phrasebook": dormouse.phrasebook()})
    )
