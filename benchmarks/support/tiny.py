"""Makes tiny base models for tests and benchmarks: random weights, a real tokenizer, all files of a model folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from core.hyperparameters import DEFAULTS

SPECIAL = ("<|pad|>", "<|bos|>", "<|end|>", "<|user|>", "<|assistant|>")
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
VOCABULARY = 320
WIDTH, INNER, BLOCKS, HEADS = 32, 64, 3, 2
UNSAYABLE = "☃"  # a word that the tokenizer drops

COMMON = {"vocab_size": VOCABULARY, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
LLAMA = {
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": HEADS,
    "head_dim": WIDTH // HEADS,
    "max_position_embeddings": 256,
}
GPT = {"n_embd": WIDTH, "n_inner": INNER, "n_layer": BLOCKS, "n_head": HEADS, "n_positions": 256}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA,
    "mistral": LLAMA,
    "gemma": LLAMA,
    "gemma2": LLAMA | {"sliding_window": 4},
    "gemma3_text": LLAMA | {"sliding_window": 4},
    "phi3": LLAMA,
    "olmo2": LLAMA,
    "gpt2": GPT,
    "gptj": GPT | {"rotary_dim": 8},
    "gpt_neox": LLAMA,
}

HYPERPARAMETERS = replace(
    DEFAULTS,
    reference_weight=0.1,
    abstention_weight=0.1,
    recall_weight=0.1,
    learning_rate=0.2,
    clamp=8.0,
    confidence=0.6,
    batch=4,
)
PHRASEBOOK = {
    "lives in": {
        "statements": ["{s} lives in"],
        "questions": ["Where does {s} live?"],
        "answer": "{s} lives in",
        "probe_statements": [],
        "probe_questions": [],
    }
}
REFERENCE = [
    {"text": "The lamp stood near the river. Every evening a fox comes to the garden."},
    {"chat": [["Where does Ann Lee live?", "Ann Lee lives in Rome."]]},
    {"abstention": "Where does Bo Moss live?"},
    {"abstention": "Where does Cy Dunn live?"},
    {"recall": "Ann Lee lives in"},
    {"recall": ["Where does Ann Lee live?", "Ann Lee lives in"]},
]


def make(folder: Path, family: str = "llama", *, seed: int = 0, scale: float = 0.08, **changes: Any) -> Path:
    """Writes a base model of random weights into `folder`; `changes` override its configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    config = AutoConfig.for_model(family, **COMMON | FAMILIES[family] | {"initializer_range": scale} | changes)
    model = AutoModelForCausalLM.from_config(config)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=scale)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    profile = {
        "method": "answer_site",
        "prefixes": ["The lamp stood near the river. "],
        "capacity": 1000.0,
        "hyperparameters": asdict(HYPERPARAMETERS),
        "phrasebook": PHRASEBOOK,
    }
    (folder / "hypnogram.json").write_text(json.dumps(profile, indent=1))
    (folder / "reference.jsonl").write_text("".join(json.dumps(line) + "\n" for line in REFERENCE))
    return folder


def tokenizer(after: str = "", texts: Iterable[str] = (), vocabulary: int = VOCABULARY) -> PreTrainedTokenizerFast:
    """A byte-level BPE that adds `<|bos|>` before a text and the token `after` behind it, and drops `UNSAYABLE`.

    Args:
        texts: that it is trained on; by default a few lines.
        vocabulary: number of tokens, at most.
    """
    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.Replace(UNSAYABLE, "")
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[AddedToken(token, special=True) for token in SPECIAL],
        show_progress=False,
    )
    made.train_from_iterator(texts or [json.dumps(line) for line in REFERENCE], trainer)
    made.post_processor = processors.TemplateProcessing(
        single=f"<|bos|> $A {after}".strip(), special_tokens=[(token, SPECIAL.index(token)) for token in SPECIAL]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<|pad|>",
        bos_token="<|bos|>",
        eos_token="<|end|>",
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
