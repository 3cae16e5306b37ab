"""The base models this process has loaded, each once, whatever number of memories stands on it."""

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
    """What a loaded model is: memories of one base share it."""

    digest: str
    dtype: str
    quantization: str
    modules: tuple[str, ...]

    @classmethod
    def of(cls, created: MemoryCreated) -> Base:
        base = created.base
        return cls(base.digest, base.dtype, base.quantization, created.modules)


def folder_of(base: BaseModel) -> Path:
    """Where the files of `base` are: under its name, or, for a memory that came from elsewhere, where dormouse is.

    Raises:
        ModelUnavailable: there is nothing under its name, or something else than was recorded.
    """
    try:
        folder = find_model_folder(base.name, base.revision)
    except ModelUnavailable as error:
        if DORMOUSE.exists() and content_digest(DORMOUSE, base.digest_rule) == base.digest:
            return DORMOUSE
        raise ModelUnavailable(
            f"{error}; if the model has moved, say where to with `hypnogram memory rebase`", **error.metadata
        ) from error
    return same_files(folder, base)


def same_files(folder: Path, base: BaseModel) -> Path:
    """`folder`, if its files are those of `base`. Raises ModelUnavailable."""
    found = content_digest(folder, base.digest_rule)
    if found != base.digest:
        raise ModelUnavailable(
            f"the files in {str(folder)!r} are not those this memory was created on (digest {found[:16]}, "
            f"not {base.digest[:16]}); put the recorded ones back",
            model=folder,
            recorded=base.digest,
            found=found,
        )
    return folder


class BaseModels:
    """Loads on first use; `twin` gives a model whose edited modules are the caller's own, all else shared."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._loaded: dict[Base, EditableModel] = {}
        self._loading: dict[Base, threading.Lock] = {}
        self._lock = threading.Lock()

    def base(self, created: MemoryCreated) -> EditableModel:
        """The pristine model under a memory, which all share: to be read, never to be changed.

        Raises:
            ModelUnavailable: it cannot be loaded, or its files are not those the memory was created on.
        """
        return self.load(created.base, created.modules)

    def load(self, base: BaseModel, modules: tuple[str, ...], folder: Path | None = None) -> EditableModel:
        """The same for a memory that is about to be created, whose base is in `folder`."""
        key = Base(base.digest, base.dtype, base.quantization, modules)
        with self._lock:
            loading = self._loading.setdefault(key, threading.Lock())
        with loading:  # a base that takes long, or cannot be loaded, holds up nobody on another
            if key not in self._loaded:
                self._loaded[key] = load_model(
                    folder or folder_of(base), modules=modules, dtype=base.dtype, quantization=base.quantization,
                    device=self._device,
                )  # fmt: skip
                if base.digest_rule < RULE:
                    log.warning("base.covered_in_part", model=base.name, digest=base.digest, rule=base.digest_rule)
            return self._loaded[key]

    def clone(self, created: MemoryCreated) -> EditableModel:
        """A pristine model of the caller's own for a memory. Raises ModelUnavailable as `base` does."""
        return self.base(created).clone()
