"""Calls that wait for weights: shows what they wait for, and what is durable when time runs out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from hypnogram.client import CallFailed
from service.terminal.reasons import for_memory
from service.terminal.spinner import waiting

if TYPE_CHECKING:
    from hypnogram.client import Client

T = TypeVar("T")

RETURN_SECONDS = 60.0  # for a call that does not wait


def patiently(
    client: Client,
    memory: str,
    ask: Callable[[bool, float], T],
    done: str,
    facts: Callable[[T], Sequence[str]],
    *,
    wait: bool,
    timeout: float,
    quiet: bool,
) -> T:
    """Returns the response of `ask(wait, timeout)`, which has to be idempotent, because it may be called twice.

    Args:
        done: what is durable once `ask` has returned: "added", "retracted".
        facts: returns the ids of the facts in a response.

    Raises:
        CallFailed: as `ask` does; after the timeout with what is durable and what it waits for.
    """
    look = for_memory(client, memory)
    try:
        with waiting(look, quiet=quiet):
            return ask(wait, timeout)
    except CallFailed as error:
        if error.code != "DEADLINE_EXCEEDED" or not wait:
            raise
    ids = list(facts(ask(False, RETURN_SECONDS)))
    named = f"fact {ids[0]} is" if len(ids) == 1 else f"{len(ids)} facts, {ids[0]} to {ids[-1]}, are"
    raise CallFailed(
        "DEADLINE_EXCEEDED",
        f"{named} {done} and durable; the weights do not show it after {timeout:g} s, waiting for {look()}; "
        f"see `hypnogram fact show {ids[0]} -m {memory}`",
    )
