"""Where an executor writes one memory: its model, what must be kept, and `perform`."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from core.commands import Command, RecordInjection, RecordStatistics
from core.errors import Damaged
from core.events import Columns, EditComputed, MemoryCreated, StatisticsPrepared
from core.ids import EditId
from core.memory import Memory, Status
from core.plan import plan
from core.untold import untold_questions
from core.weights.digest import weights_digest
from core.weights.ordinary import read_ordinary
from core.weights.statistics import Statistics, measure
from core.weights.subject import Subject
from core.weights.update import KeptKeys
from core.weights.write import Written, keys_in_force, write
from core.work import Inject, PrepareStatistics, Work
from service.projection import Deltas, build, build_verified
from store.artifacts import Artifacts
from store.clock import next_uuid

FACTS_AT_ONCE = 64  # whose keys are measured in one pass


class Desk:
    """The impure part of one memory's work. It may be thrown away at any time: the log holds all that counts."""

    def __init__(self, subject: Subject, created: MemoryCreated, artifacts: Artifacts, deltas: Deltas) -> None:
        self._subject = subject
        self._created = created
        self._artifacts = artifacts
        self._deltas = deltas
        self._kept: dict[str, KeptKeys] = {}
        self._written: set[EditId] = set()
        self._fresh: tuple[EditId, dict[str, Tensor], dict[str, KeptKeys]] | None = None

    def perform(self, work: Work, memory: Memory) -> Command:
        """Does `work` and says what to record. What it names is durable in the artifacts by then.

        Raises:
            HypnogramError: it cannot be done.
        """
        match work:
            case PrepareStatistics():
                return self._prepare(self._created)
            case Inject():
                return self._inject(work, memory)

    def _prepare(self, created: MemoryCreated) -> RecordStatistics:
        self._subject.install(self._subject.pristine)
        text = read_ordinary(self._subject, self._artifacts.get(created.ordinary_text))
        measured = measure(self._subject, text, created.hyperparameters)
        return RecordStatistics(
            prepared=StatisticsPrepared(
                artifact=self._artifacts.put(measured.to_bytes()),
                tokens=measured.tokens,
                abstentions=measured.abstentions,
                recalls=measured.recalls,
                weights=self._subject.digest(),
            )
        )

    def _inject(self, work: Inject, memory: Memory) -> RecordInjection:
        began = time.monotonic()
        self._catch_up(memory)
        facts = [memory.facts[fact].fact for fact in work.facts]
        untold = untold_questions(memory, facts)
        written = write(self._subject, self._kept, facts, self._created.prefixes, self._created.hyperparameters, untold)
        digest = self._artifacts.put(written.delta.to_bytes())
        edit = EditId(next_uuid())
        kept = self._kept
        if self._created.hyperparameters.history:
            kept = {module: kept[module].with_keys(written.keys[module]) for module in self._subject.modules}
        weights = build(self._subject, self._deltas, plan(memory), written.delta)
        self._fresh = (edit, weights, kept)
        assert memory.statistics is not None
        return RecordInjection(
            edit=EditComputed(
                edit=edit,
                kind="injection",
                delta=digest,
                modules=self._subject.modules,
                columns=_columns(work, written),
                statistics=memory.statistics.artifact,
                facts_in_force=sum(state.status is Status.INJECTED for state in memory.facts.values()),
                weights_before=work.weights,
                weights_after=weights_digest(weights),
                pressure=max(keys.pressure() for keys in kept.values()),
                seconds=round(time.monotonic() - began, 6),
            )
        )

    def _catch_up(self, memory: Memory) -> None:
        """Brings weights and kept keys to `memory`: cheap after an edit of our own, from the log otherwise."""
        edits = set(memory.edits)
        if self._fresh and edits == self._written | {self._fresh[0]}:
            _, weights, self._kept = self._fresh
            self._subject.install(weights)
            self._written, self._fresh = edits, None
        elif edits != self._written or not self._kept:
            self._start_over(memory)
            self._written, self._fresh = edits, None

    def _start_over(self, memory: Memory) -> None:
        assert memory.statistics is not None
        weights = build_verified(self._subject, self._deltas, memory)
        statistics = Statistics.from_bytes(self._artifacts.get(memory.statistics.artifact))
        if set(statistics.moments) != set(self._subject.modules):
            raise Damaged(f"statistics {memory.statistics.artifact} are of other modules than the memory's")
        self._subject.install(weights)
        self._kept = {
            module: KeptKeys.none(statistics.moments[module].double().to(self._subject.device))
            for module in self._subject.modules
        }
        if not self._created.hyperparameters.history:
            return
        facts = [state.fact for state in memory.facts.values() if state.status is Status.INJECTED]
        for start in range(0, len(facts), FACTS_AT_ONCE):
            some = facts[start : start + FACTS_AT_ONCE]
            keys = keys_in_force(self._subject, some, self._created.prefixes)
            self._kept = {module: self._kept[module].with_keys(keys[module]) for module in self._subject.modules}


def _columns(work: Inject, written: Written) -> tuple[Columns, ...]:
    keys = torch.bincount(written.key_fact, minlength=len(work.facts)).tolist()
    return tuple(
        Columns(
            fact=fact,
            first=written.first[index],
            count=written.count[index],
            keys=keys[index],
            residual=written.residual[index],
            absorbed=written.absorbed[index],
            learned=written.learned[index],
        )
        for index, fact in enumerate(work.facts)
    )
