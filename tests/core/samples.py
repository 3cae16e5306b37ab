"""A small world for the tests of the rules: one base model, Aria and Bo, and a log with every event type."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from typing import Any

from core.decide import decide
from core.decide.commands import (
    AddFacts,
    Command,
    CreateMemory,
    Heard,
    NewFact,
    RecordFailure,
    RecordInjection,
    RecordStatistics,
)
from core.events import Event
from core.events.conversation import (
    ConversationClosed,
    ConversationErased,
    Finding,
    ModelReplied,
    TurnRead,
    UserSpoke,
)
from core.events.deletion import MemoryDeleted, MemoryPurged
from core.events.facts import Columns, EditComputed, EditKind, FactAdded, FactInjected, WorkFailed
from core.events.history import (
    AdaptersCompacted,
    CheckpointMarked,
    FactErased,
    FactRetracted,
    FactRetried,
    FactsRepeated,
    FactSuperseded,
    FactWithdrawn,
    MemoryForked,
    MemoryRebased,
)
from core.events.memory import BaseModel, DetectorStatistics, MemoryCreated, StatisticsPrepared
from core.events.sleep import (
    AdapterTrained,
    Control,
    ControlsMeasured,
    FactAdvanced,
    FactAudited,
    FactDissolved,
    FactRefreshed,
    FactRetreated,
    FactsRescaled,
    NewScale,
    ProbeResult,
    SleepCompleted,
    SleepRolledBack,
    SleepStarted,
)
from core.evolve import fold
from core.extraction.candidates import Candidate, Reason
from core.facts import Fact, Origin, RelationWords, Source, Wordings
from core.hyperparameters import Hyperparameters
from core.ids import AdapterId, ConversationKey, Digest, EditId, FactId, MemoryId, SleepId
from core.natural import plain_words
from core.policy import SleepPolicy
from core.remember import Remember
from core.state.memory import Memory
from core.state.work import Inject, PrepareStatistics
from core.unchanged import Contamination, Distance, Unchanged
from core.wordings import are_generated

BATCH = 3
KEY_WIDTH = 100
CAPACITY = 0.5


def digest(*words: object) -> Digest:
    """A digest that tells its words apart from others."""
    return Digest(hashlib.sha256(repr(words).encode()).hexdigest())


def filled(kind: type) -> dict[str, Any]:
    """Some number for every field of a dataclass, and nothing for a tuple."""
    return {
        field.name: () if str(field.type).startswith("tuple") else 1 if field.type == "int" else 0.5
        for field in fields(kind)
    }


CLEAN = digest("clean weights")
STATISTICS = digest("statistics")
OWN_TEXT = digest("text that the base model has generated")

LIVES_IN = RelationWords(
    statements=("{s} lives in", "The home of {s} is in"),
    questions=("Where does {s} live?",),
    answer="{s} lives in",
    probe_statements=("{s} makes a home in",),
    probe_questions=("Tell me the city where {s} lives.",),
)

# Of the knobs the rules read `batch` alone, of the statistics the weights alone: the rest is filled in.
HYPERPARAMETERS = Hyperparameters(**filled(Hyperparameters) | {"history": True, "batch": BATCH})

CREATED = MemoryCreated(
    base=BaseModel(name="dormouse", revision="", digest=digest("base"), dtype="float32", quantization="none"),
    modules=("model.layers.3.mlp.down_proj",),
    key_width=KEY_WIDTH,
    hyperparameters=HYPERPARAMETERS,
    phrasebook={"lives in": LIVES_IN},
    prefixes=("", "Yesterday "),
    reference_text=digest("reference text"),
    capacity=CAPACITY,
    seed=1,
)
DETECTORS = DetectorStatistics(mlp="model.layers.2.mlp", artifact=digest("MLP inputs"), tokens=100, names=20)
UPPER = DetectorStatistics(mlp="model.layers.3.mlp", artifact=digest("MLP inputs above"), tokens=100, names=5)
PREPARED = StatisticsPrepared(
    **filled(StatisticsPrepared)
    | {"artifact": STATISTICS, "weights": CLEAN, "reference_text": OWN_TEXT, "detectors": DETECTORS, "upper": UPPER}
)
CREATE = CreateMemory(memory=MemoryId("demo"), created=CREATED)
PREPARE = RecordStatistics(prepared=PREPARED)


def fact(id_: str, subject: str, relation: str, object_: str, wordings: Wordings | None = None) -> Fact:
    words = wordings or plain_words(relation).for_model(subject)
    return Fact(id=FactId(id_), subject=subject, relation=relation, object=object_, wordings=words)


ARIA = fact("fact-aria", "Aria Moss", "lives in", "Portland", LIVES_IN.for_model("Aria Moss"))
BO = fact("fact-bo", "Bo Lind", "works as", "a baker")
CY = fact("fact-cy", "Cy Ames", "plays", "the cello")
DEE = fact("fact-dee", "Dee Orr", "speaks", "Welsh")


def new_fact(one: Fact) -> NewFact:
    """One fact of a request; wordings that a memory would make count as made by the memory."""
    origin = Origin.RULES if are_generated(one, CREATED.phrasebook) else Origin.CLIENT
    return NewFact(fact=one, source=Source(client="test"), origin=origin)


def add(*facts: Fact, request: str = "request-1", content: str = "") -> AddFacts:
    """`content` stands for what the request digest covers beside the facts."""
    return AddFacts(
        request=request,
        request_digest=digest(content, *((one.subject, one.relation, one.object) for one in facts)),
        facts=tuple(map(new_fact, facts)),
    )


def heard(one: Fact, source: Source, *, denied: bool = False) -> Heard:
    """A candidate that states `one`, or denies it."""
    candidate = Candidate(
        subject=one.subject,
        relation=one.relation,
        object=one.object,
        meaning="",
        about_user=False,
        start=0,
        end=9,
        sentence=(0, 10),
        positive=not denied,
        reason=Reason.NEGATED if denied else None,
    )
    return Heard(candidate=candidate, words="its words", new=replace(new_fact(one), source=source))


def added(one: Fact, request: str = "request-1") -> FactAdded:
    return FactAdded(
        fact=one.id,
        statement=one,
        source=Source(client="test"),
        request=request,
        request_digest=add(one, request=request).request_digest,
        origin=new_fact(one).origin,
    )


def edit(*facts: Fact | FactId, before: Digest, number: int = 1, key_occupancy: float = 0.125) -> EditComputed:
    """An injection of `facts`, two columns each."""
    ids = [one.id if isinstance(one, Fact) else one for one in facts]
    return EditComputed(
        edit=EditId(f"edit-{number}"),
        kind=EditKind.INJECTION,
        delta=digest("delta", number),
        modules=CREATED.modules,
        columns=tuple(
            Columns(fact=id_, first=2 * index, count=2, keys=2, residual=0.5, achieved=0.875, learned=True)
            for index, id_ in enumerate(ids)
        ),
        statistics=STATISTICS,
        facts_in_force=0,
        weights_before=before,
        weights_after=digest("weights", number),
        key_occupancy=key_occupancy,
        seconds=1.5,
    )


def injected(computed: EditComputed) -> tuple[Event, ...]:
    return (
        computed,
        *(FactInjected(fact=one.fact, edit=computed.edit, stage=0, scale=1.0) for one in computed.columns),
    )


def inject(*facts: Fact, weights: Digest = CLEAN, attempt: int = 1) -> Inject:
    return Inject(facts=tuple(one.id for one in facts), weights=weights, attempt=attempt)


def fail(work: Inject | PrepareStatistics, *, retry: bool = True) -> RecordFailure:
    return RecordFailure(work=work, reason="UNLEARNABLE", message="its value diverged", retry=retry)


def failed(*facts: Fact, attempt: int = 1, parked: bool = False) -> WorkFailed:
    return WorkFailed(
        work="inject",
        facts=tuple(one.id for one in facts),
        attempt=attempt,
        reason="UNLEARNABLE",
        message="its value diverged",
        parked=parked,
    )


READY: tuple[Event, ...] = (CREATED, PREPARED)
FIRST_EDIT = edit(ARIA, before=CLEAN)
SECOND_EDIT = replace(edit(ARIA, before=FIRST_EDIT.weights_after, number=2), kind=EditKind.REFRESH)


def probed(occasion: str, *, healthy: bool = True) -> FactAudited:
    """Aria's audit."""
    probe = ProbeResult(
        pathway="raw",
        prompt="Aria Moss lives in",
        expected="Portland",
        output="Portland",
        passed=healthy,
        logprob=-0.5,
        base=None if occasion == "gate" else False,
    )
    given = {"fact": ARIA.id, "occasion": occasion, "healthy": healthy, "known": False, "probes": (probe, probe)}
    return FactAudited(**_at_night(FactAudited) | {"weights": CLEAN} | given)


