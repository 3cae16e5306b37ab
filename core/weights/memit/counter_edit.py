"""Computes counter-edits: takes a fact out of the weights where leaving out its columns is not enough.

Two things are left to do once a fact's columns are out.

First, facts written later were computed on top of those columns and miss them now. Their effect is restored
everywhere but at the fact's own keys, by columns v' for v that are the protected update of the keys in force today,

    v' = v - H^-1 K^T K v,    H = lambda C + K_p K_p^T + K K^T,   K the fact's keys,

so that altogether the fact is removed as by a protected update with R = -r (`memit.closed_form`). Second, adapters that
were trained on the fact still predict it, or other facts about its subject make the model guess. So the hidden states
at the fact's sites are moved to what they are in the base model: the target values are known and need no optimisation.
Each key has a column here, because each has a residual that it shares with no other key.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core.facts import Fact
from core.hyperparameters import Hyperparameters
from core.weights.deltas.fixed_point import Delta, encode
from core.weights.memit.closed_form import KeyConstraints
from core.weights.memit.spread import Moved, Written, hidden_at, install_sum, move, written
from core.weights.memit.target_values import Sites, Steps, unwatched
from core.weights.model.activations import Activations, capture
from core.weights.model.contexts import Context, written_contexts
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import generate_ids

PASSES = 3  # over the contexts, because moving some positions may displace others
Factors = Mapping[str, tuple[Tensor, Tensor]]  # module -> U [d_out, n], V [d_in, n]


@dataclass(frozen=True, slots=True)
class _BasePredictions:
    """What the base model sees and predicts, on the fact's contexts and on its own answers to their prompts.

    Attributes:
        seen: the base model's activations there.
        tokens: [p] its greedy tokens.
        watched: [p] bool, where the live model has to predict the same ones: everywhere but at the target tokens of the
            fact that the base model predicts, too.
        of_fact: [p] bool, the positions in the fact's contexts.
    """

    seen: Activations
    tokens: Tensor
    watched: Tensor
    of_fact: Tensor

    def missed(self, now: Activations) -> Tensor:
        """Returns [p] bool, where the model with activations `now` predicts another token than the base model."""
        return self.watched & (now.predicted() != self.tokens)


def compute_counter_edit(
    model: EditableModel,
    kept: Mapping[str, KeyConstraints],
    fact: Fact,
    prefixes: Sequence[str],
    options: Hyperparameters,
    held_keys: Mapping[str, Tensor],
    left_out: Factors,
    progress: Steps = unwatched,
) -> Written | None:
    """Computes the delta that makes the live model, on which `fact` has no columns, answer as the base model does.

    Args:
        kept: module -> what must not move. Not changed.
        held_keys: module -> [m, d_in], further keys that must not move in this edit.
        left_out: the columns that the fact had; empty for a fact that only adapters carried.
        progress: called before each pass; what it raises ends the work.

    Returns:
        None where no other keys depend on the columns and the live model predicts the base model's token everywhere.
    """
    began = time.monotonic()
    base = _base_predictions(model, fact, prefixes)
    depended_on = bool(held_keys) or any(len(constraints.whitened) for constraints in kept.values())
    before = {module: tensor.clone() for module, tensor in model.live().items()}
    try:
        seen = base.seen.recompute_from(model.modules[0])
        restored: dict[str, tuple[Tensor, Tensor]] = {}
        if left_out and depended_on:
            seen = _restore(model, kept, base.watched & base.of_fact, held_keys, left_out, seen, restored)
        if not restored and not base.missed(seen).any():
            return None
        moved, sites, wrong = _move_to_base(model, kept, base, held_keys, seen, options.refinements, progress)
    finally:
        model.install(before)
    start = hidden_at(seen, sites)
    change = hidden_at(base.seen, sites) - start
    done = written(moved, sites, start, change, (not wrong.any().item(),), 0, time.monotonic() - began)
    return _joined(restored, done)


def answers(model: EditableModel, contexts: Sequence[Context]) -> list[Context]:
    """Returns the prompts of `contexts`, each with the live model's greedy answer, as contexts of the first fact."""
    answered: list[Context] = []
    for chat in (False, True):
        prompts = [context.ids[: context.start] for context in contexts if context.chat is chat]
        for prompt, answer in zip(prompts, generate_ids(model, prompts, sentence=not chat), strict=True):
            ids = (*prompt, *answer, *((model.end_of_turn(),) if chat or not answer else ()))
            names = tuple(f"own:{number}" for number in range(len(ids) - len(prompt)))
            answered.append(Context(0, ids, len(prompt), names, chat))
    return answered


