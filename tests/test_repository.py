"""The pages of the repository keep their promises: links lead somewhere, the gate runs targets that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("models/*/*.md")])
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_make_targets_on_a_page_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]

    assert [link for link in links if link and not (page.parent / link).exists()] == []
    assert set(re.findall(r"`make ([a-z-]+)", text)) - TARGETS == set()


def test_every_target_says_what_it_does_and_is_phony() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony

    assert set(phony[1].split()) == TARGETS
    assert set(re.findall(r"^([a-z-]+):.*## \w", makefile, re.MULTILINE)) == TARGETS


def test_the_gate_runs_targets_that_exist_and_tests_last() -> None:
    gate = re.search(r"^for target in ([a-z -]+);", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    assert gate

    assert set(gate[1].split()) <= TARGETS
    assert gate[1].split()[-1] == "test"
