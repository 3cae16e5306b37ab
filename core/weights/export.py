"""Writes a memory's weights at a version as folders that stock tools load: a PEFT adapter, or a merged model.

The adapter is `W0 + B A` with the columns in force as they are: a column of U is an integer vector of at most 15 bits
(already scaled, see `fixed_point.scaled`) times a power of two, and so is one of V. float32 holds both exactly,
so the adapter loses nothing. What differs is when rounding happens. The memory rounds `W0 + U V^T` once, to its own
dtype; peft keeps the two apart and adds `W0 x` and `B (A x)` for each input, in float32.

Measured on dormouse with four facts (12 columns, 44 prompts in wordings of the edit and in others, logits up to 19),
stock peft against the memory, the base loaded in the memory's dtype. For float32 peft ran in a separate process;
float16 and bfloat16 were measured in the same one:

    dtype       largest difference of a logit    equal greedy answers
    float32     4e-6                             44 of 44
    float16     8e-3                             44 of 44
    bfloat16    6e-2                             44 of 44

In the short dtypes the adapter is the more exact of the two, because its sum is not rounded to 8 or 11 bits.

The merged folder holds the memory's own weights: its edited modules are equal bit for bit in the memory's dtype.
Memory neurons have no place in an adapter. In a merged Llama each becomes two hidden units (`model/hidden_units.py`
has the table of differences), and in float32 throughout; its logits then differ from the memory's by rounding.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from core.errors.archive import ExportExists, NotExportable
from core.errors.base import Damaged, DigestMismatch, ModelUnavailable
from core.events.memory import BaseModel
from core.ids import Digest, MemoryId
from core.weights.deltas.digest import weights_digest
from core.weights.deltas.fixed_point import Delta, ScaledColumns, parts_of, scaled
from core.weights.model.editable_model import EditableModel
from core.weights.model.hidden_units import holds_neurons, with_hidden_units

NOTE = "exported.json"  # the side file that says what an export was made from; stock tools ignore it
APPROXIMATED = "each is two hidden units of an MLP, which approximate its threshold"
UNQUANTIZED = "The memory's base model is quantized ({}), this one is not: what it says may differ in words"
SYSTEM = re.compile(r"\(os error (\d+)\)")  # by which safetensors names an error of the system
LARGEST = float(torch.finfo(torch.float32).max)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What an export is made from.

    Attributes:
        plan: digest of the plan in force at `version`.
        weights: digest of the edited modules there.
    """

    memory: MemoryId
    version: int
    base: BaseModel
    plan: Digest
    weights: Digest


def export_adapter(
    folder: Path, model: EditableModel, columns: Sequence[tuple[Delta, slice, float]], origin: Origin
) -> int:
    """Writes a LoRA adapter that stock `peft` loads on the same base model; returns its rank.

    The rank is the number of columns in force; alpha is equal to it, so that peft's scaling is 1. Where no columns are
    in force, as in a memory without facts, the adapter is zero and of rank 1, so that every version has one that loads.

    Args:
        folder: is created with `adapter_config.json`, `adapter_model.safetensors` and `exported.json`.
        model: the base model; only its modules' names, shapes and kinds are looked at.
        columns: the plan's terms: delta, columns of it, scale. As `fixed_point.parts_of` takes them.

    Raises:
        ExportExists: `folder` is there already.
        Damaged: a column does not fit into float32.
        NotExportable: there are memory neurons among the columns.
    """
    neurons = sum(u.mantissa.shape[1] for mlp in model.neurons for u, _, _ in parts_of(mlp, columns))
    if neurons:
        raise NotExportable(
            "LoRA adapter",
            neurons,
            "an adapter adds matrices, and a neuron has a threshold; export a merged model (--as merged), which the "
            "Llama family allows, or an archive (--as archive)",
        )
    with _new_folder(folder) as made:
        factors = {module: _factors(parts_of(module, columns)) for module in model.modules}
        rank = max([1, *(a.shape[0] for a, _ in factors.values() if a is not None)])
        tensors: dict[str, Tensor] = {}
        for module, (a, b) in factors.items():
            out, into = model.base_weights[module].shape
            tensors[f"base_model.model.{module}.lora_A.weight"] = _padded(a, (rank, into))
            tensors[f"base_model.model.{module}.lora_B.weight"] = _padded(b, (out, rank))
        save_file(tensors, made / "adapter_model.safetensors", metadata={"format": "pt"})
        _write(made / "adapter_config.json", _configuration(model, rank, origin.base))
        _write(made / NOTE, {"kind": "adapter", "rank": rank, **asdict(origin)})
    return rank


