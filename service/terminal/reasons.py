"""Says in words what a memory waits for, as its server knows it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from service.terminal.spinner import LOOK_SECONDS

if TYPE_CHECKING:
    from hypnogram.v1 import memories_pb2

    from hypnogram.client import Client

WORK = {
    "inject": "write facts into the weights",
    "withdraw": "withdraw retracted facts from the weights",
    "erase": "erase facts",
    "read": "read conversations for facts",
    "erase_texts": "erase conversations",
}


def for_memory(client: Client, memory: str) -> Callable[[], str]:
    """Returns a function that asks the server, at each call, what `memory` waits for."""

    def look() -> str:
        with suppress(Exception):  # the waiting call itself reports the failure
            return of_memory(client.memory(memory, timeout=LOOK_SECONDS))
        return "the server to respond"

    return look


def for_answer(client: Client, memory: str, min_version: int | None) -> Callable[[], str]:
    """Returns a function that says what an answer waits for: weights of `min_version`, or the model."""
    look = for_memory(client, memory)
    return look if min_version else lambda: "the model: its weights are being built, or other calls come first"


def of_memory(answer: memories_pb2.GetMemoryResponse) -> str:
    """Returns what the facts of that memory wait for."""
    memory, execution = answer.memory, answer.execution
    name, pending = memory.memory, memory.facts.pending
    if not execution.alive:
        return "an executor, and none is running: start one with `hypnogram executor`; the facts are durable"
    if memory.asleep.sleep:
        return f"memory {name} to wake: its {memory.asleep.kind} is at {memory.asleep.step}; the facts are durable"
    if execution.waits_for:
        return f"an executor, which {executor_line(execution)}"
    if execution.work == "prepare_statistics":
        return f"the statistics of the base model, which are measured once{stage_of(execution)}"
    if execution.elsewhere and not execution.work:
        return f"an executor, which works for memory {execution.elsewhere}"
    if execution.work:
        what = WORK.get(execution.work, execution.work.replace("_", " "))
        return f"the executor to {what}; {pending} {'fact is' if pending == 1 else 'facts are'} pending"
    return f"an executor to come to memory {name}" if pending else f"the server; no work is owed for memory {name}"


def executor_line(execution: memories_pb2.Execution) -> str:
    """Returns what an executor does for the memory, or why none does."""
    if not execution.alive:
        return "none is running; facts are durable and wait for one: `hypnogram executor`"
    if execution.waits_for:
        why = f"{execution.waits_for} ({execution.reason})"
        return f"has waited for {execution.seconds:.0f} s to {_words(execution.work)}: {why}"
    if execution.work:
        attempt = f", attempt {execution.attempt}" if execution.attempt > 1 else ""
        return f"at work for {execution.seconds:.0f} s: {_words(execution.work)}{attempt}{stage_of(execution)}"
    return f"busy with memory {execution.elsewhere}" if execution.elsewhere else "idle"


def stage_of(execution: memories_pb2.Execution) -> str:
    """Returns the stage of the work and the seconds it still takes, after a colon; empty where that is not known."""
    if not execution.total:
        return ""
    left = f", about {execution.seconds_left:.0f} s left" if execution.HasField("seconds_left") else ""
    return f": {execution.stage}, {execution.done} of {execution.total}{left}"


def _words(work: str) -> str:
    return work.replace("_", " ")
