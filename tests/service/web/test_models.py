"""The list of models is what folding every memory would say, and folds none."""

from __future__ import annotations

import httpx
import pytest

from core.ids import MemoryId
from hypnogram.client import new_fact
from service.app.repository import MemoryRepository
from tests.service.conftest import DEMO, Running


def ids(running: Running) -> list[str]:
    return [model["id"] for model in httpx.get(f"{running.http}/v1/models").raise_for_status().json()["data"]]


def folded(running: Running) -> list[str]:
    names = []
    for memory in sorted(summary.memory for summary in running.client.memories()):
        state = running.states.current(MemoryId(memory))
        names += [memory, *(f"{memory}@{it}" for it in (state.version, *state.checkpoints))]
    return names


def test_forks_and_reused_names_have_the_checkpoints_of_their_states(forkable: None, demo: Running) -> None:
    demo.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon")])
    demo.work()
    demo.client.mark(DEMO, "monday", version=2)
    demo.client.fork("branch", DEMO)
    demo.client.mark(DEMO, "tuesday")
    demo.client.mark("branch", "own")
    demo.client.fork("early", "branch", "monday")
    demo.client.fork("leaf", "branch")
    assert ids(demo) == folded(demo)
    assert {"branch@monday", "leaf@monday", "leaf@own"} <= set(ids(demo))
    assert not {"branch@tuesday", "early@monday", "early@own"} & set(ids(demo))

    demo.client.delete_memory("leaf")
    assert ids(demo) == folded(demo)
    demo.work("leaf")
    demo.client.create_memory("leaf")
    demo.client.mark("leaf", "anew")

    assert ids(demo) == folded(demo)
    assert [name for name in ids(demo) if name.startswith("leaf@")][1:] == ["leaf@anew"]
    for name in ids(demo):
        alone = httpx.get(f"{demo.http}/v1/models/{name}").json()
        assert alone in httpx.get(f"{demo.http}/v1/models").json()["data"]


def test_no_memory_is_folded_to_be_listed(demo: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(states: MemoryRepository, memory: MemoryId) -> None:
        raise AssertionError(f"{memory} is folded")

    demo.client.mark(DEMO, "monday")
    expected = folded(demo)
    monkeypatch.setattr(MemoryRepository, "current", refuse)

    assert ids(demo) == expected
