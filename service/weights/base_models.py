"""The base models that this process has loaded, each once for all memories on it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import structlog

from core.errors.base import ModelUnavailable
from core.events.memory import BaseModel, MemoryCreated
from core.weights.model.base_files import RULE, content_digest, find_model_folder
from core.weights.model.editable_model import EditableModel, load_model
from service.settings import DORMOUSE

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Base:
    """The identity of a loaded base model, which memories of one base share."""

    digest: str
    dtype: str
    quantization: str
    modules: tuple[str, ...]

    @classmethod
    def of(cls, created: MemoryCreated) -> Base:
        base = created.base
        return cls(base.digest, base.dtype, base.quantization, created.modules)


def folder_of(base: BaseModel) -> Path:
    """Returns the folder of `base`: under its name, or that of dormouse where the memory was made on another machine.

    Raises:
        ModelUnavailable: there is no model under its name, or one with other files than were recorded.
    """
    try:
        folder = find_model_folder(base.name, base.revision)
    except ModelUnavailable as error:
        if DORMOUSE.exists() and content_digest(DORMOUSE, base.digest_rule) == base.digest:
            return DORMOUSE
        raise ModelUnavailable(
            f"{error}; if the model has moved, name its place with `hypnogram memory rebase`", **error.metadata
        ) from error
    return same_files(folder, base)


def same_files(folder: Path, base: BaseModel) -> Path:
    """Returns `folder`. Raises ModelUnavailable where its files are not those of `base`."""
    digest = content_digest(folder, base.digest_rule)
    if digest != base.digest:
        raise ModelUnavailable(
            f"the files in {str(folder)!r} are not those this memory was created on (digest {digest[:16]}, "
            f"not {base.digest[:16]}); put the recorded ones back",
            model=folder,
            recorded=base.digest,
            found=digest,
        )
    return folder


class BaseModels:
    """Loads base models on first use, and clones them: a clone owns its edited modules and shares everything else."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._loaded: dict[Base, EditableModel] = {}
        self._loading: dict[Base, threading.Lock] = {}
        self._lock = threading.Lock()

    def base(self, created: MemoryCreated) -> EditableModel:
        """Returns the base model of a memory. It is shared, so never install weights on it.

        Raises:
            ModelUnavailable: it cannot be loaded, or its files are not those the memory was created on.
        """
        return self.load(created.base, created.modules)

    def load(self, base: BaseModel, modules: tuple[str, ...], folder: Path | None = None) -> EditableModel:
        """Returns the base model of a memory that is about to be created, loaded from `folder`."""
        key = Base(base.digest, base.dtype, base.quantization, modules)
        with self._lock:
            loading = self._loading.setdefault(key, threading.Lock())
        with loading:  # one lock for each base, so that loading one does not delay another
            if key not in self._loaded:
                self._loaded[key] = load_model(
                    folder or folder_of(base), modules=modules, dtype=base.dtype, quantization=base.quantization,
                    device=self._device,
                )  # fmt: skip
                if base.digest_rule < RULE:
                    log.warning("base.covered_in_part", model=base.name, digest=base.digest, rule=base.digest_rule)
            return self._loaded[key]

    def clone(self, created: MemoryCreated) -> EditableModel:
        """Returns a clone of the base model of a memory. Raises ModelUnavailable as `base` does."""
        return self.base(created).clone()
