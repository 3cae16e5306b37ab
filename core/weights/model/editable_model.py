"""Wraps a loaded causal language model whose MLP down-projections can be edited.

Any Hugging Face decoder of the families in `core.weights.model.families` loads with the same code. The edited modules
are held unquantized in the memory's dtype; everything else may be quantized.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache

from core.errors.base import ModelUnavailable
from core.ids import Digest
from core.weights.deltas.digest import weights_digest
from core.weights.model import templates
from core.weights.model.families import Family, default_modules, family_of
from core.weights.model.loading import load
from core.weights.model.neurons import Neurons, attach_neurons


@dataclass(slots=True, eq=False)
class EditableModel:
    """A model, its tokenizer, and the base weights of its edited modules.

    Its weights have two parts: matrices of edited modules, and the memory neurons of any MLP, of which a base model has
    none. Both go by the name of their module.

    Attributes:
        network: the Hugging Face model; its weights are the live ones.
        modules: names of the edited modules, in the order of their blocks.
        base_weights: module -> W0 [d_out, d_in], never written to; MLP -> [0, 2 d + 1], no neurons.
        neurons: MLP of each block -> the live neurons there; the same with `.marks` behind it -> the live marks.
    """

    network: Any
    tokenizer: Any
    modules: tuple[str, ...]
    base_weights: Mapping[str, Tensor]
    neurons: Mapping[str, Neurons]

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @property
    def key_width(self) -> int:
        return int(self.base_weights[self.modules[0]].shape[1])

    @property
    def hidden_width(self) -> int:
        return int(self.base_weights[self.modules[0]].shape[0])

    @property
    def family(self) -> Family:
        return family_of(self.network.config)

    @property
    def blocks(self) -> nn.ModuleList:
        return self.network.get_submodule(self.family.blocks)

    @property
    def final_norm(self) -> nn.Module:
        return self.network.get_submodule(self.family.norm)

    def block_of(self, module: str) -> int:
        """Returns the number of the block that holds `module`."""
        return self.family.number_of_block(module)

    def weight(self, module: str) -> Tensor:
        """Returns the live weight [d_out, d_in]; a view into the model."""
        return self.family.weight_of(self.network.get_submodule(module))

    def live(self) -> dict[str, Tensor]:
        """Returns module -> live weight [d_out, d_in], views into the model; MLP -> its neurons [n, 2 d + 1]."""
        matrices = {module: self.weight(module) for module in self.modules}
        return matrices | {mlp: neurons.rows for mlp, neurons in self.neurons.items()}

    def digest(self) -> Digest:
        """Returns the digest of the live weights."""
        return weights_digest(self.live())

    def install(self, weights: Mapping[str, Tensor]) -> None:
        """Copies `weights` into the live ones; a module that is not among them stays as it is."""
        with torch.no_grad():
            for module, weight in weights.items():
                if module in self.neurons:
                    self.neurons[module].install(weight)
                else:
                    self.weight(module).copy_(weight)

    @contextmanager
    def with_weights(self, weights: Mapping[str, Tensor]) -> Iterator[None]:
        """Makes `weights` live inside the block and puts back what was live before."""
        before = {module: tensor.clone() for module, tensor in self.live().items()}
        self.install(weights)
        try:
            yield
        finally:
            self.install(before)

    def clone(self) -> EditableModel:
        """Returns a model that shares every tensor with this one but those of edited modules, which are copied.

        Layers that are not edited are shared whole, because a quantized layer holds more than tensors.
        """
        edited = [self.network.get_submodule(module) for module in self.modules]
        copied = {id(module) for module in edited} | {id(module.weight) for module in edited}
        copied |= {id(block.get_submodule(self.family.adds)) for block in self.blocks}  # they hold hooks of neurons
        shared: dict[int, Any] = {id(layer): layer for layer in self.network.modules() if not any(layer.children())}
        shared |= {id(tensor): tensor for tensor in (*self.network.parameters(), *self.network.buffers())}
        memo = {key: value for key, value in shared.items() if key not in copied}  # deepcopy takes these as copied
        neurons = {mlp: Neurons(self.hidden_width, self.device) for mlp in self.neurons}
        memo |= {id(self.neurons[mlp]): fresh for mlp, fresh in neurons.items()}  # copied hooks belong to the new ones
        network = copy.deepcopy(self.network, memo)
        return EditableModel(network, self.tokenizer, self.modules, self.base_weights, neurons)

    def in_half(self) -> EditableModel:
        """Returns a copy with the live weights in which edits are computed fast; this model where none would be faster.

        The copy is in bfloat16 where the machine has units or instructions for it, because `reduced` converts every
        weight each time it is used. On a CPU it is not quantized: its weights are those that the quantized layers stand
        for. And there its attention is not fused, because the gradient of that takes three times as long on short
        texts.
        """
        on_cpu, kind = self.device.type == "cpu", self.network.dtype
        quantized = getattr(self.network, "hf_quantizer", None) is not None
        fast = self._has_units() or torch.cpu._is_avx512_bf16_supported()  # twice as fast as float32 with the latter
        if fast and kind is torch.float32 and (on_cpu or not quantized):
            kind = torch.bfloat16
        if kind is self.network.dtype and not (quantized and on_cpu):
            return self
        copied = self.clone()
        if quantized:
            copied.network.dequantize(dtype=kind)  # replaces layers of the clone alone
        memo = {id(copied.neurons[mlp]): copied.neurons[mlp] for mlp in copied.neurons}
        network = copy.deepcopy(copied.network, memo).to(kind)
        if on_cpu:
            network.set_attn_implementation("eager")
        return EditableModel(network, self.tokenizer, self.modules, self.base_weights, copied.neurons)

    def at_block(self, number: int) -> EditableModel:
        """Returns this model with the down-projection of one block as its edited module; it shares every tensor."""
        module = f"{self.family.blocks}.{number}.{self.family.down}"
        return EditableModel(self.network, self.tokenizer, (module,), {module: self.weight(module)}, self.neurons)

    def logits(self, hidden: Tensor) -> Tensor:
        """Returns [..., vocabulary] float32 logits of [..., d] final hidden states (before the final norm)."""
        return self.unembed(self.final_norm(hidden))

    def unembed(self, hidden: Tensor) -> Tensor:
        """Returns [..., vocabulary] float32 logits of [..., d] normed hidden states."""
        head = self.network.get_output_embeddings()
        logits = head(hidden.to(head.weight.dtype)).float()
        cap = getattr(self.network.config, "final_logit_softcapping", None)
        return torch.tanh(logits / cap) * cap if cap else logits

    def reduced(self) -> torch.autocast:
        """Runs matrix products in bfloat16 inside the block, where the machine has units for them.

        AVX-512 alone does not pay: with it float32 reached 150 GFLOPS on a core and bfloat16 84.
        """
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._has_units())

    def _has_units(self) -> bool:
        return self.device.type != "cpu" or bool(torch.cpu._is_amx_tile_supported())

    def with_cache(self, cache: Cache) -> dict[str, Cache]:
        """Returns `cache` under the name by which the model takes it, which transformers changed in 5.24."""
        names = inspect.signature(type(self.network).forward).parameters
        return {"cache" if "cache" in names else "past_key_values": cache}

    @property
    def pad_token(self) -> int:
        return int(self.tokenizer.pad_token_id or 0)

    def raw_ids(self, prompt: str) -> list[int]:
        """Returns token ids of raw text, with what the tokenizer puts before it and without what some put after it."""
        return self.unended(list(self.tokenizer(prompt).input_ids))

    def unended(self, ids: list[int]) -> list[int]:
        """Returns `ids` of raw text without the special tokens that the tokenizer puts after every text."""
        special = self.tokenizer("a", return_special_tokens_mask=True).special_tokens_mask
        return ids[: len(ids) - sum(1 for _ in takewhile(bool, reversed(special)))]

    def chat_ids(self, turns: Sequence[Sequence[str]], question: str, answer: str = "") -> list[int]:
        """Returns token ids of a chat up to the model's reply to `question`, or to the end of `answer`, its beginning.

        Args:
            turns: earlier (question, answer) pairs.
        """
        return list(self.tokenizer(self.chat_text(turns, question) + answer, add_special_tokens=False).input_ids)

    def chat_text(self, turns: Sequence[Sequence[str]], question: str) -> str:
        """Returns the chat template rendered up to the model's reply. Raises TemplateError or ModelUnavailable."""
        messages = [
            {"role": role, "content": content}
            for turn in turns
            for role, content in zip(("user", "assistant"), turn, strict=True)
        ]
        messages.append({"role": "user", "content": question})
        return templates.fill_in(self.tokenizer, messages)

    def end_tokens(self) -> tuple[int, ...]:
        """Returns the tokens that end the model's turn; none where no configuration names them."""
        ends = self.network.generation_config.eos_token_id
        if ends is None:
            ends = self.tokenizer.eos_token_id
        if ends is None:
            return ()
        return tuple(ends) if isinstance(ends, (list, tuple)) else (int(ends),)

    def end_of_turn(self) -> int:
        """Returns that of `end_tokens` which the chat template puts after an answer."""
        ends = self.end_tokens()
        chat = [{"role": "user", "content": "Well?"}, {"role": "assistant", "content": "Yes."}]
        text = templates.fill_in(self.tokenizer, chat, add_generation_prompt=False) if len(ends) > 1 else ""
        after = self.tokenizer(text.rpartition("Yes.")[2], add_special_tokens=False).input_ids
        return next((token for token in after if token in ends), ends[0])


