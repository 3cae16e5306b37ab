"""What a sentence says to hold no longer, and what it says to hold since."""

from __future__ import annotations

import pytest

from core.extraction.candidates import Candidate, Reason
from core.extraction.extract import extract
from core.library import ending_of
from service.parsing.spacy_parser import SpacyParser

PARSER = SpacyParser()


def ended(text: str) -> set[tuple[str, str, str]]:
    """What `text` says to hold no longer: subject, relation and object."""
    candidates = [candidate for candidate in extract(text, PARSER) if candidate.reason is Reason.PAST]
    return {(one.subject, relation, one.object) for one in candidates for relation in one.ends}


def fact(text: str) -> Candidate:
    (candidate,) = [candidate for candidate in extract(text, PARSER) if candidate.accepted]
    return candidate


@pytest.mark.parametrize(
    ("text", "relation", "object_"),
    [
        ("Nadia Fell used to live in Turin.", "lives in", "Turin"),
        ("Nadia Fell used to be married to Paul Orr.", "is married to", "Paul Orr"),
        ("Nadia Fell used to be a nurse.", "is", "a nurse"),
        ("Nadia Fell used to play the viola.", "plays", "viola"),
        ("Nadia Fell formerly lived in Turin.", "lives in", "Turin"),
        ("Nadia Fell worked for Umbra until last year.", "works for", "Umbra"),
        ("Nadia Fell was previously a nurse.", "is", "a nurse"),
        ("Nadia Fell has left Umbra.", "works for", "Umbra"),
        ("Nadia Fell quit her job at Umbra.", "works for", "Umbra"),
        ("Nadia Fell was fired by Umbra.", "works for", "Umbra"),
        ("Nadia Fell has moved from Turin to Ghent.", "lives in", "Turin"),
        ("Nadia Fell moved away from Turin.", "lives in", "Turin"),
        ("Nadia Fell moved out of Turin.", "lives in", "Turin"),
        ("Nadia Fell dropped out of Delft.", "studies at", "Delft"),
        ("Nadia Fell sold her Saab.", "drives", "Saab"),
        ("Nadia Fell divorced Paul Orr.", "is married to", "Paul Orr"),
    ],
)
def test_words_of_the_past_end_a_relation_of_the_present(text: str, relation: str, object_: str) -> None:
    assert ("Nadia Fell", relation, object_) in ended(text)
    assert "Nadia Fell" not in {one.subject for one in extract(text, PARSER) if one.accepted and not one.now}


def test_what_somebody_of_a_named_owner_did_ends_a_relation_of_the_owner() -> None:
    assert ended("Nadia Fell's sister used to live in Turin.") == {("Nadia Fell", "'s sister lives in", "Turin")}


def test_a_job_may_be_left_whichever_it_is() -> None:
    (quit_,) = extract("Nadia Fell quit her job.", PARSER)

    assert (quit_.ends, quit_.whichever) == (("works for",), True)
    assert not any(one.whichever for one in extract("Nadia Fell quit her job at Umbra.", PARSER))


@pytest.mark.parametrize(
    "text",
    [
        "Nadia Fell lived in Turin.",  # nothing says that she does not any more
        "Nadia Fell hasn't left Umbra.",
        "Nadia Fell is leaving Umbra.",
        "Nadia Fell will leave Umbra.",
        "Nadia Fell may have left Umbra.",
        "Has Nadia Fell left Umbra?",
        "If Nadia Fell has left Umbra, call me.",
        "Paul says that Nadia Fell has left Umbra.",
        'The mail said "Nadia Fell has left Umbra today".',
        "Nadia Fell didn't use to live in Turin.",
        "Nadia Fell left the office at six o'clock.",
    ],
)
def test_nothing_else_does(text: str) -> None:
    assert ended(text) == set()


def test_a_move_says_what_holds_since_unless_it_is_dated() -> None:
    assert fact("Nadia Fell has moved to Ghent.").now == "lives in"
    assert fact("Nadia Fell moved to Ghent in 2009.").now == ""
    assert fact("Nadia Fell plays the viola.").now == ""


def test_endings_are_data() -> None:
    ending = ending_of("has resigned from")

    assert ending is not None
    assert "works for" in ending.ends
    assert ending_of("works for") is None
