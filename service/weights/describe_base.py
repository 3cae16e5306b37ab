"""Describes a base model: what a new memory on it records, and where it is found after a move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors.base import ModelUnavailable
from core.events.memory import NO_TEXT, BaseModel, MemoryCreated
from core.hyperparameters import changed_hyperparameters
from core.method import Method
from core.policy import changed_policy
from core.weights.model import base_files
from core.weights.model.editable_model import EditableModel
from core.weights.model.families import default_hyperparameters, default_modules
from core.weights.model.profile import read_profile
from service.pulled.folder import ModelFolder, PullFailed
from service.pulled.pull import pull
from service.settings import Settings
from service.weights.base_models import BaseModels, same_files
from store.artifacts import Artifacts


def describe_base(
    bases: BaseModels,
    artifacts: Artifacts,
    settings: Settings,
    *,
    name: str,
    revision: str,
    dtype: str,
    quantization: str,
    overrides: Mapping[str, float | int | bool],
    sleep: Mapping[str, Any],
    capacity: float | None,
    method: Method | None,
) -> MemoryCreated:
    """Returns the first event of a new memory on a base model, which is loaded.

    Its reference text becomes an artifact; where it has none, an executor lets the base model generate it.

    Args:
        overrides: of the hyperparameters in the model's profile, or of the default ones of another method.
        sleep: overrides of the sleep policy in the model's profile.
        method: of writing facts; None for that of the profile.

    Raises:
        ModelUnavailable: there is no such model, it does not load, or the reference text of the settings is missing.
        InvalidField: a folder is given a revision.
    """
    base, folder = base_of(settings, name, revision, dtype, quantization)
    profile = read_profile(folder)
    text = _reference_text(settings, folder)
    chosen, config = method or profile.method, base_files.config_in(folder)
    suited = (
        profile if chosen is profile.method else replace(profile, modules=(), hyperparameters={}, keys_per_fact=0.0)
    )
    modules = suited.modules or default_modules(config, chosen)
    model = _load_in_order(bases, base, modules, folder)
    return MemoryCreated(
        base=base,
        modules=model.modules,
        key_width=model.key_width,
        hyperparameters=changed_hyperparameters(
            default_hyperparameters(config, chosen), {**suited.hyperparameters, **overrides}
        ),
        phrasebook=profile.phrasebook,
        prefixes=profile.prefixes,
        reference_text=artifacts.put(text.read_bytes()) if text else NO_TEXT,
        capacity=profile.capacity if capacity is None else capacity,
        seed=0,
        keys_per_fact=suited.keys_per_fact,
        sleep=changed_policy(profile.sleep, sleep, "sleep"),
        method=chosen,
    )


def base_of(settings: Settings, name: str, revision: str, dtype: str, quantization: str) -> tuple[BaseModel, Path]:
    """Returns what a memory records of the base model of that name, and its folder.

    Raises:
        ModelUnavailable: there is no such model.
        InvalidField: a folder is given a revision.
    """
    models = ModelFolder(settings.model_folder)
    name, revision = models.resolve(_converted(models, name or settings.model_path), revision)
    name = base_files.recorded_name(name, revision)
    folder = base_files.find_model_folder(name, revision)
    base = BaseModel(
        name=name,
        revision=revision,
        digest=base_files.content_digest(folder),
        dtype=dtype or "float32",
        quantization=quantization or "none",
        digest_rule=base_files.RULE,
    )
    return base, folder


def _converted(models: ModelFolder, name: str) -> str:
    """Returns the folder of the model in a GGUF file, dequantized where it was not before; any other name unchanged.

    Raises:
        ModelUnavailable: the file cannot be read, or another one of its name was pulled.
    """
    if not name.endswith(".gguf") or not Path(name).expanduser().is_file():
        return name
    try:
        record = pull(models, name, bar=lambda done, total, step: None, quiet=True)
    except PullFailed as error:
        raise ModelUnavailable(str(error), model=name) from error
    return str(models.place_of(record.name).absolute())


def moved_base(settings: Settings, created: MemoryCreated, name: str, revision: str) -> str:
    """Returns the name to record for the base of a memory that is found under `name` now.

    Raises:
        ModelUnavailable: there is no model of that name, or it is another one.
        InvalidField: a folder is given a revision.
    """
    name, revision = ModelFolder(settings.model_folder).resolve(name, revision)
    same_files(base_files.find_model_folder(name, revision), created.base)
    return base_files.recorded_name(name, revision)


def _load_in_order(bases: BaseModels, base: BaseModel, modules: tuple[str, ...], folder: Path) -> EditableModel:
    """Loads the base model; raises ModelUnavailable where `modules` are not in the order of their blocks."""
    model = bases.load(base, modules, folder)
    if list(modules) != sorted(modules, key=model.block_of):
        raise ModelUnavailable(
            f"the modules in the hypnogram.json of {base.name!r} are not in the order of their blocks"
        )
    return model


def _reference_text(settings: Settings, folder: Path) -> Path | None:
    """Returns the file of reference text: the one in the settings, or the one beside the model; None without either."""
    if settings.reference_text and not settings.reference_text.is_file():
        raise ModelUnavailable(
            f"there is no file {str(settings.reference_text)!r}, which HYPNOGRAM_REFERENCE_TEXT names: correct the "
            "setting, or leave it out and the model generates its reference text"
        )
    return settings.reference_text or base_files.text_beside(folder)
