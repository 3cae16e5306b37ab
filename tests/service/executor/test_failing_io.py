"""Every n-th read, write, sync, rename and open fails in turn: what is stored stays sound, and the work is done after.

`hypnogram bench faults` makes every single call fail; here the most frequent kinds take strides.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.shim import built, compiler, lives

pytestmark = pytest.mark.skipif(compiler() is None, reason="calls of the C library are taken over by a library in C")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("shim"))


@pytest.mark.parametrize(
    ("kind", "below", "stride", "lasting"),
    [
        ("sync", "", 1, False),
        ("rename", "", 1, False),
        ("write", "artifacts", 1, False),
        ("write", "snapshots", 1, False),
        ("write", "hypnogram.db", 17, False),
        ("read", "", 9, False),
        ("open", "", 5, False),
        ("write", "", 29, True),
        ("sync", "", 11, True),
    ],
)
def test_a_call_that_fails_loses_nothing_and_holds_nothing_up(
    library: Path, kind: str, below: str, stride: int, lasting: bool
) -> None:
    found = list(lives(library, kind, below, stride, lasting))

    assert [row for row in found if row["lost"]] == []
    assert len(found) > 1
    if below != "snapshots":  # which are a cache
        assert sum(row["failed"] for row in found) > len(found) / 2  # or hardly any fault was felt
