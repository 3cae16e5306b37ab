"""Where a base model's files are, what they are by content, and how a memory on it writes and speaks.

A model folder may hold two files of ours beside the usual ones: `hypnogram.json` (prefixes, hyperparameters, capacity,
phrasebook, sleep) and `ordinary.jsonl` (see `core.weights.ordinary`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch

from core.codec import from_json
from core.decide_sleep import check_policy
from core.errors import InvalidField, ModelUnavailable
from core.events import Hyperparameters
from core.facts import RelationWords
from core.ids import Digest
from core.policy import SleepPolicy
from core.weights.subject import default_modules

DEFAULTS = Hyperparameters(
    ordinary_weight=200.0,
    abstention_weight=4500.0,
    recall_weight=2000.0,
    steps=25,
    learning_rate=0.1,
    clamp=4.0,
    decay=1e-3,
    confidence=0.9,
    retouches=5,
    untold=2,
    batch=32,
    history=True,
)
CAPACITY = 0.03
HASHED = ("*.safetensors", "config.json", "tokenizer.json", "tokenizer.model", "chat_template.jinja")


def locate(name: str, revision: str) -> Path:
    """The folder of a model: a path as it is, a hub id through the hub's cache (`HF_HOME`, `HF_HUB_OFFLINE`).

    Raises:
        ModelUnavailable: there is nothing of that name, or no safetensors in it.
    """
    folder = Path(name).expanduser()
    if not folder.exists():
        folder = _from_hub(name, revision)
    if not any(folder.glob("*.safetensors")):
        raise ModelUnavailable(f"{name!r} holds no *.safetensors files; name a model folder or hub id", model=name)
    return folder.resolve()


def _from_hub(name: str, revision: str) -> Path:
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise ModelUnavailable(f"there is no model folder {name!r}; give a path that exists or a hub id", model=name)
    from huggingface_hub import snapshot_download

    patterns = ["*.safetensors", "*.json", "*.jinja", "*.model", "ordinary.jsonl"]
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=patterns))
    except Exception as error:
        raise ModelUnavailable(f"{name!r} is no folder and cannot be had from the hub: {error}", model=name) from error


def content_digest(folder: Path) -> Digest:
    """SHA-256 over the names and contents of the weight, configuration and tokenizer files."""
    root = hashlib.sha256()
    for path in sorted(path for pattern in HASHED for path in folder.glob(pattern)):
        with path.open("rb") as file:
            root.update(f"{path.name}:{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return Digest(root.hexdigest())


def shape_of(folder: Path) -> tuple[tuple[str, ...], int]:
    """The modules that are edited by default, and their key width; no weights are read.

    Raises:
        ModelUnavailable: the configuration is of no supported family.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    except (OSError, ValueError, KeyError) as error:
        raise ModelUnavailable(f"the configuration in {str(folder)!r} cannot be read: {error}") from error
    modules = default_modules(model)
    return modules, max(model.get_submodule(modules[0]).weight.shape)


def profile(folder: Path) -> dict[str, Any]:
    """What `hypnogram.json` says; empty without one. Raises ModelUnavailable when it cannot be read."""
    path = folder / "hypnogram.json"
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text()))
    except ValueError as error:
        raise ModelUnavailable(f"{path} is no JSON: {error}") from error


def hyperparameters(said: dict[str, Any], overrides: dict[str, Any]) -> Hyperparameters:
    """The defaults, changed by the profile, changed by the client. Raises ModelUnavailable for an unknown name."""
    chosen = {**said.get("hyperparameters", {}), **overrides}
    if unknown := set(chosen) - {field.name for field in fields(Hyperparameters)}:
        raise ModelUnavailable(f"there is no hyperparameter {min(unknown)!r}")
    return replace(DEFAULTS, **chosen)


def sleep_policy(said: dict[str, Any]) -> SleepPolicy:
    """How memories on this model sleep: the defaults, changed by the profile's `sleep`.

    Raises:
        ModelUnavailable: the profile names a value there is not, of another type, or out of its range.
    """
    policy: SleepPolicy = _changed(SleepPolicy(), said.get("sleep", {}), "sleep")
    try:
        check_policy(policy)
    except InvalidField as error:
        raise ModelUnavailable(f"hypnogram.json: sleep{str(error).removeprefix('policy')}") from None
    return policy


def _changed(values: Any, said: Any, path: str) -> Any:
    """The dataclass `values`, changed by what the profile says at `path`."""
    if not isinstance(said, dict):
        raise ModelUnavailable(f"hypnogram.json: {path} is no object")
    names = [field.name for field in fields(values)]
    changes: dict[str, Any] = {}
    for name, value in said.items():
        if name not in names:
            raise ModelUnavailable(f"hypnogram.json: there is no {path}.{name}; there are {', '.join(names)}")
        before, place = getattr(values, name), f"{path}.{name}"
        changes[name] = _changed(before, value, place) if is_dataclass(before) else _of_kind(before, value, place)
    return replace(values, **changes)


def _of_kind(before: object, value: Any, path: str) -> Any:
    """`value`, which is of the kind of `before`."""
    numbers = (int, float)
    if isinstance(before, tuple) and isinstance(value, list) and all(type(one) in numbers for one in value):
        return tuple(float(one) for one in value)
    if isinstance(before, int) and type(value) is int:
        return value
    if isinstance(before, float) and type(value) in numbers:
        return float(value)
    kind = (
        "a list of numbers"
        if isinstance(before, tuple)
        else "a whole number"
        if isinstance(before, int)
        else "a number"
    )
    raise ModelUnavailable(f"hypnogram.json: {path} is {value!r}, not {kind}")


def phrasebook(said: dict[str, Any]) -> dict[str, RelationWords]:
    """Raises ModelUnavailable for a relation that lacks words, or whose words are no lists of texts."""
    return {name: _words(name, words) for name, words in said.get("phrasebook", {}).items()}


def _words(relation: str, said: Any) -> RelationWords:
    place = f"hypnogram.json: phrasebook[{relation!r}]"
    lists = {"statements", "questions", "probe_statements", "probe_questions"}
    if not isinstance(said, dict) or said.keys() - lists != {"answer"} or not isinstance(said["answer"], str):
        raise ModelUnavailable(f"{place} must have {', '.join(sorted(lists))}, and an answer, which is a text")
    for name in sorted(lists):
        texts = said.get(name, [])
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ModelUnavailable(f"{place}.{name} is no list of texts")
        if not texts and not name.startswith("probe"):
            raise ModelUnavailable(f"{place}.{name} is empty; give at least one")
    words: RelationWords = from_json(RelationWords, said)
    return words