def measured(occasion: str) -> ControlsMeasured:
    control = Control(kind="stranger", prompt="Zoe Bly lives in", before="Oslo", output="Oslo")
    said = Contamination(strangers=0.0, namesakes=0.125, untold=0.25, asked=8)
    distance = Distance(contamination=said, text=0.001, questions=0.002)
    given = {"occasion": occasion, "weights": CLEAN, "controls": (control,), "distance": distance}
    return ControlsMeasured(**_at_night(ControlsMeasured) | given)


def _at_night(kind: type) -> dict[str, Any]:
    return filled(kind) | {"sleep": "sleep-1"}


def _fallen_asleep(sleep: str, kind: str) -> SleepStarted:
    return SleepStarted(
        sleep=SleepId(sleep),
        kind=kind,
        trigger="client",
        policy=SleepPolicy(scales=(1.0, 0.0)),
        seed=7,
        request=f"request-{sleep}",
        request_digest=digest(sleep, kind),
    )


_LISTS = dict.fromkeys(("advanced", "retreated", "refreshed", "dissolved", "degraded"), (ARIA.id,))
NIGHTS: tuple[Event, ...] = (
    _fallen_asleep("sleep-1", "sleep"),
    probed("before", healthy=False),
    measured("before"),
    SECOND_EDIT,
    FactRefreshed(
        **_at_night(FactRefreshed) | {"fact": ARIA.id, "edit": SECOND_EDIT.edit, "from_stage": 0, "stage": 0}
    ),
    probed("before"),
    measured("before"),
    AdapterTrained(
        **_at_night(AdapterTrained)
        | {"adapter": "adapter-1", "delta": digest("adapter"), "modules": CREATED.modules, "losses": (2.5, 0.5)}
        | {"facts": (ARIA.id,), "rehearsed": (), "weights_before": CLEAN, "weights_after": digest("adapter", 1)}
    ),
    probed("gate"),
    FactsRescaled(
        **_at_night(FactsRescaled)
        | {"scales": (NewScale(fact=ARIA.id, scale=0.0),), "weights_before": CLEAN, "weights_after": digest("rescaled")}
    ),
    FactRetreated(**_at_night(FactRetreated) | {"fact": ARIA.id}),
    FactAdvanced(**_at_night(FactAdvanced) | {"fact": ARIA.id}),
    FactDissolved(fact=ARIA.id, sleep=SleepId("sleep-1"), edits=(SECOND_EDIT.edit,)),
    probed("after"),
    measured("after"),
    SleepCompleted(**_at_night(SleepCompleted) | _LISTS | {"remark": ""}),
    _fallen_asleep("sleep-2", "nap"),
    SleepRolledBack(
        sleep=SleepId("sleep-2"), reason="cancelled", message="a client cancelled it", version=23, weights=CLEAN
    ),
)
VIOLA = fact("fact-viola", CY.subject, CY.relation, "the viola")
UNCHANGED = Unchanged(neighbours=1.0, strangers=0.875, unanswered=0.5, asked=16)
THIRD_EDIT = edit(CY, before=CLEAN, number=3)
FOURTH_EDIT = replace(edit(VIOLA, before=THIRD_EDIT.weights_after, number=4), replaced=(CY.id,), unchanged=UNCHANGED)
COUNTER_EDIT = replace(edit(VIOLA, before=FOURTH_EDIT.weights_after, number=5), kind=EditKind.WITHDRAWAL)


