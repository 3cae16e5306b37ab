"""Writing facts: from their words to a delta, by way of contexts, sites, values and protected updates."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
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
from core.weights.model.contexts import Context, contexts_of
from core.weights.model.editable_model import EditableModel

WIDER = 2  # times at most that facts which cannot be learned are given more sites
SAID = 0.8  # a target token of at least this probability is taken to be said in other wordings too

Name = tuple[int, str]  # of a site: its fact and where in it


def compute_edit(
    model: EditableModel,
    kept: Mapping[str, KeyConstraints],
    facts: Sequence[Fact],
    prefixes: Sequence[str],
    options: Hyperparameters,
    untold: Sequence[str] = (),
    progress: Steps = unwatched,
) -> Written:
    """Computes the delta that makes the live model say `facts`; leaves the live weights as they were.

    Args:
        kept: per module, what must not move. Not changed.
        untold: questions about the facts' subjects whose answers must not move either; they count in this edit only,
            as an answer leaks from what is told about a subject to what is not, and no further.
        progress: told of each step of finding values; what it raises ends the writing.
    """
    began = time.monotonic()
    contexts = [context for index, fact in enumerate(facts) for context in contexts_of(model, index, fact, prefixes)]
    names = names_of(contexts)
    still = last_keys(model, [model.chat_ids([], question) for question in untold]) if untold else {}
    more: frozenset[Name] = frozenset()
    for _ in range(WIDER):
        solved = solve_values(model, contexts, options, more, progress)
        moved, clean, change = _moved(model, kept, len(facts), names, solved, still, options)
        wrong = (moved.seen.predicted() != moved.seen.targets).tolist()
        found = {name for name, miss in zip(names, wrong, strict=True) if miss} - solved.chosen
        if not found:
            break
        more = solved.more | found
    learned, spent = tuple(bool(one) for one in solved.values.learned), time.monotonic() - began
    done = written(moved, solved.sites, clean, change, learned, solved.values.steps, spent, solved.more)
    silent = {row for row, miss in zip(moved.seen.rows.tolist(), wrong, strict=True) if miss}
    said = [
        tuple(row not in silent for row, context in enumerate(contexts) if context.fact == index)
        for index in range(len(facts))
    ]
    return replace(done, said=tuple(said))


def unlearned(facts: Sequence[Fact], done: Written) -> Unlearned | None:
    """What to raise where the model with the delta does not say some object; None where it says them all.

    As at the gate, a fact must be said after its first statement and in answer to its first question.
    """
    silent = {
        fact.id: said
        for fact, said in zip(facts, done.said, strict=True)
        if not (said[0] and said[len(fact.wordings.statements)])
    }
    if not silent:
        return None
    return Unlearned(tuple(silent), sum(map(sum, silent.values())), sum(map(len, silent.values())))


def _moved(
    model: EditableModel,
    kept: Mapping[str, KeyConstraints],
    facts: int,
    names: Sequence[Name],
    solved: Solved,
    still: Mapping[str, Tensor],
    options: Hyperparameters,
) -> tuple[Moved, Tensor, Tensor]:
    """The change that brings the values about, the hidden states [k, d] it starts from, and how they should change."""
    seen, sites = solved.seen, solved.sites
    clean, change = hidden_at(seen, sites), solved.values.change[sites.site]
    fact_of = torch.tensor([fact for fact, _ in names], device=model.device)
    elsewhere = torch.ones_like(fact_of, dtype=torch.bool)
    elsewhere[sites.position] = False

    def unsaid(now: Activations) -> Tensor:
        """Positions that fall short, and all of a fact that does at one which is no site of it."""
        short = now.probability() < SAID
        amiss = torch.zeros(facts, dtype=torch.bool, device=model.device)
        amiss[fact_of[short & elsewhere]] = True
        return short | amiss[fact_of]

    return move(model, kept, sites, clean + change, still, seen, unsaid, options.retouches), clean, change


@dataclass(frozen=True, slots=True)
class Solved:
    """Values, and their sites by name; `more` are those beside the ones that the pristine model gets wrong."""

    seen: Activations
    sites: Sites
    values: Values
    chosen: frozenset[Name]
    more: frozenset[Name]


def solve_values(
    model: EditableModel,
    contexts: Sequence[Context],
    options: Hyperparameters,
    more: frozenset[Name] = frozenset(),
    progress: Steps = unwatched,
) -> Solved:
    """Values for the facts of `contexts` on the live model, at more sites where a fact cannot be learned otherwise.

    A change before the object may turn a token after it, the last digit of a year say, that the pristine model would
    get right: then the place before that token becomes a site, too.

    Args:
        more: sites to begin with, beside those that the pristine model gets wrong.
    """
    names, facts = names_of(contexts), torch.tensor([context.fact for context in contexts], device=model.device)
    first, seen = find_sites(model, contexts)
    chosen, start = first | more, None
    for wider in range(WIDER + 1):
        sites = sites_at(names, chosen, model.device)
        values = optimise(
            seen, sites, facts, steps=options.steps, learning_rate=options.learning_rate, clamp=options.clamp,
            decay=options.decay, confidence=options.confidence, start=start,
            progress=progress,
        )  # fmt: skip
        missed = {name for name, miss in zip(names, values.missed.tolist(), strict=True) if miss} - chosen
        if not missed or wider == WIDER:
            break
        before, chosen = sorted(chosen), chosen | missed
        place = {name: number for number, name in enumerate(sorted(chosen))}
        start = values.change.new_zeros(len(chosen), values.change.shape[1])
        start[[place[name] for name in before]] = values.change
    return Solved(seen, sites, values, chosen, chosen - first)


def find_sites(model: EditableModel, contexts: Sequence[Context]) -> tuple[frozenset[Name], Activations]:
    """Where each fact is written: names at which the pristine model's next token is wrong in some context; and what the
    live model sees.

    Sites are taken from the pristine model, so that they do not depend on what was written before. A fact that it knows
    already gets the token before the object, to be kept.
    """
    with model.with_weights(model.base_weights):
        clean = capture(model, contexts)
        wrong = (clean.predicted() != clean.targets).tolist()
    names = names_of(contexts)
    chosen = {name for name, miss in zip(names, wrong, strict=True) if miss}
    chosen |= {(fact, "object:0") for fact in {fact for fact, _ in names} - {fact for fact, _ in chosen}}
    return frozenset(chosen), clean.recompute_from(model.modules[0])


def names_of(contexts: Sequence[Context]) -> list[Name]:
    """[p] the name of each captured position."""
    return [(context.fact, name) for context in contexts for name in context.names]


def sites_at(names: Sequence[Name], chosen: frozenset[Name], device: torch.device) -> Sites:
    """The sites of the names `chosen`, in their order, among positions of `names`."""
    number = {name: index for index, name in enumerate(sorted(chosen))}
    keys = [(position, number[name]) for position, name in enumerate(names) if name in number]
    position, site = torch.tensor(keys, device=device).T
    return Sites(torch.tensor([fact for fact, _ in sorted(chosen)], device=device), position, site)


def keys_in_force(
    model: EditableModel, facts: Sequence[Fact], prefixes: Sequence[str], more: Sequence[Sequence[str]] = ()
) -> tuple[dict[str, Tensor], Tensor]:
    """Module -> [k, d_in] keys of facts that the live weights carry, as an executor needs them after a restart.

    Args:
        more: per fact, the sites it has beside those that the pristine model gets wrong.

    Returns:
        Those, and [k] which of `facts` each key is of.
    """
    contexts = [context for index, fact in enumerate(facts) for context in contexts_of(model, index, fact, prefixes)]
    chosen, seen = find_sites(model, contexts)
    chosen |= {(fact, name) for fact, some in enumerate(more) for name in some}
    sites = sites_at(names_of(contexts), chosen, model.device)
    return {module: keys[sites.position] for module, keys in seen.keys.items()}, sites.fact[sites.site]
