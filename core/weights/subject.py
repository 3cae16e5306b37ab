"""A loaded causal language model whose MLP down-projections can be edited.

Any Hugging Face decoder of the Llama, Qwen, Mistral, Gemma, GPT-2, GPT-J or NeoX families loads with the same code. The
edited modules are held unquantized in the memory's dtype; everything else may be quantized.
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
from transformers import AutoModelForCausalLM, AutoTokenizer, Cache
from transformers.pytorch_utils import Conv1D

from core.errors import DeviceUnavailable, ModelUnavailable
from core.ids import Digest
from core.weights import templates
from core.weights.digest import weights_digest

_BLOCKS = ("model.layers", "transformer.h", "gpt_neox.layers")
_DOWN = ("mlp.down_proj", "mlp.c_proj", "mlp.fc_out", "mlp.dense_4h_to_h")
_NORMS = ("model.norm", "transformer.ln_f", "gpt_neox.final_layer_norm")


@dataclass(slots=True, eq=False)
class Subject:
    """A model, its tokenizer, and the pristine weights of its edited modules.

    Attributes:
        modules: edited modules in the order of their blocks.
        pristine: module -> W0 [d_out, d_in], never written to.
    """

    model: Any
    tokenizer: Any
    modules: tuple[str, ...]
    pristine: Mapping[str, Tensor]

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def key_width(self) -> int:
        return int(self.pristine[self.modules[0]].shape[1])

    @property
    def hidden_width(self) -> int:
        return int(self.pristine[self.modules[0]].shape[0])

    @property
    def blocks(self) -> nn.ModuleList:
        return _first(self.model, _BLOCKS)[1]

    @property
    def final_norm(self) -> nn.Module:
        return _first(self.model, _NORMS)[1]

    def block_of(self, module: str) -> int:
        """The number of the block that holds `module`."""
        prefix = _first(self.model, _BLOCKS)[0]
        return int(module.removeprefix(prefix + ".").split(".")[0])

    def weight(self, module: str) -> Tensor:
        """The live weight [d_out, d_in]; a view into the model."""
        return _weight(self.model.get_submodule(module))

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

    def twin(self) -> Subject:
        """Another model that shares every tensor but the edited ones, which are its own.

        Layers that are not edited are shared whole, as a quantized one holds more than tensors.
        """
        edited = [self.model.get_submodule(module) for module in self.modules]
        own = {id(one) for one in edited} | {id(one.weight) for one in edited}
        shared: dict[int, Any] = {id(one): one for one in self.model.modules() if not any(one.children())}
        shared |= {id(one): one for one in (*self.model.parameters(), *self.model.buffers())}
        memo = {key: one for key, one in shared.items() if key not in own}
        return Subject(copy.deepcopy(self.model, memo), self.tokenizer, self.modules, self.pristine)

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., d] final hidden states (before the final norm) to [..., vocabulary] float32 logits."""
        return self.unembed(self.final_norm(hidden))

    def unembed(self, hidden: Tensor) -> Tensor:
        """[..., d] normed hidden states to [..., vocabulary] float32 logits."""
        head = self.model.get_output_embeddings()
        logits = head(hidden.to(head.weight.dtype)).float()
        cap = getattr(self.model.config, "final_logit_softcapping", None)
        return torch.tanh(logits / cap) * cap if cap else logits

    def reduced(self) -> torch.autocast:
        """Matrix products in bfloat16, where the machine has units for them.

        AVX-512 alone does not pay: there float32 reached 150 GFLOPS on a core and bfloat16 84.
        """
        native = self.device.type != "cpu" or torch.cpu._is_amx_tile_supported()
        return torch.autocast(self.device.type, torch.bfloat16, enabled=native)

    def with_cache(self, cache: Cache) -> dict[str, Cache]:
        """`cache` under the name by which the model takes it, which transformers changed in 5.24."""
        names = inspect.signature(type(self.model).forward).parameters
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
        """Tokens after which the model has finished its turn."""
        ends = self.model.generation_config.eos_token_id
        if ends is None:
            ends = self.tokenizer.eos_token_id
        return tuple(ends) if isinstance(ends, (list, tuple)) else (int(ends),)

    def end_of_turn(self) -> int:
        """The one of `end_tokens` that the chat template puts after an answer."""
        ends = self.end_tokens()
        chat = [{"role": "user", "content": "Well?"}, {"role": "assistant", "content": "Yes."}]
        text = templates.fill_in(self.tokenizer, chat, add_generation_prompt=False) if len(ends) > 1 else ""
        after = self.tokenizer(text.rpartition("Yes.")[2], add_special_tokens=False).input_ids
        return next((token for token in after if token in ends), ends[0])