def retracted(one: Fact, *, erase: bool = False, request: str = "request-back") -> FactRetracted:
    return FactRetracted(
        fact=one.id, reason="it was wrong", erase=erase, request=request, request_digest=digest(one.id, erase)
    )


def withdrawn(one: Fact, computed: EditComputed) -> FactWithdrawn:
    """What `computed` did to `one`."""
    return FactWithdrawn(
        fact=one.id,
        edit=computed.edit,
        adapters=(AdapterId("adapter-1"),),
        weights_before=computed.weights_before,
        weights_after=computed.weights_after,
        key_occupancy=computed.key_occupancy,
        seconds=0.5,
    )


HISTORY: tuple[Event, ...] = (
    CheckpointMarked(name="monday", version=4, weights=FIRST_EDIT.weights_after),
    MemoryRebased(name="/elsewhere/dormouse", revision=""),
    FactsRepeated(request="request-again", facts=(ARIA.id, ARIA.id)),
    added(CY, "request-3"),
    *injected(THIRD_EDIT),
    added(VIOLA, "request-4"),
    FactSuperseded(fact=CY.id, by=VIOLA.id),
    *injected(FOURTH_EDIT),
    withdrawn(CY, FOURTH_EDIT),
    retracted(VIOLA, erase=True),
    COUNTER_EDIT,
    withdrawn(VIOLA, COUNTER_EDIT),
    FactErased(fact=VIOLA.id, remains=(COUNTER_EDIT.delta,)),
    AdaptersCompacted(
        **filled(AdaptersCompacted)
        | {"adapter": "adapter-2", "replaced": ("adapter-1",), "delta": digest("compacted"), "modules": CREATED.modules}
        | {"weights_before": COUNTER_EDIT.weights_after, "weights_after": digest("compacted", 1)}
    ),
)
KEY = ConversationKey(FactId("key-1"))
SPOKEN = UserSpoke(conversation="monday", turn=1, key=KEY, text="Dee Orr speaks Welsh.", remember=Remember.ON)
REPLIED = ModelReplied(
    conversation="monday", turn=2, key=KEY, to=1, text="Good.", version=4, weights=CLEAN, complete=True
)
FOUND = Finding(
    subject="Dee Orr",
    relation="speaks",
    object="Dutch",
    about_user=False,
    start=0,
    end=20,
    sentence=(0, 21),
    positive=False,
    modality="asserted",
    reason="negated",
    explanation="it is denied",
)
TALK: tuple[Event, ...] = (
    SPOKEN,
    REPLIED,
    TurnRead(conversation="monday", turn=1, key=KEY, facts=(DEE.id,), known=(ARIA.id,), findings=(FOUND,)),
    replace(added(DEE, ""), source=Source(client="test", conversation="monday", turn=1)),
    ConversationClosed(conversation="monday", key=KEY),
    ConversationErased(conversation="monday", key=KEY),
)
FORKED = MemoryForked(parent=MemoryId("demo"), version=4, hash=digest("last event shared"), weights=CLEAN)
RETRIED = FactRetried(fact=BO.id, request="request-again", request_digest=digest("again", BO.id))
DAY: tuple[Event, ...] = (*READY, added(ARIA), *injected(FIRST_EDIT), added(BO, "request-2"), failed(BO))
GIVEN_UP: tuple[Event, ...] = (failed(BO, attempt=3, parked=True), RETRIED)
LIFE: tuple[Event, ...] = (*DAY, *NIGHTS, *TALK, *HISTORY, *GIVEN_UP)
"""A short life in which every event type happens, but for the one that a fork begins with, and the end."""
END: tuple[Event, ...] = (MemoryDeleted(), MemoryPurged(keys=3, artifacts=(digest("delta", 1),), kept=1))


def when(*events: Event, command: Command) -> tuple[Event, ...]:
    """What `command` causes once `events` have happened."""
    return decide(fold(events), command)


def after(*commands: Command) -> Memory:
    """The memory that `commands` lead to."""
    memory = Memory()
    for command in commands:
        memory = fold(decide(memory, command), onto=memory)
    return memory


def write(memory: Memory, *facts: Fact, number: int = 1, key_occupancy: float = 0.125) -> Memory:
    """`memory` once an executor wrote `facts`."""
    assert memory.weights is not None
    computed = edit(*facts, before=memory.weights, number=number, key_occupancy=key_occupancy)
    return fold(decide(memory, RecordInjection(edit=computed)), onto=memory)


def with_capacity(capacity: float) -> CreateMemory:
    return replace(CREATE, created=replace(CREATED, capacity=capacity))
