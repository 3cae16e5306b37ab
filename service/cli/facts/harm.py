"""What commands say first where telling made other answers wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hypnogram.v1 import facts_pb2

WORTH_A_WARNING = 0.95  # a share below is
KINDS = {
    "untold": "questions on what nobody told about its subjects",
    "strangers": "questions about strangers",
    "neighbours": "questions about people the base model knows",
}


def harm(measured: Any) -> str:
    """The shares of `measured` (Unchanged or Controls) that are too low, in words; empty where none is."""
    low = [
        f"{share:.0%} of {words}"
        for kind, words in KINDS.items()
        if (share := getattr(measured, kind)) < WORTH_A_WARNING
    ]
    return f"only {', '.join(low)} answered as the base model does" if low else ""


def advice(unchanged: facts_pb2.Unchanged) -> str:
    """The harm with how much was asked and what to do about it, as a line of its own; empty where there is none."""
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
    """What whoever told `results` should know before their table."""
    if answer.HasField("unchanged") and (line := advice(answer.unchanged)):
        yield line
    if plain := dict.fromkeys(told.fact.relation for told in results if told.plain and told.added):
        named = ", ".join(f'"{relation}"' for relation in plain)
        yield (
            f"The memory has no words of its own for {named}; `hypnogram memory show` lists the relations it has. Ask "
            "as `hypnogram fact show` shows, or give your own words with --statement, --question and --answer."
        )
