"""Sleeps begun, followed, reported and cancelled over the wire; their steps are done by a dream."""

from __future__ import annotations

import pytest
from google.longrunning import operations_pb2
from hypnogram.v1 import facts_pb2, memories_pb2, sleep_pb2

from core.ids import FactId, MemoryId
from core.policy import SleepPolicy, Training
from core.state.sleep import Step
from hypnogram.client import new_fact
from service.rpc.sleep.feed import span
from service.rpc.sleep.report import report
from tests.patience import PATIENCE
from tests.service.conftest import DEMO, Running, run_server
from tests.service.dream import Dream


@pytest.fixture
def knowing(demo: Running) -> Running:
    """A server whose memory `demo` was told two facts."""
    demo.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon"), new_fact("Bo Lind", "lives in", "Oslo")])
    demo.work()
    return demo


def facts(server: Running) -> list[FactId]:
    return [FactId(one.fact) for one in server.client.facts(DEMO)]


def begin(server: Running, request_id: str = "once", **more: object) -> operations_pb2.Operation:
    request = sleep_pb2.SleepRequest(memory=DEMO, request_id=request_id, **more)  # type: ignore[arg-type]
    return server.client.stubs.sleep.Sleep(request)


def ended(server: Running, operation: operations_pb2.Operation) -> sleep_pb2.SleepReport:
    """The response of the operation, once it has ended."""
    wait = operations_pb2.WaitOperationRequest(name=operation.name)
    done = server.client.stubs.operations.WaitOperation(wait, timeout=PATIENCE)
    found = sleep_pb2.SleepReport()
    assert done.done
    assert done.response.Unpack(found)
    return found


def metadata(operation: operations_pb2.Operation) -> sleep_pb2.SleepMetadata:
    found = sleep_pb2.SleepMetadata()
    assert operation.metadata.Unpack(found)
    return found


def test_a_sleep_is_an_operation_that_answers_with_its_report(knowing: Running) -> None:
    before = knowing.client.memory(DEMO).memory
    operation = begin(knowing, seed=7, policy=memories_pb2.SleepPolicy(training=memories_pb2.Training(steps=9)))
    knowing.work()

    found = ended(knowing, operation)

    assert (found.kind, found.trigger, found.ended, found.completed, found.reason) == (
        "sleep", "client", True, True, "",
    )  # fmt: skip
    assert (found.seed, found.policy.training.steps, found.policy.training.rank) == (7, 9, Training().rank)
    assert [(one.object, one.what, one.from_stage, one.stage, one.from_scale, one.scale) for one in found.advanced] == [
        ("Lisbon", "advanced", 0, 1, 1.0, 0.5), ("Oslo", "advanced", 0, 1, 1.0, 0.5),
    ]  # fmt: skip
    assert [(one.passed, one.asked) for one in found.advanced] == [(2, 2), (2, 2)]
    assert (found.controls_before.perplexity, found.controls_after.perplexity) == (10.0, 10.01)
    assert [(one.steps, one.first_loss, one.last_loss) for one in found.adapters] == [(9, 2.5, 0.125)]
    assert (found.healthy_before, found.healthy_after, found.audited) == (2, 2, 2)
    after = knowing.client.memory(DEMO).memory
    assert (found.weights_before, found.weights_after) == (before.weights_digest, after.weights_digest)
    assert (found.pressure_before, found.pressure_after) == (before.needs, after.needs)
    assert (after.slept_version, after.nights, after.adapters, after.asleep.sleep) == (found.ended_version, 1, 1, "")
    assert list(after.facts.stages) == [0, 2, 0, 0]


def test_the_metadata_of_one_that_has_ended_name_no_step(knowing: Running) -> None:
    operation = begin(knowing)
    knowing.work()
    ended(knowing, operation)

    last = knowing.client.stubs.operations.GetOperation(operations_pb2.GetOperationRequest(name=operation.name))

    found = metadata(last)
    assert (found.step, found.done, found.total, found.HasField("loss")) == ("", 0, 0, False)
    assert (found.healthy, found.advanced) == (2, 2)