def _contiguous(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Copies a strided input, whose product in bfloat16 takes hundreds of times as long on a CPU."""
    return (inputs[0].contiguous(), *inputs[1:])


def load_model(
    source: str | Path,
    *,
    modules: Sequence[str] = (),
    dtype: str = "float32",
    quantization: str = "none",
    device: str = "cpu",
) -> EditableModel:
    """Loads the model in a folder; see `core.weights.model.loading`.

    Args:
        modules: the modules to be edited; by default the down-projections of the two middle blocks.

    Raises:
        ModelUnavailable: it does not load, or lacks something that a memory needs.
        DeviceUnavailable: `device` cannot be used.
    """
    templates.start()
    network, tokenizer = load(Path(source), modules, dtype, quantization, device)
    network.requires_grad_(False)
    chosen = tuple(modules) or default_modules(network.config)
    family = family_of(network.config)
    base_weights = {module: family.weight_of(network.get_submodule(module)).clone() for module in chosen}
    network.get_output_embeddings().register_forward_pre_hook(_contiguous)
    neurons = attach_neurons(network, family)
    base_weights |= {mlp: there.rows.clone() for mlp, there in neurons.items()}
    model = EditableModel(network, tokenizer, chosen, base_weights, neurons)
    if not model.end_tokens():
        raise ModelUnavailable(
            f"{str(source)!r} names no token that ends an answer; name an eos_token_id in its generation_config.json",
            model=source,
        )
    return model
