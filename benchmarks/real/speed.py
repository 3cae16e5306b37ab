"""Measures how long it takes to prepare a memory, to write facts and to answer, and how far that is from the floor.

The floor of an edit is the time of its matrix products alone, if all ran as fast as the fastest one here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.real.answers import generated
from benchmarks.real.people import Asked, World
from benchmarks.support.bench_memory import BenchMemory, On, bench_memory
from benchmarks.support.people import held_out
from benchmarks.support.provenance import commit, machine
from core.facts import Fact
from core.weights.model.editable_model import EditableModel
from service.weights.base_models import BaseModels

BATCHES = (1, 8, 32)
COUNTED = 8  # facts in the batch whose operations are counted
ROWS = 1024  # of the matrix product that is the floor
LASTING = 1.0  # seconds for which a rate is measured, at least
BARS = {
    "seconds a fact, batches of 8": 3.0,
    "seconds of preparation": 120.0,
    "seconds to the first answer": 6.0,
}

Progress = Callable[[float, float, str], None]


def run(
    *,
    model: str = "smollm2",
    method: str = "",
    facts: int = 32,
    progress: Progress = lambda done, total, what: None,
    overrides: dict[str, float | int | bool] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yields documents with rows `measure, value, unit`, and the verdicts of the bars.

    Args:
        facts: number of facts that each batch size writes, about as many people; at most `facts` in a batch.
    """
    on = On(model, method, BaseModels("cpu"))
    (seed,) = held_out(1)
    rows: list[dict[str, Any]] = []
    steps = (_preparation, _batches, _answers, _chat)
    for number, step in enumerate(steps):
        progress(number, len(steps), step.__name__.strip("_"))
        for measure, value, unit in step(on, World(seed, facts, 1), overrides or {}):
            rows.append({"measure": measure, "value": value, "unit": unit, "commit": commit(), "machine": machine()})
            settings = {"model": model, "method": method, "facts": facts, "seed": seed}
            yield {"bench": "real-speed", "settings": settings, "rows": rows, "bars": _verdicts(rows)}


Measured = Iterator[tuple[str, float, str]]
Overrides = dict[str, float | int | bool]


def _preparation(on: On, _: World, overrides: Overrides) -> Measured:
    """Yields how long it takes to prepare a memory for the first time, and again."""
    with TemporaryDirectory(prefix="hypnogram-bench-") as name:
        fresh = replace(on, prepared=Path(name))
        for measure in ("seconds of preparation", "seconds of preparation, cached"):
            with bench_memory(overrides, on=fresh) as memory:
                yield measure, memory.seconds_of_preparation, "s"


def _batches(on: On, world: World, overrides: Overrides) -> Measured:
    """Yields the seconds a fact at each batch size, and the share of them that the floor takes."""
    with bench_memory({**overrides, "batch": COUNTED}, on=on) as memory:
        told = _facts(memory, world)[:COUNTED]
        with FlopCounterMode(display=False) as counter:
            memory.tell(told)
        operations = counter.get_total_flops() / len(told)
        rate = fastest_product(memory.base)
    yield "operations a fact", operations / 1e9, "GFLOP"
    yield "fastest matrix product", rate / 1e9, "GFLOP/s"
    floor = operations / rate
    yield "floor a fact", floor, "s"
    for batch in BATCHES:
        with bench_memory({**overrides, "batch": batch}, on=on) as memory:
            told = _facts(memory, world)[: max(batch, COUNTED)]
            seconds = sum(memory.tell(told[start : start + batch]) for start in range(0, len(told), batch))
        yield f"seconds a fact, batches of {batch}", seconds / len(told), "s"
        yield f"share of the floor, batches of {batch}", floor * len(told) / seconds, ""


def _answers(on: On, world: World, overrides: Overrides) -> Measured:
    """Yields how long it takes from a request with one fact to the answer of the model that knows it."""
    with bench_memory(overrides, on=on) as memory:
        first, second = _facts(memory, world)[:2]
        memory.tell([first])  # because the first edit of a process also loads what later ones share
        began = time.monotonic()
        memory.tell([second])
        generated(memory.model, [Asked(second.wordings.questions[0], chat=True)], sentence=False)
        yield "seconds to the first answer", time.monotonic() - began, "s"


def _chat(on: On, world: World, overrides: Overrides) -> Measured:
    """Yields how fast a chat is answered, alone and while an edit is computed in another thread."""
    with bench_memory(overrides, on=on) as memory, ThreadPoolExecutor(1) as pool:
        asked = [Asked(_facts(memory, world)[0].wordings.questions[0], chat=True)]
        yield "chat, alone", _tokens_per_second(memory.base, asked, lambda: False), "tokens/s"
        edit = pool.submit(memory.tell, _facts(memory, world)[:COUNTED])
        yield "chat, while facts are written", _tokens_per_second(memory.base, asked, edit.running), "tokens/s"
        edit.result()


def _facts(memory: BenchMemory, world: World) -> list[Fact]:
    assert memory.state.created is not None
    return [told.fact(memory.state.created.phrasebook) for told in world.facts]


def _tokens_per_second(model: EditableModel, asked: Sequence[Asked], goes_on: Callable[[], bool]) -> float:
    """Returns the rate of greedy generation for as long as `goes_on`, and for a second at least."""
    began, tokens = time.monotonic(), 0
    while goes_on() or time.monotonic() - began < LASTING:
        tokens += sum(map(len, generated(model, asked, sentence=False))) + len(asked)  # with the end of the turn
    return tokens / (time.monotonic() - began)


@torch.inference_mode()
def fastest_product(model: EditableModel) -> float:
    """Returns the operations a second of a matrix product of the model's width, in the faster of two formats."""
    rates = []
    for dtype in (torch.float32, torch.bfloat16):
        left = torch.randn(ROWS, model.hidden_width, dtype=dtype, device=model.device)
        right = torch.randn(model.hidden_width, model.key_width, dtype=dtype, device=model.device)
        left @ right
        began, count = time.monotonic(), 0
        while time.monotonic() - began < LASTING:
            (left @ right).sum().item()  # waits for the result
            count += 1
        rates.append(2 * count * left.numel() * right.shape[1] / (time.monotonic() - began))
    return max(rates)


def _verdicts(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    values = {row["measure"]: row["value"] for row in rows}
    return [
        {"bar": bar, "value": values[bar], "limit": limit, "verdict": "PASS" if values[bar] <= limit else "MISS"}
        for bar, limit in BARS.items()
        if bar in values
    ]
