"""The digest of weights: a Merkle root that any change moves and no way of holding them does."""

from __future__ import annotations

import hashlib

import torch

from core.weights.deltas.digest import module_digest, weights_digest

WEIGHTS = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.ones(2, 2, dtype=torch.bfloat16)}


def test_a_leaf_is_the_hash_of_name_dtype_shape_and_little_endian_bytes() -> None:
    expected = hashlib.sha256(b"b|torch.float32|(2, 3)|" + WEIGHTS["b"].numpy().astype("<f4").tobytes()).digest()

    assert module_digest("b", WEIGHTS["b"]) == expected


def test_the_root_is_the_hash_of_the_leaves_by_name() -> None:
    leaves = module_digest("a", WEIGHTS["a"]) + module_digest("b", WEIGHTS["b"])

    assert weights_digest(WEIGHTS) == hashlib.sha256(leaves).hexdigest()


def test_neither_order_nor_layout_matters() -> None:
    strided = {"a": WEIGHTS["a"], "b": WEIGHTS["b"].T.contiguous().T}

    assert not strided["b"].is_contiguous()
    assert weights_digest(strided) == weights_digest(WEIGHTS)


def test_every_bit_name_shape_and_dtype_matters() -> None:
    flipped = WEIGHTS["b"].clone()
    flipped.view(torch.int32)[1, 2] ^= 1
    others = [
        {**WEIGHTS, "b": flipped},
        {**WEIGHTS, "b": WEIGHTS["b"].reshape(3, 2)},
        {**WEIGHTS, "b": WEIGHTS["b"].double()},
        {"c": WEIGHTS["b"], "a": WEIGHTS["a"]},
        {"a": WEIGHTS["a"]},
        {**WEIGHTS, "a": -torch.zeros(2, 2, dtype=torch.bfloat16)},
        {**WEIGHTS, "a": torch.zeros(2, 2, dtype=torch.bfloat16)},
    ]

    assert len({weights_digest(one) for one in [WEIGHTS, *others]}) == 8
