"""Facts that leave the weights: an executor on a real log, and weights that anybody can rebuild from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.support.tiny import UNSAYABLE
from core.decide.commands import RecordInjection, RecordWithdrawal
from core.events.facts import EditComputed
from core.events.history import FactWithdrawn
from core.events.sleep import AdapterTrained, FactAdvanced, FactAudited, FactRetreated
from core.ids import FactId
from core.policy import Training
from core.state.memory import Memory, Status, Withdrawal
from core.state.plan import plan
from core.state.work import Inject, Withdraw, next_work
from service.app.store import Store, open_store
from service.executor.editor import Editor
from service.weights.base_models import BaseModels
from service.weights.delta_store import DeltaStore
from tests.prepared import DEMO, QUICK, Place, made_in, put_in_place, start_sleep, state_of, take_back, tell, work
from tests.service.executor.test_loop import rebuilt
from tests.service.weights.test_replay import replay_in

# One night moves every fact from its edit into an adapter that learns nothing else.
EASY = replace(QUICK, scales=(1.0, 0.0), gate=0.0, healthy=0.0, training=Training(
    rank=8, steps=300, learning_rate=2e-2, batch=16, rehearsal=0, divergence_weight=0.0, enough=0.05,
))  # fmt: skip
# The same without learning much, for what is true of a night whatever its adapter says.
HURRIED = replace(EASY, training=replace(EASY.training, steps=20))


Told = tuple[Place, list[FactId]]


@pytest.fixture(scope="module")
def told_once(tmp_path_factory: pytest.TempPathFactory, bases: BaseModels) -> Told:
    place = made_in(tmp_path_factory.mktemp("told"))
    with open_store(place.settings()) as store:
        facts = tell(store, ("Aria Moss", "lives in", "Rome"))
        work(store, bases)
        facts += tell(store, ("Aria Moss", "plays", "chess"), ("Bo Lind", "lives in", "Lima"))
        work(store, bases)
    return place, facts


@pytest.fixture(scope="module")
def asleep_once(told_once: Told, tmp_path_factory: pytest.TempPathFactory, bases: BaseModels) -> Told:
    place, facts = told_once[0].copy(tmp_path_factory.mktemp("asleep")), told_once[1]
    with open_store(place.settings()) as store:
        start_sleep(store, 1, EASY)
        work(store, bases)
    return place, facts


@pytest.fixture
def told(told_once: Told, tmp_path: Path) -> Told:
    """A memory of random weights that was told a fact, and two more that were written on top of it."""
    return told_once[0].copy(tmp_path / "told"), told_once[1]


@pytest.fixture
def asleep(asleep_once: Told, tmp_path: Path) -> Told:
    """The same after a night."""
    return asleep_once[0].copy(tmp_path / "asleep"), asleep_once[1]


def editor_(store: Store, bases: BaseModels) -> Editor:
    created = state_of(store).created
    assert created is not None
    return Editor(bases.clone(created), created, store.artifacts, DeltaStore(store.artifacts, store.log.keyring))


def events(store: Store) -> list[object]:
    return [one.event for one in store.log.read(memory=DEMO, limit=10_000)]


def sound(store: Store, place: Place, bases: BaseModels, state: Memory) -> None:
    """The weights follow from the log alone, at every version."""
    assert rebuilt(store, bases, state) == state.weights
    assert replay_in(store, place).rebuilt == state.weights


def test_a_retracted_fact_leaves_the_weights_and_the_others_stay(told: Told, bases: BaseModels) -> None:
    place, (gone, *others) = told
    with open_store(place.settings()) as store:
        before = state_of(store)
        take_back(store, gone)
        after = work(store, bases)

        assert after.facts[gone].status is Status.WITHDRAWN
        assert [after.facts[one] for one in others] == [before.facts[one] for one in others]
        old = {(edit, columns.first) for edit, one in before.edits.items() for columns in one.columns
               if columns.fact == gone}  # fmt: skip
        (edit, first), *_ = old
        assert all((term.delta, term.first) != (before.edits[edit].delta, first) for term in plan(after).terms)
        assert after.weights != before.weights
        sound(store, place, bases, after)


@pytest.mark.parametrize("relation", ["lives in", "plays"])  # with "plays", where she lives is left open
def test_the_only_fact_leaves_without_a_trace(relation: str, small: Place, bases: BaseModels) -> None:
    with open_store(small.settings()) as store:
        clean = work(store, bases).weights
        (fact,) = tell(store, ("Aria Moss", relation, "Rome"))
        work(store, bases)
        take_back(store, fact)
        after = work(store, bases)

        (withdrawn,) = [one for one in events(store) if isinstance(one, FactWithdrawn)]
        assert (withdrawn.edit, withdrawn.adapters, after.weights) == (None, (), clean)
        assert after.facts[fact].withdrawal is Withdrawal.COLUMNS
        sound(store, small, bases, after)


def test_the_last_fact_told_leaves_the_weights_of_before(told: Told, bases: BaseModels) -> None:
    place, _ = told
    with open_store(place.settings()) as store:
        before = state_of(store)
        (fact,) = tell(store, ("Cy Ames", "lives in", "Rome"))  # in words that a model of random weights learns
        assert work(store, bases).facts[fact].in_weights
        take_back(store, fact)
        after = work(store, bases)

        assert (after.weights, after.facts[fact].withdrawal) == (before.weights, Withdrawal.COLUMNS)
        sound(store, place, bases, after)


def test_facts_told_at_once_leave_one_by_one_until_the_weights_of_before_are_back(
    told: Told, bases: BaseModels
) -> None:
    place, (first, *together) = told
    with open_store(place.settings()) as store:
        take_back(store, together[0])
        half = work(store, bases)
        take_back(store, together[1])
        work(store, bases)
        take_back(store, first)
        after = work(store, bases)

        assert half.facts[together[1]].in_weights
        assert after.statistics is not None
        assert after.weights == after.statistics.weights
        assert {after.facts[fact].withdrawal for fact in (first, *together)} == {Withdrawal.COLUMNS}
        sound(store, place, bases, after)


def test_a_fact_that_another_was_written_on_is_countered(told: Told, bases: BaseModels) -> None:
    place, (gone, *_) = told
    with open_store(place.settings()) as store:
        take_back(store, gone)
        after = work(store, bases)

        assert after.facts[gone].withdrawal is Withdrawal.COUNTER_EDIT
        sound(store, place, bases, after)


def test_a_fact_that_adapters_learned_is_countered_and_the_counter_edit_names_them(
    asleep: Told, bases: BaseModels
) -> None:
    place, (gone, other, _) = asleep
    with open_store(place.settings()) as store:
        before = state_of(store)
        assert before.facts[gone].status is Status.DISSOLVED
        take_back(store, gone)
        after = work(store, bases)

        (withdrawn,) = [one for one in events(store) if isinstance(one, FactWithdrawn)]
        assert withdrawn.adapters == tuple(before.adapters)
        assert after.facts[gone].status is Status.WITHDRAWN
        assert after.facts[other] == before.facts[other]
        sound(store, place, bases, after)


def test_nights_fade_a_counter_edit_and_do_not_teach_what_was_taken_back(told: Told, bases: BaseModels) -> None:
    place, (gone, *_) = told
    with open_store(place.settings()) as store:
        take_back(store, gone)
        before = work(store, bases)
        assert before.facts[gone].withdrawal is Withdrawal.COUNTER_EDIT
        start_sleep(store, 1, HURRIED)
        after = work(store, bases)

        trained = [one for one in events(store) if isinstance(one, AdapterTrained)]
        assert trained
        assert all({*one.facts, *one.rehearsed} == before.facts.keys() - {gone} for one in trained)
        audits = [one for one in events(store) if isinstance(one, FactAudited) and one.fact == gone]
        assert audits
        assert all(
            probe.passed == (probe.output == probe.expected) for one in audits for probe in one.probes
        )  # what the base model says, not the object
        assert "Rome" not in {probe.expected for one in audits for probe in one.probes}
        sound(store, place, bases, after)


def test_a_night_goes_to_its_end_where_counter_edits_are_all_there_is(asleep: Told, bases: BaseModels) -> None:
    place, facts = asleep
    with open_store(place.settings()) as store:
        for fact in facts:
            take_back(store, fact)
        before = work(store, bases)
        assert before.edits
        assert not any(state.in_weights for state in before.facts.values())
        sleep = start_sleep(store, 2, HURRIED)
        after = work(store, bases)

        assert after.nights[sleep].completed, after.nights[sleep].reason
        moved = [one for one in events(store) if isinstance(one, FactAdvanced | FactRetreated) and one.sleep == sleep]
        assert {one.fact for one in moved} == {fact for fact, state in before.facts.items() if state.carried_by_edit}
        trained = [one for one in events(store) if isinstance(one, AdapterTrained)]
        assert (trained[-1].facts, trained[-1].rehearsed) == ((), ())
        sound(store, place, bases, after)


def test_a_superseded_fact_leaves_with_the_edit_that_writes_its_successor(told: Told, bases: BaseModels) -> None:
    place, (old, *others) = told
    with open_store(place.settings()) as store:
        new = put_in_place(store, old, "Oslo")
        after = work(store, bases)

        assert (after.facts[old].status, after.facts[new].status) == (Status.WITHDRAWN, Status.INJECTED)
        assert after.facts[old].edits == ()
        edits = [one for one in events(store) if isinstance(one, EditComputed)]
        (withdrawn,) = [one for one in events(store) if isinstance(one, FactWithdrawn)]
        assert (edits[-1].edit, edits[-1].facts_in_force) == (withdrawn.edit, len(others))
        sound(store, place, bases, after)


def test_after_a_restart_and_beside_what_it_remembers_an_executor_writes_on_the_same_weights(
    told: Told, bases: BaseModels
) -> None:
    place, (old, gone, _) = told
    with open_store(place.settings()) as store:
        warm = editor_(store, bases)
        for change in (lambda: put_in_place(store, old, "Oslo"), lambda: take_back(store, gone)):
            change()
            state = state_of(store)
            owed = next_work(state)
            assert isinstance(owed, Inject | Withdraw)
            remembered, fresh = warm.perform(owed, state), editor_(store, bases).perform(owed, state)
            for result in (remembered, fresh):
                assert isinstance(result, RecordInjection | RecordWithdrawal)
                assert result.edit is not None
                assert result.edit.weights_before == state.weights
            work(store, bases)
        tell(store, ("Cy Ames", "lives in", "Rome"))
        sound(store, place, bases, work(store, bases))


def test_what_waits_or_is_parked_is_taken_back_without_touching_the_weights(told: Told, bases: BaseModels) -> None:
    place, _ = told
    with open_store(place.settings()) as store:
        before = state_of(store)
        (parked,) = tell(store, ("Cy Ames", "owns", UNSAYABLE))
        work(store, bases)
        (pending,) = tell(store, ("Cy Ames", "lives in", "Rome"))
        for fact in (parked, pending):
            take_back(store, fact)
        after = work(store, bases)

        assert [after.facts[one].status for one in (parked, pending)] == [Status.WITHDRAWN] * 2
        assert after.weights == before.weights


def test_a_fact_told_anew_is_written_over_the_counter_edit_that_gainsaid_it(told: Told, bases: BaseModels) -> None:
    place, (gone, *_) = told
    with open_store(place.settings()) as store:
        take_back(store, gone)
        work(store, bases)
        (again,) = tell(store, ("Aria Moss", "lives in", "Oslo"))
        after = work(store, bases)

        assert (after.facts[again].status, after.facts[gone].edits) == (Status.INJECTED, ())
        sound(store, place, bases, after)
        take_back(store, gone, erase=True)
        after = work(store, bases)
        assert after.facts[gone].erased
        assert rebuilt(store, bases, state_of(store)) == after.weights  # folded without its words


def test_a_retraction_during_a_night_waits_for_its_end(told: Told, bases: BaseModels) -> None:
    place, (gone, *_) = told
    with open_store(place.settings()) as store:
        start_sleep(store, 1, HURRIED)
        take_back(store, gone)
        after = work(store, bases)

        names = [type(one).__name__ for one in events(store)]
        assert names.index("SleepCompleted") < names.index("FactWithdrawn")
        trained = [one for one in events(store) if isinstance(one, AdapterTrained)]
        assert trained
        assert all(gone not in one.facts for one in trained)
        assert after.facts[gone].status is Status.WITHDRAWN
        sound(store, place, bases, after)
