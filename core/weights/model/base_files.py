"""Finds the files of a base model and computes the digest of their contents.

A model folder may hold two files of this project beside the usual ones: `hypnogram.json` (see
`core.weights.model.profile`) and `reference.jsonl` (see `core.weights.model.reference_text`).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from core.errors.base import InvalidField, ModelUnavailable
from core.ids import Digest
from core.weights.model.families import default_modules, family_of

COVERED = {  # rule of a digest, which each memory records -> the files that it covers
    1: ("*.safetensors", "config.json", "tokenizer.json", "tokenizer.model", "chat_template.jinja"),
    2: (
        "*.safetensors",
        "*.safetensors.index.json",
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "vocab.txt",
        "merges.txt",
        "*.model",
        "*.tiktoken",
        "chat_template.jinja",
        "chat_template.json",
    ),
}
RULE = 2  # the rule of new digests
TEXTS = ("reference.jsonl", "ordinary.jsonl")  # names of the file of reference text: now, and before 0.4
OF_PROJECT = ("hypnogram.json", *TEXTS)  # files of this project, which no digest covers
ADAPTERS = "adapter_model*.safetensors"  # adapters beside the weights, which are neither covered nor loaded


def find_model_folder(name: str, revision: str) -> Path:
    """Returns the folder of a model: a path as it is, a hub id from the hub's cache (`HF_HOME`) on this machine.

    Raises:
        ModelUnavailable: nothing has that name, or it holds no safetensors file.
    """
    folder = Path(name).expanduser()
    if not folder.exists():
        folder = _from_hub(name, revision)
    if not any(folder.glob("*.safetensors")):
        raise _no_model(name)
    return folder.resolve()


def recorded_name(name: str, revision: str) -> str:
    """Returns the name by which any process finds the model again, from whatever folder: absolute for a path.

    Raises:
        InvalidField: a revision is given for a folder.
    """
    folder = Path(name).expanduser()
    if not folder.exists():
        return name
    if revision:
        raise InvalidField("base.revision", "is given for a folder, which has none; leave it out, or name a hub id")
    return str(folder.absolute())


def _from_hub(name: str, revision: str) -> Path:
    """Returns the folder of a hub id in the hub's cache, because only `hypnogram model pull` downloads."""
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise _no_model(name)
    from huggingface_hub import snapshot_download

    patterns = [*COVERED[RULE], *OF_PROJECT]
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=patterns, local_files_only=True))
    except Exception as error:
        raise ModelUnavailable(
            f"{name!r} is neither a folder nor pulled nor in the hub's cache: run `hypnogram model pull {name}` "
            "on the machine of the server, or name the path of its folder",
            model=name,
        ) from error


def _no_model(name: str) -> ModelUnavailable:
    """Returns one error whether nothing is there or another kind of file, so that a client cannot probe the server's
    files by creating memories."""
    return ModelUnavailable(
        f"there is no model folder {name!r}: name one that holds *.safetensors files, or a "
        "pulled one (`hypnogram model list`)",
        model=name,
    )


def files_of(folder: Path, rule: int = RULE) -> list[Path]:
    """Returns the files that a digest by `rule` covers; the newest rule covers all that decide what the model says."""
    covered = {path for pattern in COVERED[rule] for path in folder.glob(pattern)}
    return sorted(covered - set(folder.glob(ADAPTERS)) if rule > 1 else covered)


def content_digest(folder: Path, rule: int = RULE) -> Digest:
    """Returns SHA-256 over the names and contents of the files that `rule` covers."""
    root = hashlib.sha256()
    for path in files_of(folder, rule):
        with path.open("rb") as file:
            root.update(f"{path.name}:{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return Digest(root.hexdigest())


def text_beside(folder: Path) -> Path | None:
    """Returns the file of reference text in the folder of a model; None if there is none."""
    return next((path for name in TEXTS if (path := folder / name).is_file()), None)


def modules_in(folder: Path) -> tuple[str, ...]:
    """Returns the modules that are edited by default, from the configuration alone; no weights are read.

    Raises:
        ModelUnavailable: the configuration cannot be read or is not of a supported family.
    """
    return default_modules(config_in(folder))


def config_in(folder: Path) -> Any:
    """Returns the configuration of a model of a supported family. Raises ModelUnavailable as `modules_in` does."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise ModelUnavailable(f"the configuration in {str(folder)!r} cannot be read: {error}") from error
    family_of(config)
    return config
