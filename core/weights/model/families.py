"""Describes the decoders of the supported families, one row a family; no other module asks what a model is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from core.errors.base import ModelUnavailable
from core.hyperparameters import DEFAULTS, Hyperparameters
from core.method import Method


@dataclass(frozen=True, slots=True)
class Published:
    """Hyperparameters with which MEMIT at the subject's name was published for models of a family.

    GPT-J: Meng et al. 2023 (appendix B.3, and hparams/MEMIT of kmeng01/memit). GPT-NeoX: blocks and lambda of the same
    appendix, the rest as for GPT-J. GPT-2 XL, Llama 2 and 3.2, Mistral and Qwen 2 and 2.5: EasyEdit (Wang et al. 2024,
    hparams/MEMIT of zjunlp/EasyEdit); for Llama 3, AlphaEdit (Fang et al. 2025) clamps at 0.75. Nothing was published
    for the other families; they take those of Llama. Published learning rates are absolute, so that they hold for the
    hidden states of one model; here a rate is relative.

    Attributes:
        first, last: the edited blocks.
        depths: numbers of blocks of the models that were edited there; for others, the blocks are at the same share of
            the depth as in the first of these.
        weight: of the covariance of keys of reference text; lambda.
        steps: number of Adam steps.
        clamp: largest norm of a value, in multiples of the hidden state's.
    """

    first: int
    last: int
    depths: tuple[int, ...]
    weight: float = 15_000.0
    steps: int = 25
    clamp: float = 0.75

    def blocks(self, count: int) -> range:
        """Returns the numbers of the blocks to edit in a model of `count` blocks."""
        share = 1.0 if count in self.depths else count / self.depths[0]
        return range(round(share * self.first), round(share * self.last) + 1)


RATE = 0.4  # of Adam, in units of the hidden state's norm over the root of its width
LLAMA = Published(4, 8, (32, 28, 16), clamp=4.0)


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
        memit: hyperparameters of MEMIT from the literature.
    """

    name: str
    types: tuple[str, ...]
    blocks: str = "model.layers"
    norm: str = "model.norm"
    mlp: str = "mlp"
    down: str = "mlp.down_proj"
    adds: str = "mlp"
    transposed: bool = False
    memit: Published = LLAMA

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
    Family(
        "GPT-2",
        ("gpt2",),
        "transformer.h",
        "transformer.ln_f",
        down="mlp.c_proj",
        transposed=True,
        memit=Published(13, 17, (48,), weight=20_000.0, steps=20),
    ),
    Family(
        "GPT-J",
        ("gptj",),
        "transformer.h",
        "transformer.ln_f",
        down="mlp.fc_out",
        memit=Published(3, 8, (28,)),
    ),
    Family(
        "GPT-NeoX",
        ("gpt_neox",),
        "gpt_neox.layers",
        "gpt_neox.final_layer_norm",
        down="mlp.dense_4h_to_h",
        memit=Published(6, 10, (44,), weight=20_000.0),
    ),
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


def default_modules(config: Any, method: Method = Method.ANSWER_SITE) -> tuple[str, ...]:
    """Returns the down-projections that a memory of a method edits.

    These are those of the literature for MEMIT, else those of the two middle blocks, where edits at the answer site
    work best (docs/findings.md).
    """
    family, count = family_of(config), int(config.num_hidden_layers)
    middle = count // 2
    numbers = family.memit.blocks(count) if method is Method.MEMIT else range(max(middle - 1, 0), middle + 1)
    return tuple(f"{family.blocks}.{number}.{family.down}" for number in numbers if number < count)


def default_hyperparameters(config: Any, method: Method) -> Hyperparameters:
    """Returns the hyperparameters of a method on a model, for MEMIT those of the literature.

    Published MEMIT holds no keys but those of text, moves no site further, and learns at one rate for all.
    """
    if method is not Method.MEMIT:
        return DEFAULTS
    published = family_of(config).memit
    return replace(
        DEFAULTS, reference_weight=published.weight, abstention_weight=0.0, recall_weight=0.0, steps=published.steps,
        learning_rate=RATE, clamp=published.clamp, refinements=0, unanswered=0,
    )  # fmt: skip


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
