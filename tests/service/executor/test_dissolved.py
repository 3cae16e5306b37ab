"""Facts that adapters alone carry, while others are written beside them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.decide.commands import RecordInjection
from core.policy import Training
from core.state.memory import Memory, Status
from core.state.nearest import nearest_dissolved
from core.state.plan import Term
from core.state.work import Inject, next_work
from core.weights.deltas.fixed_point import dense, parts_of
from core.weights.memit.edit import keys_in_force
from service.app.store import Store, open_store
from service.executor.editor import Editor
from service.executor.work import edit
from service.weights.base_models import BaseModels
from service.weights.delta_store import DeltaStore
from service.weights.projection import build_verified
from tests.prepared import QUICK, Place, start_sleep, state_of, tell, work

# One night dissolves what its adapter says; its effect on everything else does not matter here.
BRIEF = replace(QUICK, scales=(1.0, 0.0), gate=0.0, refreshes=0, training=Training(rank=16, steps=60, rehearsal=0))


def moved(store: Store, bases: BaseModels, state: Memory) -> float:
    """How far the edit that `state` owes would move the hidden states at the keys of facts that are dissolved."""
    created, owed = state.created, next_work(state)
    assert created is not None
    assert isinstance(owed, Inject)
    model, deltas = bases.clone(created), DeltaStore(store.artifacts, store.log.keyring)
    model.install(build_verified(model, deltas, state))
    keys, _ = keys_in_force(model, nearest_dissolved(state, [], 64), created.prefixes)
    command = Editor(bases.clone(created), created, store.artifacts, deltas).perform(owed, state)
    assert isinstance(command, RecordInjection)
    count = sum(one.count for one in command.edit.columns)
    module = model.modules[0]  # keys of the second one move with what the first one adds
    u, v = dense(parts_of(module, deltas.columns([Term(delta=command.edit.delta, first=0, count=count, scale=1.0)])))
    return float((u @ (v.T @ keys[module].double().T)).norm(dim=0).mean())


def test_an_edit_leaves_dissolved_facts_near_it_alone(
    place: Place, bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a memory whose facts are dissolved
    with open_store(place.settings()) as store:
        start_sleep(store, seed=1, policy=BRIEF)
        state = work(store, bases)
        assert Status.DISSOLVED in {one.status for one in state.facts.values()}

        # When it is told the like of another subject
        tell(store, *(("Bo Lind", one.fact.relation, "Lima") for one in state.facts.values()))
        state = state_of(store)
        with_them = moved(store, bases, state)
        monkeypatch.setattr(edit, "DISSOLVED_KEPT", 0)
        without = moved(store, bases, state)

    # Then the edit moves the hidden states of those facts far less than it would otherwise
    assert with_them < 0.1 * without
