"""Histories as hypothesis draws them: random commands run through `decide`, so that only what can happen happens."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Any

from hypothesis import strategies as st

from core.decide import decide
from core.decide.commands import (
    AddFacts,
    CancelSleep,
    CloseConversation,
    Command,
    DeleteMemory,
    MarkCheckpoint,
    RebaseMemory,
    RecordAudit,
    RecordEnd,
    RecordFailure,
    RecordPurge,
    RecordReading,
    RecordRefresh,
    RecordReply,
    RecordRescale,
    RecordStatistics,
    RecordTextsErased,
    RecordTraining,
    Say,
    StartSleep,
)
from core.errors.base import Refused
from core.events import EVENT_TYPES, Event
from core.events.deletion import MemoryPurged
from core.evolve import fold
from core.facts import Fact, Source
from core.ids import ConversationKey, EventId, FactId, MemoryId, SleepId
from core.policy import SleepPolicy
from core.remember import Remember
from core.state.memory import NOTHING, Memory, Status
from core.state.sleep import Step
from core.state.work import Erase, EraseTexts, Inject, Purge, Read, SleepStep, Withdraw, next_work
from tests.core import samples
from tests.core import sleep_samples as sleeping

SUBJECTS = ("Aria Moss", "Bo Lind", "Cy Ames", "Dee Orr", "aria  moss")
RELATIONS = ("lives in", "plays", "speaks")
OBJECTS = ("Oslo",) * 12 + ("Bergen", "")  # mostly new or known, now and then contradicting or empty
OTHERS = ("Lima", "Quito", "Oslo", "")  # objects that supersede
REQUESTS = ("r1", "r2", "")  # beside fresh ones: used before, or empty
POLICIES = (SleepPolicy(), sleeping.POLICY)  # what ships has four scales, so a fact may retreat from stage 2 to 1
HARM = ({"perplexity": 9.0}, {"neighbours": 0.5}, {"strangers": 0.5}, {"perplexity": float("nan")})

SleepResult = RecordAudit | RecordRefresh | RecordTraining | RecordRescale | RecordEnd


@dataclass(frozen=True)
class Attempt:
    """A memory, a command it was given, and what came of it: events, or a refusal. Its nights follow `policy`."""

    memory: Memory
    command: Command
    events: tuple[Event, ...]
    refusal: Refused | None
    policy: SleepPolicy

    def __repr__(self) -> str:
        """Short, for the sake of who reads a failure: fifty memories are half a megabyte."""
        came = self.refusal or ", ".join(type(event).__name__ for event in self.events)
        return f"<{type(self.command).__name__}: {came!s:.200}>"


TALK = ("say", "reply", "close")
HISTORY = ("retract", "retract", "supersede", "supersede", "mark", "compact", "retry", "rebase")
KINDS = (
    "add",
    "add",
    *["work"] * 4,
    "fail",
    "fail",
    "stale",
    "create",
    "sleep",
    "sleep",
    "cancel",
    "delete",
    *HISTORY,
    *TALK,
)
NIGHTLY = (*["work"] * 24, "sleep", "sleep", "fail", "add", "stale", "cancel", *HISTORY, "say")


@st.composite
def commands(
    draw: st.DrawFn, memory: Memory, kinds: tuple[str, ...] = KINDS, policy: SleepPolicy = sleeping.POLICY
) -> Command:
    """A command that may or may not fit `memory`, which sleeps by policies like `policy`."""
    work = next_work(memory)
    kind = draw(st.sampled_from(kinds))
    if memory.created is None or kind == "create":
        return replace(samples.CREATE, created=replace(samples.CREATED, seed=draw(st.sampled_from((1, 1, 2)))))
    if kind == "sleep" or (work is None and kind != "add" and draw(st.booleans())):
        return draw(beginnings(memory, policy))
    if kind == "cancel":
        asleep = [memory.sleep.id] * 4 if memory.sleep else []
        return CancelSleep(sleep=draw(st.sampled_from((*asleep, *memory.nights, SleepId("nobody")))))
    if kind == "delete" and not draw(st.integers(0, 3)):  # now and then, as little happens afterwards
        return DeleteMemory(memory=MemoryId("demo"))
    if kind in TALK:
        return draw(_of_conversations(memory, kind))
    if kind in HISTORY and memory.facts:
        return draw(_of_history(memory, kind))
    if kind == "add" or work is None:
        return draw(_additions(memory))
    if kind == "fail":
        return RecordFailure(work=work, reason="TEST", message="it broke", retry=draw(st.booleans()))
    if isinstance(work, Read):
        return draw(_readings(memory, replace(work, turn=99) if kind == "stale" else work))
    if isinstance(work, EraseTexts):
        return RecordTextsErased(work=replace(work, conversation="another") if kind == "stale" else work)
    if isinstance(work, SleepStep):
        result = draw(results(memory))
        return replace(result, work=draw(_other(work))) if kind == "stale" else result
    if isinstance(work, Withdraw):
        result_ = sleeping.withdraw(memory, counter=draw(st.booleans()), key_occupancy=memory.key_occupancy)
        wrong = replace(work, weights=samples.digest("weights nobody had"))
        return replace(result_, work=wrong) if kind == "stale" else result_
    if isinstance(work, Erase):
        erased = sleeping.erase(memory)
        return replace(erased, work=replace(work, fact=FactId("another"))) if kind == "stale" else erased
    if isinstance(work, Purge):
        return RecordPurge(work=work, purged=MemoryPurged(keys=len(memory.facts), artifacts=(), kept=0))
    if not isinstance(work, Inject):
        return RecordStatistics(prepared=samples.PREPARED)
    written = sleeping.inject(memory, *work.facts, key_occupancy=memory.key_occupancy + draw(st.floats(0.0, 0.25)))
    before = samples.digest("weights nobody had") if kind == "stale" else work.weights
    return replace(written, edit=replace(written.edit, weights_before=before))


@st.composite
def _of_conversations(draw: st.DrawFn, memory: Memory, kind: str) -> Command:
    """What clients do in conversations."""
    demo, name = MemoryId("demo"), draw(st.sampled_from(("monday", "monday", "tuesday")))
    if kind == "say":
        key = ConversationKey(FactId(f"key-{memory.version}"))
        remember = draw(st.sampled_from((Remember.ON, Remember.ON, Remember.ASK, Remember.OFF)))
        return Say(memory=demo, conversation=name, key=key, text="Aria moved.", remember=remember)
    if kind == "reply":
        return RecordReply(
            memory=demo,
            conversation=name,
            to=1,
            text="Oh.",
            version=1,
            weights=samples.CLEAN,
            complete=draw(st.booleans()),
        )
    return CloseConversation(memory=demo, conversation=name, facts=draw(st.booleans()))


@st.composite
def _readings(draw: st.DrawFn, memory: Memory, work: Read) -> RecordReading:
    """Candidates of a turn: facts, and denials of facts."""
    heard = []
    for index in range(draw(st.integers(0, 2))):
        subject, relation = draw(st.sampled_from(SUBJECTS)), draw(st.sampled_from(RELATIONS))
        fact = samples.fact(
            f"fact-{memory.version}-{index}", subject, relation, draw(st.sampled_from(("Oslo", "Bergen")))
        )
        source = Source(conversation=work.conversation, turn=work.turn)
        heard.append(samples.heard(fact, source, denied=draw(st.booleans())))
    return RecordReading(work=work, said=EventId("event"), heard=tuple(heard))


@st.composite
def _of_history(draw: st.DrawFn, memory: Memory, kind: str) -> Command:
    """What clients do to what was told, and a compaction."""
    standing = sorted(fact for fact, state in memory.facts.items() if not state.retracted)
    fact = memory.facts[draw(st.sampled_from((*standing * 3, *sorted(memory.facts))))].fact
    request = draw(st.sampled_from((*[f"request-{memory.version}"] * 6, *REQUESTS)))
    if kind == "retract":
        return sleeping.retract(fact, erase=draw(st.booleans()), request=request)
    if kind == "supersede":
        new = samples.fact(f"fact-{memory.version}", fact.subject, fact.relation, draw(st.sampled_from(OTHERS)))
        return sleeping.supersede(fact, new, request)
    parked = [state.fact for state in memory.facts.values() if state.status is Status.PARKED]
    if kind == "retry" or parked:  # few facts are ever parked
        return sleeping.retry(draw(st.sampled_from((*parked, fact, None))), request)
    if kind == "compact" and memory.adapters:
        return sleeping.compact(memory)
    if kind == "rebase":
        return RebaseMemory(memory=MemoryId("demo"), name=draw(st.sampled_from(("/a", "/b"))), revision="")
    version = draw(st.integers(0, memory.version + 1))
    name = draw(st.sampled_from(("monday", "tuesday", "17")))
    return MarkCheckpoint(memory=MemoryId("demo"), name=name, version=version, weights=memory.weights)


@st.composite
def beginnings(draw: st.DrawFn, memory: Memory, policy: SleepPolicy) -> StartSleep:
    """A sleep or a nap: by `policy` as it is, or with other limits and the same scales."""
    if draw(st.booleans()):
        policy = replace(
            policy,
            trainings=draw(st.sampled_from((1, 1, 2, 3))),
            repairs=draw(st.integers(0, 2)),
            refreshes=draw(st.integers(0, 3)),
            recall_limit=0.5,
        )
    request = draw(st.sampled_from((*[""] * 4, f"request-{memory.version}", "r1")))
    sleep = SleepId(f"sleep-{memory.version}")
    return sleeping.start(draw(st.sampled_from(("sleep", "sleep", "sleep", "nap"))), policy, sleep, request)


@st.composite
def results(draw: st.DrawFn, memory: Memory) -> SleepResult:
    """What an executor may find at the step that a sleep is at: any verdicts, now and then harm."""
    work = sleeping.owed(memory)
    none = st.just(set[FactId]())
    some = st.sets(st.sampled_from(work.facts), min_size=1, max_size=2) if work.facts else none
    match work.step:
        case Step.AUDIT:
            harm = draw(st.sampled_from((*[{}] * 12, *HARM)))
            degraded, known = draw(none | none | some), draw(none | none | some)
            return sleeping.audit(memory, degraded=degraded, known=known, controls=harm)
        case Step.GATE:
            return sleeping.gate(memory, turned_back=draw(none | st.just(set(work.facts)) | some))
        case Step.REFRESH:
            return sleeping.refresh(memory)
        case Step.TRAIN:
            return sleeping.train(memory)
        case Step.RESCALE:
            return sleeping.rescale(memory, key_occupancy=memory.key_occupancy * draw(st.floats(0.0, 1.0)))
        case Step.END:
            return sleeping.end(memory)


def _other(work: SleepStep) -> st.SearchStrategy[SleepStep]:
    """Work that is not owed, and looks like `work`."""
    return st.sampled_from(
        (
            replace(work, sleep=SleepId("another")),
            replace(work, weights=samples.digest("weights nobody had")),
            replace(work, attempt=work.attempt + 1),
            replace(work, facts=(*work.facts, FactId("another"))),
        )
    )


@st.composite
def _additions(draw: st.DrawFn, memory: Memory) -> AddFacts:
    facts: list[Fact] = []
    for index in range(draw(st.sampled_from((1, 1, 2, 3, 4, 0)))):
        subject, relation, object_ = (draw(st.sampled_from(words)) for words in (SUBJECTS, RELATIONS, OBJECTS))
        facts.append(samples.fact(f"fact-{memory.version}-{index}", subject, relation, object_))
    request = draw(st.sampled_from((*[f"request-{memory.version}"] * 6, *REQUESTS)))
    return samples.add(*facts, request=request, content=draw(st.sampled_from(("", "x"))))


@st.composite
def attempts(
    draw: st.DrawFn,
    memory: Memory = NOTHING,
    kinds: tuple[str, ...] = KINDS,
    least: int = 0,
    most: int = 30,
    policy: SleepPolicy | None = None,
) -> list[Attempt]:
    """What a memory was asked to do, in order, and what came of each command."""
    made: list[Attempt] = []
    policy = policy or draw(st.sampled_from(POLICIES))
    for _ in range(draw(st.integers(least, most))):
        command = draw(commands(memory, kinds, policy))
        try:
            events = decide(memory, command)
        except Refused as refusal:
            made.append(Attempt(memory, command, (), refusal, policy))
        else:
            made.append(Attempt(memory, command, events, None, policy))
            memory = fold(events, onto=memory)
    return made


def nights() -> st.SearchStrategy[list[Attempt]]:
    """Some nights, at least one command, of a memory that carries facts; and what comes between."""
    begin = st.sampled_from([(policy, memory) for policy in POLICIES for memory in _at_every_stage(policy)])
    return begin.flatmap(lambda one: attempts(one[1], NIGHTLY, least=1, most=40, policy=one[0]))


@cache
def _at_every_stage(policy: SleepPolicy) -> tuple[Memory, ...]:
    """Memories after each number of nights by `policy`; one asleep, one told a fact, one that nearly unlearned one."""
    rested = list(_nights(sleeping.AWAKE, policy.dissolved - 1, policy))
    asleep = sleeping.do(rested[-1], sleeping.start(policy=policy))
    *_, dissolved = _nights(sleeping.awake(samples.ARIA, samples.BO), policy.dissolved, policy)
    told = sleeping.do(dissolved, samples.add(samples.CY))
    told = sleeping.do(told, sleeping.inject(told, samples.CY))
    countered = sleeping.do(dissolved, sleeping.retract(samples.BO))
    countered = sleeping.do(countered, sleeping.withdraw(countered, counter=True))
    *_, unlearned = _nights(countered, policy.dissolved - 1, policy)
    return (*rested, asleep, asleep, told, unlearned, unlearned)  # twice what takes most steps to come to


def _nights(memory: Memory, count: int, policy: SleepPolicy) -> Iterator[Memory]:
    """`memory`, and after each of `count` nights in which all goes well."""
    yield memory
    for _ in range(count):
        memory = sleeping.night(memory, memory.version, policy)
        yield memory


def logs() -> st.SearchStrategy[list[Event]]:
    """Valid histories of one memory, as the log would hold them."""
    return attempts().map(lambda made: [event for attempt in made for event in attempt.events])


def events() -> st.SearchStrategy[Event]:
    """Events of every type with any values their fields can hold, whether they make sense or not."""
    return st.one_of([_any(cls) for cls in EVENT_TYPES.values()])


def _any(kind: Any) -> st.SearchStrategy[Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{field.name: _any(hints[field.name]) for field in fields(kind)})
    if origin in (types.UnionType, typing.Union):
        return st.one_of([_any(argument) for argument in arguments])
    if origin is tuple:
        return st.lists(_any(arguments[0]), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(_any(arguments[0]), _any(arguments[1]), max_size=3)
    if kind is float:
        return st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
    return st.from_type(kind)
