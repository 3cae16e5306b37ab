"""Trains dormouse from scratch: `python -m models.dormouse.train --out models/dormouse/weights`.

Six stages, each with its own mix of the corpus, and a learning rate that warms up, holds and falls. A training
checkpoint is written to `--work` every hundred steps; the same command resumes from it. Batches depend on the seed and
the step alone, so that a resumed run is the same as an uninterrupted one.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from models.dormouse.corpus import ASSISTANT, BOS, END, FINISH, LEARN, PAD, POLISH, RECALL, SETTLE, SPECIAL, Corpus, Mix

VOCABULARY = 2048
ROW = 160  # tokens in a packed row
ROWS = 64  # rows in a step


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of training: its number of steps, those of its warm-up, its peak learning rate, its mix."""

    steps: int
    warm_up: int
    peak: float
    mix: Mix


STAGES = (
    Stage(1300, 100, 3e-3, LEARN),
    Stage(400, 100, 1e-3, FINISH),
    Stage(200, 50, 7e-4, POLISH),
    Stage(300, 50, 7e-4, POLISH),
    Stage(300, 50, 7e-4, SETTLE),
    Stage(150, 20, 5e-4, RECALL),
)
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def train_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE over the first documents of the corpus."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(islice(Corpus(seed=0), 30_000), trainer)
    bos = tokenizer.token_to_id(BOS)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, bos)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=END,
        pad_token=PAD,
        chat_template=CHAT_TEMPLATE,
        model_max_length=512,
        clean_up_tokenization_spaces=False,
    )


def configuration() -> LlamaConfig:
    """dormouse's architecture: 11.0 million parameters."""
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=3072,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=SPECIAL.index(BOS),
        eos_token_id=SPECIAL.index(END),
        pad_token_id=SPECIAL.index(PAD),
    )


@dataclass(frozen=True, slots=True)
class Batch:
    """Packed documents.

    Attributes:
        ids: [rows, row].
        positions: [rows, row], restarting at each document.
        document: [rows, row], which document of the row a token belongs to; -1 for padding.
        target: [rows, row], the next token where it is trained on, -100 elsewhere.
    """

    ids: Tensor
    positions: Tensor
    document: Tensor
    target: Tensor


def place(step: int) -> tuple[Stage, int]:
    """The stage of `step`, and the number of the step within it."""
    for stage in STAGES:
        if step < stage.steps:
            return stage, step
        step -= stage.steps
    raise ValueError("past the last stage")


def batches(tokenizer: Tokenizer, seed: int, start: int) -> Iterator[Batch]:
    """Yields batch number `start` and all that follow."""
    for step in range(start, sum(stage.steps for stage in STAGES)):
        yield _pack(tokenizer, Corpus(seed * 1_000_003 + step, place(step)[0].mix))


