"""Moving hidden states: at chosen sites from what they are to what they should be, nothing else if it can be helped.

What writing a fact and taking one out of the weights have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from core.weights.deltas.fixed_point import Delta, encode
from core.weights.memit.closed_form import KeyConstraints, solve_update
from core.weights.memit.target_values import Sites
from core.weights.model.activations import Activations
from core.weights.model.editable_model import EditableModel

Short = Callable[[Activations], Tensor]  # [p] bool, the positions after which the model does not yet say what it should


@dataclass(frozen=True, slots=True)
class Written:
    """A change of the weights on behalf of a batch of facts.

    Attributes:
        delta: exact factors; the columns of fact i are `first[i] .. first[i] + count[i] - 1`.
        keys: module -> [k, d_in], the facts' keys as they were before the edit; `key_fact` says whose.
        residual: per fact, length of the wanted change relative to the clean state.
        absorbed: per fact, the share of it that the delta produces at the fact's keys.
        learned: per fact, whether every token that is wanted can be the greedy one.
        said: per fact, whether the model with the delta says the whole target in each of its contexts; not measured
            where it is empty.
        more: per fact, its sites beside those that the pristine model gets wrong.
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
    more: tuple[tuple[str, ...], ...]
    said: tuple[tuple[bool, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    """What `move` did.

    Attributes:
        factors: per module U [s, d_out] and V [d_in, s], a column a site.
        keys: per module [k, d_in], what they were solved for.
        reached: [k, d], the hidden states they lead to; `seen` all that the contexts look like there.
    """

    factors: dict[str, tuple[Tensor, Tensor]]
    keys: dict[str, Tensor]
    reached: Tensor
    seen: Activations


def move(
    model: EditableModel,
    kept: Mapping[str, KeyConstraints],
    sites: Sites,
    wanted: Tensor,
    still: Mapping[str, Tensor],
    seen: Activations,
    short: Short,
    rounds: int,
) -> Moved:
    """The change that moves the live model's hidden states at the keys of `sites` to `wanted`; it stays as it was.

    Args:
        kept: per module, what must not move. Not changed.
        wanted: [k, d].
        still: module -> [m, d_in], keys that must not move in this edit either.
        seen: what the live model sees.
        rounds: at most so many times, sites of which a key is `short` are moved on.
    """
    before = {module: tensor.clone() for module, tensor in model.live().items()}
    edit = _Edit({}, {})
    try:
        now = _spread(model, kept, sites, wanted, still, seen, edit)
        now = _refine(model, before, sites, wanted, edit, now, short, rounds)
    finally:
        model.install(before)
    return Moved(edit.factors, edit.keys, hidden_at(now, sites), now)


def written(
    moved: Moved,
    sites: Sites,
    clean: Tensor,
    change: Tensor,
    learned: tuple[bool, ...],
    steps: int,
    seconds: float,
    more: Collection[tuple[int, str]] = (),
) -> Written:
    """What is recorded of `moved`, which should have made hidden states of `clean` [k, d] by adding `change` [k, d]."""
    facts, fact_of_key = len(learned), sites.fact[sites.site]
    length = (change**2).sum(1)
    share = torch.where(
        length > 1e-12, ((moved.reached - clean) * change).sum(1) / length.clamp(min=1e-12), 1.0
    )  # fmt: skip
    count = torch.bincount(sites.fact, minlength=facts)
    return Written(
        delta=Delta({module: (encode(u.T), encode(v)) for module, (u, v) in moved.factors.items()}),
        first=tuple((count.cumsum(0) - count).tolist()),
        count=tuple(count.tolist()),
        keys=moved.keys,
        key_fact=fact_of_key,
        residual=tuple(mean_by(length.sqrt() / clean.norm(dim=1), fact_of_key, facts).tolist()),
        absorbed=tuple(mean_by(share, fact_of_key, facts).tolist()),
        learned=learned,
        steps=steps,
        seconds=seconds,
        more=tuple(tuple(sorted(name for fact, name in more if fact == index)) for index in range(facts)),
    )


def hidden_at(seen: Activations, sites: Sites) -> Tensor:
    """[k, d] float32 hidden states at the keys' positions."""
    return seen.hidden[sites.position].float()


def mean_by(values: Tensor, group: Tensor, groups: int) -> Tensor:
    """[groups, ...] means of `values` [n, ...] by `group` [n]."""
    shape = (groups, *values.shape[1:])
    total = torch.zeros(shape, dtype=values.dtype, device=values.device).index_add(0, group, values)
    counts = torch.bincount(group, minlength=groups).to(values.dtype)
    return total / counts.reshape(-1, *[1] * (values.ndim - 1))


@dataclass(frozen=True, slots=True)
class _Edit:
    """As in `Moved`, while it is made."""

    factors: dict[str, tuple[Tensor, Tensor]]
    keys: dict[str, Tensor]


def _spread(
    model: EditableModel,
    kept: Mapping[str, KeyConstraints],
    sites: Sites,
    wanted: Tensor,
    still: Mapping[str, Tensor],
    seen: Activations,
    edit: _Edit,
) -> Activations:
    """One protected update per module, first to last; what is left to move is measured again after each.

    Returns:
        What the contexts look like with the edit; its weights are live.
    """
    now = seen
    for number, module in enumerate(model.modules):
        keys = now.keys[module][sites.position].double()
        left = len(model.modules) - number
        u = mean_by((wanted - hidden_at(now, sites)).double() / left, sites.site, len(sites.fact))
        constrained = kept[module].with_keys(keys)
        if still:
            constrained = constrained.with_keys(still[module])
        edit.keys[module] = keys
        edit.factors[module] = (u, solve_update(constrained, keys, sites.site, len(sites.fact)))
        _add(model, module, model.weight(module).clone(), edit)
        now = now.recompute_from(module)
    return now


def _refine(
    model: EditableModel,
    before: Mapping[str, Tensor],
    sites: Sites,
    wanted: Tensor,
    edit: _Edit,
    now: Activations,
    short: Short,
    rounds: int,
) -> Activations:
    """Moves on, in the last module, the sites at which protection held back too much.

    Returns:
        What the contexts look like then.
    """
    last = model.modules[-1]
    for _ in range(rounds):
        far = short(now)[sites.position].float()
        unsaid = torch.zeros(len(sites.fact), device=model.device).index_add(0, sites.site, far)
        if not unsaid.any():
            break
        u, v = edit.factors[last]
        missing = mean_by((wanted - hidden_at(now, sites)).double(), sites.site, len(sites.fact))
        edit.factors[last] = (u + missing * (unsaid > 0)[:, None], v)
        _add(model, last, before[last], edit)
        now = now.recompute_from(last)
    return now


def _add(model: EditableModel, module: str, weight: Tensor, edit: _Edit) -> None:
    """Makes `weight` plus the module's part of `edit`, as it will be stored, the live weight."""
    u, v = edit.factors[module]
    change = encode(u.T).to_float() @ encode(v).to_float().T
    with torch.no_grad():
        model.weight(module).copy_(weight + change.to(weight))
