"""Tells facts to a real model one at a time, in shuffled order, and measures what it says after 1, 10, 50, ... of them.

People, facts, wordings and questions are this benchmark's own; its seeds are those on which nothing was tuned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks.real.answers import BaseReplies
from benchmarks.real.bars import verdicts
from benchmarks.real.examiner import QUICK, Examiner, Sizes
from benchmarks.real.fires import Inputs, false_fires
from benchmarks.real.people import World
from benchmarks.real.reminded import RemindedReplies
from benchmarks.real.state import Unfinished, cache
from benchmarks.support.bench_memory import BenchMemory, On, bench_memory
from benchmarks.support.people import held_out
from benchmarks.support.provenance import commit, machine
from core.state.memory import Status
from service.weights.base_models import BaseModels

POINTS = (1, 10, 50, 100, 200)
WITHOUT = " without history"  # behind a method: keys of earlier facts do not constrain edits
BASE, PROMPT = "base", "prompt"  # methods of rows about the base model itself, and with told facts in the prompt

Progress = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class Arm:
    """One memory of the measurement."""

    seed: int
    per_subject: int
    method: str

    @property
    def name(self) -> str:
        return f"seed-{self.seed}-each-{self.per_subject}-{self.method}".replace(" ", "-")

    @property
    def keys(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        tokens: held-out tokens among which false fires are counted.
        points: numbers of facts after which rows are measured.
        baselines: what is measured beside the methods, after the last fact.
        quantization: of the model; empty for none.
    """

    model: str
    facts: int
    tokens: int
    points: tuple[int, ...]
    sizes: Sizes
    overrides: dict[str, float | int | bool]
    baselines: tuple[str, ...]
    quantization: str


def run(
    *,
    model: str = "smollm2",
    facts: int = 200,
    per_subject: Sequence[int] = (1, 2, 4),
    seeds: int = 3,
    seed: int | None = None,
    methods: Sequence[str] = ("",),
    tokens: int = 1_000_000,
    quick: bool = False,
    baselines: bool = True,
    quantization: str = "",
    progress: Progress = lambda done, total, what: None,
    overrides: dict[str, float | int | bool] | None = None,
) -> Generator[dict[str, Any], None, None]:
    """Yields documents with `rows` so far and `bars`, the verdict of each bar at the largest number of facts.

    Args:
        seed: the seed of one run, in place of `seeds` runs with those that nothing was tuned on.
        methods: how facts are written, each also with ` without history` behind it; an empty one is the default of the
            model.
        quick: measures eight facts of a development seed with few questions instead.
        baselines: whether the base model is measured too, and with the told facts in the prompt.
        quantization: of the base model, which is then what rows are compared with; empty for none.
    """
    beside = (BASE, PROMPT) if baselines else ()
    plan = Plan(model, facts, tokens, _points(facts), Sizes(), overrides or {}, beside, quantization)
    chosen = [*held_out(seeds)] if seed is None else [seed]
    if quick:
        plan = Plan(model, 8, min(tokens, 20_000), (1, 8), QUICK, overrides or {}, beside, quantization)
        per_subject, chosen = per_subject[:1], [1 if seed is None else seed]
    arms = [Arm(seed, each, method) for seed in chosen for each in per_subject for method in methods]
    settings = {
        "model": model, "facts": plan.facts, "per_subject": list(per_subject), "seeds": chosen,
        "methods": list(methods), "tokens": plan.tokens, "sizes": asdict(plan.sizes), "overrides": plan.overrides,
        "baselines": list(beside), "quantization": quantization,
    }  # fmt: skip
    kept = Unfinished("real", settings)
    left = _Left(progress, len(arms) * plan.facts)
    bases = BaseModels("cpu")
    for number, arm in enumerate(arms):
        for _ in _measured(arm, plan, kept, bases, left.from_(number * plan.facts, arm)):
            yield _document(settings, kept.rows)
        kept.close(arm.name)
    yield _document(settings, kept.rows)
    kept.end()


def _points(facts: int) -> tuple[int, ...]:
    return tuple(sorted({*(point for point in POINTS if point < facts), *range(500, facts, 500), facts}))