def test_what_is_taken_back_meanwhile_is_not_counted(knowing: Running) -> None:
    aria, _ = facts(knowing)
    operation = begin(knowing)
    knowing.work(until=Step.RESCALE)
    knowing.client.retract_fact(DEMO, aria, wait=False)
    knowing.work(dream=Dream(degraded=[aria]))

    found = ended(knowing, operation)

    assert (found.completed, found.healthy_before, found.healthy_after, found.audited) == (True, 2, 1, 1)
    assert [one.fact for one in found.degraded] == []
    assert [one.fact for one in found.refreshed] == []


def test_its_metadata_say_how_far_it_is(knowing: Running) -> None:
    operation = begin(knowing)
    knowing.work(until=Step.TRAIN)
    for news in knowing.client.watch_sleep(DEMO):  # which hears of a step as the operation does
        if news.step.step == "train":
            break
    waited = knowing.client.stubs.operations.WaitOperation(
        operations_pb2.WaitOperationRequest(name=operation.name, timeout={"nanos": 500_000_000})
    )

    found = metadata(waited)
    assert not waited.done
    assert (found.memory, found.kind, found.step, found.healthy) == (DEMO, "sleep", "train", 2)
    asleep = knowing.client.memory(DEMO).memory.asleep
    assert (asleep.sleep, asleep.kind, asleep.step) == (found.sleep, "sleep", "train")


def test_three_nights_dissolve_a_fact(knowing: Running) -> None:
    reports = []
    for night in range(3):
        operation = begin(knowing, f"night {night}")
        knowing.work()
        reports.append(ended(knowing, operation))

    assert [len(one.dissolved) for one in reports] == [0, 0, 2]
    last = reports[-1].dissolved[0]
    assert (last.what, last.from_stage, last.stage, last.from_scale, last.scale) == ("dissolved", 2, 3, 0.1, 0.0)
    memory = knowing.client.memory(DEMO).memory
    assert (memory.facts.dissolved, memory.facts.injected, memory.edits, memory.adapters) == (2, 0, 0, 3)
    assert list(memory.facts.stages) == [0, 0, 0, 2]
    dissolved = list(knowing.client.facts(DEMO, status=facts_pb2.STATUS_DISSOLVED))
    assert [(one.stage, one.scale, one.healthy, list(one.edits)) for one in dissolved] == [(3, 0.0, True, [])] * 2


def test_what_is_degraded_is_refreshed_and_what_the_gate_turns_back_retreats(knowing: Running) -> None:
    aria, bo = facts(knowing)
    first = begin(knowing, "first")
    knowing.work()
    ended(knowing, first)
    second = begin(knowing, "second")
    knowing.work(dream=Dream(degraded=[aria], turned_back=[bo]))

    found = ended(knowing, second)

    assert [(one.fact, one.from_stage, one.stage, one.from_scale, one.scale) for one in found.refreshed] == [
        (aria, 1, 0, 0.5, 1.0)
    ]
    assert [(one.passed, one.asked) for one in found.refreshed] == [(1, 2)]
    assert [(one.fact, one.from_stage, one.stage, one.passed) for one in found.retreated] == [(bo, 1, 0, 1)]
    assert [one.fact for one in found.advanced] == [aria]
    assert [list(one.facts) for one in found.edits] == [[aria]]
    assert len(found.adapters) == SleepPolicy().trainings > 1  # the gate turned one back, so others were trained


def test_a_sleep_that_did_harm_is_an_operation_that_finished_with_a_report_that_says_so(knowing: Running) -> None:
    before = knowing.client.memory(DEMO).memory
    operation = begin(knowing)
    knowing.work(dream=Dream(perplexity=11.0))

    found = ended(knowing, operation)

    assert (found.ended, found.completed, found.reason) == (True, False, "perplexity")
    assert "10.0%" in found.remark
    assert found.weights_after == before.weights_digest
    after = knowing.client.memory(DEMO).memory
    assert (after.weights_digest, after.facts, after.adapters) == (before.weights_digest, before.facts, 0)


