"""Spreads a change of hidden states over the weights of the edited modules, one protected update each.

This is the loop of MEMIT (Meng et al. 2023, section 4.3, Algorithm 1): module by module, first to last, each takes an
equal share of the residual that is left, and keys and residual are measured again after each. Edits and counter-edits
both end here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from core.weights.deltas.fixed_point import Delta, encode
from core.weights.memit.closed_form import KeyConstraints, solve_update
from core.weights.memit.target_values import Sites, mean_by
from core.weights.model.activations import Activations
from core.weights.model.editable_model import EditableModel

# Returns [p] bool, the positions after which the model does not yet predict what it should.
FallsShort = Callable[[Activations], Tensor]


@dataclass(frozen=True, slots=True)
class Written:
    """A change of the weights on behalf of a batch of facts.

    Attributes:
        delta: exact factors; the columns of fact i are `first[i] .. first[i] + count[i] - 1`.
        keys: module -> [k, d_in], the facts' keys as they were before the edit.
        key_fact: [k] the fact of each key.
        residual: per fact, length of the wanted change of the hidden state relative to the state before.
        achieved: per fact, the share of that change that the delta produces at the fact's keys.
        learned: per fact, whether every target token can be made the greedy one.
        steps: number of Adam steps.
        seconds: wall-clock time.
        extra_sites: per fact, its sites beside those at which the base model is wrong.
        predicted: per fact and context, whether the model with the delta predicts the whole target; empty where that
            was not measured.
    """

    delta: Delta
    first: tuple[int, ...]
    count: tuple[int, ...]
    keys: Mapping[str, Tensor]
    key_fact: Tensor
    residual: tuple[float, ...]
    achieved: tuple[float, ...]
    learned: tuple[bool, ...]
    steps: int
    seconds: float
    extra_sites: tuple[tuple[str, ...], ...]
    predicted: tuple[tuple[bool, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    """What `move` computed.

    Attributes:
        factors: module -> U^T [s, d_out] and V [d_in, s], a column of each factor per site.
        keys: module -> [m, d_in], the keys that the update was solved for.
        owner: [m], the site of each of them.
        reached: [k, d], the hidden states at the sites' positions with the change.
        seen: what the model sees on the contexts with the change.
    """

    factors: dict[str, tuple[Tensor, Tensor]]
    keys: dict[str, Tensor]
    owner: Tensor
    reached: Tensor
    seen: Activations


def move(
    model: EditableModel,
    kept: Mapping[str, KeyConstraints],
    sites: Sites,
    target: Tensor,
    held_keys: Mapping[str, Tensor],
    seen: Activations,
    falls_short: FallsShort,
    rounds: int,
    *,
    averaged: bool = False,
) -> Moved:
    """Computes the change of the weights that moves hidden states at `sites` to `target`; the live weights stay.

    Args:
        kept: module -> what must not move. Not changed.
        target: [k, d], the hidden state wanted at each key.
        held_keys: module -> [m, d_in], further keys that must not move in this edit.
        seen: what the live model sees.
        rounds: most times that sites at which a key `falls_short` are moved further.
        averaged: solve for the mean key of each site, as MEMIT does, instead of each of its keys.
    """
    before = {module: tensor.clone() for module, tensor in model.live().items()}
    owner = torch.arange(len(sites.fact), device=model.device) if averaged else sites.site
    edit = _Edit(owner)
    try:
        now = _spread(model, kept, sites, target, held_keys, seen, edit)
        now = _refine(model, before, sites, target, edit, now, falls_short, rounds)
    finally:
        model.install(before)
    return Moved(edit.factors, edit.keys, owner, hidden_at(now, sites), now)


def written(
    moved: Moved,
    sites: Sites,
    before: Tensor,
    change: Tensor,
    learned: tuple[bool, ...],
    steps: int,
    seconds: float,
    extra_sites: Collection[tuple[int, str]] = (),
) -> Written:
    """Returns what is recorded of `moved`, which should have added `change` [k, d] to the states `before` [k, d]."""
    facts, fact_of_key = len(learned), sites.fact[sites.site]
    length = (change**2).sum(1)  # [k], squared
    # The share of the wanted change that came about: its projection on the wanted direction; 1 where none was wanted.
    share = torch.where(length > 1e-12, ((moved.reached - before) * change).sum(1) / length.clamp(min=1e-12), 1.0)
    count = torch.bincount(sites.fact, minlength=facts)
    return Written(
        delta=Delta({module: (encode(u.T), encode(v)) for module, (u, v) in moved.factors.items()}),
        first=tuple((count.cumsum(0) - count).tolist()),
        count=tuple(count.tolist()),
        keys=moved.keys,
        key_fact=sites.fact[moved.owner],
        residual=tuple(mean_by(length.sqrt() / before.norm(dim=1), fact_of_key, facts).tolist()),
        achieved=tuple(mean_by(share, fact_of_key, facts).tolist()),
        learned=learned,
        steps=steps,
        seconds=seconds,
        extra_sites=tuple(tuple(sorted(name for fact, name in extra_sites if fact == index)) for index in range(facts)),
    )


def hidden_at(seen: Activations, sites: Sites) -> Tensor:
    """Returns [k, d] float32 hidden states at the keys' positions."""
    return seen.hidden[sites.position].float()


