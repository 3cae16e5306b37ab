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
    from_memory = options.memory_name(memory)
    to_memory = with_ or from_memory
    with connected(address) as client:
        compared = client.diff((from_memory, options.moment(from_)), (to_memory, options.moment(to)), ask=ask)
    if json:
        print_json(as_dict(compared))
        return
    _print(compared, from_memory, to_memory, ask)


def _print(compared: history_pb2.DiffResponse, from_memory: str, to_memory: str, asked: bool) -> None:
    from hypnogram.v1 import history_pb2

    from_weights = compared.from_weights[:12] or "not measured yet"
    to_weights = compared.to_weights[:12] or "not measured yet"
    print_pairs(
        (
            ("from", f"{from_memory}, version {compared.from_version}, weights {from_weights}"),
            ("to", f"{to_memory}, version {compared.to_version}, weights {to_weights}"),
        )
    )
    if compared.facts:
        rows: list[tuple[Any, ...]] = [
            (
                history_pb2.Change.Name(fact.change).removeprefix("CHANGE_").lower(),
                in_words(fact) or f"{fact.fact} (erased)",
                _place(fact.from_status, fact.from_stage, fact.from_scale),
                _place(fact.to_status, fact.to_stage, fact.to_scale),
            )
            for fact in compared.facts
        ]
        print_table("", ("change", "fact", "from", "to"), rows)
    else:
        print_text("The same facts, at the same stages.")
    print_table(
        "", ("module", "norm", "relative"), ((m.module, f"{m.norm:.4g}", f"{m.relative:.2e}") for m in compared.modules)
    )
    if compared.answers:
        rows = [(answer.pathway, answer.prompt, answer.from_output, answer.to_output) for answer in compared.answers]
        print_table("", ("asked", "prompt", "from", "to"), rows)
    if asked:
        print_text(f"{len(compared.answers)} of {compared.asked} questions are answered differently.")


def _place(status: str, stage: int, scale: float) -> str:
    if not status:
        return ""
    word = status.removeprefix("STATUS_").lower()
    return f"{word}, stage {stage}, scale {scale:g}" if word in ("injected", "dissolved") else word
