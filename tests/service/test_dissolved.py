"""Facts that adapters alone carry, while others are written beside them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.commands import RecordInjection
from core.dissolved import nearest_dissolved
from core.memory import Memory, Status
from core.plan import Term
from core.policy import Training
from core.weights.delta import dense, parts_of
from core.weights.write import keys_in_force
from core.work import Inject, next_work
from service import desk
from service.projection import Deltas, build_verified
from service.subjects import Subjects
from service.wiring import Store, opened
from tests.prepared import QUICK, Place, start_sleep, state_of, tell, work

# One night dissolves what its adapter says; what that does to everything else is no concern here.
BRIEF = replace(QUICK, scales=(1.0, 0.0), gate=0.0, refreshes=0, training=Training(rank=16, steps=60, rehearsal=0))


def moved(store: Store, subjects: Subjects, state: Memory) -> float:
    """How far the edit that `state` owes would move the hidden states at the keys of facts that are dissolved."""
    created, owed = state.created, next_work(state)
    assert created is not None
    assert isinstance(owed, Inject)
    subject, deltas = subjects.twin(created), Deltas(store.artifacts, store.log.keyring)
    subject.install(build_verified(subject, deltas, state))
    keys, _ = keys_in_force(subject, nearest_dissolved(state, [], 64), created.prefixes)
    command = desk.Desk(subjects.twin(created), created, store.artifacts, deltas).perform(owed, state)
    assert isinstance(command, RecordInjection)
    count = sum(one.count for one in command.edit.columns)
    module = subject.modules[0]  # keys of the second one move with what the first one adds
    u, v = dense(parts_of(module, deltas.columns([Term(delta=command.edit.delta, first=0, count=count, scale=1.0)])))
    return float((u @ (v.T @ keys[module].double().T)).norm(dim=0).mean())


def test_an_edit_leaves_dissolved_facts_near_it_alone(
    place: Place, subjects: Subjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a memory whose facts are dissolved
    with opened(place.settings()) as store:
        start_sleep(store, seed=1, policy=BRIEF)
        state = work(store, subjects)
        assert Status.DISSOLVED in {one.status for one in state.facts.values()}

        # When it is told the like of somebody else
        tell(store, *(("Bo Lind", one.fact.relation, "Lima") for one in state.facts.values()))
        state = state_of(store)
        with_them = moved(store, subjects, state)
        monkeypatch.setattr(desk, "DISSOLVED_KEPT", 0)
        without = moved(store, subjects, state)

    # Then the edit moves the hidden states of those facts far less than it would otherwise
    assert with_them < 0.1 * without
