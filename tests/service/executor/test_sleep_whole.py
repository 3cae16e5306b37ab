"""Nights of dormouse itself, short ones: a real executor, real weights, and the digests that are recorded."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from core.decide.commands import CancelSleep, StartSleep
from core.events import Recorded
from core.events.facts import WorkFailed
from core.events.sleep import AdapterTrained, FactAdvanced, FactRefreshed, SleepRolledBack
from core.ids import Digest, SleepId
from core.policy import SleepPolicy, Training
from core.state.memory import Memory, Night
from core.state.plan import plan
from core.state.sleep import Step
from core.state.work import SleepStep, next_work
from core.weights.deltas.digest import weights_digest
from service.app.progress import ProgressBoard
from service.app.repository import MemoryRepository
from service.app.store import Store, open_store
from service.executor.loop import Executor
from service.rpc.sleep.feed import span
from service.rpc.sleep.report import report
from service.weights.base_models import BaseModels
from service.weights.delta_store import DeltaStore
from service.weights.live_models import LiveModels
from service.weights.projection import build
from store.clock import next_uuid
from store.log.verify import verify_log
from tests.prepared import CAUSE, DEMO, Place, state_of, work

SMALL = SleepPolicy(
    training=Training(steps=60, batch=8, rehearsal=8), trainings=1, refreshes=1, probes=1, controls=5, texts=20,
    perplexity_limit=0.5, neighbours_limit=0.0, strangers_limit=0.0, recall_limit=0.0, gate=0.5,
)  # fmt: skip


def begin(store: Store, policy: SleepPolicy = SMALL) -> Memory:
    command = StartSleep(
        sleep=SleepId(next_uuid()), kind="sleep", trigger="client", policy=policy, seed=1, request="",
        request_digest=Digest(""),
    )  # fmt: skip
    return MemoryRepository(store.log, store.snapshots).execute(DEMO, lambda _: command, CAUSE)


def history(store: Store) -> list[Recorded]:
    return store.log.read(memory=DEMO, limit=10_000)


def last_night(state: Memory) -> Night:
    return list(state.nights.values())[-1]


def rebuilt(store: Store, bases: BaseModels, state: Memory) -> str:
    assert state.created is not None
    return weights_digest(
        build(bases.clone(state.created), DeltaStore(store.artifacts, store.log.keyring), plan(state))
    )


def answering(models: LiveModels, at_version: int | None = None) -> str:
    """The digest of the weights that answer."""
    said = models.generate(DEMO, messages=None, prompt="Hello", max_tokens=4, at_version=at_version)
    (weights,) = {piece.weights for piece in said}
    return weights


def at(step: Step) -> Callable[[Memory], bool]:
    def reached(state: Memory) -> bool:
        owed = next_work(state)
        return isinstance(owed, SleepStep) and owed.step is step

    return reached


def test_a_night_advances_facts_and_every_digest_of_it_is_met_again(place: Place, bases: BaseModels) -> None:
    with open_store(place.settings()) as store:
        before = begin(store)
        models = LiveModels(store.log, store.artifacts, store.snapshots, place.settings())
        trained = work(store, bases, until=at(Step.GATE))
        untrained = next(one.event for one in history(store) if isinstance(one.event, AdapterTrained)).weights_before
        assert trained.weights not in (before.weights, untrained)
        assert answering(models) == untrained  # because the gate has not judged the adapter
        after = work(store, bases)

        night = last_night(after)
        assert night.completed, night.reason
        assert after.weights != before.weights
        assert answering(models) == after.weights
        assert answering(models, trained.version) == untrained
        moved = [one.event for one in history(store) if isinstance(one.event, FactAdvanced | FactRefreshed)]
        last = {one.fact: one for one in moved}  # what the audit that follows finds degraded is written again
        advanced = [fact for fact, one in last.items() if isinstance(one, FactAdvanced)]
        assert advanced
        assert {after.facts[fact].stage for fact in advanced} == {1}
        assert {after.facts[fact].scale for fact in advanced} == {0.5}
        place_of = span(after, SleepId(""))
        told = report(
            MemoryRepository(store.log, store.snapshots).at(DEMO, place_of.began - 1),
            store.log.read(memory=DEMO, after_version=place_of.began - 1),
        )
        assert [one.fact for one in told.advanced] == advanced
        assert (told.weights_before, told.weights_after) == (before.weights, after.weights)
        assert told.adapters[0].steps == SMALL.training.steps

        found = models.replay(DEMO, None, lambda done, total, step: None, lambda: False)
        assert found.rebuilt == found.recorded == after.weights
        assert found.edits_checked >= 5  # clean weights, two edits, an adapter, a rescaling
        assert verify_log(store.log, store.artifacts).fault is None
        adapter = next(one.event for one in history(store) if isinstance(one.event, AdapterTrained))
        store.artifacts.path(adapter.delta).unlink()
        fault = verify_log(store.log, store.artifacts).fault
        assert fault is not None
        assert adapter.delta in fault.message


def test_a_night_that_did_harm_is_undone_to_the_bit(place: Place, bases: BaseModels) -> None:
    with open_store(place.settings()) as store:
        training = replace(SMALL.training, learning_rate=1000.0, steps=10)  # which do harm enough
        harmful = replace(SMALL, training=training, refreshes=0, controls=2, texts=5, perplexity_limit=0.02)
        before = begin(store, harmful)
        after = work(store, bases)

        night = last_night(after)
        assert not night.completed
        assert after.weights == before.weights == rebuilt(store, bases, after)
        assert {fact: (one.stage, one.scale, one.edits) for fact, one in after.facts.items()} == {
            fact: (one.stage, one.scale, one.edits) for fact, one in before.facts.items()
        }
        (undone,) = [one.event for one in history(store) if isinstance(one.event, SleepRolledBack)]
        assert undone.reason in ("perplexity", "failed")
        assert sum(isinstance(one.event, WorkFailed) for one in history(store)) <= 1  # none is tried again in vain


def test_a_cancelled_training_stops_soon_and_leaves_nothing(place: Place, bases: BaseModels) -> None:
    """And nothing of it is recorded as a failure."""
    with open_store(place.settings()) as store:
        endless = replace(SMALL, training=replace(SMALL.training, steps=100_000, enough=0.0))
        before = begin(store, endless)
        sleep, chart, stop = before.sleep, ProgressBoard(), threading.Event()
        assert sleep is not None
        executor = Executor(store.log, store.artifacts, store.snapshots, place.settings(), bases, chart)
        thread = threading.Thread(target=executor.run, args=(stop,))
        thread.start()
        try:
            while (reading := chart.read(DEMO)) is None or reading.work.name != Step.TRAIN or reading.done < 3:
                assert stop.wait(0.05) is False
            MemoryRepository(store.log, store.snapshots).execute(
                DEMO, lambda _: CancelSleep(sleep=sleep.id), CAUSE, retries=10
            )
            for _ in range(600):
                if chart.read(DEMO) is None:
                    break
                assert stop.wait(0.05) is False
            assert chart.read(DEMO) is None
        finally:
            stop.set()
            thread.join()

        after = state_of(store)
        assert after.weights == before.weights == rebuilt(store, bases, after)
        assert last_night(after).reason == "a client cancelled it"
        assert not any(isinstance(one.event, (WorkFailed, AdapterTrained)) for one in history(store))


def test_an_executor_that_dies_in_training_is_followed_by_one_that_goes_on_there(
    place: Place, bases: BaseModels
) -> None:
    with open_store(place.settings()) as store:
        begin(store, replace(SMALL, training=replace(SMALL.training, steps=15)))
        work(store, bases, until=at(Step.TRAIN))  # stopped at once: its training is thrown away
        assert not any(isinstance(one.event, (WorkFailed, AdapterTrained)) for one in history(store))

        after = work(store, bases)

        assert last_night(after).completed
        assert rebuilt(store, bases, after) == after.weights
