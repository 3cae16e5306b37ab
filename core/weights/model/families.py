"""Describes the decoders of the supported families, one row a family; no other module asks what a model is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from core.errors.base import ModelUnavailable


@dataclass(frozen=True, slots=True)
class Family:
    """Where a decoder keeps the parts that edits need.

    Attributes:
        name: the name of the family.
        types: values of `model_type` in its configurations.
        blocks: path of the list of blocks, from the model.
        norm: path of the norm after the last block, from the model.
        mlp: path of the feed-forward layer, from a block.
        down: path of its down-projection, from a block; its inputs are the keys of edits.
        adds: path of the module whose output a block adds to the residual stream, from a block; the `mlp`, or the norm
            behind it. A value that is meant for the residual stream is added to the output of this module.
        transposed: whether projections hold their weights as [d_in, d_out], as the Conv1D of GPT-2 does.
    """

    name: str
    types: tuple[str, ...]
    blocks: str = "model.layers"
    norm: str = "model.norm"
    mlp: str = "mlp"
    down: str = "mlp.down_proj"
    adds: str = "mlp"
    transposed: bool = False

    def number_of_block(self, module: str) -> int:
        """Returns the number of the block that holds `module`. Raises ModelUnavailable where no block does."""
        number = module.removeprefix(f"{self.blocks}.").partition(".")[0]
        if not module.startswith(f"{self.blocks}.") or not number.isdecimal():
            raise ModelUnavailable(f"module {module!r} is in no block of the model; name one below {self.blocks}.0")
        return int(number)

    def weight_of(self, module: nn.Module) -> Tensor:
        """Returns the weight [d_out, d_in] of a projection, a view."""
        weight: Tensor = module.weight  # type: ignore[assignment]
        return weight.data.T if self.transposed else weight.data


_NORM = "post_feedforward_layernorm"
FAMILIES = (
    Family("Llama", ("llama",)),
    Family("Qwen", ("qwen2", "qwen3")),
    Family("Mistral", ("mistral",)),
    Family("Gemma", ("gemma",)),
    Family("Gemma 2 and 3", ("gemma2", "gemma3_text"), adds=_NORM),
    Family("Phi 3 and 4", ("phi3",)),
    Family("OLMo 2", ("olmo2",), adds=_NORM),
    Family("GPT-2", ("gpt2",), "transformer.h", "transformer.ln_f", down="mlp.c_proj", transposed=True),
    Family("GPT-J", ("gptj",), "transformer.h", "transformer.ln_f", down="mlp.fc_out"),
    Family("GPT-NeoX", ("gpt_neox",), "gpt_neox.layers", "gpt_neox.final_layer_norm", down="mlp.dense_4h_to_h"),
)
_OF_TYPE = {model_type: family for family in FAMILIES for model_type in family.types}
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts", "num_experts_per_tok")


def family_of(config: Any) -> Family:
    """Returns the family of a model with that configuration of transformers.

    Raises:
        ModelUnavailable: the model is of another kind; says which, and why that matters.
    """
    kind, family = config.model_type, _OF_TYPE.get(config.model_type)
    if family is None:
        raise ModelUnavailable(f"a model of type {kind!r} cannot be edited: {_why_not(config)}", model_type=kind)
    return family


def default_modules(config: Any) -> tuple[str, ...]:
    """Returns the down-projections of the two middle blocks, where edits work best (docs/findings.md)."""
    family, count = family_of(config), int(config.num_hidden_layers)
    last = count // 2
    return tuple(
        f"{family.blocks}.{number}.{family.down}" for number in range(max(last - 1, 0), last + 1) if number < count
    )


def has(model: nn.Module, name: str) -> bool:
    """Returns whether the model has a part of that name."""
    try:
        model.get_submodule(name)
    except AttributeError:
        return False
    return True


def _why_not(config: Any) -> str:
    """Returns why a model of no supported family is refused, and which are supported."""
    known = f"name a decoder of a supported family ({', '.join(family.name for family in FAMILIES)})"
    if any(getattr(part, name, None) for part in _parts(config) for name in _EXPERTS):
        return (
            "it is a mixture of experts, whose router sends each token to other weights, so that an edit holds for "
            f"some wordings only; {known}"
        )
    if getattr(config, "is_encoder_decoder", False):
        return f"it is an encoder-decoder, which does not continue a text; {known}"
    if _is_encoder(config.model_type, config.architectures or ()):
        return f"it is an encoder, which fills gaps and does not continue a text; {known}"
    if getattr(config, "vision_config", None) is not None:
        return f"it reads images as well; {known}"
    return known


def _parts(config: Any) -> tuple[Any, ...]:
    text = config.get_text_config()
    return (config,) if text is config else (config, text)


def _is_encoder(model_type: str, architectures: Sequence[str]) -> bool:
    """Returns whether models of the type fill gaps; one that continues texts under its own name does not."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    causal = any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in architectures)
    return model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not causal
