"""The wheel of `hypnogram` claims one import name, and works beside packages named like its folders."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hatch_build import PACKAGES, rewritten
from tests.packaging.wheels import ROOT, build, environment, install, server, top_level

STATIC = frozenset({"core.facts", "service.cli.main"})


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


def test_the_wheel_claims_one_import_name(wheel: Path) -> None:
    assert top_level(wheel) == {"hypnogram"}


def test_it_holds_the_files_that_are_not_code(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    page = ("service/web/page/static", "service/web/page/templates")
    folders = (*page, "core/weights/reference/data", "models/smollm2", "models/dormouse/weights")
    files = {path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).iterdir()}
    assert {f"hypnogram/{path.as_posix()}" for path in files} <= names


def test_it_works_beside_packages_of_the_same_names_as_the_folders(wheel: Path, tmp_path: Path) -> None:
    """A server and a few commands, in a folder whose `core`, `store`, ... refuse to be imported."""
    installed, here = tmp_path / "installed", tmp_path / "here"
    install(wheel, installed)
    for name in PACKAGES:
        (here / name).mkdir(parents=True)
        (here / name / "__init__.py").write_text(f"raise ImportError('{name} of somewhere else')\n")
    surroundings = environment(installed)
    command = [sys.executable, "-S", "-m", "hypnogram"]

    def shell(*arguments: str) -> str:
        done = subprocess.run(
            [*command, *arguments], cwd=here, env=surroundings, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert shell("--version").startswith("hypnogram ")
    with server([*command, "serve"], here, surroundings) as address:
        shell("memory", "create", "demo", "--address", address)
        shell("fact", "add", "Aria Voss", "lives in", "Lisbon", "--address", address)
        assert "Lisbon" in shell("chat", "Where does Aria Voss live?", "--address", address)


@pytest.mark.parametrize(
    ("written", "installed"),
    [
        ("from core.facts import Fact", "from hypnogram.core.facts import Fact"),
        ("é = 1; from core import facts as core", "é = 1; from hypnogram.core import facts as core"),
        ("import core", "from hypnogram import core"),
        ("import core.facts as f", "from hypnogram.core import facts as f"),
        ("from .core import x", "from .core import x"),
        ("from hypnogram.client import Client", "from hypnogram.client import Client"),
        ("run('-m', 'service.cli.main')", "run('-m', 'hypnogram.service.cli.main')"),
        ("log('core.gone'); 'see core.facts'", "log('core.gone'); 'see core.facts'"),
    ],
)
def test_imports_and_paths_of_modules_are_rewritten_and_nothing_else(written: str, installed: str) -> None:
    assert rewritten(written.encode(), "x.py", STATIC).decode() == installed


@pytest.mark.parametrize("written", ["import core.facts", "import os, core", "load(f'core.{name}')"])
def test_what_cannot_be_rewritten_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"x\.py:1: "):
        rewritten(written.encode(), "x.py", STATIC)
