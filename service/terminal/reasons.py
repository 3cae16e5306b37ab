"""What a memory waits for, in words, as its server knows it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from service.terminal.spinner import LOOK_SECONDS

if TYPE_CHECKING:
    from hypnogram.v1 import memories_pb2

    from hypnogram.client import Client

WORK = {
    "inject": "write what was told into the weights",
    "withdraw": "take what was retracted out of the weights",
    "erase": "destroy what shall be erased",
}


def for_memory(client: Client, memory: str) -> Callable[[], str]:
    """What a memory waits for as the server knows it, asked anew at each call."""

    def look() -> str:
        with suppress(Exception):  # whoever waits learns of it by itself
            return of_memory(client.memory(memory, timeout=LOOK_SECONDS))
        return "the server to answer"

    return look


def for_answer(client: Client, memory: str, min_version: int | None) -> Callable[[], str]:
    """What an answer waits for: weights of `min_version`, or the model."""
    look = for_memory(client, memory)
    return look if min_version else lambda: "the model to answer: its weights are built, or others are answered first"


def of_memory(answer: memories_pb2.GetMemoryResponse) -> str:
    """What facts of that memory wait for."""
    memory, execution = answer.memory, answer.execution
    name, pending = memory.memory, memory.facts.pending
    if not execution.alive:
        return "an executor, and none is running: start one with `hypnogram executor`; what was told is durable"
    if memory.asleep.sleep:
        return f"memory {name} to wake: its {memory.asleep.kind} is at {memory.asleep.step}; what was told is durable"
    if execution.waits_for:
        return f"an executor, which {executor_line(execution)}"
    if execution.work == "prepare_statistics":
        return "the statistics of the base model, which are measured once"
    if execution.elsewhere and not execution.work:
        return f"an executor, which is at memory {execution.elsewhere}"
    if execution.work:
        what = WORK.get(execution.work, execution.work.replace("_", " "))
        return f"the executor to {what}; {pending} {'fact is' if pending == 1 else 'facts are'} pending"
    return f"the server; memory {name} is owed nothing" if not pending else f"an executor to come to memory {name}"


def executor_line(execution: memories_pb2.Execution) -> str:
    """What goes on, or why nothing does."""
    if not execution.alive:
        return "none is running; what was told is durable and waits for one: `hypnogram executor`"
    if execution.waits_for:
        why = f"{execution.waits_for} ({execution.reason})"
        return f"has waited for {execution.seconds:.0f} s to {_words(execution.work)}: {why}"
    if execution.work:
        attempt = f", attempt {execution.attempt}" if execution.attempt > 1 else ""
        return f"at work for {execution.seconds:.0f} s: {_words(execution.work)}{attempt}"
    return f"busy with memory {execution.elsewhere}" if execution.elsewhere else "idle"


def _words(work: str) -> str:
    return work.replace("_", " ")