def export_merged(folder: Path, model: EditableModel, weights: Mapping[str, Tensor], origin: Origin) -> None:
    """Writes a Hugging Face folder of the whole model with `weights` in it, in the memory's dtype.

    Where there are memory neurons they become hidden units, and all is in float32, which their thresholds need.

    Args:
        folder: is created with configuration, generation configuration, tokenizer, safetensors, `exported.json` and a
            `README.md`.
        model: the base model, not quantized; its live weights are neither used nor changed. Of a quantized memory
            load the base again without quantization: its edited modules are the same.
        weights: module -> W [d_out, d_in], as the plan builds them; MLP -> its neurons [n, 2 d + 1].

    Raises:
        ExportExists: `folder` is there already.
        DigestMismatch: `weights` are not those of `origin`.
        ModelUnavailable: `model` is quantized.
        NotExportable: there are memory neurons, and the model's MLPs cannot hold them.
    """
    if getattr(model.network, "hf_quantizer", None) is not None:
        raise ModelUnavailable("a quantized model cannot be merged: load the base model without quantization")
    digest = weights_digest(weights)
    if digest != origin.weights:
        raise DigestMismatch(origin.version, origin.weights, digest)
    neurons = sum(len(weights[mlp]) for mlp in model.neurons if mlp in weights)
    if neurons and not holds_neurons(model):
        raise NotExportable(
            "merged model",
            neurons,
            f"the MLPs of this {model.family.name} model have no layer that computes thresholds, as those of a Llama "
            "with silu have where they get biases; export an archive (--as archive)",
        )
    with _new_folder(folder) as made:
        if neurons:
            with_hidden_units(model, weights).save_pretrained(made)
        else:
            state = dict(model.network.state_dict())
            for module in model.modules:
                weight = weights[module].T if model.family.transposed else weights[module]
                state[f"{module}.weight"] = weight.contiguous()
            model.network.save_pretrained(made, state_dict=state)
        model.tokenizer.save_pretrained(made)
        note = {"kind": "merged", "neurons": neurons, **({"thresholds": APPROXIMATED} if neurons else {})}
        _write(made / NOTE, {**note, **asdict(origin)})
        (made / "README.md").write_text(_readme(origin, neurons), encoding="utf-8")


def _readme(origin: Origin, neurons: int) -> str:
    """Returns the page that says what a merged folder is."""
    base = origin.base.name + (f" (revision {origin.base.revision})" if origin.base.revision else "")
    return (
        f"# {origin.memory} at version {origin.version}\n\n"
        f"A memory of Hypnogram merged into its base model. Stock transformers loads it:\n"
        "`AutoModelForCausalLM.from_pretrained(FOLDER)`.\n\n"
        f"- Base model: {base}\n"
        f"- Digest of the weights of the memory: {origin.weights}\n"
        f"- Digest of its plan: {origin.plan}\n"
        f"- Memory neurons: {neurons}{f'; {APPROXIMATED}, in float32' if neurons else ''}\n"
        + ("" if origin.base.quantization == "none" else f"- {UNQUANTIZED.format(origin.base.quantization)}\n")
    )


def _configuration(model: EditableModel, rank: int, base: BaseModel) -> dict[str, Any]:
    """Returns the settings of peft; all others are its defaults, in every version of it."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base.name,
        "revision": base.revision or None,
        "target_modules": list(model.modules),
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": model.family.transposed,
        "inference_mode": True,
    }


def _factors(parts: Sequence[ScaledColumns]) -> tuple[Tensor | None, Tensor | None]:
    """Returns A [n, d_in] and B [d_out, n] in float32, exactly `scale * V^T` and U; None where there are no columns."""
    if not parts:
        return None, None
    u = torch.cat([torch.ldexp(scaled(u.mantissa, scale), u.exponent.double()) for u, _, scale in parts], dim=1)
    v = torch.cat([v.to_float() for _, v, _ in parts], dim=1)
    if max(u.abs().max().item(), v.abs().max().item()) > LARGEST:
        raise Damaged("a column in force is larger than float32 holds")
    return v.T.float(), u.float()


def _padded(factor: Tensor | None, shape: tuple[int, int]) -> Tensor:
    """Returns `factor` padded with zeros to `shape`, because a delta need not change every module."""
    whole = torch.zeros(shape)
    if factor is not None:
        whole[: factor.shape[0], : factor.shape[1]] = factor
    return whole


def _write(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Yields a folder beside `folder` that is renamed to it when the block ends well, and removed otherwise.

    A SafetensorError of the system, as of a full disk, becomes the OSError that it stands for.
    """
    if os.path.lexists(folder):
        raise ExportExists(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        made.chmod(0o755)
        yield made
        for path in made.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        try:
            made.rename(folder)
        except OSError as error:  # another process was faster
            raise ExportExists(folder) from error
    except BaseException as error:
        shutil.rmtree(made, ignore_errors=True)
        number = SYSTEM.search(str(error)) if isinstance(error, SafetensorError) else None
        if number is not None:
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(folder)) from error
        raise
