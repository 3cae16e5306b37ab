"""What a night may cost: beyond it, or where it cannot be measured, the night is undone."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from core.decide import decide
from core.events import Event
from core.events.sleep import SleepCompleted, SleepRolledBack
from core.evolve import fold
from core.state.memory import Memory
from core.state.plan import plan
from core.state.sleep import Step
from core.unchanged import Contamination, Distance
from tests.core.samples import ARIA, CY
from tests.core.sleep_samples import (
    ASLEEP,
    AWAKE,
    POLICY,
    audit,
    awake,
    do,
    end,
    gate,
    given_back,
    last,
    owed,
    rescaled,
    start,
    train,
    until,
)


def undone(memory: Memory) -> SleepRolledBack:
    event: Event = last(memory, end(memory))
    assert isinstance(event, SleepRolledBack)
    return event


def ending(before: Mapping[str, Any], after: Mapping[str, Any], lost: int = 0, recall_limit: float = 0.98) -> Memory:
    """A night at its end: controls before and after it, and how many of twenty facts it cost."""
    people = [replace(ARIA, id=f"fact-{n:02}", subject=f"Person {n:02}") for n in range(20)]  # type: ignore[arg-type]
    memory = do(awake(*people), start(policy=replace(POLICY, refreshes=0, recall_limit=recall_limit)))
    memory = rescaled(do(memory, audit(memory, controls=before)))
    return do(memory, audit(memory, degraded=[one.id for one in people[:lost]], controls=after))


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ({"perplexity": 8.0}, {"perplexity": 8.15}, ""),  # at most +2 %
        ({"perplexity": 8.0}, {"perplexity": 8.17}, "perplexity"),
        ({"perplexity": 8.0}, {"perplexity": 4.0}, ""),
        ({"neighbours": 1.0}, {"neighbours": 0.98}, ""),
        ({"neighbours": 1.0}, {"neighbours": 0.97}, "neighbours"),
        ({"neighbours": 0.5}, {"neighbours": 0.49}, ""),  # against before the sleep
        ({"neighbours": 0.5}, {"neighbours": 0.48}, ""),
        ({"neighbours": 0.5}, {"neighbours": 0.47}, "neighbours"),
        ({"neighbours": 0.0}, {"neighbours": 0.0}, ""),
        ({"strangers": 1.0}, {"strangers": 0.95}, ""),
        ({"strangers": 1.0}, {"strangers": 0.94}, "strangers"),
        ({"unanswered": 1.0}, {"unanswered": 0.0}, ""),  # is reported, and undoes nothing
    ],
)
def test_a_night_that_did_harm_is_undone(before: dict[str, float], after: dict[str, float], reason: str) -> None:
    memory = ending(before, after)

    event = last(memory, end(memory))

    if not reason:
        assert isinstance(event, SleepCompleted)
    else:
        assert isinstance(event, SleepRolledBack)
        assert event.reason == reason
        assert reason in event.message
        assert memory.undo
        assert (event.version, event.weights) == (memory.undo.version, memory.undo.weights)


def spread(
    *,
    strangers: float = 0.0,
    namesakes: float = 0.0,
    untold: float = 0.0,
    text: float = 0.0,
    questions: float = 0.0,
    neighbours: float = 1.0,
    words: float = 1.0,
) -> dict[str, object]:
    """Controls of a memory without a phrasebook, whose answers are compared with the base model's."""
    contamination = Contamination(strangers=strangers, namesakes=namesakes, untold=untold, asked=24)
    moved = Distance(contamination=contamination, text=text, questions=questions)
    return {"distance": moved, "neighbours": neighbours, "strangers": words}


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (spread(), spread(), ""),
        (spread(), spread(strangers=0.04), ""),
        (spread(), spread(namesakes=0.08), "strangers"),  # at most .05 in one night, as with a phrasebook
        (spread(words=1.0), spread(words=0.5), ""),  # inventions may change in their words
        (spread(strangers=0.18), spread(strangers=0.22), "contamination"),
        (spread(namesakes=0.18), spread(namesakes=0.22), "contamination"),
        (spread(strangers=0.3), spread(strangers=0.3), ""),  # facts did that before the sleep
        (spread(strangers=0.3), spread(strangers=0.34), "contamination"),
        (spread(), spread(untold=0.75), ""),
        (spread(), spread(untold=0.8), "contamination"),
        (spread(), spread(text=0.01), ""),
        (spread(text=0.009), spread(text=0.011), "divergence"),  # however little a night adds
        (spread(text=0.02), spread(text=0.02), ""),
        (spread(), spread(questions=0.02), "divergence"),
        (spread(neighbours=0.985), spread(neighbours=0.975), "neighbours"),  # against the base model, too
        (spread(neighbours=0.95), spread(neighbours=0.95), ""),
    ],
)
def test_a_night_is_also_judged_against_the_base_model(
    before: dict[str, object], after: dict[str, object], reason: str
) -> None:
    memory = ending(before, after)

    event = last(memory, end(memory))

    assert isinstance(event, SleepRolledBack if reason else SleepCompleted)
    if isinstance(event, SleepRolledBack):
        assert memory.undo
        assert (event.reason, event.weights) == (reason, memory.undo.weights)
        assert reason in ("strangers", "neighbours") or "before; at most" in event.message


