"""Statistics that come with a base: nearly what was measured, and the same bits for everybody."""

from __future__ import annotations

import hashlib

import pytest
import torch

from core.errors.base import Damaged
from core.weights.memit.covariance import KeyCovariance
from core.weights.memit.packed import BITS, pack, unpack


def statistics(width: int = 40) -> KeyCovariance:
    """Moments whose eigenvalues and diagonals lie as far apart as those of a model's keys."""
    random = torch.Generator().manual_seed(1)
    basis = torch.linalg.qr(torch.randn(width, width, generator=random, dtype=torch.float64)).Q
    sizes = torch.logspace(-1, 1, width, dtype=torch.float64)
    moment = (basis * torch.logspace(-2, 2, width, dtype=torch.float64)) @ basis.T * sizes * sizes[:, None]
    symmetric = (moment + moment.T).float() / 2
    return KeyCovariance({"first": symmetric, "second": 3 * symmetric}, 9, 8, 7, 2.5)


def test_what_is_unpacked_varies_in_every_direction_nearly_as_what_was_packed() -> None:
    given = statistics()

    unpacked = unpack(pack(given))

    assert (unpacked.tokens, unpacked.abstentions, unpacked.recalls) == (9, 8, 7)
    assert unpacked.keys_per_fact == 2.5
    assert list(unpacked.moments) == ["first", "second"]
    for module, moment in given.moments.items():
        root = torch.linalg.cholesky(moment.double())
        half = torch.linalg.solve_triangular(root, unpacked.moments[module].double(), upper=False)
        relative = torch.linalg.eigvalsh(torch.linalg.solve_triangular(root, half.T, upper=False))
        assert relative.min() > 0.9
        assert relative.max() < 1.1


def test_unpacked_moments_are_the_exact_product_rounded_once() -> None:
    packed = pack(statistics(width=6))

    moments = unpack(packed).moments

    for moment in moments.values():
        scale = torch.exp2(moment.diagonal().double().sqrt().log2().round())
        in_units = moment.double() / scale / scale[:, None] * 2 ** (2 * BITS)  # whole, but for float32
        assert torch.equal(moment, moment.T)
        assert ((in_units - in_units.round()).abs() <= in_units.abs() * 2**-24).all()


def test_the_same_packed_statistics_have_one_digest_whatever_the_threads() -> None:
    packed, before = pack(statistics(width=300)), torch.get_num_threads()
    digests = set()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            digests.add(hashlib.sha256(unpack(packed).to_bytes()).hexdigest())
    finally:
        torch.set_num_threads(before)

    assert len(digests) == 1


@pytest.mark.parametrize("length", [0, 100, -1])
def test_damaged_ones_are_named(length: int) -> None:
    with pytest.raises(Damaged, match="packed statistics"):
        unpack(pack(statistics())[:length])