def load_subject(
    source: str | Path, *, revision: str = "", modules: Sequence[str] = (), dtype: str = "float32",
    quantization: str = "none", device: str = "cpu",
) -> Subject:  # fmt: skip
    """Loads a checkpoint of safetensors from a folder or the local hub cache.

    Args:
        modules: what may be edited; by default the down-projections of the two middle blocks.

    Raises:
        ModelUnavailable: nothing loads from there, or a module is not part of it.
        DeviceUnavailable: `device` cannot be used.
    """
    _check_device(device)
    templates.start()
    kind = getattr(torch, dtype)
    options: dict[str, Any] = {"revision": revision} if revision else {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        if quantization == "none":
            model = AutoModelForCausalLM.from_pretrained(source, dtype=kind, use_safetensors=True, **options)
        else:
            model = _load_quantized(source, kind, quantization, tuple(modules), device, options)
    except (OSError, ValueError, ImportError) as error:
        raise ModelUnavailable(f"no model loads from {str(source)!r}: {error}", model=source) from error
    if not tokenizer.chat_template:
        raise ModelUnavailable(
            f"{str(source)!r} has no chat template; put a chat_template.jinja beside its weights", model=source
        )
    model = model.to(device) if quantization == "none" else model
    model.eval().requires_grad_(False)
    chosen = tuple(modules) or default_modules(model)
    for module in chosen:
        try:
            model.get_submodule(module)
        except AttributeError as error:
            raise ModelUnavailable(f"{str(source)!r} has no module {module!r}", model=source) from error
    pristine = {module: _weight(model.get_submodule(module)).clone() for module in chosen}
    return Subject(model, tokenizer, chosen, pristine)


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch was built without it
        raise DeviceUnavailable(device, str(error).partition("\n")[0]) from error


def default_modules(model: nn.Module) -> tuple[str, ...]:
    """Names of the down-projections of the two middle blocks (docs/findings.md: where told facts answer best)."""
    prefix, blocks = _first(model, _BLOCKS)
    name = next(name for name in _DOWN if _has(blocks[0], name))
    last = len(blocks) // 2
    return tuple(f"{prefix}.{number}.{name}" for number in range(max(last - 1, 0), last + 1) if number < len(blocks))


def _load_quantized(source: str | Path, kind: torch.dtype, quantization: str, modules: tuple[str, ...],
                    device: str, options: dict[str, Any]) -> Any:  # fmt: skip
    from transformers import AutoConfig, BitsAndBytesConfig

    if not modules:
        with torch.device("meta"):
            modules = default_modules(AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(source, **options)))
    settings = BitsAndBytesConfig(
        load_in_8bit=quantization == "int8",
        load_in_4bit=quantization == "nf4",
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=kind,
        llm_int8_skip_modules=[*modules, "lm_head", "embed_out"],
    )
    model = AutoModelForCausalLM.from_pretrained(
        source, dtype=kind, quantization_config=settings, use_safetensors=True, device_map={"": device}, **options
    )
    with torch.no_grad():
        model(input_ids=torch.zeros(1, 1, dtype=torch.long, device=model.device))  # 8-bit layers settle on first use
    return model


def _weight(module: nn.Module) -> Tensor:
    weight: Tensor = module.weight  # type: ignore[assignment]
    return weight.data.T if isinstance(module, Conv1D) else weight.data


def _has(module: nn.Module, name: str) -> bool:
    try:
        module.get_submodule(name)
    except AttributeError:
        return False
    return True


def _first(model: nn.Module, names: Sequence[str]) -> tuple[str, Any]:
    for name in names:
        if _has(model, name):
            return name, model.get_submodule(name)
    raise ModelUnavailable(f"a {type(model).__name__} is not of a supported family (Llama, Qwen, Mistral, Gemma, GPT)")
