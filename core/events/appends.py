"""Finds where an append ended: which events one request, or one piece of work, recorded together.

The log stores each event as a version of its own and does not mark the end of an append, but the events show it.
No client ever saw a state in the middle of one: half of a request, or an edit whose facts are still pending. Events
inside a sleep are not distinguished here, because a fork cannot begin there.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.events import Event
from core.events.conversation import TurnRead
from core.events.facts import FactAdded, FactInjected
from core.events.history import FactRetracted, FactRetried, FactSuperseded, FactWithdrawn


def continues(previous: Event, event: Event) -> bool:
    """Whether `event` was recorded together with `previous`, the event before it in the same memory."""
    match event:
        case FactAdded():
            if not event.request:  # it belongs to the turn that states it
                return True
            return isinstance(previous, FactAdded) and event.request == previous.request
        case FactRetried():  # without a request of its own it belongs to an AddFacts, otherwise to a RetryFacts
            return not event.request or (isinstance(previous, FactRetried) and event.request == previous.request)
        case FactSuperseded() | FactInjected():
            return True
        case FactRetracted():  # without a request of its own it belongs to a turn, or to the end of a conversation
            return not event.request
        case TurnRead():  # after the failure for which it is given up; what it states follows
            return bool(event.failure)
        case FactWithdrawn():
            return event.edit is not None
        case _:
            return False


def whole_around(events: Sequence[Event], index: int) -> tuple[int, int]:
    """Returns the nearest indices, not after and not before `index`, of events that ended an append.

    The first is -1 if there is none.
    """
    ends = [place for place in range(len(events)) if place + 1 == len(events) or not _continues_after(events, place)]
    return max((end for end in ends if end <= index), default=-1), min(end for end in ends if end >= index)


def _continues_after(events: Sequence[Event], place: int) -> bool:
    return continues(events[place], events[place + 1])
