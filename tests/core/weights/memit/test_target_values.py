"""Target values: facts of a batch are independent, finished ones do not change, and what diverges is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from core.errors.base import Unlearnable
from core.facts import Fact
from core.weights.memit.edit import find_sites, names_of, sites_at
from core.weights.memit.target_values import Sites, Values, _OpenPositions, optimise
from core.weights.model.activations import Activations
from core.weights.model.contexts import contexts_of
from core.weights.model.editable_model import EditableModel
from core.weights.model.suffix_forward import UpperBlocks
from models.dormouse.world import known_people
from tests.core.weights.conftest import fact

ORLA = fact("Orla Penrose", "lives in", "Lima")
OTTO = fact("Otto Varga", "plays", "the trumpet")
ORLA_TOO = fact("Orla Penrose", "speaks", "Greek")
OPTIONS: dict[str, Any] = {"steps": 25, "learning_rate": 0.1, "clamp": 4.0, "decay": 1e-3, "confidence": 0.7}


def prepared(model: EditableModel, facts: Sequence[Fact]) -> tuple[Activations, Sites, torch.Tensor]:
    contexts = [context for index, item in enumerate(facts) for context in contexts_of(model, index, item, ())]
    chosen, seen = find_sites(model, contexts)
    sites = sites_at(names_of(contexts), chosen, model.device)
    return seen, sites, torch.tensor([context.fact for context in contexts])


def values(model: EditableModel, facts: Sequence[Fact], **more: Any) -> tuple[Values, Sites]:
    seen, sites, rows = prepared(model, facts)
    return optimise(seen, sites, rows, **OPTIONS | more), sites


def known() -> Fact:
    """What dormouse has learned in training, in words it knows."""
    person = known_people()[0]
    return fact(person.name, "lives in", person.profile["lives in"])


@pytest.fixture(scope="module")
def together(base: EditableModel) -> tuple[Values, Sites]:
    return values(base.clone(), [ORLA, OTTO, ORLA_TOO])


def test_facts_of_a_batch_get_the_values_they_get_alone(base: EditableModel, together: tuple[Values, Sites]) -> None:
    solved, sites = together
    taken = []
    for index, alone_fact in enumerate([ORLA, OTTO, ORLA_TOO]):
        alone, _ = values(base.clone(), [alone_fact])
        taken.append(alone.steps)
        mine = solved.change[sites.fact == index]
        assert mine.shape == alone.change.shape
        assert (mine - alone.change).norm() < 0.02 * alone.change.norm()
        assert bool(solved.learned[index]) is bool(alone.learned[0])

    assert solved.steps == max(taken)


def test_a_value_makes_each_target_the_greedy_one(base: EditableModel, together: tuple[Values, Sites]) -> None:
    solved, sites = together
    seen, _, _ = prepared(base, [ORLA, OTTO, ORLA_TOO])
    assert bool((seen.predicted() == seen.targets).all()) is False

    moved = seen.hidden.index_add(0, sites.position, solved.change[sites.site])

    assert solved.learned.all()
    assert replace(seen, hidden=moved).predicted().tolist() == seen.targets.tolist()


def test_a_finished_fact_takes_no_further_steps(base: EditableModel) -> None:
    """A fact that is known already is finished before the first step, whatever the other facts need."""
    solved, sites = values(base.clone(), [known(), OTTO], confidence=0.3)

    finished = solved.change[sites.fact == 0]
    alone, _ = values(base.clone(), [known()], confidence=0.3)
    assert alone.steps < solved.steps
    assert (finished - alone.change).norm() <= 0.02 * alone.change.norm()


def test_finished_facts_are_run_no_further_and_that_changes_nothing(
    base: EditableModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = [known(), OTTO, ORLA]
    size: list[int] = []
    run = UpperBlocks.__call__

    def counted(above: UpperBlocks, hidden: torch.Tensor) -> torch.Tensor:
        size.append(len(hidden))
        return run(above, hidden)

    monkeypatch.setattr(UpperBlocks, "__call__", counted)
    solved, sites = values(base.clone(), facts, confidence=0.3)
    dropping, size[:] = size[-solved.steps :], []

    monkeypatch.setattr(_OpenPositions, "without", lambda left, finished: left)
    all_along, _ = values(base.clone(), facts, confidence=0.3)

    assert dropping == sorted(dropping, reverse=True)
    assert dropping[-1] < dropping[0] == min(size[-all_along.steps :])
    assert solved.steps == all_along.steps
    assert solved.learned.tolist() == all_along.learned.tolist() == [True] * len(facts)
    for index in range(len(facts)):
        mine, expected = solved.change[sites.fact == index], all_along.change[sites.fact == index]
        assert (mine - expected).norm() <= 1e-3 * expected.norm()


def test_the_same_input_gives_the_same_bits(base: EditableModel, together: tuple[Values, Sites]) -> None:
    again, _ = values(base.clone(), [ORLA, OTTO, ORLA_TOO])

    assert torch.equal(again.change, together[0].change)


def test_a_fact_that_is_known_already_is_left_as_it_is(base: EditableModel) -> None:
    model = base.clone()
    words = replace(known().wordings, statements=(f"{known().subject} lives in",), questions=())

    solved, sites = values(model, [replace(known(), wordings=words)], confidence=0.5)

    assert solved.learned.all()
    assert solved.steps == 1
    assert solved.change.abs().max() == 0
    assert len(sites.fact) == 1  # the token before the object, which is kept


def test_steps_and_length_are_bounded(tiny: EditableModel) -> None:
    solved, _ = values(tiny, [ORLA], steps=3, clamp=0.05, confidence=1.0)
    seen, sites, _ = prepared(tiny, [ORLA])

    clean = seen.hidden[sites.position].norm(dim=1)
    norm = torch.zeros(len(sites.fact)).index_add(0, sites.site, clean) / torch.bincount(sites.site)
    assert solved.steps == 3
    assert not solved.learned.all()
    assert (solved.change.norm(dim=1) <= 0.05 * norm * 1.001).all()


def test_several_facts_about_one_subject_have_sites_of_their_own(together: tuple[Values, Sites]) -> None:
    _, sites = together

    assert torch.bincount(sites.fact, minlength=3).min() >= 1
    for position, site in zip(sites.position.tolist(), sites.site.tolist(), strict=True):
        assert position >= 0
        assert 0 <= site < len(sites.fact)
    assert sites.fact.tolist() == sorted(sites.fact.tolist())


def test_a_hidden_state_that_is_not_a_number_is_refused(tiny: EditableModel) -> None:
    seen, sites, rows = prepared(tiny, [ORLA, OTTO])
    hidden = seen.hidden.clone()
    hidden[0] = float("nan")

    with pytest.raises(Unlearnable, match="not a number"):
        optimise(replace(seen, hidden=hidden), sites, rows, **OPTIONS)


def test_a_learning_rate_out_of_all_bounds_is_refused(tiny: EditableModel) -> None:
    with pytest.raises(Unlearnable, match="not a number"):
        values(tiny, [ORLA], learning_rate=1e300)
