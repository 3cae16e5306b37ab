"""Turns a GGUF file into a model folder: weights dequantized to float32, tokenizer and chat template beside them."""

from __future__ import annotations

from pathlib import Path

from service.pulled.folder import PullFailed


def dequantize(file: Path, folder: Path, name: str) -> None:
    """Writes the model in the GGUF file into `folder`; `name` is what its configuration calls it.

    Raises:
        PullFailed: transformers cannot read the file.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    source = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**source)
        model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    except ImportError as error:
        raise PullFailed("a GGUF file is read with the package gguf; run `pip install gguf`", file=file) from error
    except Exception as error:  # the libraries raise errors of any kind on a broken or unknown file
        raise PullFailed(f"{file.name} cannot be read: {error}", file=file) from error
    # transformers takes a dequantized model for a quantized one and would refuse to save it.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer, model.is_quantized, model.quantization_method = None, False, None
    model.config._name_or_path = name
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
