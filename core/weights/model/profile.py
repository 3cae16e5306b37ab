"""Reads what a model folder says about memories on the model: its `hypnogram.json`, every value checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors.base import InvalidField, ModelUnavailable
from core.events.codec import from_json
from core.facts import RelationWords
from core.hyperparameters import (
    CAPACITY,
    DEFAULTS,
    changed_hyperparameters,
    checked_capacity,
    checked_keys_per_fact,
)
from core.method import Method, checked_method
from core.policy import SleepPolicy, changed_policy

NAME = "hypnogram.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The defaults of memories on a model, which a client may override.

    Attributes:
        modules: names of the edited modules of memories of its `method`; none for the default ones.
        hyperparameters: of memories of its `method`, where they differ from the default ones. All other fields are as
            in `MemoryCreated`.
    """

    modules: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    capacity: float = CAPACITY
    keys_per_fact: float = 0.0
    method: Method = Method.NEURON
    phrasebook: dict[str, RelationWords] = field(default_factory=dict)
    sleep: SleepPolicy = field(default_factory=SleepPolicy)


def read_profile(folder: Path) -> Profile:
    """Reads the folder's `hypnogram.json`; returns the defaults without one.

    Raises:
        ModelUnavailable: it cannot be read, or has a value that does not exist, is of another type or out of range.
    """
    path = folder / NAME
    if not path.exists():
        return Profile()
    try:
        return profile_of(json.loads(path.read_text()))
    except InvalidField as error:
        raise ModelUnavailable(f"{path}: {error}; correct the file") from None
    except (ValueError, OSError) as error:
        raise ModelUnavailable(f"{path} cannot be read as JSON: {error}") from error


def profile_of(content: object) -> Profile:
    """Returns the profile of a `hypnogram.json` with that content. Raises InvalidField."""
    values = _object(content, "the file")
    for name in values:
        if name not in _READERS:
            raise InvalidField(name, f"does not exist; there are {', '.join(_READERS)}")
    return Profile(**{name: _READERS[name](value) for name, value in values.items()})


def _object(value: object, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidField(path, "is not an object")
    return value


def _hyperparameters(value: object) -> dict[str, Any]:
    given = _object(value, "hyperparameters")
    checked = changed_hyperparameters(DEFAULTS, given)
    return {name: getattr(checked, name) for name in given}


def _texts(value: object, path: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise InvalidField(path, "is not a list of texts")
    return tuple(value)


def _distinct(names: tuple[str, ...], path: str) -> tuple[str, ...]:
    if not names or len(set(names)) < len(names):
        raise InvalidField(path, "is empty or names a module twice; name at least one, each once")
    return names


def _words(value: object, path: str) -> RelationWords:
    lists = ("probe_questions", "probe_statements", "questions", "statements")
    values = _object(value, path)
    if values.keys() - {*lists, "many"} != {"answer"} or not isinstance(values["answer"], str):
        raise InvalidField(path, f"must have {', '.join(lists)}, and an answer, which is a text")
    for name in lists:
        if not _texts(values.get(name, []), f"{path}.{name}") and not name.startswith("probe"):
            raise InvalidField(f"{path}.{name}", "is empty; give at least one")
    if not isinstance(values.get("many", False), bool):
        raise InvalidField(f"{path}.many", "is not true or false")
    words: RelationWords = from_json(RelationWords, values)
    return words


_READERS: dict[str, Callable[[Any], Any]] = {
    "modules": lambda value: _distinct(_texts(value, "modules"), "modules"),
    "prefixes": lambda value: _texts(value, "prefixes"),
    "hyperparameters": _hyperparameters,
    "capacity": checked_capacity,
    "keys_per_fact": checked_keys_per_fact,
    "method": checked_method,
    "phrasebook": lambda value: {
        relation: _words(words, f"phrasebook[{relation!r}]") for relation, words in _object(value, "phrasebook").items()
    },
    "sleep": lambda value: changed_policy(SleepPolicy(), value, "sleep"),
}