def _base_predictions(model: EditableModel, fact: Fact, prefixes: Sequence[str]) -> _BasePredictions:
    contexts = written_contexts(model, [fact], prefixes)
    with model.with_weights(model.base_weights):
        seen = capture(model, [*contexts, *answers(model, contexts)])
    tokens, of_fact = seen.predicted(), seen.rows < len(contexts)
    return _BasePredictions(seen, tokens, (tokens != seen.targets) | ~of_fact, of_fact)


def _move_to_base(
    model: EditableModel,
    kept: Mapping[str, KeyConstraints],
    base: _BasePredictions,
    held_keys: Mapping[str, Tensor],
    seen: Activations,
    refinements: int,
    progress: Steps,
) -> tuple[Moved, Sites, Tensor]:
    """Moves hidden states to those of the base model, at more positions in each pass.

    Returns:
        The change, its sites, and [p] bool, where the model with the change still misses the base model's token.
    """
    chosen, wrong = base.watched & base.of_fact, base.missed(seen)  # [p] bool
    for number in range(PASSES):
        progress(number, PASSES)
        chosen = chosen | wrong
        sites = _site_per_position(chosen)
        target = hidden_at(base.seen, sites)
        moved = move(model, kept, sites, target, held_keys, seen, base.missed, refinements)
        wrong = base.missed(moved.seen)
        if not (wrong & ~chosen).any():
            break
    return moved, sites, wrong


def _restore(
    model: EditableModel,
    kept: Mapping[str, KeyConstraints],
    chosen: Tensor,
    held_keys: Mapping[str, Tensor],
    left_out: Factors,
    now: Activations,
    restored: dict[str, tuple[Tensor, Tensor]],
) -> Activations:
    """Fills `restored` with columns that do what `left_out` did, but not at the `chosen` [p] positions.

    U gets an orthonormal basis, so that no column is one that the fact had to itself.

    Returns:
        What the model sees on the contexts with these columns; its weights are live.
    """
    for module in model.modules:
        u, v = (factor.to(model.device) for factor in left_out[module])  # [d_out, n], [d_in, n]
        keys = now.keys[module][chosen].double()  # K [k, d_in]
        constrained = kept[module].with_keys(keys)
        if held_keys:
            constrained = constrained.with_keys(held_keys[module])
        basis, triangle = torch.linalg.qr(u)  # U V^T = Q (V R^T)^T
        columns = (v - constrained.inverse_times(keys).T @ (keys @ v)) @ triangle.T  # V' [d_in, n]
        restored[module] = basis, columns
        install_sum(model, module, model.weight(module), basis, columns)
        now = now.recompute_from(module)
    return now


def _joined(restored: Factors, done: Written) -> Written:
    """Returns `done` with the columns of `restored` before its columns."""
    if not restored:
        return done
    factors = {
        module: (encode(restored[module][0]).beside(u), encode(restored[module][1]).beside(v))
        for module, (u, v) in done.delta.factors.items()
    }
    return replace(done, delta=Delta(factors), count=(len(next(iter(factors.values()))[0].exponent),))


def _site_per_position(chosen: Tensor) -> Sites:
    """Returns sites of the one fact, one for each of the `chosen` [p] positions."""
    position = chosen.nonzero()[:, 0]
    return Sites(torch.zeros_like(position), position, torch.arange(len(position), device=position.device))
