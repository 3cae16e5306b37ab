"""What an edit must keep in general: weighted second moments of keys.

    lambda C = w_o E[k k^T | ordinary tokens] + w_a E[k k^T | abstentions] + w_r E[k k^T | recalls]

Not centred, full, not diagonal, ordinary tokens about ten times d_in. The other two are the places where facts are
written: the token before an answer, where what is told could leak into invention about strangers, and the token before
an object, where it could leak into what is known about others. Ordinary text holds few of them, so they count apart.
Keys are measured in bfloat16 where that is fast: a moment differs by less than one percent, and it only steers. Those
of a float16 model are measured in float16 everywhere, as bfloat16 would hide that they overflow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial

import torch
from safetensors.torch import load, save
from torch import Tensor

from core.errors.base import Damaged, Unlearnable
from core.events.memory import MemoryCreated
from core.hyperparameters import Hyperparameters
from core.ids import Digest
from core.weights.memit.cost import keys_per_fact
from core.weights.model.activations import pad
from core.weights.model.editable_model import EditableModel
from core.weights.model.reference_text import OrdinaryText

MEASURE = 1  # counts up when `measure` or `read_ordinary` would find something else in the same text
BATCH = 64
RIDGE = 1e-5  # of the mean diagonal, or ten, a hundred times as much: keeps lambda C positive definite


class _AllKeysSeen(Exception):
    """Ends a forward pass once the last edited module has its input: what is above changes no key."""


@dataclass(frozen=True, slots=True)
class KeyCovariance:
    """lambda C [d_in, d_in] float32 per module, symmetric and positive definite, the counts behind it, and what a fact
    takes of the space that it leaves (see `core.weights.memit.cost`; 0 where that was not measured).
    """

    moments: Mapping[str, Tensor]
    tokens: int
    abstentions: int
    recalls: int
    keys_per_fact: float = 0.0

    def to_bytes(self) -> bytes:
        """A safetensors file of the lower triangles."""
        packed = {}
        for module, moment in self.moments.items():
            rows, columns = torch.tril_indices(*moment.shape)
            packed[module] = moment[rows, columns].contiguous()
        counts = torch.tensor([self.tokens, self.abstentions, self.recalls])
        keys = torch.tensor(self.keys_per_fact, dtype=torch.float64)
        return save({**packed, "counts": counts, "keys_per_fact": keys})

    @classmethod
    def from_bytes(cls, data: bytes) -> KeyCovariance:
        """Raises Damaged when `data` is not what `to_bytes` wrote."""
        try:
            packed = load(data)
            tokens, abstentions, recalls = packed.pop("counts").tolist()
            keys = float(packed.pop("keys_per_fact", 0.0))
        except Exception as error:
            raise Damaged(f"key statistics cannot be read: {error}") from error
        return cls({module: _unpack(values) for module, values in packed.items()}, tokens, abstentions, recalls, keys)


def key_of(created: MemoryCreated) -> Digest:
    """The digest of all that the statistics of a memory depend on: memories of one key have the same ones."""
    base, options = created.base, created.hyperparameters
    weights = [options.ordinary_weight, options.abstention_weight, options.recall_weight]
    said = [
        MEASURE, base.digest, base.dtype, base.quantization, created.ordinary_text, list(created.modules), weights
    ]  # fmt: skip
    return Digest(hashlib.sha256(json.dumps(said).encode()).hexdigest())


def _forward(progress: Callable[[int, int], None], before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _unpack(values: Tensor) -> Tensor:
    width = int(((8 * len(values) + 1) ** 0.5 - 1) / 2)
    rows, columns = torch.tril_indices(width, width)
    moment = torch.zeros(width, width)
    moment[rows, columns] = values
    moment[columns, rows] = values
    return moment


def measure(
    model: EditableModel,
    text: OrdinaryText,
    options: Hyperparameters,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> KeyCovariance:
    """Measures the live model's keys over `text`; one pass for all modules."""
    groups = (
        (text.whole, False, options.ordinary_weight),
        (text.abstentions, True, options.abstention_weight),
        (text.recalls, True, options.recall_weight),
    )
    total = sum(len(sequences) for sequences, _, _ in groups)
    moments = {module: torch.zeros(model.key_width, model.key_width) for module in model.modules}
    counts, done = [], 0
    for sequences, last_only, weight in groups:
        sums, count = second_moments(model, sequences, last_only, partial(_forward, progress, done, total))
        for module, moment in sums.items():
            moments[module] += weight * moment.cpu() / max(count, 1)
        counts.append(count)
        done += len(sequences)
    for moment in moments.values():
        moment.diagonal().add_(_ridge(moment))
    tokens, abstentions, recalls = counts
    return KeyCovariance(moments, tokens, abstentions, recalls, keys_per_fact(model, moments))


def _ridge(moment: Tensor) -> float:
    """What the diagonal needs, half of it to spare: few keys, or a few huge ones, leave rounding to decide the rest.

    Raises:
        Unlearnable: keys overflowed.
    """
    if not moment.isfinite().all():
        raise Unlearnable("keys of ordinary text are not finite in this dtype; use bfloat16 or float32")
    ridge = RIDGE * float(moment.diagonal().mean())
    exact = moment.double()
    half = torch.eye(len(exact), dtype=exact.dtype).mul_(ridge / 2)
    while ridge and torch.linalg.cholesky_ex(exact + half).info:
        ridge, half = 10 * ridge, half.mul_(10)
    return ridge


def _forward_pass(model: EditableModel) -> AbstractContextManager[object]:
    """In bfloat16 where that is fast, except of a float16 model: bfloat16 holds keys at which that one overflows."""
    return nullcontext() if model.network.dtype is torch.float16 else model.reduced()


@torch.no_grad()
def second_moments(
    model: EditableModel, sequences: Sequence[list[int]], last_only: bool, progress: Callable[[int], None]
) -> tuple[dict[str, Tensor], int]:
    """Sums of k k^T [d_in, d_in] float32 over all tokens, or over the last of each sequence, and their number."""
    width = model.key_width
    sums = {module: torch.zeros(width, width, device=model.device) for module in model.modules}
    order = sorted(sequences, key=len)
    keep = torch.zeros(0, dtype=torch.bool)
    count = 0

    def hook(module: str) -> Callable[..., None]:
        def add(_: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
            keys = inputs[0][keep].float()
            sums[module].addmm_(keys.T, keys)
            if module == model.modules[-1]:
                raise _AllKeysSeen

        return add

    handles = [model.network.get_submodule(m).register_forward_pre_hook(hook(m)) for m in model.modules]
    try:
        for start in range(0, len(order), BATCH):
            ids, mask = pad(order[start : start + BATCH], model.pad_token, model.device)
            keep = mask.bool()
            if last_only:
                keep = keep & (mask.cumsum(1) == mask.sum(1, keepdim=True))
            count += int(keep.sum())
            with _forward_pass(model), suppress(_AllKeysSeen):
                model.network(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=1)
            progress(min(start + BATCH, len(order)))
    finally:
        for handle in handles:
            handle.remove()
    return sums, count
