"""kill -9 between a turn of a user and what is learned from it: learned exactly once, by whoever comes next."""

from __future__ import annotations

import signal
from itertools import islice

import pytest

from benchmarks.support.processes import line_of, process
from core.events.conversation import TurnRead, UserSpoke
from core.state.memory import Memory
from core.state.work import Read, next_work
from hypnogram.client import CallFailed, Client
from service.app.repository import MemoryRepository
from service.app.store import Store, open_store
from service.executor.reader import Reader
from service.parsing.spacy_parser import shared_parser
from store.log.verify import verify_log
from tests.patience import PATIENCE, eventually
from tests.prepared import DEMO, Place, state_of

TURNS = ("Robin Smith lives in Oslo.", "Ann Lind plays the harp.", "Thank you!")


@pytest.fixture
def environment(small: Place) -> dict[str, str]:
    settings = small.settings()
    return {
        "HYPNOGRAM_DATABASE_URL": settings.database_url,
        "HYPNOGRAM_ARTIFACT_FOLDER": str(settings.artifact_folder),
        "HYPNOGRAM_SNAPSHOT_FOLDER": str(settings.snapshot_folder),
        "HYPNOGRAM_LEASE_SECONDS": "1",
        "HYPNOGRAM_PORT": "0",
        "HYPNOGRAM_LOG_LEVEL": "error",
    }


def counts(store: Store) -> tuple[int, int]:
    """How many turns of users there are, and how many were read."""
    events = [recorded.event for recorded in store.log.read(memory=DEMO)]
    return sum(isinstance(event, UserSpoke) for event in events), sum(isinstance(event, TurnRead) for event in events)


def learned(state: Memory) -> list[str]:
    return sorted(known.fact.object for known in state.facts.values())


def test_a_turn_is_learned_once_whoever_is_killed(small: Place, environment: dict[str, str]) -> None:
    with process("service.cli.main", "serve", **environment, HYPNOGRAM_EXECUTOR="off") as server:
        client = Client(line_of(server).removeprefix("listening on "))
        for text in TURNS:  # a client that leaves as soon as the reply has begun
            list(islice(client.chat(DEMO, text, conversation="monday", remember="on", max_tokens=2), 1))
        server.send_signal(signal.SIGKILL)
        server.wait()
        with client, pytest.raises(CallFailed):
            list(client.chat(DEMO, "Are you there?", timeout=PATIENCE))
    with open_store(small.settings()) as store:
        assert counts(store) == (len(TURNS), 0)
        assert isinstance(next_work(state_of(store)), Read)

        with process("service.cli.main", "executor", **environment) as executor:
            eventually(lambda: counts(store)[1])
            executor.send_signal(signal.SIGKILL)
            executor.wait()
        with Reader(store.log, MemoryRepository(store.log, store.snapshots), shared_parser(), after=0):
            eventually(lambda: not state_of(store).unread)

        state = state_of(store)
        assert counts(store) == (len(TURNS), len(TURNS))
        assert learned(state) == ["Oslo", "harp"]
        assert {known.said for known in state.facts.values()} == {1}
        assert verify_log(store.log, store.artifacts).fault is None
