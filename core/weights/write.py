"""Writing facts: from their words to a delta, by way of contexts, sites, values and protected updates."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from core.events import Hyperparameters
from core.facts import Fact
from core.weights.capture import Capture, capture, last_keys
from core.weights.contexts import Context, contexts_of
from core.weights.move import Written, hidden_at, move, written
from core.weights.subject import Subject
from core.weights.update import KeptKeys
from core.weights.values import Sites, optimise

SAID = 0.8  # a target token of at least this probability is taken to be said in other wordings too


def write(subject: Subject, kept: Mapping[str, KeptKeys], facts: Sequence[Fact], prefixes: Sequence[str],
          options: Hyperparameters, untold: Sequence[str] = ()) -> Written:  # fmt: skip
    """Computes the delta that makes the live model say `facts`; leaves the live weights as they were.

    Args:
        kept: per module, what must not move. Not changed.
        untold: questions about the facts' subjects whose answers must not move either; they count in this edit only,
            as an answer leaks from what is told about a subject to what is not, and no further.
    """
    began = time.monotonic()
    contexts = [context for index, fact in enumerate(facts) for context in contexts_of(subject, index, fact, prefixes)]
    sites, seen = find_sites(subject, contexts)
    values = optimise(
        seen, sites, torch.tensor([context.fact for context in contexts], device=subject.device),
        steps=options.steps, learning_rate=options.learning_rate, clamp=options.clamp, decay=options.decay,
        confidence=options.confidence,
    )  # fmt: skip
    clean, change = hidden_at(seen, sites), values.change[sites.site]
    still = last_keys(subject, [subject.chat_ids([], question) for question in untold]) if untold else {}

    def unsaid(now: Capture) -> Tensor:
        return now.probability() < SAID

    moved = move(subject, kept, sites, clean + change, still, seen, unsaid, options.retouches)
    learned = tuple(bool(one) for one in values.learned)
    return written(moved, sites, clean, change, learned, values.steps, time.monotonic() - began)


def find_sites(subject: Subject, contexts: Sequence[Context]) -> tuple[Sites, Capture]:
    """The sites of each fact, names at which the pristine model's next token is wrong in some context, and what the
    live model sees.

    Sites are taken from the pristine model, so that they do not depend on what was written before. A fact that it knows
    already gets the token before the object, to be kept.
    """
    with subject.with_weights(subject.pristine):
        clean = capture(subject, contexts)
        wrong = (clean.predicted() != clean.targets).tolist()
    names = [(context.fact, name) for context in contexts for name in context.names]
    chosen = {name for name, miss in zip(names, wrong, strict=True) if miss}
    chosen |= {(fact, "object:0") for fact in {fact for fact, _ in names} - {fact for fact, _ in chosen}}
    number = {name: index for index, name in enumerate(sorted(chosen))}
    keys = [(position, number[name]) for position, name in enumerate(names) if name in number]
    device = subject.device
    position, site = torch.tensor(keys, device=device).T
    sites = Sites(torch.tensor([fact for fact, _ in sorted(chosen)], device=device), position, site)
    return sites, clean.again(subject.modules[0])


def keys_in_force(subject: Subject, facts: Sequence[Fact], prefixes: Sequence[str]) -> dict[str, Tensor]:
    """Module -> [k, d_in] keys of facts that the live weights carry, as an executor needs them after a restart."""
    contexts = [context for index, fact in enumerate(facts) for context in contexts_of(subject, index, fact, prefixes)]
    sites, seen = find_sites(subject, contexts)
    return {module: keys[sites.position] for module, keys in seen.keys.items()}
