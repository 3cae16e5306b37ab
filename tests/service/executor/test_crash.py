"""kill -9 at any moment of adding and writing facts: what was acknowledged is there, and the weights are the recorded.

The base model is one of random weights: what is killed is the log, the artifacts and the executor, and with a small
model the kills fall on more of their steps.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from random import Random

import pytest

from benchmarks.support.processes import line_of, process
from core.state.memory import Memory, Status
from core.state.plan import plan
from core.weights.deltas.digest import weights_digest
from hypnogram.client import CallFailed, Client, new_fact
from service.app.store import Store, open_store
from service.weights.base_models import BaseModels
from service.weights.delta_store import DeltaStore
from service.weights.projection import build
from store.log.verify import verify_log
from tests.patience import PATIENCE
from tests.prepared import DEMO, Place, state_of, tell, work

KILLS = 100
MEMORIES = 10  # with so many kills on each, so that none of them grows long
SERVER_KILLS = 3
LONGEST_LIFE = 0.6  # seconds


def check(store: Store, bases: BaseModels, acknowledged: set[str]) -> Memory:
    """Nothing acknowledged is lost, the log is sound, and its weights are the recorded ones."""
    state = state_of(store)
    assert acknowledged <= set(state.facts)
    assert verify_log(store.log, store.artifacts).fault is None
    assert state.created is not None
    weights = weights_digest(
        build(bases.clone(state.created), DeltaStore(store.artifacts, store.log.keyring), plan(state))
    )
    assert state.weights in (None, weights)
    return state


def ready(place: Place, bases: BaseModels) -> Place:
    with open_store(place.settings()) as store:
        work(store, bases)
    return place


def test_no_kill_loses_an_acknowledged_fact_or_a_bit_of_the_weights(
    small: Place, bases: BaseModels, tmp_path: Path
) -> None:
    ready(small, bases)
    seed = int(os.environ.get("HYPNOGRAM_TEST_SEED", "0")) or time.time_ns() % 10**6
    sys.stdout.write(f"HYPNOGRAM_TEST_SEED={seed} repeats the moments of these kills\n")
    random = Random(seed)
    longest = LONGEST_LIFE  # seconds; adapts, so that on a slow machine, too, about half the lives write something
    facts = owing = wrote = 0  # facts acknowledged; kills while some were owed; lives in which some were written
    with process("benchmarks.faults.nursery", str(small.folder)) as nursery:
        assert nursery.stdin is not None
        assert line_of(nursery) == "ready"
        for memory in range(MEMORIES):
            place = small.copy(tmp_path / f"memory-{memory}")
            acknowledged: set[str] = set()
            edits = 0
            for kill in range(KILLS // MEMORIES):
                number = memory * (KILLS // MEMORIES) + kill
                nursery.stdin.write(f"telling {place.folder} {number} {random.uniform(0, longest):.4f} 4 0\n")
                nursery.stdin.flush()
                while (line := line_of(nursery)) != "killed":
                    acknowledged.add(line.removeprefix("told "))
                with open_store(place.settings()) as store:
                    state = check(store, bases, acknowledged)
                owing += bool(state.pending)
                wrote += len(state.edits) > edits
                longest *= 0.9 if len(state.edits) > edits else 1.1
                edits = len(state.edits)
            with open_store(place.settings()) as store:
                after = work(store, bases)
                # random weights do not take every object, and then a fact is parked
                assert {state.status for state in after.facts.values()} <= {Status.INJECTED, Status.PARKED}
                assert any(state.status is Status.INJECTED for state in after.facts.values())
                check(store, bases, acknowledged)
            facts += len(acknowledged)

    sys.stdout.write(f"{facts} facts, {owing} kills while some were owed, {wrote} lives in which some were written\n")
    assert min(facts, owing, wrote) > KILLS // 20  # or the kills came too early, or too late, to mean anything


@pytest.fixture
def environment(small: Place) -> dict[str, str]:
    return {
        "HYPNOGRAM_DATABASE_URL": small.settings().database_url,
        "HYPNOGRAM_ARTIFACT_FOLDER": str(small.settings().artifact_folder),
        "HYPNOGRAM_SNAPSHOT_FOLDER": str(small.settings().snapshot_folder),
        "HYPNOGRAM_LEASE_SECONDS": "1",
        "HYPNOGRAM_PORT": "0",
        "HYPNOGRAM_LOG_LEVEL": "error",
    }


def test_a_killed_server_loses_nothing_that_it_acknowledged(
    small: Place, bases: BaseModels, environment: dict[str, str]
) -> None:
    ready(small, bases)
    acknowledged: set[str] = set()
    for kill in range(SERVER_KILLS):
        with process("service.cli.main", "serve", **environment) as server:
            address = line_of(server).removeprefix("listening on ")
            with Client(address) as client:
                for number in range(3):
                    fact = new_fact(f"Aria Number{kill}x{number}", "lives in", "Rome")
                    answer = client.add_facts(DEMO, [fact], timeout=PATIENCE)
                    acknowledged.add(answer.results[0].fact.fact)
                    time.sleep(0.1 * kill)
                server.send_signal(signal.SIGKILL)
                with pytest.raises(CallFailed):
                    client.add_facts(DEMO, [new_fact("Bo Lind", "lives in", "Lima")], timeout=PATIENCE)
            server.wait()
        with open_store(small.settings()) as store:
            check(store, bases, acknowledged)
    with open_store(small.settings()) as store:
        after = work(store, bases)
        assert {fact: state.status for fact, state in after.facts.items()} == dict.fromkeys(
            sorted(acknowledged), Status.INJECTED
        )
        check(store, bases, acknowledged)


def test_a_killed_executor_is_followed_by_another(small: Place, bases: BaseModels, environment: dict[str, str]) -> None:
    """Killed once its first words are in the log: its lease runs out, and whoever comes next goes on."""
    with open_store(small.settings()) as store:
        tell(store, *((f"Aria Number{number}", "lives in", "Rome") for number in range(12)))
        with process("service.cli.main", "executor", **environment) as executor:
            position = store.log.position()
            assert store.log.wait(position, PATIENCE) > position
            executor.send_signal(signal.SIGKILL)
            executor.wait()
        check(store, bases, set())

        after = work(store, bases)

        assert len(after.facts) == 12
        assert all(state.status is Status.INJECTED for state in after.facts.values())
        check(store, bases, set(after.facts))