def _document(settings: dict[str, Any], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    methods = {row["method"] for row in rows} - {BASE, PROMPT}
    return {"bench": "real", "settings": settings, "rows": list(rows), "bars": verdicts(rows, methods)}


def _measured(arm: Arm, plan: Plan, kept: Unfinished, bases: BaseModels, say: Say) -> Iterator[None]:
    """Yields after each row of an arm; goes on where an earlier run was killed."""
    if all(kept.row(**arm.keys, n=n) for n in plan.points):
        return
    say(0, "preparing")
    world = World(arm.seed, plan.facts, arm.per_subject)
    overrides = plan.overrides | ({"history": False} if arm.method.endswith(WITHOUT) else {})
    with bench_memory(overrides, kept.memory(arm.name), _on(plan, arm, bases)) as memory:
        created = memory.state.created
        assert created is not None
        told = [fact.fact(created.phrasebook) for fact in world.facts]
        at = len(memory.state.facts)
        base = f"{plan.quantization}{created.base.digest}"
        replies = BaseReplies(memory.base, cache(), base)
        examiner = Examiner(replies, world, arm.seed, plan.sizes, lambda step: say(at, step))
        inputs = Inputs(memory.base, cache(), base, plan.tokens)
        for method in plan.baselines:
            if kept.row(seed=arm.seed, per_subject=arm.per_subject, method=method) is None:
                say(at, method)
                reminded = RemindedReplies(memory.base, told)
                row = (
                    examiner.ask(reminded, world.facts, told)
                    if method == PROMPT
                    else examiner.examine(memory.base, world.facts, told)
                )
                kept.add(_named(replace(arm, method=method), plan.facts, row))
                yield
        for n in range(max(at, 1), len(told) + 1):
            if n > at:
                kept.told(arm.name, memory.tell([told[n - 1]]))
                at = n
                say(n, "telling")
            if n in plan.points and kept.row(**arm.keys, n=n) is None:
                row = examiner.examine(memory.model, world.facts[:n], told[:n])
                row |= _costs(memory, kept.seconds(arm.name), inputs if n == plan.facts else None, say, n)
                kept.add(_named(arm, n, row))
                yield


def _on(plan: Plan, arm: Arm, bases: BaseModels) -> On:
    return On(plan.model, arm.method.removesuffix(WITHOUT), bases, quantization=plan.quantization)


def _costs(memory: BenchMemory, seconds: Sequence[float], inputs: Inputs | None, say: Say, n: int) -> dict[str, Any]:
    """Returns what the facts cost, which were not written and why, and with `inputs` the false fires."""
    parked = [state.failure for state in memory.state.facts.values() if state.status is Status.PARKED]
    row: dict[str, Any] = {
        "seconds_per_fact": sum(seconds) / max(len(seconds), 1),
        "parked": len(parked),
        "parked_because": " | ".join(parked),
    }
    if inputs is not None:
        fires = false_fires(memory.model, inputs, lambda done, total: say(n, f"reading {total} tokens, {done} read"))
        row |= {} if fires is None else {"false_fires": fires}
    return row


def _named(arm: Arm, n: int, row: dict[str, Any]) -> dict[str, Any]:
    return {**arm.keys, "n": n, **row, "commit": commit(), "machine": machine()}


Say = Callable[[int, str], None]  # number of facts told in this arm, and what is done now


class _Left:
    """Reports progress in facts, with the time that is left by the pace so far."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total = progress, total
        self._first: float | None = None
        self._began = time.monotonic()

    def from_(self, before: int, arm: Arm) -> Say:
        """Returns what reports the progress of an arm that begins after `before` facts."""

        def say(n: int, step: str) -> None:
            done = before + n
            if self._first is None:
                self._first = done
            pace = (time.monotonic() - self._began) / max(done - self._first, 1)
            left = f", about {pace * (self._total - done) / 60:.0f} min left" if done > self._first else ""
            self._progress(done, self._total, f"{arm.name}, {step}{left}")

        return say