def test_a_nap_audits_and_changes_nothing(knowing: Running) -> None:
    aria, _ = facts(knowing)
    before = knowing.client.memory(DEMO).memory
    nap = knowing.client.begin_nap(DEMO)
    knowing.work(dream=Dream(degraded=[aria]))

    found = knowing.client.watched(DEMO, nap)

    assert (found.kind, found.completed, found.healthy_after, found.audited) == ("nap", True, 1, 2)
    assert [one.fact for one in found.degraded] == [aria]
    assert "a sleep would refresh them" in found.remark
    after = knowing.client.memory(DEMO).memory
    assert after.weights_digest == before.weights_digest
    assert after.needs.degraded == after.pressure == 0.5
    assert [one.healthy for one in knowing.client.facts(DEMO)] == [False, True]


def test_facts_told_during_a_sleep_wait_for_its_end(knowing: Running) -> None:
    operation = begin(knowing)
    knowing.work(until=Step.GATE)
    knowing.client.add_facts(DEMO, [new_fact("Cy Ames", "lives in", "Rome")])
    assert knowing.client.memory(DEMO).memory.facts.pending == 1
    knowing.work()

    assert ended(knowing, operation).completed
    counts = knowing.client.memory(DEMO).memory.facts
    assert (counts.pending, list(counts.stages)) == (0, [1, 2, 0, 0])


def test_the_report_is_folded_from_the_events_of_the_sleep_and_from_nothing_else(knowing: Running) -> None:
    operation = begin(knowing)
    knowing.work()
    found = ended(knowing, operation)
    place = span(knowing.states.current(MemoryId(DEMO)), metadata(operation).sleep)  # type: ignore[arg-type]
    before = knowing.states.at(MemoryId(DEMO), place.began - 1)
    events = knowing.store.log.read(memory=MemoryId(DEMO), after_version=place.began - 1)

    assert report(before, events) == found == knowing.client.sleep_report(DEMO).report
    with run_server(knowing.settings) as another:
        assert another.client.sleep_report(DEMO, found.sleep).report == found


def test_a_report_can_be_read_while_the_sleep_goes_on_and_as_it_was(knowing: Running) -> None:
    sleep = knowing.client.begin_sleep(DEMO)
    knowing.work(until=Step.RESCALE)
    during = knowing.client.sleep_report(DEMO)
    knowing.work()
    after = knowing.client.sleep_report(DEMO, sleep)

    assert (during.report.step, during.report.ended, len(during.report.adapters)) == ("rescale", False, 1)
    assert (after.report.step, after.report.ended, len(after.report.advanced)) == ("", True, 2)
    assert knowing.client.sleep_report(DEMO, sleep, at_version=during.version) == during


def test_sleeps_are_listed_in_pages_oldest_first(knowing: Running) -> None:
    for number in range(5):
        knowing.client.begin_nap(DEMO) if number % 2 else knowing.client.begin_sleep(DEMO)
        if number < 4:
            knowing.work(dream=Dream(perplexity=20.0))
    first = knowing.client.stubs.sleep.ListSleeps(sleep_pb2.ListSleepsRequest(memory=DEMO, page_size=2))
    listed = list(knowing.client.sleeps(DEMO))

    assert [one.kind for one in first.sleeps] == ["sleep", "nap"]
    assert [(one.kind, one.ended, one.completed) for one in listed] == [
        ("sleep", True, False), ("nap", True, True), ("sleep", True, False), ("nap", True, True),
        ("sleep", False, False),
    ]  # fmt: skip
    assert "perplexity" in listed[0].remark
    assert listed[0].began_version < listed[0].ended_version < listed[1].began_version
    assert listed[4].began_at.seconds >= listed[0].began_at.seconds > 0
