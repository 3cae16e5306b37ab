"""Retracts facts from a real model and measures what it says then, with the questions of `bench real`.

Half of the retracted facts are all facts about their people. After these the digest of the weights must be that of a
second memory of the same seed that was told everything else in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.real.bars import Bar, judged
from benchmarks.real.people import Asked, Told, World, known_questions
from benchmarks.real.text import passages
from benchmarks.support.bench_memory import BenchMemory, On, bench_memory, ids_of
from benchmarks.support.people import held_out
from benchmarks.support.provenance import commit, machine
from benchmarks.support.retracted import Judge, Questions
from core.facts import Fact
from core.ids import Digest
from core.weights.evaluation.probes import Probe
from service.weights.base_models import BaseModels

EACH = 2  # facts about one person
CONTROLS = 100  # general questions, and as many about strangers
PARAGRAPHS = 60
UNSEEN = (1, 3)  # statements and questions of each fact with which nothing is written
BARS = {
    "base_answers_raw": Bar(1.0),
    "base_answers_chat": Bar(1.0),
    "base_answers_unseen": Bar(1.0),
    "others_unchanged": Bar(0.99),
    "digest_as_never": Bar(1.0),
    "seconds_per_fact": Bar(2.0, least=False),
}

Progress = Callable[[int, int, str], None]


def run(on: On, facts: int, retracted: int, seeds: int, progress: Progress) -> Iterator[dict[str, Any]]:
    """Yields documents with rows `seed, method, state, n, per_subject, base_answers, base_answers_raw, ...`."""
    on = On(on.model, on.method, BaseModels("cpu"))
    settings = {"model": on.model, "facts": facts, "retracted": retracted, "seeds": seeds, "controls": CONTROLS}
    rows: list[dict[str, Any]] = []
    for number, seed in enumerate(held_out(seeds)):
        begun = number * 2 * facts

        def say(n: int, what: str, begun: int = begun, seed: int = seed) -> None:
            progress(begun + n, 2 * facts * seeds, f"seed {seed}, {what}")

        row = _row(on, World(seed, facts, EACH), retracted, say)
        keys = {"seed": seed, "per_subject": EACH, "n": facts, "method": on.method, "state": "edits"}
        rows.append({**keys, **row, "commit": commit(), "machine": machine()})
        yield {"bench": "retract", "settings": settings, "rows": rows, "bars": judged(rows, BARS)}


def _row(on: On, world: World, retracted: int, say: Callable[[int, str], None]) -> dict[str, Any]:
    whole, part = chosen(world.facts, retracted)
    never = _never_told(on, world, whole, say)
    with bench_memory({}, on=on) as memory:
        facts = _tell(memory, world.facts, lambda n: say(len(world.facts) + n, "telling"))
        gone = {told: facts[told] for told in (*whole, *part)}
        say(2 * len(world.facts), "asking")
        judge = Judge(memory.model, _asked(memory, facts, list(gone), world))
        seconds = memory.retract(ids_of(memory.state, [facts[told] for told in whole]))
        same = float(memory.state.weights == never)
        seconds += memory.retract(ids_of(memory.state, [facts[told] for told in part]))
        after = {module: weight.clone() for module, weight in memory.model.live().items()}
        say(2 * len(world.facts), "asking again")
        row = judge.compare(after, None)
    return {**row, "digest_as_never": same, "seconds_per_fact": seconds / len(gone)}


def chosen(facts: Sequence[Told], retracted: int) -> tuple[list[Told], list[Told]]:
    """Returns facts to retract: all those about some people, and one each about others, about as many of both."""
    people: dict[str, list[Told]] = {}
    for fact in facts:
        people.setdefault(fact.subject, []).append(fact)
    rest = list(people.values())
    whole: list[Told] = []
    while rest and len(whole) + len(rest[0]) <= retracted // 2:
        whole += rest.pop(0)
    part = [about[0] for about in rest if len(about) > 1][: retracted - len(whole)]
    return whole, part


def _never_told(on: On, world: World, whole: Sequence[Told], say: Callable[[int, str], None]) -> Digest | None:
    """Returns the digest of the weights of a memory that was told everything but `whole`."""
    with bench_memory({}, on=on) as memory:
        _tell(memory, [fact for fact in world.facts if fact not in whole], lambda n: say(n, "telling a second memory"))
        return memory.state.weights


def _tell(memory: BenchMemory, told: Sequence[Told], say: Callable[[int], None]) -> dict[Told, Fact]:
    """Tells facts one at a time, so that no fact is solved together with another; returns them as they were told."""
    assert memory.state.created is not None
    facts = {fact: fact.fact(memory.state.created.phrasebook) for fact in told}
    for n, fact in enumerate(facts.values()):
        say(n)
        memory.tell([fact])
    return facts


def _asked(memory: BenchMemory, facts: dict[Told, Fact], gone: Sequence[Told], world: World) -> Questions:
    def probes(told: Told) -> list[tuple[str, Probe]]:
        words = facts[told].wordings
        statements, questions = told.asked
        unseen = [*statements[: UNSEEN[0]], *questions[: UNSEEN[1]]]
        return [
            ("raw", _probe(Asked(words.statements[0], chat=False), told.object)),
            ("chat", _probe(Asked(words.questions[0], chat=True), told.object)),
            *(("unseen", _probe(asked, told.object)) for asked in unseen),
        ]

    return Questions(
        gone=[probe for told in gone for probe in probes(told)],
        others=[probe for told in facts if told not in gone for _, probe in probes(told)],
        neighbours=[_probe(Asked(question, chat=True)) for question in list(known_questions())[:CONTROLS]],
        strangers=[_probe(asked) for asked in world.strangers(CONTROLS)],
        texts=passages(memory.base, PARAGRAPHS),
    )


def _probe(asked: Asked, object_: str = "") -> Probe:
    return Probe(asked.prompt, asked.chat, "", object_)
