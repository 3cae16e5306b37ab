"""A loaded causal language model whose MLP down-projections can be edited.

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
from core.weights.model.families import BLOCKS, NORMS, block_of, default_modules, part_of, weight_of
from core.weights.model.loading import load


@dataclass(slots=True, eq=False)
class EditableModel:
    """A model, its tokenizer, and the pristine weights of its edited modules.

    Attributes:
        modules: edited modules in the order of their blocks.
        base_weights: module -> W0 [d_out, d_in], never written to.
    """

    network: Any
    tokenizer: Any
    modules: tuple[str, ...]
    base_weights: Mapping[str, Tensor]

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
    def blocks(self) -> nn.ModuleList:
        return part_of(self.network, BLOCKS)[1]

    @property
    def final_norm(self) -> nn.Module:
        return part_of(self.network, NORMS)[1]

    def block_of(self, module: str) -> int:
        """The number of the block that holds `module`."""
        return block_of(self.network, module)

    def weight(self, module: str) -> Tensor:
        """The live weight [d_out, d_in]; a view into the model."""
        return weight_of(self.network.get_submodule(module))

    def live(self) -> dict[str, Tensor]:
        return {module: self.weight(module) for module in self.modules}

    def digest(self) -> Digest:
        return weights_digest(self.live())

    def install(self, weights: Mapping[str, Tensor]) -> None:
        """Makes `weights` the live ones, in place; a module that is not among them stays as it is."""
        with torch.no_grad():
            for module, weight in weights.items():
                self.weight(module).copy_(weight)

    @contextmanager
    def with_weights(self, weights: Mapping[str, Tensor]) -> Iterator[None]:
        """`weights` are live inside the block, what was live before afterwards."""
        before = {module: tensor.clone() for module, tensor in self.live().items()}
        self.install(weights)
        try:
            yield
        finally:
            self.install(before)

    def clone(self) -> EditableModel:
        """Another model that shares every tensor but the edited ones, which are its own.

        Layers that are not edited are shared whole, as a quantized one holds more than tensors.
        """
        edited = [self.network.get_submodule(module) for module in self.modules]
        own = {id(one) for one in edited} | {id(one.weight) for one in edited}
        shared: dict[int, Any] = {id(one): one for one in self.network.modules() if not any(one.children())}
        shared |= {id(one): one for one in (*self.network.parameters(), *self.network.buffers())}
        memo = {key: one for key, one in shared.items() if key not in own}
        return EditableModel(copy.deepcopy(self.network, memo), self.tokenizer, self.modules, self.base_weights)

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., d] final hidden states (before the final norm) to [..., vocabulary] float32 logits."""
        return self.unembed(self.final_norm(hidden))

    def unembed(self, hidden: Tensor) -> Tensor:
        """[..., d] normed hidden states to [..., vocabulary] float32 logits."""
        head = self.network.get_output_embeddings()
        logits = head(hidden.to(head.weight.dtype)).float()
        cap = getattr(self.network.config, "final_logit_softcapping", None)
        return torch.tanh(logits / cap) * cap if cap else logits

    def reduced(self) -> torch.autocast:
        """Matrix products in bfloat16, where the machine has units for them.

        AVX-512 alone does not pay: there float32 reached 150 GFLOPS on a core and bfloat16 84.
        """
        native = self.device.type != "cpu" or torch.cpu._is_amx_tile_supported()
        return torch.autocast(self.device.type, torch.bfloat16, enabled=native)

    def with_cache(self, cache: Cache) -> dict[str, Cache]:
        """`cache` under the name by which the model takes it, which transformers changed in 5.24."""
        names = inspect.signature(type(self.network).forward).parameters
        return {"cache" if "cache" in names else "past_key_values": cache}

    @property
    def pad_token(self) -> int:
        return int(self.tokenizer.pad_token_id or 0)

    def raw_ids(self, prompt: str) -> list[int]:
        """Token ids of raw text, with what the tokenizer puts before it and without the end that some put after it."""
        return self.unended(list(self.tokenizer(prompt).input_ids))

    def unended(self, ids: list[int]) -> list[int]:
        """`ids`, as the tokenizer makes them of raw text, without what it puts after every text."""
        special = self.tokenizer("a", return_special_tokens_mask=True).special_tokens_mask
        return ids[: len(ids) - sum(1 for _ in takewhile(bool, reversed(special)))]

    def chat_ids(self, turns: Sequence[Sequence[str]], question: str, answer: str = "") -> list[int]:
        """Token ids of a chat up to the model's reply to `question`, or to the end of the reply's beginning `answer`.

        Args:
            turns: (question, answer) pairs before.
        """
        return list(self.tokenizer(self.chat_text(turns, question) + answer, add_special_tokens=False).input_ids)

    def chat_text(self, turns: Sequence[Sequence[str]], question: str) -> str:
        """The chat template filled in, up to the model's reply. Raises TemplateError or ModelUnavailable."""
        messages = [
            {"role": role, "content": content}
            for turn in turns
            for role, content in zip(("user", "assistant"), turn, strict=True)
        ]
        messages.append({"role": "user", "content": question})
        return templates.fill_in(self.tokenizer, messages)

    def end_tokens(self) -> tuple[int, ...]:
        """Tokens after which the model has finished its turn; none where nothing names them."""
        ends = self.network.generation_config.eos_token_id
        if ends is None:
            ends = self.tokenizer.eos_token_id
        if ends is None:
            return ()
        return tuple(ends) if isinstance(ends, (list, tuple)) else (int(ends),)

    def end_of_turn(self) -> int:
        """The one of `end_tokens` that the chat template puts after an answer."""
        ends = self.end_tokens()
        chat = [{"role": "user", "content": "Well?"}, {"role": "assistant", "content": "Yes."}]
        text = templates.fill_in(self.tokenizer, chat, add_generation_prompt=False) if len(ends) > 1 else ""
        after = self.tokenizer(text.rpartition("Yes.")[2], add_special_tokens=False).input_ids
        return next((token for token in after if token in ends), ends[0])


def load_model(
    source: str | Path, *, modules: Sequence[str] = (), dtype: str = "float32", quantization: str = "none",
    device: str = "cpu",
) -> EditableModel:  # fmt: skip
    """Loads the model in a folder; see `core.weights.model.loading`.

    Args:
        modules: what may be edited; by default the down-projections of the two middle blocks.

    Raises:
        ModelUnavailable: it does not load, or lacks something that a memory needs.
        DeviceUnavailable: `device` cannot be used.
    """
    templates.start()
    network, tokenizer = load(Path(source), modules, dtype, quantization, device)
    network.eval().requires_grad_(False)
    chosen = tuple(modules) or default_modules(network)
    pristine = {module: weight_of(network.get_submodule(module)).clone() for module in chosen}
    model = EditableModel(network, tokenizer, chosen, pristine)
    if not model.end_tokens():
        raise ModelUnavailable(
            f"{str(source)!r} names no token that ends an answer; name an eos_token_id in its generation_config.json",
            model=source,
        )
    return model