def install_sum(model: EditableModel, module: str, weight: Tensor, u: Tensor, v: Tensor) -> None:
    """Makes `weight` + U V^T the live weight of `module`, with U and V as they will be stored.

    This is the working approximation of `deltas.fixed_point.materialise`, which is exact: U V^T is rounded to the
    weight's dtype before it is added. That is enough here, because these weights are only looked at to solve for the
    next module, and every recorded weight is built by `materialise`.

    Args:
        weight: [d_out, d_in].
        u, v: [d_out, n] and [d_in, n].
    """
    change = encode(u).to_float() @ encode(v).to_float().T  # [d_out, d_in] float64
    with torch.no_grad():
        model.weight(module).copy_(weight + change.to(weight))


@dataclass(frozen=True, slots=True)
class _Edit:
    """`factors`, `keys` and `owner` as in `Moved`; the first two are filled module by module."""

    owner: Tensor
    factors: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    keys: dict[str, Tensor] = field(default_factory=dict)


def _spread(
    model: EditableModel,
    kept: Mapping[str, KeyConstraints],
    sites: Sites,
    target: Tensor,
    held_keys: Mapping[str, Tensor],
    seen: Activations,
    edit: _Edit,
) -> Activations:
    """Fills `edit` with one protected update per module, first to last.

    Returns:
        What the model sees on the contexts with the edit; its weights are live.
    """
    now = seen
    for number, module in enumerate(model.modules):
        keys = now.keys[module][sites.position].double()  # [k, d_in]
        if edit.owner is not sites.site:
            keys = mean_by(keys, sites.site, len(sites.fact))  # [s, d_in]
        left = len(model.modules) - number
        # U^T [s, d_out]: the residual at each site, an equal share for each module that is left. The contexts of a site
        # share one column, so their residuals are averaged.
        u = mean_by((target - hidden_at(now, sites)).double() / left, sites.site, len(sites.fact))
        constrained = kept[module].with_keys(keys)
        if held_keys:
            constrained = constrained.with_keys(held_keys[module])
        edit.keys[module] = keys
        edit.factors[module] = (u, solve_update(constrained, keys, edit.owner, len(sites.fact)))
        _install(model, module, model.weight(module).clone(), edit)
        now = now.recompute_from(module)  # this module's change moves the keys and residuals of those that follow
    return now


def _refine(
    model: EditableModel,
    before: Mapping[str, Tensor],
    sites: Sites,
    target: Tensor,
    edit: _Edit,
    now: Activations,
    falls_short: FallsShort,
    rounds: int,
) -> Activations:
    """Moves the sites at which protection held back too much further, in the last module, with the same V.

    Returns:
        What the model sees on the contexts then.
    """
    last = model.modules[-1]
    for _ in range(rounds):
        short = falls_short(now)[sites.position].float()  # [k]
        short_keys = torch.zeros(len(sites.fact), device=model.device).index_add(0, sites.site, short)  # [s]
        if not short_keys.any():
            break
        u, v = edit.factors[last]
        missing = mean_by((target - hidden_at(now, sites)).double(), sites.site, len(sites.fact))  # [s, d_out]
        edit.factors[last] = (u + missing * (short_keys > 0)[:, None], v)
        _install(model, last, before[last], edit)
        now = now.recompute_from(last)
    return now


def _install(model: EditableModel, module: str, weight: Tensor, edit: _Edit) -> None:
    u, v = edit.factors[module]
    install_sum(model, module, weight, u.T, v)
