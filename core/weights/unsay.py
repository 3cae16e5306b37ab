"""Taking a fact out of the weights where leaving out its columns is not enough: a counter-edit.

Adapters that were trained on the fact say it still, and facts about the same subject lean towards it. So the hidden
states at the places where the fact was written, and along what the pristine model says instead, are moved to what they
are in the pristine model; nothing has to be searched for. Each key has a column of its own, as each has a residual.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from core.events import Hyperparameters
from core.facts import Fact
from core.weights.capture import Capture, capture
from core.weights.contexts import Context, contexts_of
from core.weights.move import Written, hidden_at, move, written
from core.weights.probe import spoken
from core.weights.subject import Subject
from core.weights.update import KeptKeys
from core.weights.values import Sites

PASSES = 3  # over the contexts, as moving some places may displace others


def unsay(subject: Subject, kept: Mapping[str, KeptKeys], fact: Fact, prefixes: Sequence[str],
          options: Hyperparameters, still: Mapping[str, Tensor]) -> Written | None:  # fmt: skip
    """The delta that makes the live model, on which `fact` has no columns, answer as the pristine one does.

    Args:
        kept: per module, what must not move. Not changed.
        still: module -> [m, d_in], keys that must not move in this edit either.

    Returns:
        None where the live model says the pristine one's greedy token at every place already.
    """
    began = time.monotonic()
    told = contexts_of(subject, 0, fact, prefixes)
    with subject.with_weights(subject.pristine):
        contexts = [*told, *_answers(subject, told)]
        clean = capture(subject, contexts)
    now = clean.again(subject.modules[0])
    said = clean.predicted()
    watched = (said != clean.targets) | (clean.rows >= len(told))

    def missed(seen: Capture) -> Tensor:
        return watched & (seen.predicted() != said)

    wrong = missed(now)
    if not wrong.any():
        return None
    chosen = watched & (clean.rows < len(told))
    for _ in range(PASSES):
        chosen = chosen | wrong
        sites = _each_its_own(chosen)
        wanted = hidden_at(clean, sites)
        moved = move(subject, kept, sites, wanted, still, now, missed, options.retouches)
        wrong = missed(moved.seen)
        if not (wrong & ~chosen).any():
            break
    here = hidden_at(now, sites)
    learned = (not wrong.any().item(),)
    return written(moved, sites, here, wanted - here, learned, 0, time.monotonic() - began)


def _answers(subject: Subject, told: Sequence[Context]) -> list[Context]:
    """The prompts of `told` and what the live model says after each."""
    found: list[Context] = []
    for chat in (False, True):
        prompts = [one.ids[: one.start] for one in told if one.chat is chat]
        for prompt, answer in zip(prompts, spoken(subject, prompts, sentence=not chat), strict=True):
            ids = (*prompt, *answer, *((subject.end_tokens()[0],) if chat or not answer else ()))
            names = tuple(f"own:{number}" for number in range(len(ids) - len(prompt)))
            found.append(Context(0, ids, len(prompt), names, chat))
    return found


def _each_its_own(chosen: Tensor) -> Sites:
    """Each of the `chosen` [p] positions a site of the one fact."""
    position = chosen.nonzero()[:, 0]
    return Sites(torch.zeros_like(position), position, torch.arange(len(position), device=position.device))
