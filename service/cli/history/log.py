"""`hypnogram log`: the events of a memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import options
from service.cli.output import (
    UsageProblem,
    as_dict,
    connected,
    print_json,
    print_text,
)

if TYPE_CHECKING:
    from hypnogram.v1 import history_pb2

WHOLE = ("message", "reason", "remark")  # fields that explain the event, printed uncut
SHORT = 40  # characters of every other value


def log(
    *,
    after: Annotated[int, typer.Option(min=0, max=options.LAST_VERSION, help="Version after which to start.")] = 0,
    until: Annotated[int | None, typer.Option(min=0, max=options.LAST_VERSION, help="Last version to print.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new events as they are appended.")] = False,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Print the events of a memory, oldest first; with --json one JSON object in each line."""
    name = options.memory_name(memory)
    if follow and until is not None:
        raise UsageProblem("--follow has no end: give either --until or --follow")
    with connected(address) as client:
        if not follow:
            for event in client.events(name, after, until):
                _print_event(event, json)
            return
        for news in client.watch(name, after):
            if news.HasField("event"):
                _print_event(news.event, json)
            elif not json:
                print_text(f"-- caught up at version {news.version} --")


def _print_event(event: history_pb2.Event, json: bool) -> None:
    values = as_dict(event)
    if json:
        print_json(values, one_line=True)
    else:
        print_text(
            f"{event.version:>6}  {event.recorded_at.ToJsonString()}  {event.type:<18}  {_in_short(values['payload'])}"
        )


def _in_short(payload: dict[str, Any]) -> str:
    """Returns the plain values of a payload in one line, by name; fields that explain the event come last, uncut."""
    said = payload.get("statement") or {}
    values = {name: value for name, value in {**said, **payload}.items() if isinstance(value, (str, int, float))}
    names = sorted(values, key=lambda name: (name in WHOLE, name))
    shown = ((name, str(values[name]) if name in WHOLE else str(values[name])[:SHORT]) for name in names)
    return "  ".join(f"{name}={value}" for name, value in shown if value not in ("", "None"))
