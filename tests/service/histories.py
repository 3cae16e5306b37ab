"""Histories for the report: days of telling and nights of sleep that no model had to live through."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from core.decide import decide
from core.decide.commands import Command, CreateMemory
from core.events import Cause, Event, Recorded
from core.evolve import fold
from core.facts import Fact, Source
from core.ids import Digest, EventId, FactId, MemoryId, SleepId
from core.policy import SleepPolicy
from core.state.memory import NOTHING, Memory
from core.state.sleep import Step
from core.state.work import Inject, next_work
from tests.core import samples
from tests.core import sleep_samples as sleeping

DEMO = MemoryId("demo")
MORNING = datetime(2026, 3, 2, 9, tzinfo=UTC)
POLICY = SleepPolicy(recall_limit=0.5)
NAMES = ("Mirabel Quist", "Tove Marn", "Aria Moss", "Bo Lind", "Cy Ames", "Dee Orr", "Fay Reed")
SAID = (("lives in", "Lisbon"), ("plays", "the cello"), ("was born in", "Oslo"), ("has a pet", "a parrot"))


def at(event: Event, version: int, now: datetime = MORNING) -> Recorded:
    """`event` as the log of one memory would hold it."""
    return Recorded(
        id=EventId(f"event-{version}"),
        memory=DEMO,
        version=version,
        position=version,
        recorded_at=now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        cause=Cause(actor="tester"),
        schema=1,
        event=event,
        previous_hash=Digest("0" * 64),
        hash=Digest("0" * 64),
    )


class History:
    """A memory under way; `recorded` are its events."""

    def __init__(self, seed: int = 0, forgetful: float = 0.06) -> None:
        self.state: Memory = NOTHING
        self.recorded: list[Recorded] = []
        self._chance = random.Random(seed)
        self._forgetful = forgetful
        self._now = MORNING
        self.do(
            CreateMemory(memory=DEMO, created=replace(samples.CREATED, key_width=20_000, capacity=0.045)),
            samples.PREPARE,
        )

    def do(self, *commands: Command) -> None:
        for command in commands:
            happened = decide(self.state, command)
            for event in happened:
                self._now += timedelta(seconds=self._chance.expovariate(0.2))
                self.recorded.append(at(event, len(self.recorded) + 1, self._now))
            self.state = fold(happened, onto=self.state)

    def tell(self, count: int, subject: str = "", source: Source | None = None) -> None:
        """Adds so many facts and writes them, about all sorts of subjects or about one."""
        begun = len(self.state.facts)
        facts: list[Fact] = []
        for index in range(begun, begun + count):
            relation, object_ = SAID[index % len(SAID)]
            name = NAMES[index // len(SAID) % len(NAMES)] + f" {index // 28}" * (index >= 28)
            facts.append(samples.fact(f"fact-{index}", subject or name, relation, object_))
        added = samples.add(*facts, request=f"request-{begun}")
        if source is not None:
            added = replace(added, facts=tuple(replace(one, source=source) for one in added.facts))
        self.do(added)
        self.write()

    def write(self) -> None:
        while isinstance(work := next_work(self.state), Inject):
            key_occupancy = self.state.key_occupancy + 0.00012 * len(work.facts)
            self.do(sleeping.inject(self.state, *work.facts, key_occupancy=key_occupancy))

    def night(self, kind: str = "sleep", harm: bool = False) -> None:
        """A sleep or nap from its start to its end; with harm it is rolled back."""
        self.do(sleeping.start(kind, POLICY, SleepId(f"{kind}-{len(self.recorded)}")))
        while self.state.sleep is not None:
            self.do(self._step(sleeping.owed(self.state).step, harm))
        self.write()

    def _step(self, step: Step, harm: bool) -> Command:
        work, chance = sleeping.owed(self.state), self._chance

        def some(share: float) -> set[FactId]:
            return {fact for fact in work.facts if chance.random() < share}

        if step is Step.AUDIT:
            grown = 0.4 if harm and self.state.sleep and self.state.sleep.rescaled else 0.0
            measured = {
                "neighbours": 1 - chance.random() * 0.02,
                "strangers": 1 - chance.random() * 0.02,
                "unanswered": 0.97 - chance.random() * 0.05,
                "perplexity": 8.0 + 0.01 * chance.random() + grown,
            }
            return sleeping.audit(self.state, degraded=some(self._forgetful), controls=measured)
        if step is Step.GATE:
            return sleeping.gate(self.state, turned_back=some(0.2))
        if step is Step.RESCALE:
            return sleeping.rescale(self.state, key_occupancy=self.state.key_occupancy * 0.7)
        if step is Step.REFRESH:
            found = sleeping.refresh(self.state)
            return replace(
                found, edit=replace(found.edit, key_occupancy=self.state.key_occupancy + 0.0001 * len(work.facts))
            )
        return sleeping.STEPS[step](self.state)


def short_life() -> History:
    """Six facts, a nap, three nights of which one was undone."""
    lived = History(seed=3, forgetful=0.1)
    lived.tell(4, source=Source(client="notebook", conversation="c-17", turn=3, span="Mirabel has moved to Lisbon"))
    lived.night("nap")
    lived.tell(2)
    lived.night()
    lived.night(harm=True)
    lived.night()
    lived.night()
    return lived


def long_life(facts: int = 300) -> History:
    """So many facts over five days, a nap at noon, a sleep a night, one of them undone."""
    lived = History(seed=5, forgetful=0.02)
    for day in range(5):
        lived.tell(facts // 10)
        lived.night("nap")
        lived.tell(facts // 10)
        lived.night(harm=day == 2)
    return lived
