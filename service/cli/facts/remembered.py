"""Says in words what was remembered of a turn of a conversation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from core.wordings import in_words_to_user

if TYPE_CHECKING:
    from hypnogram.v1 import chat_pb2, facts_pb2

_WAITS = {  # by `WaitsFor`, which is imported late
    1: "no executor is running; start one, as by `hypnogram serve`",
    2: "the executor has no parser; where it runs, pip install 'hypnogram[conversation]'",
}


def remembered_lines(remembered: chat_pb2.Remembered) -> Iterator[str]:
    """Yields a line for each fact that a turn adds, says again, changes or ends, and for what a user may expect."""
    if remembered.waits_for:
        yield f"not read for facts yet: {_WAITS[remembered.waits_for]}"
    if remembered.failure:
        yield f"not read for facts: {remembered.failure}"
    for candidate in remembered.candidates:
        if line := _line(candidate):
            yield line
    for fact in remembered.retracted:
        yield f"no longer: {in_words_to_user(fact)} (fact {fact.fact})"


def _line(candidate: facts_pb2.Candidate) -> str:
    from hypnogram.v1 import facts_pb2

    words = in_words_to_user(candidate)
    if candidate.HasField("result"):
        fact = candidate.result.fact
        if not candidate.result.added:
            return f"known already: {words}"
        before = f", in place of: {in_words_to_user(candidate.superseded)}" if candidate.HasField("superseded") else ""
        return f"remembered: {words} (fact {fact.fact}){before}"
    if candidate.rejection == facts_pb2.REJECTION_PROPOSED:
        instead = (
            f", in place of: {in_words_to_user(candidate.contradicts)}" if candidate.HasField("contradicts") else ""
        )
        return f"found: {words}{instead}"
    if candidate.rejection in (facts_pb2.REJECTION_NEGATED, facts_pb2.REJECTION_PAST) and candidate.HasField(
        "contradicts"
    ):
        return f"found: no longer {in_words_to_user(candidate.contradicts)} (fact {candidate.contradicts.fact})"
    expected = (
        facts_pb2.REJECTION_CONTRADICTS,
        facts_pb2.REJECTION_UNUSABLE,
        facts_pb2.REJECTION_NO_ROOM,
        facts_pb2.REJECTION_ABOUT_USER,
        facts_pb2.REJECTION_ANOTHER_USER,
    )
    if candidate.rejection not in expected:  # such as questions
        return ""
    known = f": {in_words_to_user(candidate.contradicts)}" if candidate.HasField("contradicts") else ""
    return f"not remembered: {words}: {candidate.explanation}{known}"
