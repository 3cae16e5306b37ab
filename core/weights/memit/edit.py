"""Computes edits: from facts in words to a delta, by way of contexts, sites, target values and protected updates."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core.errors.base import Unlearned
from core.facts import Fact
from core.hyperparameters import Hyperparameters
from core.weights.memit.closed_form import KeyConstraints
from core.weights.memit.spread import Moved, Written, hidden_at, move, written
from core.weights.memit.target_values import Sites, Steps, Values, optimise, unwatched
from core.weights.model.activations import Activations, capture, last_keys
from core.weights.model.contexts import Context, written_contexts, written_wordings
from core.weights.model.editable_model import EditableModel

EXTENSIONS = 2  # times at most that facts which cannot be learned are given extra sites
PREDICTED = 0.8  # probability from which on a target token is taken to be predicted in other wordings, too

Name = tuple[int, str]  # of a site: its fact and where in the fact's contexts it is


@dataclass(frozen=True, slots=True)
class Solved:
    """Target values and what they were solved for.

    Attributes:
        seen: what the live model sees on the contexts.
        sites, values: where the facts are written, and the change there.
        chosen: the names of all sites.
        extra_sites: those of them at which the base model is right.
    """

    seen: Activations
    sites: Sites
    values: Values
    chosen: frozenset[Name]
    extra_sites: frozenset[Name]


def compute_edit(
    model: EditableModel,
    kept: Mapping[str, KeyConstraints],
    facts: Sequence[Fact],
    prefixes: Sequence[str],
    options: Hyperparameters,
    unanswered: Sequence[str] = (),
    progress: Steps = unwatched,
) -> Written:
    """Computes the delta with which the live model predicts `facts`; leaves the live weights as they were.

    Args:
        kept: module -> what must not move. Not changed.
        unanswered: questions about the facts' subjects that no fact answers. Their keys are held in this edit only,
            because an edit leaks from what is written about a subject to what is not, and no further.
        progress: called before each step of the optimisation; what it raises ends the work.
    """
    began = time.monotonic()
    contexts = written_contexts(model, facts, prefixes)
    names = names_of(contexts)
    held_keys = last_keys(model, [model.chat_ids([], question) for question in unanswered]) if unanswered else {}
    extra_sites: frozenset[Name] = frozenset()
    for _ in range(EXTENSIONS):
        solved = solve_values(model, contexts, options, extra_sites, progress)
        moved, before, change = _moved(model, kept, len(facts), names, solved, held_keys, options)
        wrong = (moved.seen.predicted() != moved.seen.targets).tolist()  # [p]
        new_sites = _where(names, wrong) - solved.chosen
        if not new_sites:
            break
        extra_sites = solved.extra_sites | new_sites
    learned, seconds = tuple(map(bool, solved.values.learned)), time.monotonic() - began
    done = written(moved, solved.sites, before, change, learned, solved.values.steps, seconds, solved.extra_sites)
    wrong_rows = {row for row, miss in zip(moved.seen.rows.tolist(), wrong, strict=True) if miss}
    predicted = [
        tuple(row not in wrong_rows for row, context in enumerate(contexts) if context.fact == index)
        for index in range(len(facts))
    ]
    return replace(done, predicted=tuple(predicted))


def unlearned(facts: Sequence[Fact], said: Sequence[Sequence[bool]]) -> Unlearned | None:
    """Returns the error to raise where the model with the delta does not predict some object; None otherwise.

    As at the gate, a fact has to be predicted after its first statement and in answer to its first question.

    Args:
        said: per fact and context, whether the model predicts the whole target.
    """
    failed = {
        fact.id: predicted
        for fact, predicted in zip(facts, said, strict=True)
        if not (predicted[0] and predicted[len(written_wordings(fact.wordings).statements)])
    }
    if not failed:
        return None
    return Unlearned(tuple(failed), sum(map(sum, failed.values())), sum(map(len, failed.values())))


def _moved(
    model: EditableModel,
    kept: Mapping[str, KeyConstraints],
    facts: int,
    names: Sequence[Name],
    solved: Solved,
    held_keys: Mapping[str, Tensor],
    options: Hyperparameters,
) -> tuple[Moved, Tensor, Tensor]:
    """Spreads the target values over the weights.

    Returns:
        What was moved, the hidden states [k, d] that it starts from, and how they should change [k, d].
    """
    seen, sites = solved.seen, solved.sites
    before, change = hidden_at(seen, sites), solved.values.change[sites.site]
    fact_of = torch.tensor([fact for fact, _ in names], device=model.device)  # [p]
    elsewhere = torch.ones_like(fact_of, dtype=torch.bool)  # [p] positions that are no keys
    elsewhere[sites.position] = False

    def falls_short(now: Activations) -> Tensor:
        """Returns positions whose target is not probable enough, and all of a fact that has one outside its sites."""
        short = now.probability() < PREDICTED
        fact_short = torch.zeros(facts, dtype=torch.bool, device=model.device)
        fact_short[fact_of[short & elsewhere]] = True
        return short | fact_short[fact_of]

    moved = move(model, kept, sites, before + change, held_keys, seen, falls_short, options.refinements)
    return moved, before, change


def solve_values(
    model: EditableModel,
    contexts: Sequence[Context],
    options: Hyperparameters,
    extra_sites: frozenset[Name] = frozenset(),
    progress: Steps = unwatched,
) -> Solved:
    """Computes target values for the facts of `contexts` on the live model, at extra sites where those are needed.

    A change before the object may turn a token after it that the base model would get right, such as the last digit of
    a year. Then the position before that token becomes a site, too.

    Args:
        extra_sites: sites to begin with, beside those at which the base model is wrong.
    """
    names, facts = names_of(contexts), torch.tensor([context.fact for context in contexts], device=model.device)
    first, seen = find_sites(model, contexts)
    chosen, start = first | extra_sites, None
    for extension in range(EXTENSIONS + 1):
        sites = sites_at(names, chosen, model.device)
        values = optimise(
            seen, sites, facts, steps=options.steps, learning_rate=options.learning_rate, clamp=options.clamp,
            decay=options.decay, confidence=options.confidence, start=start, progress=progress,
        )  # fmt: skip
        missed = _where(names, values.missed.tolist()) - chosen
        if not missed or extension == EXTENSIONS:
            break
        # The changes that were found are kept as a start; new sites begin at zero.
        before, chosen = sorted(chosen), chosen | missed
        row = {name: number for number, name in enumerate(sorted(chosen))}
        start = values.change.new_zeros(len(chosen), values.change.shape[1])
        start[[row[name] for name in before]] = values.change
    return Solved(seen, sites, values, chosen, chosen - first)


def find_sites(model: EditableModel, contexts: Sequence[Context]) -> tuple[frozenset[Name], Activations]:
    """Returns where each fact is written, the names at which the base model is wrong in some context, and what the live
    model sees.

    Sites are taken from the base model, so that they do not depend on earlier edits. A fact that the base model knows
    already gets the token before the object, so that it has keys to be protected.
    """
    with model.with_weights(model.base_weights):
        base = capture(model, contexts)
        wrong = (base.predicted() != base.targets).tolist()
    names = names_of(contexts)
    chosen = _where(names, wrong)
    chosen |= {(fact, "object:0") for fact in {fact for fact, _ in names} - {fact for fact, _ in chosen}}
    return chosen, base.recompute_from(model.modules[0])


def names_of(contexts: Sequence[Context]) -> list[Name]:
    """Returns [p] the name of each captured position."""
    return [(context.fact, name) for context in contexts for name in context.names]


def sites_at(names: Sequence[Name], chosen: frozenset[Name], device: torch.device) -> Sites:
    """Returns the sites of the names `chosen`, in sorted order, among positions of `names`."""
    number = {name: index for index, name in enumerate(sorted(chosen))}
    keys = [(position, number[name]) for position, name in enumerate(names) if name in number]
    position, site = torch.tensor(keys, device=device).T
    return Sites(torch.tensor([fact for fact, _ in sorted(chosen)], device=device), position, site)


def keys_in_force(
    model: EditableModel, facts: Sequence[Fact], prefixes: Sequence[str], extra_sites: Sequence[Sequence[str]] = ()
) -> tuple[dict[str, Tensor], Tensor]:
    """Measures the keys of facts that the live weights carry, as an executor needs them after a restart.

    Args:
        extra_sites: per fact, its sites beside those at which the base model is wrong.

    Returns:
        Module -> [k, d_in] keys, and [k] which of `facts` each key is of.
    """
    contexts = written_contexts(model, facts, prefixes)
    chosen, seen = find_sites(model, contexts)
    chosen |= {(fact, name) for fact, extra in enumerate(extra_sites) for name in extra}
    sites = sites_at(names_of(contexts), chosen, model.device)
    return {module: keys[sites.position] for module, keys in seen.keys.items()}, sites.fact[sites.site]


def _where(names: Iterable[Name], wrong: Iterable[bool]) -> frozenset[Name]:
    """Returns the names of the positions that are `wrong`."""
    return frozenset(name for name, miss in zip(names, wrong, strict=True) if miss)
