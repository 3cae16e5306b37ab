"""Makes a golden log of this version: `python -m tests.golden.make NAME [neuron | talk]` writes tests/golden/NAME.

A golden log is made once, when a version ships, and never again: later versions must replay it to the digests beside
it. It stands on a base model of random weights in its own folder, so that it needs nothing else.

    base/           the base model, named in the log by a path relative to NAME
    log.sql         the database as SQL text
    artifacts/      deltas, statistics and reference text
    expected.json   memory, version, digest of the plan, and the digest of the weights wherever they changed; its forks
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from benchmarks.support.tiny import UNSAYABLE, make
from core.decide.commands import (
    CancelSleep,
    CreateMemory,
    DeleteMemory,
    MarkCheckpoint,
    RebaseMemory,
    RecordCompaction,
    RetryFacts,
)
from core.errors.history import WordsErased
from core.events.memory import MemoryCreated
from core.evolve import evolve
from core.ids import Digest, MemoryId
from core.method import Method
from core.policy import Training
from core.state.memory import NOTHING
from core.state.plan import plan
from service.app.forks import fork
from service.app.repository import MemoryRepository
from service.app.store import Store, open_store
from service.weights.base_models import BaseModels
from service.weights.live_models import LiveModels
from tests.golden import neurons, talk
from tests.golden.neurons import FORK
from tests.prepared import CAUSE, DEMO, QUICK, Place, put_in_place, start_sleep, state_of, take_back, tell, work

GOLDEN = Path(__file__).parent
DELETED = MemoryId("deleted")
TALK = "talk"


def main(name: str, life: str = Method.ANSWER_SITE) -> None:
    folder = GOLDEN / name
    if folder.exists():
        sys.exit(f"{folder} exists: a golden log is never made again")
    make(folder / "base")
    os.chdir(folder)  # the log names its base as "base"
    with tempfile.TemporaryDirectory() as temporary:
        place = Place(Path(temporary))
        with open_store(place.settings()) as store:
            expected = _lived(store, place, life)
        shutil.copytree(place.folder / "artifacts", folder / "artifacts")
        with closing(sqlite3.connect(place.folder / "hypnogram.db")) as database:
            Path("log.sql").write_text("\n".join(database.iterdump()) + "\n", encoding="utf-8")
    Path("expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def _lived(store: Store, place: Place, life: str) -> dict[str, object]:
    """A life of a memory that writes by that method, or that learns in conversations, and the digests along its way."""
    method = Method.ANSWER_SITE if life == TALK else Method(life)
    models = LiveModels(store.log, store.artifacts, store.snapshots, place.settings())
    created = models.describe(
        name="base", revision="", dtype="bfloat16", quantization="none", overrides={}, method=method
    )
    created = replace(created, base=replace(created.base, name="base"))  # wherever a checkout is
    if life == TALK:
        talk.live(store, created)
        return _expected(store, models, DEMO)
    if method is Method.NEURON:
        neurons.live(store, created)
    else:
        _live(store, models, created)
    return {**_expected(store, models, DEMO), "forks": [_expected(store, models, FORK)]}


def _live(store: Store, models: LiveModels, created: MemoryCreated) -> None:
    """A life with every event type in it."""
    MemoryRepository(store.log, store.snapshots).execute(
        DEMO, lambda _: CreateMemory(memory=DEMO, created=created), CAUSE
    )
    bases = BaseModels("cpu")
    for batch in (
        [("Aria Moss", "lives in", "Rome"), ("Aria Moss", "plays", "the cello")],
        [("Bo Lind", "lives in", "Łódź"), ("Cy Ames", "owns", UNSAYABLE), ("Dee Orr", "speaks", "日本語")],
        [("Eve Quill", "lives in", "Lima")],
        [("Eve Quill", "lives in", "Lima")],  # known by then
    ):
        tell(store, *batch)
        work(store, bases)
    again = RetryFacts(memory=DEMO, fact=None, request="again", request_digest=Digest("again"))
    MemoryRepository(store.log, store.snapshots).execute(DEMO, lambda _: again, CAUSE)
    work(store, bases)  # parks it once more
    short = replace(QUICK, scales=(1.0, 0.0), trainings=2)  # one advance dissolves
    strict = replace(short, healthy=1.0, gate=1.0)  # degrades facts, so that they are refreshed, and turns them back
    taught = Training(rank=16, steps=400, learning_rate=2e-2, batch=12, rehearsal=0, divergence_weight=0.0, enough=0.01)
    lenient = replace(short, training=taught, gate=0.0, healthy=0.0)
    nights = ((strict, "sleep"), (lenient, "sleep"), (lenient, "sleep"), (QUICK, "nap"))
    for seed, (policy, kind) in enumerate(nights):
        start_sleep(store, seed, policy, kind)
        work(store, bases)
    states = MemoryRepository(store.log, store.snapshots)
    cancelled = CancelSleep(sleep=start_sleep(store, len(nights), short))
    states.execute(DEMO, lambda _: cancelled, CAUSE)
    _go_back(store, bases, models, states)
    _delete(store, bases, states)


def _go_back(store: Store, bases: BaseModels, models: LiveModels, states: MemoryRepository) -> None:
    """A checkpoint, facts superseded, retracted and erased, adapters compacted, a fork that is told more."""
    version, weights = (now := state_of(store)).version, now.weights
    mark = MarkCheckpoint(memory=DEMO, name="monday", version=version, weights=weights)
    states.execute(DEMO, lambda _: mark, CAUSE)
    told = [fact for fact, state in now.facts.items() if state.in_weights]
    put_in_place(store, told[0], "Oslo")
    take_back(store, told[1])
    (new,) = tell(store, ("Gil Hart", "lives in", "Bonn"))
    work(store, bases)
    take_back(store, new, erase=True)
    work(store, bases)
    states.execute(DEMO, lambda _: RebaseMemory(memory=DEMO, name="./base", revision=""), CAUSE)
    compacted = RecordCompaction(compacted=models.compact(DEMO, state_of(store), bound=0.5))
    states.execute(DEMO, lambda _: compacted, CAUSE)
    fork(store, states, FORK, DEMO, None, CAUSE, retries=0)
    tell(store, ("Ida Vane", "lives in", "Oslo"), memory=FORK)
    work(store, bases, memory=FORK)


def _delete(store: Store, bases: BaseModels, states: MemoryRepository) -> None:
    """One more fork, which is told something and deleted."""
    fork(store, states, DELETED, DEMO, None, CAUSE, retries=0)
    tell(store, ("Jo Birch", "lives in", "Turin"), memory=DELETED)
    work(store, bases, memory=DELETED)
    states.execute(DELETED, lambda _: DeleteMemory(memory=DELETED), CAUSE)
    work(store, bases, memory=DELETED)


def _expected(store: Store, models: LiveModels, memory: MemoryId) -> dict[str, object]:
    """What a memory must replay to, at every version at which its weights changed and can still be rebuilt."""
    state, folded, changed = state_of(store, memory), NOTHING, [1]
    for recorded in store.log.read(memory=memory):
        before = folded.weights
        folded = evolve(folded, recorded.event)
        changed += [recorded.version] if folded.weights != before else []
    weights = {}
    for version in dict.fromkeys((*changed, state.version)):
        with suppress(WordsErased):
            weights[version] = models.replay(memory, version, lambda done, total, step: None, lambda: False).rebuilt
    return {"memory": memory, "version": state.version, "plan": plan(state).digest, "weights": weights}


if __name__ == "__main__":
    main(*sys.argv[1:])
