"""Loads a model and its tokenizer from a folder: whole, or refused with the next step."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from core.errors.base import DeviceUnavailable, ModelUnavailable
from core.weights.model.base_files import files_of
from core.weights.model.families import Family, default_modules, family_of, has
from core.weights.model.templates import LINES

# It warns that a package for faster four-bit products is missing, which is optional; and at each product in eight bits.
for name in ("bitsandbytes.backends.cpu.ops", "bitsandbytes.autograd._functions"):
    logging.getLogger(name).setLevel(logging.ERROR)

POINTER = b"version https://git-lfs"  # beginning of what Git LFS leaves in place of a file


def load(folder: Path, modules: Sequence[str], dtype: str, quantization: str, device: str) -> tuple[Any, Any]:
    """Returns the model and the tokenizer in `folder`, from the files that its digest covers and no others.

    So no file that decides on answers can change unnoticed, and adapters beside the weights are ignored.

    Raises:
        ModelUnavailable: it does not load, or lacks something that a memory needs; names it.
        DeviceUnavailable: `device` cannot be used.
    """
    _check_device(device)
    _check_fetched(folder)
    with _covered(folder) as view:
        try:
            family = family_of(AutoConfig.from_pretrained(view))
            tokenizer = AutoTokenizer.from_pretrained(view)
            model, report = _model(view, tuple(modules), getattr(torch, dtype), quantization, device)
        except Exception as error:  # the libraries raise errors of any kind on a broken file or a small machine
            if isinstance(error, ModelUnavailable):
                raise
            raise ModelUnavailable(_why(folder, view, error, device), model=folder) from error
    if missing := sorted(report["missing_keys"]):
        raise ModelUnavailable(
            f"the weights in {str(folder)!r} are not whole: {missing[0]} is missing, one of {len(missing)}; fetch its "
            "files again",
            model=folder,
        )
    if not tokenizer.chat_template:
        _ask_in_lines(model, tokenizer)
    _check_tokenizer(folder, tokenizer)
    _check_modules(folder, model, family, modules)
    return model, tokenizer


@contextmanager
def _covered(folder: Path) -> Iterator[str]:
    """Yields a folder of links to the files that the digest covers."""
    with tempfile.TemporaryDirectory(prefix="hypnogram-") as view:
        for path in files_of(folder):
            (Path(view) / path.name).symlink_to(path.resolve())
        yield view


def _model(view: str, modules: tuple[str, ...], kind: torch.dtype, quantization: str, device: str) -> tuple[Any, Any]:
    """Returns the model, and the report of transformers on missing keys."""
    options: dict[str, Any] = {"dtype": kind, "use_safetensors": True, "output_loading_info": True}
    if quantization == "none":
        model, report = AutoModelForCausalLM.from_pretrained(view, **options)
        return model.to(device), report
    if not modules:
        modules = default_modules(AutoConfig.from_pretrained(view))
    options["quantization_config"] = BitsAndBytesConfig(
        load_in_8bit=quantization == "int8",
        load_in_4bit=quantization == "nf4",
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=kind,
        llm_int8_skip_modules=[*modules, "lm_head", "embed_out"],
    )
    model, report = AutoModelForCausalLM.from_pretrained(view, device_map={"": device}, **options)
    if device == "cpu":
        _dequantize_at_use(model)
    with torch.no_grad():
        model(input_ids=torch.zeros(1, 1, dtype=torch.long, device=model.device))  # 8-bit layers settle on first use
    return model, report


def _dequantize_at_use(network: nn.Module) -> None:
    """Lets each quantized layer multiply by its dequantized weights, whatever the processor and the batch.

    On a CPU bitsandbytes has two other ways. Its packed four-bit product, for processors with AVX-512 in bfloat16,
    returns no gradient. Its eight-bit product rounds activations too and sets apart columns that are large anywhere in
    the batch, so that a text is computed otherwise beside other texts.
    """
    from bitsandbytes.nn import Linear4bit, Linear8bitLt  # takes a second, and only quantized models need it

    for layer in network.modules():
        if isinstance(layer, Linear4bit):
            layer.support_avx512bf16_for_cpu = False
        elif isinstance(layer, Linear8bitLt):
            layer.train()  # makes it choose that product; nothing is dropped out or trained


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch was built without it
        raise DeviceUnavailable(device, str(error).partition("\n")[0]) from error


def _check_fetched(folder: Path) -> None:
    for path in files_of(folder):
        with path.open("rb") as file:
            if file.read(len(POINTER)) == POINTER:
                raise ModelUnavailable(
                    f"{path} is a pointer of Git LFS, not the file; run `git lfs pull` there", model=folder
                )


def _ask_in_lines(model: Any, tokenizer: Any) -> None:
    """Gives a model without a chat template one in which each answer is a line, ended by any token with a line break.

    The template begins with the token that the tokenizer puts before raw text, if it does.
    """
    begins = tokenizer("a").input_ids[:1] == [tokenizer.bos_token_id]
    tokenizer.chat_template = ("{{ bos_token }}" if begins else "") + LINES
    texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
    ends = model.generation_config.eos_token_id
    ends = tokenizer.eos_token_id if ends is None else ends
    known = [] if ends is None else list(ends) if isinstance(ends, (list, tuple)) else [ends]
    breaks = [token for token, text in enumerate(texts) if "\n" in text]
    model.generation_config.eos_token_id = list(dict.fromkeys([*known, *breaks])) or None


def _check_tokenizer(folder: Path, tokenizer: Any) -> None:
    if not tokenizer.is_fast:
        raise ModelUnavailable(
            f"the tokenizer in {str(folder)!r} cannot tell where in a text its tokens stand; put a tokenizer.json "
            "beside its weights",
            model=folder,
        )


def _check_modules(folder: Path, model: Any, family: Family, modules: Sequence[str]) -> None:
    for module in modules:
        if not has(model, module):
            raise ModelUnavailable(f"{str(folder)!r} has no module {module!r}", model=folder)
        family.number_of_block(module)
    shapes = {getattr(model.get_submodule(module), "weight", torch.empty(0)).shape for module in modules}
    if any(len(shape) != 2 for shape in shapes) or len(shapes) > 1:
        raise ModelUnavailable(
            f"the edited modules of {str(folder)!r} must be projections of one shape; name others in hypnogram.json",
            model=folder,
        )


def _why(folder: Path, view: str, error: Exception, device: str) -> str:
    message = str(error).replace(view, str(folder)) or type(error).__name__
    memory = ("out of memory", "not enough memory", "can't allocate memory")
    if isinstance(error, MemoryError) or any(words in message.lower() for words in memory):
        return (
            f"the model in {str(folder)!r} does not fit into the memory of {device}: free some, or create the memory "
            "with a smaller dtype or quantized"
        )
    return f"no model loads from {str(folder)!r}: {message}; put its files back or fetch them again"
