"""Writing facts: from their words to a delta, by way of contexts, sites, values and protected updates."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.events import Hyperparameters
from core.facts import Fact
from core.weights.capture import capture
from core.weights.contexts import Context, contexts_of
from core.weights.delta import Delta, encode
from core.weights.subject import Subject
from core.weights.update import KeptKeys, solve_update
from core.weights.values import Sites, optimise


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of writing a batch of facts.

    Attributes:
        delta: exact factors; the columns of fact i are `first[i] .. first[i] + count[i] - 1`.
        keys: module -> [k, d_in], the facts' keys as they were before the edit; `key_fact` says whose.
        residual: per fact, length of the wanted change relative to the clean state.
        absorbed: per fact, the share of it that the delta produces at the fact's keys.
        learned: per fact, whether its value made every target token the greedy one.
    """

    delta: Delta
    first: tuple[int, ...]
    count: tuple[int, ...]
    keys: Mapping[str, Tensor]
    key_fact: Tensor
    residual: tuple[float, ...]
    absorbed: tuple[float, ...]
    learned: tuple[bool, ...]
    steps: int
    seconds: float


def write(subject: Subject, kept: dict[str, KeptKeys], facts: Sequence[Fact], prefixes: Sequence[str],
          options: Hyperparameters) -> Written:  # fmt: skip
    """Computes the delta that makes the live model say `facts`; leaves the live weights as they were.

    Args:
        kept: per module, what must not move. Not changed.
    """
    began = time.monotonic()
    contexts = [context for index, fact in enumerate(facts) for context in contexts_of(subject, index, fact, prefixes)]
    sites = find_sites(subject, contexts)
    seen = capture(subject, contexts)
    fact_of_row = torch.tensor([context.fact for context in contexts], device=subject.device)
    values = optimise(
        subject, seen, sites, fact_of_row, steps=options.steps, learning_rate=options.learning_rate,
        clamp=options.clamp, decay=options.decay, confidence=options.confidence,
    )  # fmt: skip
    owners = len(sites.fact)
    wanted = seen.hidden[seen.rows, seen.columns][sites.position].float() + values.change[sites.site]
    factors = {}
    live = {module: tensor.clone() for module, tensor in subject.live().items()}
    keys: dict[str, Tensor] = {}
    now = seen
    try:
        for number, module in enumerate(subject.modules):
            keys[module] = now.keys[module][sites.position].double()
            current = now.hidden[now.rows, now.columns][sites.position].float()
            left = len(subject.modules) - number
            u = _mean((wanted - current).double() / left, sites.site, owners)  # [s, d]
            v = solve_update(kept[module].with_keys(keys[module]), keys[module], sites.site, owners)  # [d_in, s]
            reached = _mean((keys[module] * v.T[sites.site]).sum(1), sites.site, owners)  # 1 without protection
            u = u * (1 / reached.clamp(min=1e-6)).clamp(max=options.compensation)[:, None]
            factors[module] = (encode(u.T), encode(v))
            with torch.no_grad():
                change = factors[module][0].to_float() @ factors[module][1].to_float().T
                subject.weight(module).add_(change.to(subject.weight(module).dtype))
            now = capture(subject, contexts)
        moved = now.hidden[now.rows, now.columns][sites.position].float() - (wanted - values.change[sites.site])
    finally:
        subject.install(live)
    target = values.change[sites.site]
    share = torch.where(target.norm(dim=1) > 1e-6, (moved * target).sum(1) / (target**2).sum(1).clamp(min=1e-12), 1.0)
    absorbed = _mean(share, sites.fact[sites.site], len(facts))
    clean = seen.hidden[seen.rows, seen.columns][sites.position].float().norm(dim=1)
    residual = _mean(target.norm(dim=1) / clean, sites.fact[sites.site], len(facts))
    count = torch.bincount(sites.fact, minlength=len(facts))
    return Written(
        delta=Delta(factors),
        first=tuple((count.cumsum(0) - count).tolist()),
        count=tuple(count.tolist()),
        keys=keys,
        key_fact=sites.fact[sites.site],
        residual=tuple(residual.tolist()),
        absorbed=tuple(absorbed.tolist()),
        learned=tuple(values.learned.tolist()),
        steps=values.steps,
        seconds=time.monotonic() - began,
    )


def find_sites(subject: Subject, contexts: Sequence[Context]) -> Sites:
    """The sites of each fact: names at which the pristine model's next token is wrong in some context.

    Taken from the pristine model, so that they do not depend on what was written before. A fact that it knows already
    gets the token before the object, to be kept.
    """
    with subject.with_weights(subject.pristine):
        clean = capture(subject, contexts)
        wrong = (clean.predicted(subject) != clean.targets).tolist()
    names = [(context.fact, name) for context in contexts for name in context.names]
    chosen = {name for name, miss in zip(names, wrong, strict=True) if miss}
    chosen |= {(fact, "object:0") for fact in {fact for fact, _ in names} - {fact for fact, _ in chosen}}
    number = {name: index for index, name in enumerate(sorted(chosen))}
    keys = [(position, number[name]) for position, name in enumerate(names) if name in number]
    device = subject.device
    position, site = torch.tensor(keys, device=device).T
    return Sites(torch.tensor([fact for fact, _ in sorted(chosen)], device=device), position, site)


def keys_in_force(subject: Subject, facts: Sequence[Fact], prefixes: Sequence[str]) -> dict[str, Tensor]:
    """Module -> [k, d_in] keys of facts that the live weights carry, as an executor needs them after a restart."""
    contexts = [context for index, fact in enumerate(facts) for context in contexts_of(subject, index, fact, prefixes)]
    sites = find_sites(subject, contexts)
    seen = capture(subject, contexts)
    return {module: keys[sites.position] for module, keys in seen.keys.items()}


def _mean(values: Tensor, group: Tensor, groups: int) -> Tensor:
    shape = (groups, *values.shape[1:])
    total = torch.zeros(shape, dtype=values.dtype, device=values.device).index_add(0, group, values)
    counts = torch.bincount(group, minlength=groups).to(values.dtype)
    return total / counts.reshape(-1, *[1] * (values.ndim - 1))
