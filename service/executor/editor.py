"""Where an executor writes one memory: its model, what must be kept, and `perform`."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from core.decide.commands import (
    Command,
    RecordFailure,
    RecordInjection,
    RecordRefresh,
    RecordRescale,
    RecordStatistics,
    RecordWithdrawal,
)
from core.decide.sleep import new_stages
from core.errors.base import Damaged, Unlearned
from core.events.facts import EditComputed, EditKind
from core.events.history import FactWithdrawn
from core.events.memory import MemoryCreated
from core.facts import Fact
from core.ids import Digest, EditId, FactId
from core.state.built_on import is_built_on
from core.state.memory import Memory, replaced_by, statement_key
from core.state.nearest import nearest_dissolved
from core.state.plan import Plan, plan_at, plan_of
from core.state.sleep import Step
from core.state.unanswered import unanswered_questions
from core.state.work import Inject, OnWeights, PrepareStatistics, SleepStep, Withdraw
from core.weights.deltas.digest import weights_digest
from core.weights.deltas.fixed_point import dense, parts_of
from core.weights.memit.counter_edit import compute_counter_edit
from core.weights.memit.covariance import KeyCovariance
from core.weights.memit.edit import compute_edit, keys_in_force, unlearned
from core.weights.memit.preserved_keys import PreservedKeys
from core.weights.memit.spread import Written
from core.weights.memit.target_values import Steps, unwatched
from core.weights.model.activations import last_keys
from core.weights.model.editable_model import EditableModel
from service.executor.columns import columns_written, more_sites
from service.executor.glance import Glance
from service.executor.sleep_steps import Progress, SleepSteps
from service.weights.projection import DeltaStore, build, build_verified, columns_of
from service.weights.statistics import prepare
from store.artifacts import Artifacts
from store.clock import next_uuid

FACTS_AT_ONCE = 64  # whose keys are measured in one pass
DISSOLVED_KEPT = 64  # dissolved facts whose keys an edit must not move, at most


class Editor:
    """The impure part of one memory's work. It may be thrown away at any time: the log holds all that counts."""

    def __init__(self, model: EditableModel, created: MemoryCreated, artifacts: Artifacts, deltas: DeltaStore) -> None:
        self._model = model
        self._created = created
        self._artifacts = artifacts
        self._deltas = deltas
        self._sleep_steps = SleepSteps(model, created, artifacts, deltas)
        self._glance = Glance(model, self._sleep_steps.held_out)
        self._protection: PreservedKeys | None = None
        self._at: Digest | None = None  # the weights that are live and that `_protection` belongs to
        self._fresh: tuple[Digest, dict[str, Tensor], PreservedKeys] | None = None
        self._steps: Steps = unwatched  # of the work at hand

    @property
    def created(self) -> MemoryCreated:
        """What the memory is that it writes on."""
        return self._created

    @property
    def model(self) -> EditableModel:
        """The model written on; its live weights are whatever the last work left."""
        return self._model

    def perform(self, work: OnWeights, memory: Memory, progress: Progress = lambda done, total, loss: None) -> Command:
        """Does `work` and says what to record. What it names is durable in the artifacts by then.

        Args:
            progress: may raise, to stop work that nobody wants any more.

        Raises:
            HypnogramError: it cannot be done.
        """
        self._steps = lambda done, total: progress(done, total, None)
        match work:
            case PrepareStatistics():
                return self._prepare()
            case Inject():
                return self._inject(work, memory)
            case Withdraw():
                return self._withdraw(work, memory)
            case SleepStep():
                return self._sleep(work, memory, progress)

    def _prepare(self) -> RecordStatistics:
        self._model.install(self._model.base_weights)
        self._at = None
        return RecordStatistics(prepared=prepare(self._model, self._created, self._artifacts, self._steps))

    def _inject(self, work: Inject, memory: Memory) -> RecordInjection | RecordFailure:
        """Writes facts on weights without the columns of those that they replace.

        Where some are not said with the edit, nothing is in force: those fail, alone for good, and the others go on.
        Facts that wait have columns themselves where a fork or an archive ends between an edit and its FactInjected.
        """
        replaced = [old for fact in work.facts for old in replaced_by(memory, fact)]
        gone = [*replaced, *(fact for fact in work.facts if memory.facts[fact].edits)]
        onto = plan_at(memory, dict.fromkeys(gone, 0.0))
        protection = self._catch_up(memory).without(gone)
        if gone:
            self._at = None
            self._model.install(build(self._model, self._deltas, onto))
        try:
            return RecordInjection(edit=self._write(EditKind.INJECTION, work.facts, memory, onto, protection, replaced))
        except Unlearned as error:
            again = len(work.facts) > 1  # a fact may be said where it is alone
            failed = replace(work, facts=error.facts)
            return RecordFailure(work=failed, reason=error.reason, message=str(error), retry=again)

    def _withdraw(self, work: Withdraw, memory: Memory) -> RecordWithdrawal:
        """Leaves out the fact's columns; where other weights were computed with them in place, by a counter-edit.

        Without one the weights are those of a plan that never had the columns, to the bit.
        """
        began = time.monotonic()
        fact = memory.facts[work.fact].fact
        without = plan_at(memory, {work.fact: 0.0})
        protection = self._catch_up(memory).without((work.fact,))
        again = memory.by_statement.get(statement_key(fact.subject, fact.relation))
        answered = (
            again is not None and memory.facts[again].in_weights
        )  # by the fact told since, which the model shall say
        counters = is_built_on(memory, work.fact) and not answered
        still = self._still(fact, memory) if counters else {}  # measured while nothing is taken from others
        weights = build(self._model, self._deltas, without)
        self._at = None
        self._model.install(weights)
        after, edit = weights_digest(weights), None
        if counters:
            created = self._created
            own = columns_of(self._deltas, plan_of(memory, work.fact))
            left_out = {module: dense(parts_of(module, own)) for module in self._model.modules if own}
            unsaid = compute_counter_edit(
                self._model, protection.kept, fact, created.prefixes, created.hyperparameters, still, left_out,
                self._steps,
            )  # fmt: skip
            if unsaid is not None:
                edit = self._computed(EditKind.WITHDRAWAL, (work.fact,), memory, without, unsaid, protection, began)
        if edit is None:
            self._fresh = (after, weights, protection)
        return RecordWithdrawal(
            work=work,
            withdrawn=FactWithdrawn(
                fact=work.fact,
                edit=edit.edit if edit else None,
                adapters=tuple(one.id for one in memory.adapters.values() if work.fact in one.facts),
                weights_before=work.weights,
                weights_after=edit.weights_after if edit else after,
                crowding=edit.crowding if edit else protection.crowding(),
                seconds=round(time.monotonic() - began, 6),
            ),
            edit=edit,
        )

    def _still(self, fact: Fact, memory: Memory) -> dict[str, Tensor]:
        """Keys that a counter-edit must not move although no edit that is in force protects them.

        Those of facts that adapters alone carry, nearest first, and of questions on what the subject's told facts leave
        open.
        """
        questions = unanswered_questions(memory, [fact], but=(fact.relation,))
        nearest = nearest_dissolved(memory, [fact], DISSOLVED_KEPT)
        found = [keys_in_force(self._model, nearest, self._created.prefixes)[0]] if nearest else []
        if questions:
            found.append(last_keys(self._model, [self._model.chat_ids([], one) for one in questions]))
        return {module: torch.cat([keys[module] for keys in found]) for module in self._model.modules if found}

    def _sleep(self, work: SleepStep, memory: Memory, progress: Progress) -> Command:
        if work.step is Step.REFRESH:
            return RecordRefresh(work=work, edit=self._refresh(work, memory))
        if work.step is Step.RESCALE:
            return self._rescale(work, memory)
        self._at = None  # the bedside leaves other weights behind
        return self._sleep_steps.perform(work, memory, progress)

    def _refresh(self, work: SleepStep, memory: Memory) -> EditComputed:
        """Writes degraded facts again, all in one protected update, on weights without the edits that failed them."""
        without = plan_at(memory, dict.fromkeys(work.facts, 0.0))
        protection = self._install(build(self._model, self._deltas, without), memory, set(work.facts))
        return self._write(EditKind.REFRESH, work.facts, memory, without, protection)

    def _rescale(self, work: SleepStep, memory: Memory) -> RecordRescale:
        """The gate's scales in the weights. Columns scale exactly; what that degrades, the next audit refreshes."""
        began = time.monotonic()
        assert memory.sleep is not None
        policy, stages = memory.sleep.policy, new_stages(memory)
        scales = {fact: policy.scales[stage] for fact, stage in stages.items()}
        weights = build(self._model, self._deltas, plan_at(memory, scales))
        gone = {fact for fact, stage in stages.items() if stage == policy.dissolved}
        protection = self._install(weights, memory, gone)
        digest = weights_digest(weights)
        self._fresh = (digest, weights, protection)
        seconds = round(time.monotonic() - began, 6)
        return RecordRescale(work=work, weights=digest, crowding=protection.crowding(), seconds=seconds)

    def _write(
        self,
        kind: EditKind,
        ids: Sequence[FactId],
        memory: Memory,
        onto: Plan,
        protection: PreservedKeys,
        replaced: Sequence[FactId] = (),
    ) -> EditComputed:
        """Writes facts on the live weights, which are those of the plan `onto`.

        Dissolved facts near them must not move either, in this update: their keys are in force for no later one.
        """
        began = time.monotonic()
        facts = [memory.facts[fact].fact for fact in ids]
        created, kept = self._created, protection.kept
        nearest = nearest_dissolved(memory, facts, DISSOLVED_KEPT) if created.hyperparameters.history else []
        if nearest:
            keys, _ = keys_in_force(self._model, nearest, created.prefixes)
            kept = {module: one.with_keys(keys[module]) for module, one in kept.items()}
        untold = unanswered_questions(memory, facts)
        written = compute_edit(self._model, kept, facts, created.prefixes, created.hyperparameters, untold, self._steps)
        if kind is EditKind.INJECTION and (error := unlearned(facts, written)) is not None:
            raise error
        return self._computed(kind, ids, memory, onto, written, protection, began, replaced)

    def _computed(
        self,
        kind: EditKind,
        ids: Sequence[FactId],
        memory: Memory,
        onto: Plan,
        written: Written,
        protection: PreservedKeys,
        began: float,
        replaced: Sequence[FactId] = (),
    ) -> EditComputed:
        """What was written on the weights of the plan `onto`, durable in the artifacts from here on.

        The columns are the facts' own, but for those of a counter-edit, which outlives its fact.
        """
        columns = columns_written(ids, written)
        delta = self._deltas.put(written.delta, () if kind is EditKind.WITHDRAWAL else columns)
        if self._created.hyperparameters.history:
            protection = protection.joined(ids, written.keys, written.key_fact)
        weights = build(self._model, self._deltas, onto, written.delta)
        after = weights_digest(weights)
        self._fresh = (after, weights, protection)
        with self._model.with_weights(weights):
            told = [memory.facts[fact].fact for fact in ids]
            unchanged = self._glance.at(memory, told) if kind is EditKind.INJECTION else None
        assert memory.statistics is not None
        assert memory.weights is not None
        gone = {*ids, *replaced}
        return EditComputed(
            edit=EditId(next_uuid()),
            kind=kind,
            delta=delta,
            modules=self._model.modules,
            columns=columns,
            statistics=memory.statistics.artifact,
            facts_in_force=sum(state.carried_by_edit and fact not in gone for fact, state in memory.facts.items()),
            weights_before=memory.weights,
            weights_after=after,
            crowding=protection.crowding(),
            seconds=round(time.monotonic() - began, 6),
            replaced=tuple(replaced),
            unchanged=unchanged,
        )

    def _catch_up(self, memory: Memory) -> PreservedKeys:
        """Makes the weights of `memory` live: cheap after work of our own, from the log otherwise.

        Returns:
            What its updates keep.
        """
        if self._fresh and memory.weights == self._fresh[0]:
            self._at, weights, self._protection = self._fresh
            self._model.install(weights)
        elif memory.weights != self._at or self._protection is None:
            self._protection = self._install(build_verified(self._model, self._deltas, memory), memory)
            self._at = memory.weights
        self._fresh = None
        return self._protection

    def _install(self, weights: dict[str, Tensor], memory: Memory, but: Collection[FactId] = ()) -> PreservedKeys:
        """Makes `weights` live and measures the keys of the facts that edits are for, except those of `but`."""
        assert memory.statistics is not None
        statistics = KeyCovariance.from_bytes(self._artifacts.get(memory.statistics.artifact))
        if set(statistics.moments) != set(self._model.modules):
            raise Damaged(f"statistics {memory.statistics.artifact} are of other modules than the memory's")
        self._model.install(weights)
        self._at = None
        protection = PreservedKeys.none(statistics.moments, self._model.device)
        if not self._created.hyperparameters.history:
            return protection
        facts = [state.fact for fact, state in memory.facts.items() if state.carried_by_edit and fact not in but]
        for start in range(0, len(facts), FACTS_AT_ONCE):
            self._steps(start, len(facts))
            some = facts[start : start + FACTS_AT_ONCE]
            more = [more_sites(memory, one.id) for one in some]
            keys, owner = keys_in_force(self._model, some, self._created.prefixes, more)
            protection = protection.joined([one.id for one in some], keys, owner)
        return protection
