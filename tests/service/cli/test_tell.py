"""`hypnogram tell`: what it shows of a sentence."""

from __future__ import annotations

import pytest

from tests.service.cli.test_commands import Terminal
from tests.service.conftest import Running

TEXT = "My sister Ann lives in Oslo and doesn't like tea."


@pytest.fixture
def terminal(demo: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(demo, capsys, monkeypatch)


def test_it_shows_what_was_added_and_why_the_rest_was_not(terminal: Terminal) -> None:
    shown = terminal.out("tell", f"{TEXT} Does Ann live in Rome?", "--no-wait")

    (line,) = [line for line in shown.splitlines() if line.rstrip().endswith("Ann lives in Oslo (10-27)")]
    assert "added, pending" in line
    assert "not added: it is about the user" in shown
    assert "not added: it is asked and not said" in shown
    (fact, _) = terminal.json("fact", "list")
    assert fact["source"]["client"] == "cli"
    assert f"in the words {TEXT!r}, characters 10 to 27" in terminal.out("lineage", fact["fact"])


def test_a_dry_run_adds_nothing(terminal: Terminal) -> None:
    shown = terminal.out("tell", TEXT, "--dry-run")

    assert "would be added" in shown
    assert shown.endswith("Nothing was added: a dry run.\n")
    assert terminal.json("fact", "list") == []


def test_it_says_when_there_is_no_fact(terminal: Terminal) -> None:
    assert terminal.out("tell", "Hello!") == "No fact was found in it.\n"
    assert terminal.out("tell", "I live in Lisbon.").endswith("Nothing was added.\n")


def test_what_contradicts_a_fact_is_named(terminal: Terminal) -> None:
    terminal.out("tell", TEXT, "--no-wait")

    status, shown, noted = terminal.run("tell", "Ann lives in Rome.", "--no-wait")

    assert status == 0
    assert "not added: there is another object" in shown
    assert '"Ann lives in Rome" contradicts "Ann lives in Oslo"' in noted


def test_the_document_has_every_candidate(terminal: Terminal) -> None:
    document = terminal.json("tell", TEXT, "--no-wait")

    assert [one["rejection"] for one in document["candidates"]] == [
        "REJECTION_ABOUT_USER",
        "REJECTION_UNSPECIFIED",
        "REJECTION_UNSPECIFIED",
    ]
