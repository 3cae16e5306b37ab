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


def harm(measured: Any) -> str:
    """Returns the shares of `measured` (Unchanged or Controls) that are too low, in words; empty where none is."""
    low = [
        f"{share:.0%} of {words}" for kind, words in KINDS.items() if (share := getattr(measured, kind)) < WARNED_BELOW
    ]
    return f"only {', '.join(low)} answered as the base model does" if low else ""


def advice(unchanged: facts_pb2.Unchanged) -> str:
    """Returns the harm, the number of questions and what to do, as one line; empty where there was no harm."""
    line = harm(unchanged)
    if not line:
        return ""
    asked = f", of at most {unchanged.asked} asked of each kind" if unchanged.asked else ""
    return (
        f"Other answers have changed: {line}{asked}. `hypnogram nap` measures it, `hypnogram fact retract` undoes it."
    )


def warnings(
    answer: facts_pb2.AddFactsResponse | facts_pb2.SupersedeFactResponse, results: Iterable[facts_pb2.AddedFact] = ()
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
