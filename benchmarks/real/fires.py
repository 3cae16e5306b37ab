"""Counts where memory neurons respond in text that is not about their subjects.

What an MLP reads in the base model does not depend on a memory, so it is computed once and kept in a file of the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from benchmarks.real.text import documentation
from core.weights.model.activations import pad
from core.weights.model.editable_model import EditableModel
from core.weights.model.neurons import MARKS

PASS = 4096  # tokens in a pass, padding included
ROWS = 16384  # inputs whose responses are computed at once
MILLION = 1_000_000


class Inputs:
    """The inputs of MLPs of a base model at every token of held-out text, in float16.

    Args:
        folder: of the files, one for each MLP.
        digest: of the base model.
        tokens: number of tokens, at most.
    """

    def __init__(self, base: EditableModel, folder: Path, digest: str, tokens: int) -> None:
        self._base, self._folder, self._digest, self._tokens = base, folder, digest, tokens

    def of(self, mlp: str, progress: Callable[[int, int], None]) -> numpy.ndarray[Any, numpy.dtype[numpy.float16]]:
        """Returns [tokens, d], a view into a file that is written first where it is missing."""
        path = self._folder / f"inputs-{self._digest[:16]}-{mlp}-{self._tokens}.npy"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            self._write(mlp, part, progress)
            part.replace(path)
        return numpy.load(path, mmap_mode="r")

    def _write(self, mlp: str, path: Path, progress: Callable[[int, int], None]) -> None:
        sequences = documentation(self._base, self._tokens)
        total, done = sum(map(len, sequences)), 0
        shape = (total, self._base.hidden_width)
        kept = numpy.lib.format.open_memmap(path, mode="w+", dtype=numpy.float16, shape=shape)
        for rows in _read_inputs(self._base, mlp, sequences):
            kept[done : done + len(rows)] = rows.half().cpu().numpy()
            done += len(rows)
            progress(done, total)
        kept.flush()


def false_fires(model: EditableModel, inputs: Inputs, progress: Callable[[int, int], None]) -> float | None:
    """Returns the responses above 0 per million tokens and neuron; None where the model has no neurons."""
    fires = looks = 0
    for mlp, neurons in model.neurons.items():
        if not len(neurons.rows):
            continue
        read = inputs.of(mlp.removesuffix(MARKS), progress)
        for start in range(0, len(read), ROWS):
            x = torch.from_numpy(read[start : start + ROWS].astype(numpy.float32))
            fires += int((neurons.responses(x.to(model.device)) > 0).sum())
        looks += len(read) * len(neurons.rows)
    return fires * MILLION / looks if looks else None


class _Enough(Exception):
    """The blocks above are not needed."""


@torch.inference_mode()
def _read_inputs(base: EditableModel, mlp: str, sequences: Sequence[Sequence[int]]) -> Iterator[Tensor]:
    """Yields [tokens, d] the inputs of an MLP, batch by batch, at tokens that are not padding."""
    seen: list[Tensor] = []

    def keep(_: object, given: tuple[Any, ...]) -> None:
        seen.append(given[0])
        raise _Enough

    hook = base.network.get_submodule(mlp).register_forward_pre_hook(keep)
    try:
        for batch in _batches(sequences):
            ids, mask = pad(batch, base.pad_token, base.device)
            with suppress(_Enough):
                base.network(input_ids=ids, attention_mask=mask, use_cache=False)
            yield seen.pop()[mask.bool()]
    finally:
        hook.remove()


def _batches(sequences: Sequence[Sequence[int]]) -> Iterator[list[Sequence[int]]]:
    """Yields sequences of about the same length together, at most `PASS` tokens with their padding."""
    rest = sorted(sequences, key=len)
    while rest:
        count = max(1, PASS // len(rest[-1]))
        rest, batch = rest[:-count], rest[-count:]
        yield batch
