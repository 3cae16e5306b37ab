"""`hypnogram fork | diff`: forks a memory, and compares two versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.wordings import in_words
from service.cli import options
from service.cli.output import as_dict, connected, print_json, print_pairs, print_table, print_text

if TYPE_CHECKING:
    from hypnogram.v1 import history_pb2

MOMENT = "a version, a checkpoint or a time"


def fork(
    *,
    name: Annotated[str, typer.Argument(help="Name of the new memory.")],
    at: options.At = None,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Create a memory that begins as another one (--memory), now or at an older version. Nothing is copied."""
    parent, moment = options.memory_name(memory), options.moment(at)
    with connected(address) as client:
        answer = client.fork(name, parent, moment)
    if json:
        print_json(as_dict(answer))
        return
    forked = answer.memory
    print_text(
        f"{forked.memory} begins as {forked.parent} at version {forked.parent_version}, "
        f"with weights {forked.weights_digest[:12] or 'that are not measured yet'}."
    )


def diff(
    *,
    from_: Annotated[str | None, typer.Argument(metavar="[FROM]", help=f"First side: {MOMENT}. Default: now.")] = None,
    to: Annotated[str | None, typer.Argument(metavar="[TO]", help=f"Second side: {MOMENT}. Default: now.")] = None,
    with_: Annotated[
        str | None, typer.Option("--with", help="Memory of the second side. Default: the memory of the first side.")
    ] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Ask the model about every fact on both sides as well.")] = False,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Show how two versions differ, of one memory or of two: facts, weights, answers."""
    one = options.memory_name(memory)
    other = with_ or one
    with connected(address) as client:
        found = client.diff((one, options.moment(from_)), (other, options.moment(to)), ask=ask)
    if json:
        print_json(as_dict(found))
        return
    _print(found, one, other, ask)


def _print(found: history_pb2.DiffResponse, one: str, other: str, asked: bool) -> None:
    from hypnogram.v1 import history_pb2

    print_pairs(
        (
            ("from", f"{one}, version {found.from_version}, weights {found.from_weights[:12] or 'not measured yet'}"),
            ("to", f"{other}, version {found.to_version}, weights {found.to_weights[:12] or 'not measured yet'}"),
        )
    )
    if found.facts:
        rows: list[tuple[Any, ...]] = [
            (
                history_pb2.Change.Name(fact.change).removeprefix("CHANGE_").lower(),
                in_words(fact) or f"{fact.fact} (erased)",
                _place(fact.from_status, fact.from_stage, fact.from_scale),
                _place(fact.to_status, fact.to_stage, fact.to_scale),
            )
            for fact in found.facts
        ]
        print_table("", ("change", "fact", "from", "to"), rows)
    else:
        print_text("The same facts, at the same stages.")
    print_table(
        "", ("module", "norm", "relative"), ((m.module, f"{m.norm:.4g}", f"{m.relative:.2e}") for m in found.modules)
    )
    if found.answers:
        rows = [(answer.pathway, answer.prompt, answer.from_output, answer.to_output) for answer in found.answers]
        print_table("", ("asked", "prompt", "from", "to"), rows)
    if asked:
        print_text(f"{len(found.answers)} of {found.asked} questions are answered differently.")


def _place(status: str, stage: int, scale: float) -> str:
    if not status:
        return ""
    word = status.removeprefix("STATUS_").lower()
    return f"{word}, stage {stage}, scale {scale:g}" if word in ("injected", "dissolved") else word
