"""Measures the traces of retracted facts: while edits carry the facts, and after a night, when adapters partly do.

Questions are answered by greedy free generation. Three methods are compared:

- `withdraw`: what the service does.
- `subtract`: the columns of the facts' edits are left out, and nothing else is done.
- `never`: a second memory of the same seed that never had these facts. Its other facts may also change the answers
  that the base model would give.

With a model other than dormouse `benchmarks.real.retracting` measures instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from benchmarks.real import retracting
from benchmarks.support.bench_memory import BenchMemory, On, bench_memory, ids_of
from benchmarks.support.people import held_out, neighbours, strangers, told_facts
from benchmarks.support.retracted import Judge, Questions, Weights
from benchmarks.support.summary import summary
from core.facts import Fact
from core.weights.evaluation.audit import probes_of
from core.weights.model.editable_model import EditableModel
from models.dormouse import filler

Progress = Callable[[int, int, str], None]

EACH = 2  # probes of each kind (raw, chat, unseen wordings of both) for a fact
CONTROLS = 100  # neighbours, and as many strangers
TEXTS = 60


def run(
    *,
    facts: int = 100,
    retracted: int = 20,
    seeds: int = 3,
    model: str = "",
    method: str = "",
    progress: Progress = lambda done, total, what: None,
) -> Iterator[dict[str, Any]]:
    """Yields documents with rows `method, state, base_answers, base_answers_raw, ..., others_unchanged, neighbours,
    strangers, kl_text, kl_probes, kl_text_never, kl_probes_never, seconds_per_fact`."""
    if model:
        yield from retracting.run(On(model, method), facts, retracted, seeds, progress)
        return
    settings = {"facts": facts, "retracted": retracted, "seeds": seeds}
    measured: dict[tuple[str, str], list[dict[str, float]]] = {}
    done = 0
    for seed in held_out(seeds):
        for state in ("edits", "adapters"):
            for by, row in compared(facts, retracted, seed, nights=int(state == "adapters")).items():
                measured.setdefault((by, state), []).append(row)
            progress(done := done + facts, 2 * facts * seeds, f"seed {seed}, {state}")
            rows = [{"method": by_, "state": at, **summary(runs)} for (by_, at), runs in measured.items()]
            yield {"bench": "retract", "settings": settings, "rows": rows}


def compared(number: int, retracted: int, seed: int, nights: int) -> dict[str, dict[str, float]]:
    """Method -> row, of a memory that gets `number` facts, sleeps `nights` nights and then retracts `retracted`."""
    facts = told_facts(number, seed=seed)
    gone, others = facts[:retracted], facts[retracted:]
    never = _never(others, seed, nights)
    with bench_memory({}) as memory:
        _tell(memory, facts, seed, nights)
        judge = Judge(memory.model, _asked(memory.model, gone, others, seed))
        ids = ids_of(memory.state, gone)
        rows = {
            "never": {**judge.compare(never, never), "seconds_per_fact": 0.0},
            "subtract": {**judge.compare(memory.without(ids), never), "seconds_per_fact": 0.0},
        }
        seconds = memory.retract(ids)
        after = {module: weight.clone() for module, weight in memory.model.live().items()}
        rows["withdraw"] = {**judge.compare(after, never), "seconds_per_fact": seconds / retracted}
    return rows


def _never(others: Sequence[Fact], seed: int, nights: int) -> Weights:
    """The weights of a memory that has `others` alone."""
    with bench_memory({}) as memory:
        _tell(memory, others, seed, nights)
        return {module: weight.clone() for module, weight in memory.model.live().items()}


def _tell(memory: BenchMemory, facts: Sequence[Fact], seed: int, nights: int) -> None:
    assert memory.state.created is not None
    batch = memory.state.created.hyperparameters.batch
    for start in range(0, len(facts), batch):
        memory.tell(facts[start : start + batch])
    for night in range(nights):
        memory.sleep(seed=seed * 100 + night)


def _asked(model: EditableModel, gone: Sequence[Fact], others: Sequence[Fact], seed: int) -> Questions:
    random = Random(seed + 2000)
    return Questions(
        gone=[(kind.split("-")[-1], probe) for fact in gone for kind, probe in probes_of(fact, EACH)],
        others=[probe for fact in others for _, probe in probes_of(fact, EACH)],
        neighbours=neighbours(random, CONTROLS),
        strangers=strangers(random, CONTROLS, {fact.subject for fact in (*gone, *others)}, seed=seed),
        texts=[model.raw_ids(filler.paragraph(random)) for _ in range(TEXTS)],
    )
