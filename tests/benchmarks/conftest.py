"""A cache for benchmarks, in which what a base model is prepared with is measured once by each worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.support.tiny import make


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model of random weights; each is the same, so that what one is prepared with serves all."""
    return make(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="session")
def prepared_for_benchmarks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prepared-for-benchmarks")


@pytest.fixture
def cached(tmp_path: Path, prepared_for_benchmarks: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of benchmarks in a cache that is this test's own, but for `prepared`."""
    folder = tmp_path / "cache" / "hypnogram" / "bench"
    folder.mkdir(parents=True)
    (folder / "prepared").symlink_to(prepared_for_benchmarks)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder
