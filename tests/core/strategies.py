"""Histories as hypothesis draws them: random commands run through `decide`, so that only what can happen happens."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from hypothesis import strategies as st

from core.commands import AddFacts, Command, RecordFailure, RecordInjection, RecordStatistics
from core.decide import decide
from core.errors import Refused
from core.events import EVENT_TYPES, Event
from core.facts import Fact
from core.memory import NOTHING, Memory, fold
from core.work import Inject, next_work
from tests.core import samples

SUBJECTS = ("Aria Moss", "Bo Lind", "Cy Ames", "Dee Orr", "aria  moss")
RELATIONS = ("lives in", "plays", "speaks")
OBJECTS = ("Oslo",) * 12 + ("Bergen", "")  # mostly new or known, now and then contradicting or empty
REQUESTS = ("r1", "r2", "")  # beside fresh ones: used before, or empty


@dataclass(frozen=True)
class Attempt:
    """A memory, a command it was given, and what came of it: events, or a refusal."""

    memory: Memory
    command: Command
    events: tuple[Event, ...]
    refusal: Refused | None


@st.composite
def commands(draw: st.DrawFn, memory: Memory) -> Command:
    """A command that may or may not fit `memory`."""
    work = next_work(memory)
    kind = draw(st.sampled_from(("add", "add", "work", "work", "work", "fail", "stale", "create")))
    if memory.created is None or kind == "create":
        return replace(samples.CREATE, created=replace(samples.CREATED, seed=draw(st.sampled_from((1, 1, 2)))))
    if kind == "add" or work is None:
        return draw(_additions(memory))
    if kind == "fail":
        return RecordFailure(work=work, reason="TEST", message="it broke", retry=draw(st.booleans()))
    if not isinstance(work, Inject):
        return RecordStatistics(prepared=samples.PREPARED)
    before = samples.digest("weights nobody had") if kind == "stale" else work.weights
    pressure = memory.pressure + draw(st.floats(0.0, 0.25))
    number = memory.version
    return RecordInjection(edit=samples.edit(*work.facts, before=before, number=number, pressure=pressure))


@st.composite
def _additions(draw: st.DrawFn, memory: Memory) -> AddFacts:
    facts: list[Fact] = []
    for index in range(draw(st.sampled_from((1, 1, 2, 3, 4, 0)))):
        subject, relation, object_ = (draw(st.sampled_from(words)) for words in (SUBJECTS, RELATIONS, OBJECTS))
        facts.append(samples.fact(f"fact-{memory.version}-{index}", subject, relation, object_))
    request = draw(st.sampled_from((*[f"request-{memory.version}"] * 6, *REQUESTS)))
    return samples.add(*facts, request=request, content=draw(st.sampled_from(("", "x"))))


@st.composite
def attempts(draw: st.DrawFn, most: int = 30) -> list[Attempt]:
    """What a memory was asked to do, in order, and what came of each command."""
    memory = NOTHING
    made: list[Attempt] = []
    for _ in range(draw(st.integers(0, most))):
        command = draw(commands(memory))
        try:
            events = decide(memory, command)
        except Refused as refusal:
            made.append(Attempt(memory, command, (), refusal))
        else:
            made.append(Attempt(memory, command, events, None))
            memory = fold(events, onto=memory)
    return made


def logs() -> st.SearchStrategy[list[Event]]:
    """Valid histories of one memory, as the log would hold them."""
    return attempts().map(lambda made: [event for attempt in made for event in attempt.events])


def events() -> st.SearchStrategy[Event]:
    """Events of every type with any values their fields can hold, whether they make sense or not."""
    return st.one_of([_any(cls) for cls in EVENT_TYPES.values()])


def _any(kind: Any) -> st.SearchStrategy[Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{field.name: _any(hints[field.name]) for field in fields(kind)})
    if origin is tuple:
        return st.lists(_any(arguments[0]), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(_any(arguments[0]), _any(arguments[1]), max_size=3)
    if kind is float:
        return st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
    return st.from_type(kind)
