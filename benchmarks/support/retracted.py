"""Compares the answers of weights from which facts were retracted with those of the base model and of before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.weights.evaluation.probes import Probe, run_probes
from core.weights.model.activations import pad
from core.weights.model.editable_model import EditableModel

Weights = Mapping[str, Tensor]
BATCH = 16  # sequences whose logits are compared at once


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked before and after facts are retracted.

    Attributes:
        gone: probes of the retracted facts, each with its kind, such as "raw".
        others: probes of the facts that stay.
        neighbours: questions about what the base model knows.
        strangers: questions about people that nothing was told about.
        texts: token ids of held-out text.
    """

    gone: Sequence[tuple[str, Probe]]
    others: Sequence[Probe]
    neighbours: Sequence[Probe]
    strangers: Sequence[Probe]
    texts: Sequence[Sequence[int]]


class Judge:
    """Asks the same questions of the weights at its creation and of later ones."""

    def __init__(self, model: EditableModel, questions: Questions) -> None:
        self._model, self._questions = model, questions
        self._gone = [probe for _, probe in questions.gone]
        self._before = self._ask()
        with model.with_weights(model.base_weights):
            self._base = run_probes(model, self._gone)

    def compare(self, weights: Weights, never: Weights | None) -> dict[str, float]:
        """Returns the numbers of a row: `weights` beside the base model, the weights at creation, and `never`."""
        with self._model.with_weights(weights):
            gone, controls = run_probes(self._model, self._gone), self._ask()
        base = self._model.base_weights
        row = {"base_answers": _same(gone, self._base)}
        for kind in dict.fromkeys(kind for kind, _ in self._questions.gone):
            places = [place for place, (of, _) in enumerate(self._questions.gone) if of == kind]
            row[f"base_answers_{kind}"] = _same([gone[p] for p in places], [self._base[p] for p in places])
        row |= {group: _same(now, self._before[group]) for group, now in controls.items()}
        row |= self._distances("", base, weights)
        return row if never is None else row | self._distances("_never", never, weights)

    def _ask(self) -> dict[str, list[str]]:
        """Returns the live answers to each group of questions about what must not change."""
        asked = self._questions
        groups = {"others_unchanged": asked.others, "neighbours": asked.neighbours, "strangers": asked.strangers}
        return {group: run_probes(self._model, probes) for group, probes in groups.items()}

    def _distances(self, suffix: str, of: Weights, to: Weights) -> dict[str, float]:
        heads = [_head(self._model, probe) for probe in self._gone]
        return {
            f"kl_text{suffix}": self._distance(self._questions.texts, of, to, ends=False),
            f"kl_probes{suffix}": self._distance(heads, of, to, ends=True),
        }

    @torch.inference_mode()
    def _distance(self, sequences: Sequence[Sequence[int]], of: Weights, to: Weights, *, ends: bool) -> float:
        """Returns the mean KL in nats from the next-token distributions with `of` to those with `to`.

        Args:
            ends: whether only the distribution after the last token of each sequence counts.
        """
        total, count = 0.0, 0
        for start in range(0, len(sequences), BATCH):
            batch = sequences[start : start + BATCH]
            ids, mask = pad(batch, self._model.pad_token, self._model.device)  # [batch, length], 1 at tokens
            if ends:
                mask = torch.nn.functional.one_hot(mask.sum(1) - 1, mask.shape[1])
            logs = []
            for weights in (of, to):
                with self._model.with_weights(weights):
                    logits = self._model.network(input_ids=ids, attention_mask=None, use_cache=False).logits
                    logs.append(logits[mask.bool()].float().log_softmax(-1))
            total += float((logs[0].exp() * (logs[0] - logs[1])).sum())
            count += int(mask.sum())
        return total / count


def _head(model: EditableModel, probe: Probe) -> list[int]:
    return model.chat_ids([], probe.prompt) if probe.chat else model.raw_ids(probe.prompt)


def _same(now: Sequence[str], before: Sequence[str]) -> float:
    return sum(answer == earlier for answer, earlier in zip(now, before, strict=True)) / max(len(before), 1)
