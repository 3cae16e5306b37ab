"""Sleeps asked for again, refused, failed and cancelled."""

from __future__ import annotations

import pytest
from google.longrunning import operations_pb2
from hypnogram.v1 import memories_pb2

from core.state.sleep import Step
from hypnogram.client import CallFailed, new_fact
from tests.service.conftest import DEMO, Running
from tests.service.rpc.sleep.test_servicer import begin, ended, knowing

__all__ = ["knowing"]


def test_steps_that_fail_are_tried_three_times_and_then_undo_the_sleep(knowing: Running) -> None:
    before = knowing.client.memory(DEMO).memory.weights_digest
    operation = begin(knowing)
    knowing.work(until=Step.TRAIN)
    knowing.work(fail=True)

    found = ended(knowing, operation)

    assert [(one.step, one.attempt, one.final) for one in found.failures] == [
        ("train", 1, False), ("train", 2, False), ("train", 3, True),
    ]  # fmt: skip
    assert (found.completed, found.reason, found.weights_after) == (False, "failed", before)
    assert "the disk is full" in found.remark


def test_cancelling_the_operation_undoes_the_sleep(knowing: Running) -> None:
    before = knowing.client.memory(DEMO).memory.weights_digest
    operation = begin(knowing)
    knowing.work(until=Step.GATE)
    knowing.client.stubs.operations.CancelOperation(operations_pb2.CancelOperationRequest(name=operation.name))

    found = ended(knowing, operation)

    assert (found.completed, found.reason, found.weights_after) == (False, "cancelled", before)
    assert len(found.adapters) == 1  # which is undone
    assert knowing.client.memory(DEMO).memory.weights_digest == before


@pytest.mark.parametrize("step", [step for step in Step if step is not Step.REFRESH])
def test_a_sleep_can_be_cancelled_at_every_step(knowing: Running, step: Step) -> None:
    before = knowing.client.memory(DEMO).memory
    sleep = knowing.client.begin_sleep(DEMO)
    knowing.work(until=step)

    answer = knowing.client.cancel_sleep(DEMO, sleep)
    again = knowing.client.cancel_sleep(DEMO, sleep)

    assert (answer.report.completed, answer.report.reason) == (False, "cancelled")
    assert answer == again
    after = knowing.client.memory(DEMO).memory
    assert (after.weights_digest, after.facts, after.key_occupancy) == (
        before.weights_digest,
        before.facts,
        before.key_occupancy,
    )


def test_the_same_request_is_the_same_sleep(knowing: Running) -> None:
    first = begin(knowing)
    again = begin(knowing)
    knowing.work()
    report_of_first = ended(knowing, first)
    late = begin(knowing)

    assert first.name == again.name == late.name
    assert ended(knowing, late) == report_of_first
    assert len(list(knowing.client.sleeps(DEMO))) == 1


def test_the_same_request_id_with_other_content_is_refused(knowing: Running) -> None:
    begin(knowing)
    knowing.work()
    with pytest.raises(CallFailed) as other_seed:
        knowing.client.begin_sleep(DEMO, seed=3, request_id="once")
    with pytest.raises(CallFailed) as other_kind:
        knowing.client.begin_nap(DEMO, request_id="once")
    with pytest.raises(CallFailed) as facts_instead:
        knowing.client.add_facts(DEMO, [new_fact("Cy Ames", "lives in", "Rome")], request_id="once")

    for failure in (other_seed, other_kind, facts_instead):
        assert (failure.value.code, failure.value.reason) == ("ALREADY_EXISTS", "REQUEST_REUSED")


def test_a_memory_that_is_not_ready_or_asleep_already_is_not_put_to_sleep(server: Running) -> None:
    def refusal() -> tuple[str, str]:
        with pytest.raises(CallFailed) as failure:
            server.client.begin_sleep(DEMO)
        return failure.value.code, failure.value.reason

    assert refusal() == ("NOT_FOUND", "MEMORY_UNKNOWN")
    server.client.create_memory(DEMO)
    assert refusal() == ("FAILED_PRECONDITION", "NOT_READY")  # without statistics
    server.work()
    assert refusal() == ("FAILED_PRECONDITION", "NOT_READY")  # without facts
    server.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon")])
    server.work()
    server.client.begin_nap(DEMO)
    assert refusal() == ("FAILED_PRECONDITION", "SLEEP_IN_PROGRESS")
    server.work()
    assert server.client.begin_sleep(DEMO)


def test_a_memory_sleeps_as_it_was_created_to(server: Running) -> None:
    policy = memories_pb2.SleepPolicy(scales=[1.0, 0.0], gate=1.0, training=memories_pb2.Training(rank=4))
    created = server.client.create_memory(DEMO, sleep=policy, capacity=0.25)
    server.work()
    server.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon")])
    server.work()
    server.client.begin_sleep(DEMO, memories_pb2.SleepPolicy(gate=0.5))
    server.work()

    found = server.client.sleep_report(DEMO).report

    assert (created.memory.sleep.gate, created.memory.sleep.training.rank, created.memory.capacity) == (1.0, 4, 0.25)
    assert (found.policy.gate, found.policy.training.rank, list(found.policy.scales)) == (0.5, 4, [1.0, 0.0])
    assert [one.stage for one in found.dissolved] == [1]


def test_a_memory_of_another_policy_is_another_memory(server: Running) -> None:
    server.client.create_memory(DEMO)
    with pytest.raises(CallFailed) as failure:
        server.client.create_memory(DEMO, sleep=memories_pb2.SleepPolicy(gate=1.0))

    assert failure.value.reason == "MEMORY_EXISTS"


def test_fewer_scales_than_a_fact_has_faded_through_are_refused(knowing: Running) -> None:
    begin(knowing)
    knowing.work()

    with pytest.raises(CallFailed) as failure:
        knowing.client.begin_sleep(DEMO, memories_pb2.SleepPolicy(scales=[1.0, 0.0]))

    assert failure.value.reason == "INVALID_FIELD"
    assert "a fact is at stage 1" in failure.value.fields["policy.scales"]