@pytest.mark.parametrize(
    ("lost", "limit", "kept"),
    [(0, 1.0, True), (1, 1.0, False), (1, 0.98, True), (2, 0.98, False), (2, 0.9, True), (3, 0.9, False)],
)
def test_a_night_that_cost_facts_is_undone(lost: int, limit: float, kept: bool) -> None:
    memory = ending({}, {}, lost, limit)

    event = last(memory, end(memory))

    assert isinstance(event, SleepCompleted if kept else SleepRolledBack)
    if isinstance(event, SleepRolledBack):
        assert event.reason == "recall"


def test_facts_that_were_degraded_before_the_night_are_no_loss() -> None:
    memory = do(AWAKE, start(policy=replace(POLICY, refreshes=0)))
    memory = rescaled(do(memory, audit(memory, degraded=[CY.id])))
    memory = do(memory, audit(memory, degraded=[CY.id]))

    assert isinstance(last(memory, end(memory)), SleepCompleted)


def test_a_night_that_did_harm_leaves_the_memory_as_it_was() -> None:
    memory = rescaled(ASLEEP)
    memory = do(memory, audit(memory, controls={"strangers": 0.5}))

    after = do(memory, end(memory))

    assert replace(after, version=AWAKE.version, nights={}) == AWAKE
    assert plan(after).digest == plan(AWAKE).digest


HARMED = {"neighbours": 0.5}


def harmed(repairs: int) -> Memory:
    """A night that has come to its end and did harm."""
    memory = rescaled(do(AWAKE, start(policy=replace(POLICY, repairs=repairs))))
    return do(memory, audit(memory, controls=HARMED))


def test_a_night_that_did_harm_is_repaired_before_it_is_undone() -> None:
    memory = harmed(repairs=1)

    memory = do(memory, train(memory))
    memory = do(memory, audit(memory))

    assert isinstance(last(memory, end(memory)), SleepCompleted)


def test_a_night_that_cannot_be_repaired_is_undone() -> None:
    memory = harmed(repairs=1)
    memory = do(memory, train(memory))
    memory = do(memory, audit(memory, controls=HARMED))

    assert undone(memory).reason == "neighbours"


def test_the_gate_does_not_meet_an_adapter_that_repairs() -> None:
    memory = harmed(repairs=1)
    stages = {fact: state.stage for fact, state in memory.facts.items()}

    memory = do(memory, train(memory))

    assert owed(memory).step is Step.AUDIT
    assert {fact: state.stage for fact, state in memory.facts.items()} == stages


@pytest.mark.parametrize("perplexity", [NAN, INF])
@pytest.mark.parametrize("step", ["before", "after"])
def test_perplexity_that_is_no_number_undoes_the_night_at_once(perplexity: float, step: str) -> None:
    memory = ASLEEP if step == "before" else rescaled(ASLEEP)

    (event,) = decide(memory, audit(memory, controls={"perplexity": perplexity}))

    assert isinstance(event, SleepRolledBack)  # and nothing that JSON could not hold
    assert event.reason == "perplexity"
    assert given_back(fold([event], onto=memory)) == given_back(AWAKE)


@pytest.mark.parametrize("logprob", [NAN, -INF])
def test_a_model_that_computes_no_number_undoes_the_night_at_once(logprob: float) -> None:
    meets_gate = until(ASLEEP, Step.GATE)
    for memory, command in ((ASLEEP, audit(ASLEEP, logprob=logprob)), (meets_gate, gate(meets_gate, logprob=logprob))):
        (event,) = decide(memory, command)

        assert isinstance(event, SleepRolledBack)
        assert event.reason == "failed"
        assert ARIA.id in event.message


@pytest.mark.parametrize(("was", "now"), [(8.0, NAN), (NAN, 8.0), (8.0, INF), (INF, INF)])
def test_no_limit_holds_for_what_is_no_number(was: float, now: float) -> None:
    memory = do(rescaled(ASLEEP), audit(rescaled(ASLEEP)))
    assert memory.sleep
    assert memory.sleep.controls_before
    assert memory.sleep.controls_after
    sleep = replace(
        memory.sleep,
        controls_before=replace(memory.sleep.controls_before, perplexity=was),
        controls_after=replace(memory.sleep.controls_after, perplexity=now),
    )

    assert undone(replace(memory, sleep=sleep)).reason == "perplexity"
    shares = replace(memory.sleep, controls_after=replace(memory.sleep.controls_after, strangers=NAN))
    assert undone(replace(memory, sleep=shares)).reason == "strangers"
