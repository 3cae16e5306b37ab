"""The gate: the verdict on a fact's probes, and what it does to the fact's stage, scale and edits."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.decide import decide
from core.errors.base import InvalidField
from core.events.sleep import (
    FactAdvanced,
    FactDissolved,
    FactRetreated,
    FactsRescaled,
    NewScale,
    ProbeResult,
    SleepCompleted,
)
from core.evolve import evolve
from core.ids import FactId, SleepId
from core.policy import SleepPolicy
from core.state import gate as rule
from core.state.memory import Memory, Status
from core.state.plan import Term, plan
from core.state.sleep import Step
from tests.core.samples import ARIA, BO, CY
from tests.core.sleep_samples import (
    ASLEEP,
    AWAKE,
    FACTS,
    IDS,
    audit,
    awake,
    dissolved,
    do,
    end,
    gate,
    last,
    morning,
    night,
    probe,
    refresh,
    rescale,
    rescaled,
    start,
    train,
    until,
    weights_of,
)

UNSEEN = ("raw_paraphrase", "chat_paraphrase")


def probes(raw: bool, chat: bool, *unseen: bool) -> list[ProbeResult]:
    return [probe(raw), probe(chat, "chat"), *(probe(one, UNSEEN[n % 2]) for n, one in enumerate(unseen))]


@pytest.mark.parametrize(
    ("asked", "share", "passes"),
    [
        (probes(True, True, True, True), 1.0, True),
        (probes(True, True, True, False), 1.0, False),
        (probes(True, True, True, False), 0.75, True),
        (probes(True, True, False, False), 0.75, False),
        (probes(True, True, False, False), 0.5, True),
        (probes(False, True, True, True), 0.5, False),  # the plainest raw one
        (probes(True, False, True, True), 0.5, False),  # the plainest chat one
        (probes(False, False), 0.0, False),
        ([*probes(True, True), probe(False), probe(False, "chat")], 0.5, True),  # others than the first may fail
        ([*probes(True, True), *[probe(False, "unanswered")] * 9], 1.0, True),
        ([*probes(True, False), *[probe(True, "unanswered")] * 9], 0.5, False),
        ([probe(True, "unanswered")], 0.0, False),  # no evidence about the fact
        ([], 0.0, False),
    ],
)
def test_the_verdict_is_k_of_n_with_the_plainest_among_them(
    asked: list[ProbeResult], share: float, passes: bool
) -> None:
    assert rule.passes(asked, share) is passes


@given(n=st.integers(2, 64), data=st.data())
def test_exactly_the_share_that_is_asked_for_suffices(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(2, n))
    asked = probes(True, True, *[index < k - 2 for index in range(n - 2)])

    assert rule.passes(asked, k / n)
    assert not rule.passes(asked, (k + 1) / n)


def test_fourteen_of_twenty_five_are_fifty_six_in_a_hundred() -> None:
    assert rule.passes(probes(True, True, *[True] * 12, *[False] * 11), 0.56)


@pytest.mark.parametrize(
    ("asked", "known"),
    [
        ([probe(True, base=True), probe(True, "chat", base=True)], True),
        ([probe(True, base=True), probe(True, "chat", base=False)], False),
        ([probe(True, base=True), probe(True, "chat")], True),
        ([probe(True, base=True), probe(True, "unanswered", base=False)], True),
        ([probe(True)], False),
        ([], False),
    ],
)
def test_a_fact_is_known_when_the_pristine_model_passes_all_it_was_asked(asked: list[ProbeResult], known: bool) -> None:
    assert rule.known(asked) is known


def test_known_facts_are_marked_and_go_through_the_gate_like_others() -> None:
    memory = do(ASLEEP, audit(ASLEEP, known=[ARIA.id]))
    assert [state.known_to_base for state in memory.facts.values()] == [True, False, False]

    memory = rescaled(memory)

    assert [state.known_to_base for state in memory.facts.values()] == [True, False, False]
    assert [state.stage for state in memory.facts.values()] == [1, 1, 1]


def met(memory: Memory, *turned_back: FactId) -> Memory:
    """`memory` after the last gate of its sleep, which turned these facts back."""
    memory = until(memory, Step.GATE)
    memory = do(memory, gate(memory, turned_back=IDS))
    memory = do(memory, train(memory))
    return do(memory, gate(memory, turned_back=turned_back))


def test_passing_advances_and_failing_retreats_by_one_stage() -> None:
    memory = met(do(night(AWAKE), start()), BO.id)
    before = memory.facts

    events = decide(memory, rescale(memory))

    assert memory.sleep
    verdicts = memory.sleep.gate
    assert [(before[one].stage, before[one].scale) for one in IDS] == [(1, 0.5)] * 3
    assert events[1] == FactAdvanced(
        fact=ARIA.id,
        sleep=memory.sleep.id,
        from_stage=1,
        stage=2,
        from_scale=0.5,
        scale=0.0,
        passed=4,
        asked=4,
        audit=verdicts[ARIA.id].version,
    )
    assert events[2] == FactDissolved(fact=ARIA.id, sleep=memory.sleep.id, edits=before[ARIA.id].edits)
    assert events[3] == FactRetreated(
        fact=BO.id,
        sleep=memory.sleep.id,
        from_stage=1,
        stage=0,
        from_scale=0.5,
        scale=1.0,
        passed=0,
        asked=4,
        audit=verdicts[BO.id].version,
    )


def test_a_fact_turned_back_at_the_second_stage_of_what_ships_falls_to_the_first() -> None:
    policy = SleepPolicy()
    memory = night(night(AWAKE, 1, policy), 2, policy)
    memory = until(do(memory, start(policy=replace(policy, trainings=1))), Step.GATE)
    memory = do(memory, gate(memory, turned_back=[BO.id]))

    (retreated,) = [event for event in decide(memory, rescale(memory)) if isinstance(event, FactRetreated)]
    memory = rescaled(memory)

    assert (retreated.from_stage, retreated.stage, retreated.from_scale, retreated.scale) == (2, 1, 0.1, 0.5)
    assert [(one.stage, one.scale) for one in memory.facts.values()] == [(3, 0.0), (1, 0.5), (3, 0.0)]


def test_the_audit_that_decided_is_named_by_its_version() -> None:
    memory = until(ASLEEP, Step.GATE)
    first = memory.version + 1
    memory = do(memory, gate(memory))

    assert memory.sleep
    assert [verdict.version for verdict in memory.sleep.gate.values()] == [first, first + 1, first + 2]


def test_at_the_first_stage_there_is_nowhere_to_retreat_to() -> None:
    memory = rescaled(met(ASLEEP, ARIA.id))

    assert (memory.facts[ARIA.id].stage, memory.facts[ARIA.id].scale) == (0, 1.0)
    assert (memory.facts[BO.id].stage, memory.facts[BO.id].scale) == (1, 0.5)


def test_the_scale_of_every_fact_is_that_of_its_stage() -> None:
    memory = AWAKE
    policy = SleepPolicy(scales=(1.0, 0.75, 0.5, 0.25, 0.0))
    for number in range(1, 5):
        memory = night(memory, number, policy)
        assert {(state.stage, state.scale) for state in memory.facts.values()} == {(number, policy.scales[number])}


def test_scales_weights_and_key_occupancy_change_at_one_version() -> None:
    memory = met(do(night(AWAKE), start()), BO.id)
    key_occupancy = memory.key_occupancy
    command = rescale(memory, key_occupancy=0.03125)
    events = decide(memory, command)

    after = evolve(memory, events[0])

    assert events[0] == FactsRescaled(
        sleep=command.work.sleep,
        scales=(NewScale(fact=ARIA.id, scale=0.0), NewScale(fact=BO.id, scale=1.0), NewScale(fact=CY.id, scale=0.0)),
        weights_before=command.work.weights,
        weights_after=command.weights,
        key_occupancy=0.03125,
        seconds=0.5,
    )
    assert (memory.key_occupancy, after.key_occupancy) == (key_occupancy, 0.03125)
    assert memory.weights != after.weights == weights_of(after) == command.weights
    later = after
    for event in events[1:]:
        later = evolve(later, event)
        assert (plan(later), later.weights, later.key_occupancy) == (plan(after), after.weights, 0.03125)


def test_a_dissolved_fact_leaves_the_plan_to_adapters_alone() -> None:
    memory = dissolved(*FACTS)

    for state in memory.facts.values():
        assert (state.status, state.stage, state.scale, state.edits) == (Status.DISSOLVED, 2, 0.0, ())
        assert state.in_weights
    assert not memory.edits
    adapters = sorted(adapter.delta for adapter in memory.adapters.values())
    assert plan(memory).terms == tuple(Term(delta=one, first=0, count=2, scale=1.0) for one in adapters)
    assert len(adapters) == 2


def test_an_edit_stays_while_it_carries_any_fact() -> None:
    memory = met(do(night(AWAKE), start()), BO.id)
    (edit,) = memory.edits.values()

    memory = rescaled(memory)

    assert memory.edits == {edit.id: edit}
    assert [term for term in plan(memory).terms if term.delta == edit.delta] == [
        Term(delta=edit.delta, first=2, count=2, scale=1.0)
    ]


def test_a_dissolved_fact_that_fails_is_written_again_under_its_id_and_its_old_columns_stay_out() -> None:
    old = met(do(night(AWAKE), start()), BO.id)
    (edit,) = old.edits.values()
    memory = do(morning(old), start(sleep=SleepId("night-3")))
    assert memory.facts[ARIA.id].status is Status.DISSOLVED
    memory = do(memory, audit(memory, degraded=[ARIA.id]))
    command = refresh(memory)

    memory = do(memory, command)

    state = memory.facts[ARIA.id]
    assert (state.status, state.stage, state.scale) == (Status.INJECTED, 0, 1.0)
    assert (state.edits, state.added) == ((command.edit.edit,), old.facts[ARIA.id].added)
    assert Term(delta=command.edit.delta, first=0, count=2, scale=1.0) in plan(memory).terms
    assert [term for term in plan(memory).terms if term.delta == edit.delta] == [
        Term(delta=edit.delta, first=2, count=2, scale=1.0)  # Bo's
    ]


def test_a_fact_dissolved_and_degraded_in_one_night_is_carried_by_an_edit_in_the_morning() -> None:
    memory = rescaled(do(night(AWAKE), start()))
    memory = do(memory, audit(memory, degraded=[CY.id]))
    memory = do(memory, refresh(memory))
    memory = do(memory, audit(memory))

    completed = last(memory, end(memory))
    memory = morning(memory)

    assert isinstance(completed, SleepCompleted)
    assert (completed.dissolved, completed.refreshed) == (IDS, (CY.id,))
    assert [state.status.value for state in memory.facts.values()] == ["dissolved", "dissolved", "injected"]
    assert (memory.facts[CY.id].stage, memory.facts[CY.id].scale) == (0, 1.0)


@pytest.mark.parametrize(
    ("scales", "passed", "turned_back"),
    [((1.0, 0.4, 0.0), (2, 0.0), (0, 1.0)), ((1.0, 0.8, 0.4, 0.2, 0.0), (2, 0.4), (0, 1.0))],
)
def test_a_night_with_other_scales_goes_on_from_the_stage_a_fact_is_at(
    scales: tuple[float, ...], passed: tuple[int, float], turned_back: tuple[int, float]
) -> None:
    half = night(awake(ARIA, BO))
    memory = until(do(half, start(policy=SleepPolicy(scales=scales, trainings=1))), Step.GATE)

    memory = rescaled(do(memory, gate(memory, turned_back=[BO.id])))

    assert [(one.stage, one.scale) for one in memory.facts.values()] == [passed, turned_back]
    assert (memory.facts[ARIA.id].status is Status.DISSOLVED) == (passed[1] == 0.0)
    assert memory.facts[BO.id].status is Status.INJECTED


def test_a_night_with_too_few_scales_for_a_fact_that_an_edit_carries_is_refused() -> None:
    few = start(policy=SleepPolicy(scales=(1.0, 0.0)), sleep=SleepId("short"))

    with pytest.raises(InvalidField, match=r"policy\.scales.*at least 3"):
        decide(night(AWAKE), few)
    assert decide(AWAKE, few)
    assert decide(dissolved(*FACTS), few)  # no edit carries them
