"""Which events stand or fall together: those that one request, or one piece of work, has recorded at once.

The log keeps them as single versions and does not say where an append ended; the events themselves do. Between two of
them lies a state that no client ever saw: a request half carried out, an edit whose facts are pending still, a fact
beside the one that supersedes it. What happens inside a sleep is not told apart here, as nothing begins there.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.events import Event
from core.events.facts import FactAdded, FactInjected
from core.events.history import FactRetried, FactSuperseded, FactWithdrawn


def continues(previous: Event, event: Event) -> bool:
    """Whether `event`, which follows `previous` in a memory, was recorded together with it."""
    match event:
        case FactAdded():
            return isinstance(previous, FactAdded) and event.request == previous.request != ""
        case FactRetried():  # told once more, by a request that adds facts or repeats them; or asked for with others
            return not event.request or (isinstance(previous, FactRetried) and event.request == previous.request)
        case FactSuperseded() | FactInjected():
            return True
        case FactWithdrawn():
            return event.edit is not None
        case _:
            return False


def whole_around(events: Sequence[Event], index: int) -> tuple[int, int]:
    """The nearest indices, not after `index` and not before it, whose events ended what they were recorded with."""
    ends = [place for place in range(len(events)) if place + 1 == len(events) or not _parts(events, place)]
    return max((end for end in ends if end <= index), default=-1), min(end for end in ends if end >= index)


def _parts(events: Sequence[Event], place: int) -> bool:
    return continues(events[place], events[place + 1])
