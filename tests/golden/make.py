"""Makes the golden log of this version: `python -m tests.golden.make NAME` writes tests/golden/NAME.

A golden log is made once, when a version ships, and never again: later versions must replay it to the digests beside
it. It stands on a base model of random weights in its own folder, so that it needs nothing else.

    base/           the base model, named in the log by a path relative to NAME
    log.sql         the database as SQL text
    artifacts/      deltas, statistics and ordinary text
    expected.json   memory, version, digest of the plan, and the digest of the weights wherever they changed
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from core.commands import CancelSleep, CreateMemory
from core.evolve import evolve
from core.memory import NOTHING
from core.plan import plan
from core.policy import Training
from service.live import LiveModels
from service.states import States
from service.subjects import Subjects
from service.wiring import Store, opened
from tests.prepared import CAUSE, DEMO, QUICK, Place, start_sleep, state_of, tell, work
from tests.weights.tiny import UNSAYABLE, make

GOLDEN = Path(__file__).parent


def main(name: str) -> None:
    folder = GOLDEN / name
    if folder.exists():
        sys.exit(f"{folder} exists: a golden log is never made again")
    make(folder / "base")
    os.chdir(folder)  # the log names its base as "base"
    with tempfile.TemporaryDirectory() as temporary:
        place = Place(Path(temporary))
        with opened(place.settings()) as store:
            expected = _live(store, place)
        shutil.copytree(place.folder / "artifacts", folder / "artifacts")
        with closing(sqlite3.connect(place.folder / "hypnogram.db")) as database:
            Path("log.sql").write_text("\n".join(database.iterdump()) + "\n", encoding="utf-8")
    Path("expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def _live(store: Store, place: Place) -> dict[str, object]:
    """A life with every event type in it, and the digests along its way."""
    models = LiveModels(store.log, store.artifacts, store.snapshots, place.settings())
    created = models.describe(name="base", revision="", dtype="bfloat16", quantization="none", overrides={})
    States(store.log, store.snapshots).carry_out(DEMO, lambda _: CreateMemory(memory=DEMO, created=created), CAUSE)
    subjects = Subjects("cpu")
    for batch in (
        [("Aria Moss", "lives in", "Rome"), ("Aria Moss", "plays", "the cello")],
        [("Bo Lind", "lives in", "Łódź"), ("Cy Ames", "owns", UNSAYABLE), ("Dee Orr", "speaks", "日本語")],
        [("Eve Quill", "lives in", "Lima")],
    ):
        tell(store, *batch)
        work(store, subjects)
    short = replace(QUICK, scales=(1.0, 0.0), trainings=2)  # one advance dissolves
    strict = replace(short, healthy=1.0, gate=1.0)  # degrades facts, so that they are refreshed, and turns them back
    taught = Training(rank=16, steps=400, learning_rate=2e-2, batch=12, rehearsal=0, divergence_weight=0.0, enough=0.01)
    lenient = replace(short, training=taught, gate=0.0, healthy=0.0)
    nights = ((strict, "sleep"), (lenient, "sleep"), (lenient, "sleep"), (QUICK, "nap"))
    for seed, (policy, kind) in enumerate(nights):
        start_sleep(store, seed, policy, kind)
        work(store, subjects)
    cancelled = CancelSleep(sleep=start_sleep(store, len(nights), short))
    States(store.log, store.snapshots).carry_out(DEMO, lambda _: cancelled, CAUSE)
    state = state_of(store)
    folded, changed = NOTHING, [1]
    for recorded in store.log.read(memory=DEMO):
        before = folded.weights
        folded = evolve(folded, recorded.event)
        changed += [recorded.version] if folded.weights != before else []
    weights = {
        version: models.replay(DEMO, version, lambda done, total, step: None, lambda: False).rebuilt
        for version in dict.fromkeys((*changed, state.version))
    }
    return {"memory": DEMO, "version": state.version, "plan": plan(state).digest, "weights": weights}


if __name__ == "__main__":
    main(sys.argv[1])
