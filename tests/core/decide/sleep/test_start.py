"""Beginning a sleep or a nap: when it is refused, and what a nap does."""

from dataclasses import fields, replace

import pytest

from core.decide import decide
from core.errors.base import InvalidField, NotReady, RequestReused, SleepInProgress
from core.events.sleep import ControlsMeasured, FactAudited, SleepCompleted, SleepStarted
from core.evolve import fold
from core.ids import SleepId
from core.policy import SleepPolicy, Training
from core.state.memory import NOTHING, Memory, Night
from core.state.plan import plan
from core.state.pressure import pressure
from core.state.sleep import Occasion, Step
from tests.core.samples import ARIA, BO, CREATED, DEE, READY, add, added
from tests.core.sleep_samples import (
    ASLEEP,
    AWAKE,
    IDS,
    POLICY,
    SLEEP,
    audit,
    do,
    end,
    night,
    owed,
    start,
)

NAN = float("nan")


def test_a_sleep_begins_with_one_event_that_holds_its_whole_policy() -> None:
    command = start(request="r")

    assert decide(AWAKE, command) == (
        SleepStarted(
            sleep=SLEEP,
            kind="sleep",
            trigger="client",
            policy=POLICY,
            seed=7,
            request="r",
            request_digest=command.request_digest,
        ),
    )


@pytest.mark.parametrize(
    ("memory", "lacking"),
    [
        (NOTHING, "statistics"),
        (fold([CREATED]), "statistics"),
        (fold([CREATED, added(ARIA)]), "statistics"),
        (fold(READY), "no fact"),
        (fold([*READY, added(ARIA)]), "no fact"),
    ],
)
@pytest.mark.parametrize("kind", ["sleep", "nap"])
def test_a_memory_with_nothing_to_sleep_on_is_not_ready(memory: Memory, lacking: str, kind: str) -> None:
    with pytest.raises(NotReady, match=lacking):
        decide(memory, start(kind))


@pytest.mark.parametrize("kind", ["sleep", "nap"])
def test_one_sleep_at_a_time(kind: str) -> None:
    with pytest.raises(SleepInProgress, match="sleep-1") as refusal:
        decide(ASLEEP, start(kind, sleep=SleepId("sleep-2"), request="another"))

    assert refusal.value.metadata == {"sleep": SLEEP, "kind": "sleep"}


def test_the_same_request_again_starts_nothing_even_after_the_sleep() -> None:
    asleep = do(AWAKE, start("nap", request="r"))
    ended = do(asleep, audit(asleep))
    ended = do(ended, end(ended))

    assert asleep.requests["r"].sleep == SLEEP
    for memory in (asleep, ended):
        assert decide(memory, start("nap", request="r")) == ()


def test_a_request_id_with_other_content_is_refused() -> None:
    memory = do(AWAKE, start("nap", request="r"))

    with pytest.raises(RequestReused, match="'r'"):
        decide(memory, start("sleep", request="r"))
    with pytest.raises(RequestReused, match="'r'"):
        decide(memory, add(BO, request="r"))
    with pytest.raises(RequestReused, match=f"request-{ARIA.id}"):
        decide(AWAKE, start(request=f"request-{ARIA.id}"))


def test_sleeps_that_no_client_asked_for_need_no_request_id() -> None:
    memory = do(AWAKE, start("nap"))
    memory = do(memory, audit(memory))
    memory = do(memory, end(memory))

    assert "" not in memory.requests
    assert decide(memory, start("nap"))


