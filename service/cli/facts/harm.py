"""Warnings about locality: what commands print first where edits changed the answers to other questions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hypnogram.v1 import facts_pb2

WARNED_BELOW = 0.95  # share of answers unchanged
KINDS = {
    "unanswered": "questions about relations that its subjects have no fact of",
    "strangers": "questions about strangers",
    "neighbours": "questions about people the base model knows",
}
SPREAD = {
    "strangers": "strangers",
    "namesakes": "people of a similar name",
    "untold": "relations that its subjects have no fact of",
}


def harm(measured: Any) -> str:
    """Returns the shares of `measured` (Unchanged or Controls) that are too low, in words; empty where none is."""
    low = [
        f"{share:.0%} of {words}" for kind, words in KINDS.items() if (share := getattr(measured, kind)) < WARNED_BELOW
    ]
    return f"only {', '.join(low)} answered as the base model does" if low else ""


def advice(unchanged: facts_pb2.Unchanged) -> str:
    """Returns harm and contamination, the numbers of questions, and what to do, as one line; empty without either."""
    lines = []
    if line := harm(unchanged):
        asked = f", of at most {unchanged.asked} asked of each kind" if unchanged.asked else ""
        lines.append(f"Other answers have changed: {line}{asked}.")
    if line := _contaminated(unchanged.contamination):
        lines.append(f"Told objects are said elsewhere: {line}.")
    return " ".join([*lines, "`hypnogram nap` measures it, `hypnogram fact retract` undoes it."]) if lines else ""


def _contaminated(measured: facts_pb2.Contamination) -> str:
    """Returns the shares of answers that newly say a told object, in words; empty where none does."""
    shares = ((getattr(measured, kind), words) for kind, words in SPREAD.items())
    parts = [f"in {share:.0%} of answers about {words}" for share, words in shares if share]
    return f"{', '.join(parts)}, of at most {measured.asked} asked of each kind" if parts else ""


def warnings(
    answer: facts_pb2.AddFactsResponse | facts_pb2.SupersedeFactResponse | facts_pb2.TellTextResponse,
    results: Iterable[facts_pb2.AddedFact] = (),
) -> Iterator[str]:
    """Yields what the user should know before the table of `results`."""
    if answer.HasField("unchanged") and (line := advice(answer.unchanged)):
        yield line
    if plain := dict.fromkeys(result.fact.relation for result in results if result.plain and result.added):
        named = ", ".join(f'"{relation}"' for relation in plain)
        yield (
            f"The memory has no words of its own for {named}; `hypnogram memory show` lists the relations it has. Ask "
            "as `hypnogram fact show` shows, or give your own words with --statement, --question and --answer."
        )
