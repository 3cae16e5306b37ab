"""The output of `hypnogram fact add --dry-run`: the prompts that facts would have, and where these come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.wordings import in_words
from service.cli.output import as_dict, print_pairs, print_text

if TYPE_CHECKING:
    from hypnogram.v1 import facts_pb2

KINDS = ("answer", "statements", "questions", "probe_statements", "probe_questions")


def print_wordings(results: list[facts_pb2.AddedFact]) -> None:
    """Prints each fact of a response to a request that only validated, with its prompts."""
    for number, result in enumerate(results):
        if number:
            print_text("")
        prompts = as_dict(result.fact.wordings)
        print_pairs(
            [
                ("fact", in_words(result.fact)),
                ("wordings", _origin(result)),
                *(
                    (kind.replace("_", " "), "\n".join([prompts[kind]] if kind == "answer" else prompts[kind]))
                    for kind in KINDS
                    if prompts.get(kind)
                ),
            ]
        )
    print_text("Nothing was added.")


def _origin(result: facts_pb2.AddedFact) -> str:
    """Returns where the wordings come from, in words."""
    from hypnogram.v1 import facts_pb2

    if not result.added:
        return f"the memory has this fact already: {result.fact.fact}"
    name = facts_pb2.WordingsOrigin.Name(result.wordings_origin).removeprefix("WORDINGS_ORIGIN_").lower()
    return {"client": "yours", "phrasebook": "from the memory's phrasebook"}.get(name, f"from the {name}")
