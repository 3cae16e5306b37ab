"""A training that was interrupted finds what it has learned, to the bit; nothing of it is left in the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from core.errors.history import WordsErased
from core.weights.deltas.fixed_point import encode
from core.weights.neuron.values import Values
from service.executor.values_cache import ValuesCache
from service.weights.delta_store import DeltaStore
from store.artifacts import Artifacts
from store.log.event_log import EventLog
from tests.core.samples import ARIA, BO, CY, added
from tests.store.given import DEMO, new, throw_key_away

FACTS = [ARIA.id, BO.id, CY.id]


def learned(seed: int, facts: int) -> Values:
    torch.manual_seed(seed)
    values = torch.randn(2 * facts, 8)
    return Values(values, values.norm(dim=1), torch.rand(facts), torch.rand(facts), 0.125, 80)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with EventLog.open(f"sqlite:///{tmp_path}/log.db") as opened:
        opened.append(DEMO, [new(added(one)) for one in (ARIA, BO, CY)], expected=0)
        yield opened


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


def opened(artifacts: Artifacts, log: EventLog, number: int = 0) -> ValuesCache:
    """As a process opens it that has just started."""
    return ValuesCache(artifacts, DeltaStore(artifacts, log.keyring), ["a sleep", number], FACTS)


def test_another_process_goes_on_with_what_was_learned_and_leaves_nothing(artifacts: Artifacts, log: EventLog) -> None:
    # given a training that was killed after its first two facts
    first = learned(1, 2)
    opened(artifacts, log).put([0, 1], first)

    # when it begins anew, then these are there, and what is stored of them in the end has the same bits
    again = opened(artifacts, log)
    known = again.get([0, 1])
    assert known is not None
    assert torch.equal(encode(known.values.T).mantissa, encode(first.values.T).mantissa)
    assert torch.equal(encode(known.values.T).exponent, encode(first.values.T).exponent)
    for name in ("length", "before", "loss"):
        assert torch.equal(getattr(known, name), getattr(first, name))
    assert (known.divergence, known.steps) == (first.divergence, first.steps)

    # but not another part, nor another training of the night
    assert again.get([2]) is None
    assert opened(artifacts, log, number=1).get([0, 1]) is None

    # when it ends, then nothing of it is left
    again.put([2], learned(2, 1))
    again.clear()
    assert artifacts.list() == []
    assert opened(artifacts, log).get([0, 1]) is None


def test_what_was_learned_is_learned_again_where_it_is_lost(artifacts: Artifacts, log: EventLog) -> None:
    opened(artifacts, log).put([0, 1], learned(1, 2))
    for digest in artifacts.list():
        if not artifacts.get(digest).startswith(b"{"):  # but what names the values is there
            artifacts.remove(digest)

    again = opened(artifacts, log)
    assert again.get([0, 1]) is None

    again.put([0, 1], learned(1, 2))
    again.clear()
    assert artifacts.list() == []


def test_what_was_learned_of_an_erased_fact_cannot_be_read(artifacts: Artifacts, log: EventLog) -> None:
    opened(artifacts, log).put([0, 1], learned(1, 2))
    throw_key_away(log, BO.id)

    with pytest.raises(WordsErased):
        opened(artifacts, log).get([0, 1])
