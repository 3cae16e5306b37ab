"""The life of one memory: created, told, asked, put to sleep, looked at in every way, checked and deleted."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice, product
from random import Random
from typing import Any

from hypnogram.v1 import chat_pb2, facts_pb2, memories_pb2

from benchmarks.soak.tally import Broken, Tally
from benchmarks.soak.web import Web
from hypnogram.client import CallFailed, Client, new_fact

FIRST = "Ann Bo Cara Dan Ella Finn Greta Hugo Ines Jonas Klara Lars Maria Nils Olga Paul Rosa Sven Tina Viktor".split()
LAST = "Ames Berg Dahl Ekberg Falk Grant Holm Jansen Keller Lind Moore Nash Olsen Price Quinn Reed Smith Voss".split()
CITIES = "Rome Oslo Lima Bonn Lisbon Vienna Dublin Athens Prague Madrid Cairo Quito Seoul Delhi".split()
RELATION = "lives in"
NIGHT_EVERY = 8  # lives
TOKENS = 16  # of an answer, at most
PATIENCE = 600.0  # seconds without an event before an executor counts as stuck
POLICY = memories_pb2.SleepPolicy(
    training=memories_pb2.Training(
        rank=8, steps=10, learning_rate=2e-2, batch=4, rehearsal=2, divergence_weight=0.1, enough=0.01
    ),
    controls=2, texts=2, probes=1, trainings=1, perplexity_limit=1e9, neighbours_limit=0.0, strangers_limit=0.0,
    recall_limit=0.0, contamination_limit=1.0, untold_limit=1.0, divergence_limit=1e9,
)  # fmt: skip  # of a night of a second, which is never undone
WEIGHTS = {
    "add facts": 8, "add facts, repeated": 2, "retract": 3, "erase": 1, "supersede": 2, "get fact": 4, "list facts": 4,
    "lineage": 3, "get memory": 4, "chat": 8, "chat, past": 4, "chat, once written": 1, "complete": 4, "remember": 2,
    "conversations": 2, "checkpoint": 2, "checkpoints": 2, "events": 2, "diff": 1, "watch, left": 4, "chat, left": 4,
    "connection, dropped": 2, "nap": 0.3, "fork": 0.3,
}  # fmt: skip  # how often each operation over gRPC is drawn


@dataclass(frozen=True, slots=True)
class Spec:
    """What a client needs to know; see `benchmarks/soak/client.py`."""

    address: str
    http: str
    base: str
    number: int
    seed: int
    remembers: bool
    life: int


@dataclass(slots=True)
class Told:
    """A fact as the client knows it.

    Attributes:
        ended: whether it was retracted or superseded.
        erased: whether its words were to be destroyed.
    """

    fact: str
    words: tuple[str, str]
    ended: bool = False
    erased: bool = False


@dataclass
class Life:
    """One memory of one client, on connections of its own."""

    spec: Spec
    number: int
    tally: Tally
    memory: str = ""
    told: dict[str, Told] = field(default_factory=dict)  # by their ids

    def __post_init__(self) -> None:
        spec = self.spec
        self.memory = f"soak-{spec.number}-{self.number}"
        self._random = Random(f"{spec.seed}/{spec.number}/{self.number}")
        names = [" ".join(pair) for pair in product(FIRST, LAST)]
        self._random.shuffle(names)
        self._names = iter(names)
        self._version = 1
        self._marks: list[str] = []
        self._forks = 0
        self._client = Client(spec.address, actor=f"soak-{spec.number}")
        self._web = Web(spec.http, self.memory, self._random)
        ways = {kind: getattr(self, f"_{kind.replace(', ', '_').replace(' ', '_')}") for kind in WEIGHTS}
        self._ways: dict[str, tuple[float, Callable[[], object]]] = {
            kind: (WEIGHTS[kind], way) for kind, way in ways.items()
        } | self._web.ways()
        if not spec.remembers:
            del self._ways["remember"]

    def live(self, wanted: Callable[[], bool]) -> None:
        """Creates the memory and uses it, with a nap or a night in between, for as many operations as it lives."""
        self.tally.time("create", self._create)
        self.tally.time("add facts", self._add_facts)
        kinds = list(self._ways)
        weights = [self._ways[kind][0] for kind in kinds]
        night = self._random.randrange(NIGHT_EVERY * self.spec.life)
        for number in range(self.spec.life):
            if not wanted():
                return
            kind = "night" if number == night else self._random.choices(kinds, weights)[0]
            self.tally.time(kind, self._night if kind == "night" else self._ways[kind][1])

    def begin(self) -> None:
        """Lives for a moment, so that server and executor have loaded what they need."""
        self._create()
        self._add_facts()
        for _, way in self._ways.values():
            way()
        self._client.delete_memory(self.memory)
        self._close()

    def end(self) -> None:
        """Checks the memory once its work is done, deletes it, and closes the connections."""
        self._check()
        self.tally.time("delete", lambda: self._client.delete_memory(self.memory))
        self._close()

    def left(self) -> dict[str, Any]:
        """Checks the memory once its work is done, and leaves it; returns what it was told."""
        self._check()
        self._close()
        return {"memory": self.memory, "told": [[fact.fact, *fact.words, fact.erased] for fact in self.told.values()]}

    def _close(self) -> None:
        self._client.close()
        self._web.close()

    def _check(self) -> None:
        self.tally.time("settle", self._settle)
        for fault in self.tally.time("check", lambda: list(self._faults())) or ():
            self.tally.fail(fault)

    def _settle(self) -> None:
        """Asks on until executors owe the memory no fact, no turn and no night."""
        self._wait(
            lambda memory: not (memory.facts.pending or memory.unread_turns or memory.HasField("asleep")),
            lambda: self.tally.time("chat", self._chat),
        )
        for conversation in self._client.conversations(self.memory):
            for turn in self._client.turns(self.memory, conversation.conversation):
                self._know_all(turn.remembered)  # of turns that were read after their calls had ended

    def _wait(
        self, ready: Callable[[memories_pb2.Memory], bool], meanwhile: Callable[[], object] = lambda: time.sleep(0.1)
    ) -> None:
        """Returns once the memory is `ready`. Raises Broken where nothing happens to it any more."""
        began, version = time.monotonic(), 0
        while not ready((now := self._client.memory(self.memory)).memory):
            if now.version != version:
                began, version = time.monotonic(), now.version
            if time.monotonic() - began > PATIENCE:
                raise Broken(f"{self.memory} stands still at version {version}")
            meanwhile()

    def _faults(self) -> Iterator[str]:
        listed = list(self._client.facts(self.memory))
        if len(listed) != len(self.told):
            yield f"facts: {len(self.told)} were told, {len(listed)} are there"
        there = {fact.fact: fact for fact in listed}
        for told in self.told.values():
            fact = there.get(told.fact)
            if fact is None:
                yield "facts: a told fact is lost"
            elif not told.erased and (fact.subject, fact.object) != told.words:
                yield "facts: a fact has other words than it was told with"
            elif bool(fact.retracted_version) != told.ended:
                yield "facts: a fact is retracted that was not, or is not that was"

    def _create(self) -> None:
        self._client.create_memory(self.memory, memories_pb2.BaseModel(name=self.spec.base), capacity=1e9)
        self._wait(lambda memory: memory.statistics_prepared)

    def _new(self) -> facts_pb2.NewFact:
        return new_fact(next(self._names), RELATION, self._random.choice(CITIES))

    def _add_facts(self, request_id: str = "") -> list[facts_pb2.NewFact]:
        new = [self._new() for _ in range(self._random.randint(1, 3))]
        self._take(self._client.add_facts(self.memory, new, request_id=request_id))
        return new

    def _take(self, answer: facts_pb2.AddFactsResponse) -> None:
        self._version = answer.version
        for result in answer.results:
            self._know(result.fact)

    def _know(self, fact: facts_pb2.Fact) -> None:
        self.told.setdefault(fact.fact, Told(fact.fact, (fact.subject, fact.object)))

    def _add_facts_repeated(self) -> None:
        """Repeats a request, as a client does that has not heard of its end."""
        request = str(uuid.UUID(int=self._random.getrandbits(128)))
        before = len(self.told)
        new = self._add_facts(request)
        self._take(self._client.add_facts(self.memory, new, request_id=request))
        if len(self.told) != before + len(new):
            raise Broken("a repeated request has added facts again")

    def _live_fact(self) -> Told | None:
        live = [told for told in self.told.values() if not told.ended]
        return self._random.choice(live) if live else None

    def _retract(self, erase: bool = False) -> None:
        if told := self._live_fact():
            told.ended, told.erased = True, erase  # first, because a call that fails may have been recorded
            self._version = self._client.retract_fact(self.memory, told.fact, "moved", erase=erase).version

    def _erase(self) -> None:
        self._retract(erase=True)

    def _supersede(self) -> None:
        if told := self._live_fact():
            object_ = self._random.choice([city for city in CITIES if city != told.words[1]])
            told.ended = True
            answer = self._client.supersede_fact(self.memory, told.fact, object_)
            self._know(answer.fact)
            self._version = answer.version

    def _get_fact(self) -> None:
        if told := self._live_fact():
            self._client.fact(self.memory, told.fact)

    def _list_facts(self) -> None:
        search = self._random.choice(["", "", self._random.choice(CITIES)])
        list(self._client.facts(self.memory, search=search))

    def _lineage(self) -> None:
        if told := self._live_fact():
            self._client.lineage(self.memory, told.fact)

    def _get_memory(self) -> None:
        self._client.memory(self.memory)

    def _question(self) -> str:
        told = self._live_fact()
        return f"Where does {told.words[0] if told else 'Ann Lee'} live?"

    def _chat(self, **asked: Any) -> None:
        pieces = list(self._client.chat(self.memory, self._question(), max_tokens=TOKENS, **asked))
        if not pieces or not pieces[-1].finish:
            raise Broken("an answer has no end")

    def _chat_past(self) -> None:
        with _unless_erased():
            self._chat(at_version=self._random.randint(1, self._version))

    def _chat_once_written(self) -> None:
        self._chat(min_version=self._version)

    def _complete(self) -> None:
        seed = self._random.getrandbits(16)
        list(self._client.complete(self.memory, "Ann Lee lives in", max_tokens=TOKENS, temperature=0.8, seed=seed))

    def _remember(self) -> None:
        text = f"{next(self._names)} lives in {self._random.choice(CITIES)}."
        conversation = self._random.choice(["monday", "tuesday"])
        *_, last = self._client.chat(self.memory, text, conversation=conversation, remember="on", max_tokens=TOKENS)
        self._know_all(last.remembered)

    def _know_all(self, remembered: chat_pb2.Remembered) -> None:
        for candidate in remembered.candidates:
            if candidate.result.added:
                self._know(candidate.result.fact)

    def _conversations(self) -> None:
        for conversation in self._client.conversations(self.memory):
            list(self._client.turns(self.memory, conversation.conversation))

    def _checkpoint(self) -> None:
        name = f"mark-{len(self._marks)}"
        self._marks.append(name)
        self._version = self._client.mark(self.memory, name).version

    def _checkpoints(self) -> None:
        list(self._client.checkpoints(self.memory))

    def _events(self) -> None:
        list(self._client.events(self.memory))

    def _diff(self) -> None:
        before = self._random.randint(1, self._version)
        with _unless_erased():
            self._client.diff((self.memory, before), (self.memory, self._version))

    def _watch_left(self) -> None:
        """Leaves a stream of events, at its end or in the middle of it."""
        with closing(self._client.watch(self.memory)) as news:
            list(islice(news, self._random.randint(1, max(self._version // 2, 1))))

    def _chat_left(self) -> None:
        """Goes away after the first piece of an answer."""
        with closing(self._client.chat(self.memory, self._question(), max_tokens=200)) as pieces:
            next(pieces)

    def _connection_dropped(self) -> None:
        """Closes a connection with an answer and a stream of events open on it."""
        with Client(self.spec.address) as client:
            streams = client.watch(self.memory), client.chat(self.memory, self._question(), max_tokens=200)
            for stream in streams:
                next(stream)

    def _nap(self) -> None:
        self._sleep(self._client.begin_nap)

    def _night(self) -> None:
        self._sleep(self._client.begin_sleep)

    def _sleep(self, begin: Callable[..., str]) -> None:
        """Begins a sleep, leaves its stream in the middle, and waits for its end while it is asked."""
        self._wait(lambda memory: not memory.facts.pending)
        if not self._client.memory(self.memory).memory.facts.injected:
            return  # all were retracted, parked or dissolved: there is nothing to sleep on
        sleep = begin(self.memory, POLICY)
        with closing(self._client.watch_sleep(self.memory, sleep)) as news:
            next(news)
        self._wait(lambda memory: not memory.HasField("asleep"), lambda: self.tally.time("chat", self._chat))

    def _fork(self) -> None:
        self._forks += 1
        fork = f"{self.memory}-fork-{self._forks}"
        self._client.fork(fork, self.memory)
        list(self._client.chat(fork, self._question(), max_tokens=TOKENS))
        self._client.delete_memory(fork)


@contextmanager
def _unless_erased() -> Iterator[None]:
    """Passes over the refusal of a past version in whose weights an erased fact still was, which must be refused."""
    try:
        yield
    except CallFailed as error:
        if error.reason != "WORDS_ERASED":
            raise
