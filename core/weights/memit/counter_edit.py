"""Taking a fact out of the weights where leaving out its columns is not enough: a counter-edit.

Two things are left to do once a fact's columns are out.

Others leaned on them: facts written later were written on top, and miss them now. What the columns did is given back
everywhere but at the fact's own keys, by columns v' for v that are the protected update of today's keys in force,

    v' = v - H^-1 K^T K v,    H = lambda C + K_p K_p^T + K K^T,   K the fact's keys,

so that altogether the fact goes as it would by a protected update with R = -r. And adapters that were trained on the
fact say it still, or other facts about its subject make the model guess. So the hidden states where the fact was
written are moved to what they are in the pristine model; nothing has to be searched for. Each key has a column of its
own there, as each has a residual of its own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from core.facts import Fact
from core.hyperparameters import Hyperparameters
from core.weights.deltas.fixed_point import Delta, encode
from core.weights.memit.closed_form import KeyConstraints
from core.weights.memit.spread import Written, hidden_at, move, written
from core.weights.memit.target_values import Sites, Steps, unwatched
from core.weights.model.activations import Activations, capture
from core.weights.model.contexts import Context, contexts_of
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import generate_ids

PASSES = 3  # over the contexts, as moving some places may displace others
Factors = Mapping[str, tuple[Tensor, Tensor]]  # module -> U [d_out, n], V [d_in, n]


def compute_counter_edit(
    model: EditableModel,
    kept: Mapping[str, KeyConstraints],
    fact: Fact,
    prefixes: Sequence[str],
    options: Hyperparameters,
    still: Mapping[str, Tensor],
    left_out: Factors,
    progress: Steps = unwatched,
) -> Written | None:
    """The delta that makes the live model, on which `fact` has no columns, answer as the pristine one does.

    Args:
        kept: per module, what must not move. Not changed.
        still: module -> [m, d_in], keys that must not move in this edit either.
        left_out: the columns that the fact had; none for one that adapters carried alone.
        progress: told of each pass; what it raises ends the work.

    Returns:
        None where nobody missed the columns and the live model says the pristine one's greedy token at every place.
    """
    began = time.monotonic()
    told = contexts_of(model, 0, fact, prefixes)
    with model.with_weights(model.base_weights):
        contexts = [*told, *answers(model, told)]
        clean = capture(model, contexts)
    said = clean.predicted()
    watched = (said != clean.targets) | (clean.rows >= len(told))

    def missed(seen: Activations) -> Tensor:
        return watched & (seen.predicted() != said)

    others = bool(still) or any(len(one.whitened) for one in kept.values())
    chosen = watched & (clean.rows < len(told))
    before = {module: tensor.clone() for module, tensor in model.live().items()}
    try:
        now = clean.recompute_from(model.modules[0])
        back: dict[str, tuple[Tensor, Tensor]] = {}
        if left_out and others:
            now = _give_back(model, kept, chosen, still, left_out, now, back)
        if not back and not missed(now).any():
            return None
        wrong = missed(now)
        for number in range(PASSES):
            progress(number, PASSES)
            chosen = chosen | wrong
            sites = _each_its_own(chosen)
            wanted = hidden_at(clean, sites)
            moved = move(model, kept, sites, wanted, still, now, missed, options.retouches)
            wrong = missed(moved.seen)
            if not (wrong & ~chosen).any():
                break
    finally:
        model.install(before)
    here = hidden_at(now, sites)
    done = written(moved, sites, here, wanted - here, (not wrong.any().item(),), 0, time.monotonic() - began)
    return _joined(back, done)


def answers(model: EditableModel, told: Sequence[Context]) -> list[Context]:
    """The prompts of `told` and what the live model says after each, as contexts of the first fact."""
    found: list[Context] = []
    for chat in (False, True):
        prompts = [one.ids[: one.start] for one in told if one.chat is chat]
        for prompt, answer in zip(prompts, generate_ids(model, prompts, sentence=not chat), strict=True):
            ids = (*prompt, *answer, *((model.end_of_turn(),) if chat or not answer else ()))
            names = tuple(f"own:{number}" for number in range(len(ids) - len(prompt)))
            found.append(Context(0, ids, len(prompt), names, chat))
    return found


def _give_back(
    model: EditableModel,
    kept: Mapping[str, KeyConstraints],
    chosen: Tensor,
    still: Mapping[str, Tensor],
    left_out: Factors,
    now: Activations,
    back: dict[str, tuple[Tensor, Tensor]],
) -> Activations:
    """Fills `back` with columns that do what `left_out` did, but not at the `chosen` positions; they are live then.

    U is given an orthonormal basis, so that no column is one that the fact had to itself.
    """
    for module in model.modules:
        u, v = (factor.to(model.device) for factor in left_out[module])
        keys = now.keys[module][chosen].double()
        constrained = kept[module].with_keys(keys)
        if still:
            constrained = constrained.with_keys(still[module])
        basis, triangle = torch.linalg.qr(u)
        back[module] = basis, (v - constrained.inverse_times(keys).T @ (keys @ v)) @ triangle.T
        change = encode(basis).to_float() @ encode(back[module][1]).to_float().T
        with torch.no_grad():
            model.weight(module).add_(change.to(model.weight(module)))
        now = now.recompute_from(module)
    return now


def _joined(back: Factors, done: Written) -> Written:
    """`done` with the columns of `back` before its own."""
    if not back:
        return done
    factors = {
        module: (encode(back[module][0]).beside(u), encode(back[module][1]).beside(v))
        for module, (u, v) in done.delta.factors.items()
    }
    return replace(done, delta=Delta(factors), count=(len(next(iter(factors.values()))[0].exponent),))


def _each_its_own(chosen: Tensor) -> Sites:
    """Each of the `chosen` [p] positions a site of the one fact."""
    position = chosen.nonzero()[:, 0]
    return Sites(torch.zeros_like(position), position, torch.arange(len(position), device=position.device))