def _pack(tokenizer: Tokenizer, corpus: Corpus) -> Batch:
    """Packs documents first-fit into rows; drops the few that fit into none."""
    rows: list[list[list[int]]] = [[] for _ in range(ROWS)]
    room = [ROW] * ROWS
    texts = list(islice(corpus, ROWS * ROW // 24))
    for encoding in tokenizer.encode_batch(texts, add_special_tokens=False):
        tokens = encoding.ids[:ROW]
        place = next((row for row in range(ROWS) if room[row] >= len(tokens)), None)
        if place is None:
            if max(room) < 8:
                break
            continue
        rows[place].append(tokens)
        room[place] -= len(tokens)
    assistant, end, pad = (SPECIAL.index(token) for token in (ASSISTANT, END, PAD))
    ids = torch.full((ROWS, ROW), pad)
    positions = torch.zeros((ROWS, ROW), dtype=torch.long)
    document = torch.full((ROWS, ROW), -1)
    target = torch.full((ROWS, ROW), -100)
    for row, documents in enumerate(rows):
        at = 0
        for number, tokens in enumerate(documents):
            span = slice(at, at + len(tokens))
            ids[row, span] = torch.tensor(tokens)
            positions[row, span] = torch.arange(len(tokens))
            document[row, span] = number
            target[row, at : at + len(tokens) - 1] = torch.tensor(_targets(tokens, assistant, end))
            at += len(tokens)
    return Batch(ids, positions, document, target)


def _targets(tokens: list[int], assistant: int, end: int) -> list[int]:
    """Targets of all tokens but the last: the next token; -100 where a chat has no words of the assistant."""
    if assistant not in tokens:
        return tokens[1:]
    targets, speaking = [], False
    for token, following in pairwise(tokens):
        speaking = token == assistant or (speaking and token != end)
        targets.append(following if speaking else -100)
    return targets


def loss_of(model: LlamaForCausalLM, batch: Batch) -> Tensor:
    """Mean cross-entropy in nats over the targets of `batch`."""
    # Attention stays within a document: [rows, 1, row, row], added to the scores.
    same = batch.document[:, None, :, None] == batch.document[:, None, None, :]
    causal = torch.ones(ROW, ROW, dtype=torch.bool).tril()
    mask = torch.zeros(same.shape).masked_fill_(~(same & causal), torch.finfo(torch.bfloat16).min)
    hidden = model.model(
        input_ids=batch.ids, position_ids=batch.positions, attention_mask=mask, use_cache=False
    ).last_hidden_state
    trained = batch.target != -100  # logits are computed where there is a target only: [targets, vocabulary]
    logits = model.lm_head(hidden[trained])
    return F.cross_entropy(logits.float(), batch.target[trained])


def learning_rate(step: int) -> float:
    """The learning rate at `step`: each stage warms up, holds its peak, then falls linearly over its last half."""
    stage, number = place(step)
    return stage.peak * min(1.0, (number + 1) / stage.warm_up, max(0.02, 2 * (stage.steps - number) / stage.steps))


def train(out: Path, work: Path, seed: int, threads: int) -> None:
    """Trains from the checkpoint in `work`, if there is one, and writes tokenizer and weights into `out`."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer()
    tokenizer.save_pretrained(out)
    model = LlamaForCausalLM._from_config(configuration(), attn_implementation="eager")
    model.train()
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "layers" in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "layers" not in n]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=STAGES[0].peak, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=STAGES[0].peak, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    start = _resume(work, model, optimizers)
    began, seen = time.monotonic(), 0
    for step, batch in enumerate(batches(tokenizer.backend_tokenizer, seed, start), start):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step)
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(model, batch)
        if not math.isfinite(loss.item()):
            raise SystemExit(f"step {step}: loss is {loss.item()}; lower the peak and start again")
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        seen += int((batch.document >= 0).sum())
        if step % 20 == 0:
            rate = seen / (time.monotonic() - began)
            print(f"step {step} loss {loss.item():.4f} tokens/s {rate:.0f}", flush=True)
        if (step + 1) % 100 == 0:
            _checkpoint(work, model, optimizers, step + 1)
            export(model, out)
    print("done", flush=True)


def export(model: LlamaForCausalLM, out: Path) -> None:
    """Writes the weights in fp16, as `transformers` loads them."""
    state = {name: p.detach().half().contiguous() for name, p in model.named_parameters()}
    model.config.dtype = torch.float16
    model.config.save_pretrained(out)
    model.generation_config.save_pretrained(out)
    save_file(state, out / "model.safetensors", metadata={"format": "pt"})


def _checkpoint(work: Path, model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer], step: int) -> None:
    tensors = {f"model.{name}": p.detach() for name, p in model.named_parameters()}
    for number, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            for name, value in state.items():
                tensors[f"optimizer.{number}.{index}.{name}"] = torch.as_tensor(value)
    tensors["step"] = torch.tensor(step)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, work / "next.safetensors")
    (work / "next.safetensors").replace(work / "checkpoint.safetensors")


def _resume(work: Path, model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer]) -> int:
    path = work / "checkpoint.safetensors"
    if not path.exists():
        return 0
    tensors = load_file(path)
    model.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")}, False)
    for number, optimizer in enumerate(optimizers):
        full = optimizer.state_dict()
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith(f"optimizer.{number}."):
                _, _, index, key = name.split(".")
                state.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": full["param_groups"]})
    return int(tensors["step"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "weights")
    parser.add_argument("--work", type=Path, default=Path("build/dormouse"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    train(arguments.out, arguments.work, arguments.seed, arguments.threads)
