"""Sampled answers: the same by the same seed, on live and on past weights."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest

from core.decide.commands import DeleteMemory
from core.ids import MemoryId
from service.app.ports import Piece, Sampling
from service.app.repository import MemoryRepository
from service.app.store import open_store
from service.weights.base_models import BaseModels
from service.weights.live_models import LiveModels
from tests.prepared import CAUSE, DEMO, Place, create, state_of, tell, work


def test_a_seed_repeats_an_answer_and_another_changes_it(small: Place, bases: BaseModels) -> None:
    with open_store(small.settings()) as store:
        work(store, bases)
        models, newest = LiveModels(store.log, store.artifacts, store.snapshots, small.settings()), state_of(store)

        def answer(seed: int | None, at_version: int | None = None) -> list[Piece]:
            sampling = None if seed is None else Sampling(2.0, 1.0, seed)
            said = models.generate(
                DEMO, messages=None, prompt="Aria", max_tokens=12, at_version=at_version, sampling=sampling
            )
            return list(said)

        assert newest.created is not None
        base = models.bases.base(newest.created)
        first, greedy = answer(1), answer(None)
        assert answer(1) == answer(1, newest.version) == first
        assert answer(2) != first != greedy
        assert answer(None) == greedy
        assert {piece.prompt_tokens for piece in first} == {len(base.raw_ids("Aria"))}
        assert first[-1].tokens <= 12


def test_weights_that_have_answered_a_canary_are_not_asked_again_for_another_memory(
    small: Place, bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(small.settings()) as store:
        work(store, bases)
        for name in ("same", "told"):
            create(store, str(small.folder / "base"), memory=MemoryId(name))
            work(store, bases, memory=MemoryId(name))
        tell(store, ("Aria Moss", "lives in", "Rome"), memory=MemoryId("told"))
        work(store, bases, memory=MemoryId("told"))
        models, asked = LiveModels(store.log, store.artifacts, store.snapshots, small.settings()), list[str]()
        generate = models.generate

        def counted(memory: MemoryId, **given: Any) -> Generator[Piece, None, None]:
            asked.append(memory)
            for piece in generate(memory, **given):
                yield replace(piece, text="a word")  # because a model of random weights may say nothing

        monkeypatch.setattr(models, "generate", counted)
        for name in (DEMO, "same", "told", DEMO, "told"):
            models.ready(MemoryId(name))

    assert asked == [DEMO, "told"]


def test_nothing_is_kept_of_a_memory_that_is_deleted_and_purged(small: Place, bases: BaseModels) -> None:
    with open_store(small.settings()) as store:
        tell(store, ("Aria Moss", "lives in", "Rome"))
        told = work(store, bases).version
        models = LiveModels(store.log, store.artifacts, store.snapshots, small.settings())
        list(models.generate(DEMO, messages=None, prompt="Aria", max_tokens=1))
        both = models.kept
        MemoryRepository(store.log, store.snapshots).execute(DEMO, lambda _: DeleteMemory(memory=DEMO), CAUSE)

        models.forget(DEMO, told + 1)
        deltas = models.kept
        purged = work(store, bases, until=lambda memory: memory.purged)
        models.forget(DEMO, purged.version)

    assert both > deltas > 0
    assert models.kept == 0
