"""Measures the covariance of keys of reference text, which edits preserve: MEMIT's C_0 (Meng et al. 2023, eq. 15).

    lambda C = w_t E[k k^T | reference text] + w_a E[k k^T | abstentions] + w_r E[k k^T | recalls]

It is an uncentred second moment, full and not diagonal, over about ten times d_in tokens of text. The other two terms
are the positions where facts are written: the token before an answer, where an edit could leak into invention about
strangers, and the token before an object, where it could leak into what the base model knows about neighbours: both
harm locality. They are weighted apart because reference text holds few of them.
Keys are measured in bfloat16 where that is fast: a moment differs by less than one percent, and it only steers. Those
of a float16 model are measured in float16 everywhere, because bfloat16 would hide that they overflow.
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
from core.method import Method
from core.weights.memit.cost import KeysOf, at_answers, keys_per_fact
from core.weights.model.activations import pad
from core.weights.model.editable_model import EditableModel
from core.weights.model.reference_text import ReferenceText

MEASURE = 1  # counts up when `measure` or `read_reference` would measure something else in the same text
BATCH = 64
RIDGE = 1e-5  # of the mean diagonal, times a power of ten where needed: keeps lambda C positive definite


class _AllKeysSeen(Exception):
    """Ends a forward pass once the last edited module has its input, because no later block changes a key."""


@dataclass(frozen=True, slots=True)
class KeyCovariance:
    """The weighted covariance of keys of reference text.

    Attributes:
        moments: module -> lambda C [d_in, d_in] float32, symmetric and positive definite.
        tokens, abstentions, recalls: numbers of keys behind its three terms.
        keys_per_fact: dimensions that a fact takes of the key space (`core.weights.memit.cost`); 0 if not measured.
    """

    moments: Mapping[str, Tensor]
    tokens: int
    abstentions: int
    recalls: int
    keys_per_fact: float = 0.0

    def to_bytes(self) -> bytes:
        """Returns a safetensors file of the lower triangles."""
        packed = {}
        for module, moment in self.moments.items():
            rows, columns = torch.tril_indices(*moment.shape)
            packed[module] = moment[rows, columns].contiguous()
        counts = torch.tensor([self.tokens, self.abstentions, self.recalls])
        keys = torch.tensor(self.keys_per_fact, dtype=torch.float64)
        return save({**packed, "counts": counts, "keys_per_fact": keys})

    @classmethod
    def from_bytes(cls, data: bytes) -> KeyCovariance:
        """Reads what `to_bytes` wrote. Raises Damaged for anything else."""
        try:
            packed = load(data)
            tokens, abstentions, recalls = packed.pop("counts").tolist()
            keys = float(packed.pop("keys_per_fact", 0.0))
        except Exception as error:
            raise Damaged(f"key statistics cannot be read: {error}") from error
        return cls({module: _unpack(values) for module, values in packed.items()}, tokens, abstentions, recalls, keys)


def key_of(created: MemoryCreated, reference_text: Digest) -> Digest:
    """Returns the digest of all that a memory's covariance depends on; memories of one digest share it.

    Args:
        reference_text: artifact of the reference text in force.
    """
    base, options = created.base, created.hyperparameters
    weights = [options.reference_weight, options.abstention_weight, options.recall_weight]
    inputs = [
        MEASURE, base.digest, base.dtype, base.quantization, reference_text, list(created.modules), weights
    ]  # fmt: skip
    inputs += [created.method] if created.method is Method.MEMIT else []  # which decides what a fact takes
    return Digest(hashlib.sha256(json.dumps(inputs).encode()).hexdigest())


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
    text: ReferenceText,
    options: Hyperparameters,
    progress: Callable[[int, int], None] = lambda done, total: None,
    keys_of: KeysOf = at_answers,
) -> KeyCovariance:
    """Measures the live model's keys over `text`, in one pass for all modules, and by `keys_of` those of a fact."""
    groups = (
        (text.whole, False, options.reference_weight),
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
    return KeyCovariance(moments, tokens, abstentions, recalls, keys_per_fact(model, moments, keys_of))


def _ridge(moment: Tensor) -> float:
    """Returns what to add to the diagonal: twice what it needs, because the least eigenvalues of few keys, or of a few
    huge ones, are rounding errors.

    Raises:
        Unlearnable: keys overflowed.
    """
    if not moment.isfinite().all():
        raise Unlearnable("keys of reference text are not finite in this dtype; use bfloat16 or float32")
    ridge = RIDGE * float(moment.diagonal().mean())
    exact = moment.double()
    # Half of the ridge has to be enough for a Cholesky factorisation; the other half is reserve.
    half = torch.eye(len(exact), dtype=exact.dtype).mul_(ridge / 2)
    while ridge and torch.linalg.cholesky_ex(exact + half).info:
        ridge, half = 10 * ridge, half.mul_(10)
    return ridge


def _forward_pass(model: EditableModel) -> AbstractContextManager[object]:
    """Runs in bfloat16 where that is fast, except for a float16 model, whose overflows bfloat16 would hide."""
    return nullcontext() if model.network.dtype is torch.float16 else model.reduced()


@torch.no_grad()
def second_moments(
    model: EditableModel, sequences: Sequence[list[int]], last_only: bool, progress: Callable[[int], None]
) -> tuple[dict[str, Tensor], int]:
    """Returns sums of k k^T [d_in, d_in] float32 over all tokens or the last of each sequence, and their number."""
    width = model.key_width
    sums = {module: torch.zeros(width, width, device=model.device) for module in model.modules}
    order = sorted(sequences, key=len)
    keep = torch.zeros(0, dtype=torch.bool)
    count = 0

    def hook(module: str) -> Callable[..., None]:
        def add(_: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
            keys = inputs[0][keep].float()  # [kept tokens, d_in]
            sums[module].addmm_(keys.T, keys)
            if module == model.modules[-1]:
                raise _AllKeysSeen

        return add

    handles = [model.network.get_submodule(m).register_forward_pre_hook(hook(m)) for m in model.modules]
    try:
        for start in range(0, len(order), BATCH):
            ids, mask = pad(order[start : start + BATCH], model.pad_token, model.device)
            keep = mask.bool()  # [batch, tokens]
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
