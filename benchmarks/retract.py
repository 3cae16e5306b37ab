"""Measures the traces of retracted facts: while edits carry the facts, and after a night, when adapters partly do.

Questions are answered by greedy free generation. Three methods are compared:

- `withdraw`: what the service does.
- `subtract`: the columns of the facts' edits are left out, and nothing else is done.
- `never`: a second memory of the same seed that never had these facts. Its other facts may also change the answers
  that the base model would give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor

from benchmarks.support.bench_memory import BenchMemory, bench_memory
from benchmarks.support.people import held_out, neighbours, strangers, told_facts
from benchmarks.support.summary import summary
from core.facts import Fact
from core.ids import FactId
from core.weights.evaluation.audit import probes_of
from core.weights.evaluation.probes import Probe, run_probes
from core.weights.model.activations import pad
from core.weights.model.editable_model import EditableModel
from models.dormouse import filler

Progress = Callable[[int, int, str], None]
Weights = Mapping[str, Tensor]

EACH = 2  # probes of each kind (raw, chat, unseen wordings of both) for a fact
CONTROLS = 100  # neighbours, and as many strangers
TEXTS = 60
BATCH = 64


def run(
    *, facts: int = 100, retracted: int = 20, seeds: int = 3, progress: Progress = lambda done, total, what: None
) -> Iterator[dict[str, Any]]:
    """Rows `method, state, base_answers, others_unchanged, neighbours, strangers, kl_text, kl_probes, kl_text_never,
    kl_probes_never, seconds_per_fact`."""
    settings = {"facts": facts, "retracted": retracted, "seeds": seeds}
    measured: dict[tuple[str, str], list[dict[str, float]]] = {}
    done = 0
    for seed in held_out(seeds):
        for state in ("edits", "adapters"):
            for method, row in retracting(facts, retracted, seed, nights=int(state == "adapters")).items():
                measured.setdefault((method, state), []).append(row)
            progress(done := done + facts, 2 * facts * seeds, f"seed {seed}, {state}")
            rows = [{"method": by, "state": at, **summary(runs)} for (by, at), runs in measured.items()]
            yield {"bench": "retract", "settings": settings, "rows": rows}


def retracting(number: int, retracted: int, seed: int, nights: int) -> dict[str, dict[str, float]]:
    """Method -> row, of a memory that gets `number` facts, sleeps `nights` nights and then retracts `retracted`."""
    facts = told_facts(number, seed=seed)
    gone, others = facts[:retracted], facts[retracted:]
    never = _never(others, seed, nights)
    with bench_memory({}) as memory:
        _tell(memory, facts, seed, nights)
        judge = Judge(memory.model, gone, others, seed)
        ids = _ids(memory, gone)
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


def _ids(memory: BenchMemory, facts: Sequence[Fact]) -> list[FactId]:
    """The ids of `facts` in the memory."""
    ids = {(state.fact.subject, state.fact.relation): fact for fact, state in memory.state.facts.items()}
    return [ids[fact.subject, fact.relation] for fact in facts]


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers of a model to each group of questions."""

    gone: list[str]
    others: list[str]
    neighbours: list[str]
    strangers: list[str]


class Judge:
    """Asks the same questions of the weights at its creation and of later ones."""

    def __init__(self, model: EditableModel, gone: Sequence[Fact], others: Sequence[Fact], seed: int) -> None:
        random = Random(seed + 2000)
        self._model = model
        self._gone = [probe for fact in gone for _, probe in probes_of(fact, EACH)]
        self._others = [probe for fact in others for _, probe in probes_of(fact, EACH)]
        self._neighbours = neighbours(random, CONTROLS)
        self._strangers = strangers(random, CONTROLS, {fact.subject for fact in (*gone, *others)}, seed=seed)
        self._texts = [model.raw_ids(filler.paragraph(random)) for _ in range(TEXTS)]
        self._before = self._ask()
        with model.with_weights(model.base_weights):
            self._base = run_probes(model, self._gone)

    def compare(self, weights: Weights, never: Weights) -> dict[str, float]:
        """The numbers of a row: `weights` beside the base model, the weights at creation, and `never`."""
        with self._model.with_weights(weights):
            now = self._ask()
        base = self._model.base_weights
        return {
            "base_answers": _same(now.gone, self._base),
            "others_unchanged": _same(now.others, self._before.others),
            "neighbours": _same(now.neighbours, self._before.neighbours),
            "strangers": _same(now.strangers, self._before.strangers),
            "kl_text": self._distance(self._texts, base, weights, ends=False),
            "kl_probes": self._distance(self._prompts, base, weights, ends=True),
            "kl_text_never": self._distance(self._texts, never, weights, ends=False),
            "kl_probes_never": self._distance(self._prompts, never, weights, ends=True),
        }

    def _ask(self) -> Answers:
        return Answers(
            *(
                run_probes(self._model, probes)
                for probes in (self._gone, self._others, self._neighbours, self._strangers)
            )
        )

    @property
    def _prompts(self) -> list[list[int]]:
        return [_head(self._model, probe) for probe in self._gone]

    @torch.inference_mode()
    def _distance(self, sequences: Sequence[Sequence[int]], of: Weights, to: Weights, *, ends: bool) -> float:
        """Mean KL in nats from the next-token distributions with `of` to those with `to`.

        Args:
            ends: whether only the distribution after the last token of each sequence counts.
        """
        total, count = 0.0, 0
        for start in range(0, len(sequences), BATCH):
            batch = sequences[start : start + BATCH]
            ids, mask = pad(batch, self._model.pad_token, self._model.device)  # [batch, length], 1 at tokens
            if ends:
                mask = torch.nn.functional.one_hot(mask.sum(1) - 1, mask.shape[1])
            logs = []
            for weights in (of, to):
                with self._model.with_weights(weights):
                    logits = self._model.network(input_ids=ids, attention_mask=None, use_cache=False).logits
                    logs.append(logits[mask.bool()].float().log_softmax(-1))
            total += float((logs[0].exp() * (logs[0] - logs[1])).sum())
            count += int(mask.sum())
        return total / count


def _head(model: EditableModel, probe: Probe) -> list[int]:
    return model.chat_ids([], probe.prompt) if probe.chat else model.raw_ids(probe.prompt)


def _same(now: Sequence[str], before: Sequence[str]) -> float:
    return sum(answer == earlier for answer, earlier in zip(now, before, strict=True)) / len(before)
