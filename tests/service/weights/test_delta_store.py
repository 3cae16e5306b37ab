"""Deltas: a fact's own columns are sealed and open until it is erased; everything else stays readable as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.errors.base import ArtifactCorrupt, Damaged
from core.errors.history import WordsErased
from core.events.facts import Columns
from core.ids import Digest, FactId
from core.state.plan import Term
from core.weights.deltas.fixed_point import Delta, encode, materialise, parts_of
from service.weights import delta_store
from service.weights.delta_store import DeltaStore
from store.artifacts import Artifacts
from store.log.event_log import EventLog
from store.sealing.delta_columns import extents
from tests.core.samples import ARIA, BO, CY, added
from tests.store.given import DEMO, new, throw_key_away

MODULES = ("first", "second")
OWNED = ((ARIA.id, 0, 2), (BO.id, 2, 1), (CY.id, 3, 3))


def a_delta(seed: int = 0, columns: int = 6) -> Delta:
    torch.manual_seed(seed)
    return Delta({name: (encode(torch.randn(8, columns)), encode(torch.randn(5, columns))) for name in MODULES})


def owners() -> list[Columns]:
    rest = {"keys": 1, "residual": 0.5, "achieved": 1.0, "learned": True}
    return [Columns(fact=fact, first=first, count=count, **rest) for fact, first, count in OWNED]  # type: ignore[arg-type]


def term(delta: Digest, first: int, count: int, scale: float = 1.0) -> Term:
    return Term(delta=delta, first=first, count=count, scale=scale)


def weights(chosen: list[delta_store.Chosen]) -> list[Tensor]:
    return [materialise(torch.zeros(8, 5), parts_of(name, chosen)) for name in MODULES]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with EventLog.open(f"sqlite:///{tmp_path}/log.db") as open_store:
        open_store.append(DEMO, [new(added(one)) for one in (ARIA, BO, CY)], expected=0)
        yield open_store


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


@pytest.fixture
def deltas(log: EventLog, artifacts: Artifacts) -> DeltaStore:
    return DeltaStore(artifacts, log.keyring)


@pytest.mark.parametrize(("first", "count"), [(0, 6), (0, 2), (1, 3), (3, 3), (4, 1), (2, 1)])
def test_sealed_columns_are_the_columns_bit_for_bit(deltas: DeltaStore, first: int, count: int) -> None:
    digest = deltas.put(a_delta(), owners())

    chosen = deltas.columns([term(digest, first, count, 0.5)])

    plain: list[delta_store.Chosen] = [(a_delta(), slice(first, first + count), 0.5)]
    for sealed, clear in zip(weights(chosen), weights(plain), strict=True):
        assert torch.equal(sealed, clear)


def test_what_is_stored_shows_no_column_in_clear(deltas: DeltaStore, artifacts: Artifacts) -> None:
    stored = artifacts.get(deltas.put(a_delta(), owners()))

    found = extents(stored)

    assert [(one.fact, one.first, one.count) for one in found] == list(OWNED)
    clear = a_delta().factors["first"][0].mantissa
    assert all(clear[:, index].contiguous().numpy().tobytes() not in stored for index in range(6))
    with pytest.raises(Damaged):
        Delta.from_bytes(stored)


def test_without_owners_a_delta_is_stored_as_it_always_was(deltas: DeltaStore, artifacts: Artifacts) -> None:
    digest = deltas.put(a_delta())

    assert artifacts.get(digest) == a_delta().to_bytes()
    assert torch.equal(weights(deltas.columns([term(digest, 0, 6)]))[0], weights([(a_delta(), slice(None), 1.0)])[0])


@pytest.mark.parametrize("kept", [True, False])
def test_only_columns_of_an_erased_fact_are_gone(
    log: EventLog, artifacts: Artifacts, deltas: DeltaStore, kept: bool
) -> None:
    digest = deltas.put(a_delta(), owners())
    if kept:
        deltas.columns([term(digest, 0, 6)])
    throw_key_away(log, BO.id)

    for first, count in ((0, 6), (2, 1), (1, 2)):
        with pytest.raises(WordsErased, match=BO.id):
            deltas.columns([term(digest, first, count)])
    assert len(deltas.columns([term(digest, 0, 2), term(digest, 3, 3)])) == 2


def test_nothing_is_kept_of_a_fact_that_is_forgotten(
    log: EventLog, artifacts: Artifacts, deltas: DeltaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = deltas.put(a_delta(), owners())
    deltas.columns([term(digest, 0, 6)])

    deltas.forget([BO.id])

    monkeypatch.setattr(artifacts, "get", pytest.fail)
    deltas.columns([term(digest, 0, 2)])
    with pytest.raises(pytest.fail.Exception):
        deltas.columns([term(digest, 2, 1)])


def test_an_artifact_is_read_once_while_there_is_room(
    artifacts: Artifacts, deltas: DeltaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = deltas.put(a_delta(1), owners()), deltas.put(a_delta(2), owners())
    read: list[Digest] = []
    get = artifacts.get

    def counted(digest: Digest) -> bytes:
        read.append(digest)
        return get(digest)

    monkeypatch.setattr(artifacts, "get", counted)
    for _ in range(2):
        deltas.columns([term(one, 0, 2), term(one, 3, 3), term(other, 0, 6)])
    assert read == [one, other]

    monkeypatch.setattr(delta_store, "KEPT_BYTES", 1)
    third = deltas.put(a_delta(3), owners())
    deltas.columns([term(digest, 0, 1) for digest in (third, one, third)])
    assert read == [one, other, third, one, third]


def test_what_is_dropped_is_read_anew(
    artifacts: Artifacts, deltas: DeltaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, kept = deltas.put(a_delta(1), owners()), deltas.put(a_delta(2), owners())
    deltas.columns([term(gone, 0, 2), term(kept, 0, 2)])
    both = deltas.kept

    deltas.drop([gone, Digest("never read")])

    assert deltas.kept == both - len(artifacts.get(gone)) == len(artifacts.get(kept))
    monkeypatch.setattr(artifacts, "get", pytest.fail)
    deltas.columns([term(kept, 0, 2)])
    with pytest.raises(pytest.fail.Exception):
        deltas.columns([term(gone, 0, 2)])


def test_an_altered_artifact_is_named(artifacts: Artifacts, deltas: DeltaStore) -> None:
    digest = deltas.put(a_delta(), owners())
    path = artifacts.path(digest)
    path.write_bytes(path.read_bytes()[:-1] + b"\0")

    with pytest.raises(ArtifactCorrupt, match=digest):
        deltas.columns([term(digest, 0, 1)])


def test_a_term_of_columns_that_are_not_there_is_damage(deltas: DeltaStore) -> None:
    digest = deltas.put(a_delta(), owners())

    with pytest.raises(Damaged, match="columns 5 to 6"):
        deltas.columns([term(digest, 5, 2)])


@pytest.mark.parametrize("given", [owners()[:2], owners()[1:], [*owners(), owners()[0]]])
def test_columns_that_are_sealed_have_one_owner_each(deltas: DeltaStore, given: list[Columns]) -> None:
    with pytest.raises(ValueError, match="owner"):
        deltas.put(a_delta(), given)


def test_nothing_is_sealed_for_a_fact_that_was_erased(log: EventLog, deltas: DeltaStore) -> None:
    throw_key_away(log, FactId(CY.id))

    with pytest.raises(WordsErased, match=CY.id):
        deltas.put(a_delta(), owners())
