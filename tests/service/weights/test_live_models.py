"""Sampled answers: the same by the same seed, on live and on past weights."""

from __future__ import annotations

from service.app.ports import Piece, Sampling
from service.app.store import open_store
from service.weights.base_models import BaseModels
from service.weights.live_models import LiveModels
from tests.prepared import DEMO, Place, state_of, work


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
