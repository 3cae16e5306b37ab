"""Reads the shape of a base model from its configuration; no weights are read but for the digest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.weights.model.base_files import config_in, content_digest, files_of, find_model_folder, text_beside
from core.weights.model.families import default_modules, family_of
from core.weights.model.profile import read_profile


def shape_of(folder: Path) -> dict[str, Any]:
    """Returns what `hypnogram model show` shows of the model in `folder`.

    Raises:
        ModelUnavailable: no model is there, or it is of a kind that cannot be edited.
    """
    folder = find_model_folder(str(folder), "")
    config = config_in(folder)
    return {
        "folder": str(folder),
        "family": family_of(config).name,
        "type": config.model_type,
        "blocks": int(config.num_hidden_layers),
        "width": int(config.hidden_size),
        "vocabulary": int(config.vocab_size),
        "parameters": _parameters(config),
        "edited": list(read_profile(folder).modules or default_modules(config)),
        "chat_template": _has_template(folder),
        "reference_text": text_beside(folder) is not None,
        "size": sum(path.stat().st_size for path in files_of(folder)),
        "digest": content_digest(folder),
    }


def _parameters(config: Any) -> int:
    """Returns the number of weights, shared ones once."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return sum(parameter.numel() for parameter in model.parameters())


def _has_template(folder: Path) -> bool:
    if any((folder / name).is_file() for name in ("chat_template.jinja", "chat_template.json")):
        return True
    settings = folder / "tokenizer_config.json"
    return settings.is_file() and '"chat_template"' in settings.read_text(errors="replace")
