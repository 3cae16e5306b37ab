"""Writing facts: from their words to a delta, by way of contexts, sites, values and protected updates."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.events import Hyperparameters
from core.facts import Fact
from core.weights.capture import Capture, capture, last_keys
from core.weights.contexts import Context, contexts_of
from core.weights.delta import Delta, encode
from core.weights.subject import Subject
from core.weights.update import KeptKeys, solve_update
from core.weights.values import Sites, optimise

SAID = 0.8  # a target token of at least this probability is taken to be said in other wordings too


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
    clean = _at(seen, sites)
    change = values.change[sites.site]
    before = {module: tensor.clone() for module, tensor in subject.live().items()}
    try:
        still = last_keys(subject, [subject.chat_ids([], question) for question in untold]) if untold else {}
        edit, now = _spread(subject, kept, sites, clean + change, still, seen)
        moved = _retouch(subject, before, sites, clean + change, edit, now, options.retouches) - clean
    finally:
        subject.install(before)
    length = (change**2).sum(1)
    share = torch.where(length > 1e-12, (moved * change).sum(1) / length.clamp(min=1e-12), 1.0)
    fact_of_key = sites.fact[sites.site]
    count = torch.bincount(sites.fact, minlength=len(facts))
    return Written(
        delta=Delta({module: (encode(u.T), encode(v)) for module, (u, v) in edit.factors.items()}),
        first=tuple((count.cumsum(0) - count).tolist()),
        count=tuple(count.tolist()),
        keys=edit.keys,
        key_fact=fact_of_key,
        residual=tuple(_mean(length.sqrt() / clean.norm(dim=1), fact_of_key, len(facts)).tolist()),
        absorbed=tuple(_mean(share, fact_of_key, len(facts)).tolist()),
        learned=tuple(values.learned.tolist()),
        steps=values.steps,
        seconds=time.monotonic() - began,
    )


@dataclass(frozen=True, slots=True)
class _Edit:
    """Per module U [s, d_out] and V [d_in, s], a column a site, and the keys [k, d_in] they were solved for."""

    factors: dict[str, tuple[Tensor, Tensor]]
    keys: dict[str, Tensor]


def _spread(subject: Subject, kept: Mapping[str, KeptKeys], sites: Sites, wanted: Tensor,
            still: Mapping[str, Tensor], seen: Capture) -> tuple[_Edit, Capture]:  # fmt: skip
    """One protected update per module, first to last; what is left to move is measured again after each.

    Args:
        still: module -> [m, d_in], keys that must not move in this edit.

    Returns:
        The edit, and what the contexts look like with it; its weights are live.
    """
    edit, now = _Edit({}, {}), seen
    for number, module in enumerate(subject.modules):
        keys = now.keys[module][sites.position].double()
        left = len(subject.modules) - number
        u = _mean((wanted - _at(now, sites)).double() / left, sites.site, len(sites.fact))
        constrained = kept[module].with_keys(keys)
        if still:
            constrained = constrained.with_keys(still[module])
        edit.keys[module] = keys
        edit.factors[module] = (u, solve_update(constrained, keys, sites.site, len(sites.fact)))
        _add(subject, module, subject.weight(module).clone(), edit)
        now = now.again(module)
    return edit, now


def _retouch(subject: Subject, before: Mapping[str, Tensor], sites: Sites, wanted: Tensor,
             edit: _Edit, now: Capture, rounds: int) -> Tensor:  # fmt: skip
    """Moves on, in the last module, the sites at which what protection held back leaves some target unsaid.

    Returns:
        [k, d] the hidden states that the edit reaches.
    """
    last = subject.modules[-1]
    for _ in range(rounds):
        unsaid = torch.zeros(len(sites.fact), device=subject.device).index_add(
            0, sites.site, (now.probability()[sites.position] < SAID).float()
        )
        if not unsaid.any():
            break
        u, v = edit.factors[last]
        short = _mean((wanted - _at(now, sites)).double(), sites.site, len(sites.fact))
        edit.factors[last] = (u + short * (unsaid > 0)[:, None], v)
        _add(subject, last, before[last], edit)
        now = now.again(last)
    return _at(now, sites)


def _add(subject: Subject, module: str, weight: Tensor, edit: _Edit) -> None:
    """Makes `weight` plus the module's part of `edit`, as it will be stored, the live weight."""
    u, v = edit.factors[module]
    change = encode(u.T).to_float() @ encode(v).to_float().T
    with torch.no_grad():
        subject.weight(module).copy_(weight + change.to(weight))


def _at(seen: Capture, sites: Sites) -> Tensor:
    """[k, d] float32 hidden states at the keys' positions."""
    return seen.hidden[sites.position].float()


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


def _mean(values: Tensor, group: Tensor, groups: int) -> Tensor:
    shape = (groups, *values.shape[1:])
    total = torch.zeros(shape, dtype=values.dtype, device=values.device).index_add(0, group, values)
    counts = torch.bincount(group, minlength=groups).to(values.dtype)
    return total / counts.reshape(-1, *[1] * (values.ndim - 1))
