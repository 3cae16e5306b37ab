"""Where a base model's files are, and what they are by content.

A model folder may hold two files of ours beside the usual ones: `hypnogram.json` (see `core.weights.profile`) and
`ordinary.jsonl` (see `core.weights.ordinary`).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from core.errors import ModelUnavailable
from core.ids import Digest
from core.weights.subject import default_modules

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
