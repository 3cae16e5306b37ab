"""Computes the losses of consolidation: of target tokens, and of the distance from the base model on other texts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.weights.model.activations import pad
from core.weights.model.contexts import Context
from core.weights.model.editable_model import EditableModel
from core.weights.model.last_mlp import only_at
from core.weights.model.lower_layers import LowerLayerCache

BATCH = 32  # texts in one pass of the base model
STRETCH = 1.25  # longest over shortest of the sequences padded together


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A text that the adapted model must read as the base model does.

    Attributes:
        ids: token ids.
        hidden: [tokens, d] what the base model unembeds after each token.
    """

    ids: Sequence[int]
    hidden: Tensor


@dataclass(frozen=True, slots=True)
class Losses:
    """The losses of one batch, with gradients.

    Attributes:
        contexts: [contexts] mean negative log-likelihood of each one's target tokens.
        texts: [texts] mean KL divergence from the base model over each one's tokens.
        divergence: KL divergence averaged over all tokens, plus that averaged over the last tokens alone. Last tokens
            count twice because there the answer to a question begins.
    """

    contexts: Tensor
    texts: Tensor
    divergence: Tensor

    @property
    def mean(self) -> Tensor:
        """Mean over contexts; zero without any."""
        return self.contexts.sum() / max(len(self.contexts), 1)


@torch.no_grad()
def rehearse(
    model: EditableModel, texts: Sequence[Sequence[int]], lower: LowerLayerCache | None = None
) -> list[Rehearsed]:
    """Runs the base model over `texts`; `lower` may stand in for its lower blocks."""
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    rehearsed: dict[int, Rehearsed] = {}
    with model.with_weights(model.base_weights):
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            hidden = _hidden(model, [texts[index] for index in batch], lower)
            rehearsed |= {index: Rehearsed(texts[index], row) for index, row in zip(batch, hidden, strict=True)}
    return [rehearsed[index] for index in range(len(texts))]


def losses_of(
    clone: EditableModel, lower: LowerLayerCache | None, contexts: Sequence[Context], texts: Sequence[Rehearsed]
) -> Losses:
    """Computes the losses of the adapted model `clone` on `contexts` and `texts`, all in one padded pass."""
    with clone.reduced():
        sequences = [*(context.ids for context in contexts), *(text.ids for text in texts)]
        first = [*(context.start - 1 for context in contexts), *[0] * len(texts)]
        hidden = _hidden(clone, sequences, lower, first)
    of_contexts = _target_losses(clone, contexts, hidden[: len(contexts)])
    of_texts, divergence = _divergences(clone, texts, hidden[len(contexts) :])
    return Losses(of_contexts, of_texts, divergence)


def _target_losses(clone: EditableModel, contexts: Sequence[Context], hidden: Sequence[Tensor]) -> Tensor:
    """Returns [contexts] mean negative log-likelihood of target tokens; `hidden` [tokens, d] per context."""
    if not contexts:
        return torch.zeros(0, device=clone.device)
    # The target tokens of a context stand at `start` and after it; each is predicted by the position before its own.
    predicting = [states[context.start - 1 : -1] for states, context in zip(hidden, contexts, strict=True)]
    targets = torch.tensor(
        [token for context in contexts for token in context.ids[context.start :]], device=clone.device
    )
    losses = F.cross_entropy(clone.unembed(torch.cat(predicting)), targets, reduction="none")  # [target tokens]
    return torch.stack([part.mean() for part in torch.split(losses, [len(states) for states in predicting])])


def _divergences(clone: EditableModel, texts: Sequence[Rehearsed], hidden: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Returns `texts` and `divergence` of `Losses`; `hidden` [tokens, d] per text."""
    none = torch.zeros(0, device=clone.device)
    if not texts:
        return none, none.sum()
    with torch.no_grad():
        base = clone.unembed(torch.cat([text.hidden for text in texts])).log_softmax(-1)  # [tokens, vocabulary]
    adapted = clone.unembed(torch.cat(list(hidden))).log_softmax(-1)
    kl = (base.exp() * (base - adapted)).sum(-1)  # [tokens], KL(base || adapted)
    lengths = [len(text.ids) for text in texts]
    last = torch.tensor(lengths, device=clone.device).cumsum(0) - 1  # [texts], the last token of each
    of_texts = torch.stack([part.mean() for part in torch.split(kl, lengths)])
    return of_texts, kl.mean() + kl[last].mean()


def _hidden(
    model: EditableModel,
    sequences: Sequence[Sequence[int]],
    lower: LowerLayerCache | None = None,
    first: Sequence[int] | None = None,
) -> list[Tensor]:
    """Returns per sequence [tokens, d] float32, what is unembedded after each token.

    Args:
        first: per sequence, the first token after which the state is needed; all by default.
    """
    order = sorted(range(len(sequences)), key=lambda index: len(sequences[index]))
    hidden: dict[int, Tensor] = {}
    while order:
        # Sequences of about the same length run together, so that little of a pass is padding.
        longest = len(sequences[order[0]]) * STRETCH
        batch = [index for index in order if len(sequences[index]) <= longest]
        order = order[len(batch) :]
        texts = [sequences[index] for index in batch]
        ids, mask = pad(texts, model.pad_token, model.device)  # [batch, tokens]
        needed = mask.bool()
        for row, index in enumerate(batch):
            needed[row, : first[index] if first else 0] = False
        with only_at(model, needed), lower.standing_in(model, texts) if lower else nullcontext():
            states = model.network.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        hidden |= {index: states[row, : len(sequences[index])].float() for row, index in enumerate(batch)}
    return [hidden[index] for index in range(len(sequences))]