BAD_SCALES = [(), (1.0,), (0.5, 0.0), (1.0, 0.1), (1.0, 0.5, 0.5, 0.0), (1.0, 0.1, 0.5, 0.0), (1.0, NAN, 0.0)]
BAD_TRAINING = {
    "rank": 0,
    "steps": 0,
    "learning_rate": 0.0,
    "batch": 0,
    "rehearsal": -1,
    "divergence_weight": -0.5,
    "enough": NAN,
}
BAD = {
    "trainings": 0,
    "repairs": -1,
    "refreshes": -1,
    "gate": 1.5,
    "healthy": -0.5,
    "probes": 17,
    "controls": 0,
    "rehearsed": -1,
    "texts": -1,
    "perplexity_limit": NAN,
    "neighbours_limit": 1.5,
    "strangers_limit": -1.0,
    "recall_limit": float("inf"),
    "contamination_limit": 1.5,
    "untold_limit": NAN,
    "false_fires_limit": -1.0,
    "divergence_limit": NAN,
    "restful": 0,
}


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        *((SleepPolicy(scales=scales), "policy.scales") for scales in BAD_SCALES),
        *(
            (SleepPolicy(training=replace(Training(), **{name: value})), f"policy.training.{name}")  # type: ignore[arg-type]
            for name, value in BAD_TRAINING.items()
        ),
        *((replace(SleepPolicy(), **{name: value}), f"policy.{name}") for name, value in BAD.items()),  # type: ignore[arg-type]
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_and_names_the_field(policy: SleepPolicy, field: str) -> None:
    with pytest.raises(InvalidField) as refusal:
        decide(AWAKE, start(policy=policy))

    assert refusal.value.field == field


def test_every_value_of_a_policy_is_checked() -> None:
    assert {one.name for one in fields(SleepPolicy)} == {*BAD, "scales", "training"}
    assert {one.name for one in fields(Training)} == {*BAD_TRAINING}


def test_the_default_policy_is_allowed() -> None:
    assert decide(AWAKE, start(policy=SleepPolicy()))


def test_a_nap_is_an_audit_and_its_end_and_changes_no_weights() -> None:
    memory = do(AWAKE, start("nap"))
    assert (owed(memory).step, owed(memory).occasion, owed(memory).facts) == (Step.AUDIT, Occasion.BEFORE, IDS)

    events = decide(memory, audit(memory, degraded=[BO.id], known=[ARIA.id]))
    assert [type(event) for event in events] == [FactAudited] * 3 + [ControlsMeasured]
    memory = fold(events, onto=memory)
    assert owed(memory, Step.END).facts == ()

    (ended,) = decide(memory, end(memory))
    assert isinstance(ended, SleepCompleted)
    assert (ended.degraded, ended.refreshed, ended.advanced) == ((BO.id,), (), ())
    assert "a sleep would refresh" in ended.remark
    memory = fold([ended], onto=memory)
    assert (plan(memory), memory.weights, memory.key_occupancy) == (plan(AWAKE), AWAKE.weights, AWAKE.key_occupancy)
    assert [state.healthy for state in memory.facts.values()] == [True, False, True]
    assert [state.known_to_base for state in memory.facts.values()] == [True, False, False]
    assert (memory.sleep, memory.undo) == (None, None)


def test_a_nap_moves_no_fact_on_and_so_needs_no_scales_for_it() -> None:
    many = night(AWAKE, policy=replace(POLICY, scales=(1.0, 0.5, 0.2, 0.0)))
    few = replace(POLICY, scales=(1.0, 0.0))

    with pytest.raises(InvalidField, match=r"policy\.scales"):
        decide(many, start(policy=few, sleep=SleepId("next")))
    assert decide(many, start(kind="nap", policy=few, sleep=SleepId("next")))


def test_a_nap_is_no_sleep_to_the_age_of_a_memory() -> None:
    restless = replace(CREATED, sleep=replace(POLICY, restful=20))  # age is the largest need
    memory = do(replace(AWAKE, created=restless), start("nap"))
    memory = do(memory, audit(memory))
    (ended,) = decide(memory, end(memory))
    memory = fold([ended], onto=memory)

    assert memory.slept == 0
    assert isinstance(ended, SleepCompleted)
    assert ended.pressure == pressure(memory).total == memory.version / 20


def test_a_memory_remembers_its_nights() -> None:
    memory = do(AWAKE, start("nap"))
    memory = do(memory, audit(memory))
    memory = do(memory, end(memory))

    assert memory.nights == {
        SLEEP: Night(
            kind="nap", trigger="client", began=AWAKE.version + 1, ended=memory.version, completed=True, reason=""
        )
    }


def test_facts_that_were_told_and_not_yet_written_are_not_audited() -> None:
    memory = do(AWAKE, add(DEE), start())

    assert owed(memory).facts == IDS
