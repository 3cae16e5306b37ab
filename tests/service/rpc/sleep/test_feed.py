"""WatchSleep: a sleep event by event, what its executor is doing right now, and its report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile

import pytest
from hypnogram.v1 import memories_pb2, sleep_pb2

from core.ids import MemoryId
from core.state.sleep import Step
from core.state.work import SleepStep, next_work
from hypnogram.client import CallFailed, new_fact
from service.app.progress import StepProgress
from tests.patience import PATIENCE, eventually
from tests.service.conftest import DEMO, Running, run_server
from tests.service.dream import Dream
from tests.service.rpc.sleep.test_servicer import facts

News = sleep_pb2.WatchSleepResponse


@pytest.fixture
def asleep(demo: Running) -> Running:
    """A server whose memory `demo` was told a fact and has begun to sleep."""
    demo.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon")])
    demo.work()
    demo.client.begin_sleep(DEMO)
    return demo


def until(step: str, watch: Iterator[News]) -> list[News]:
    return list(takewhile(lambda news: news.step.step != step, watch))


def owed(server: Running) -> SleepStep:
    work = next_work(server.states.current(MemoryId(DEMO)))
    assert isinstance(work, SleepStep)
    return work


def told_of(news: list[News]) -> list[str]:
    return [one.step.step if one.HasField("step") else str(one.WhichOneof("what")) for one in news]


def test_a_watcher_sees_every_step_and_event_and_at_last_the_report(asleep: Running) -> None:
    watch = asleep.client.watch_sleep(DEMO)
    seen = [next(watch), next(watch)]
    asleep.work()
    seen += list(watch)

    assert told_of(seen)[:2] == ["began", "audit"]
    events = [what for what in told_of(seen) if what not in [step.value for step in Step]]
    assert events == [
        "began", "verdict", "audited", "adapter", "verdict", "rescaled", "change", "verdict", "audited", "ended",
    ]  # fmt: skip
    assert [one.verdict.occasion for one in seen if one.HasField("verdict")] == ["before", "gate", "after"]
    assert [(one.change.what, one.change.object) for one in seen if one.HasField("change")] == [("advanced", "Lisbon")]
    versions = [one.version for one in seen]
    assert versions == sorted(versions)
    assert seen[-1].ended == asleep.client.sleep_report(DEMO).report


def test_who_comes_late_sees_the_same_events(asleep: Running) -> None:
    asleep.work(dream=Dream(degraded=facts(asleep)))
    seen = list(asleep.client.watch_sleep(DEMO))

    assert told_of(seen) == [
        "began", "verdict", "audited", "edit", "change", "verdict", "audited", "adapter", "verdict", "rescaled",
        "change", "verdict", "audited", "ended",
    ]  # fmt: skip
    assert [one.change.what for one in seen if one.HasField("change")] == ["refreshed", "advanced"]


def test_the_progress_of_an_executor_in_this_server_is_live(asleep: Running) -> None:
    asleep.work(until=Step.TRAIN)
    watch = asleep.client.watch_sleep(DEMO)
    until("train", watch)
    work = owed(asleep)

    asleep.board.write(MemoryId(DEMO), StepProgress(work, 3, 150, 1.25))
    first = next(watch)
    asleep.board.write(MemoryId(DEMO), StepProgress(work, 4, 150, 1.0))
    second = next(watch)
    asleep.board.clear(MemoryId(DEMO))
    asleep.work()

    assert (first.progress.step, first.progress.done, first.progress.total, first.progress.loss) == (
        "train", 3, 150, 1.25,
    )  # fmt: skip
    assert (second.progress.done, second.progress.loss) == (4, 1.0)
    assert told_of(list(watch))[-1] == "ended"


def test_an_attempt_that_failed_is_told_and_so_is_the_next(asleep: Running) -> None:
    asleep.work(until=Step.GATE)
    watch = asleep.client.watch_sleep(DEMO)
    until("gate", watch)
    asleep.work(fail=True)

    seen = list(watch)
    assert [one.failure.attempt for one in seen if one.HasField("failure")] == [1, 2, 3]
    assert (seen[-1].ended.completed, seen[-1].ended.reason) == (False, "failed")


def test_a_watcher_that_goes_away_stops_nothing(asleep: Running) -> None:
    watch = asleep.client.watch_sleep(DEMO)
    next(watch)
    watch.close()
    asleep.work()

    assert asleep.client.sleep_report(DEMO).report.completed


def test_a_stopping_server_ends_watches_and_operations_but_no_sleep(asleep: Running) -> None:
    with run_server(asleep.settings) as other:
        watch = other.client.watch_sleep(DEMO)
        next(watch)
        next(watch)
        with ThreadPoolExecutor() as threads:
            waiting = threads.submit(next, watch)
            time.sleep(0.1)
            other.stop()
            with pytest.raises(CallFailed) as failure:
                waiting.result(PATIENCE)

    assert (failure.value.code, failure.value.reason) == ("UNAVAILABLE", "SHUTTING_DOWN")
    assert asleep.client.memory(DEMO).memory.asleep.kind == "sleep"
    asleep.work()
    assert asleep.client.sleep_report(DEMO).report.completed


def test_a_server_that_stops_leaves_the_sleep_of_its_operation_to_go_on(asleep: Running) -> None:
    asleep.work()
    with run_server(asleep.settings) as other:
        sleep = other.client.begin_sleep(DEMO, request_id="second night")
        other.work(until=Step.GATE)
    assert asleep.client.memory(DEMO).memory.asleep.sleep == sleep

    again = asleep.client.begin_sleep(DEMO, request_id="second night")
    asleep.work()

    assert again == sleep
    assert asleep.client.watched(DEMO, sleep).completed


def test_a_sleep_is_waited_for_with_news(asleep: Running) -> None:
    asleep.work()
    seen: list[str] = []
    with ThreadPoolExecutor() as threads:
        sleeping = threads.submit(
            lambda: asleep.client.sleep(
                DEMO, memories_pb2.SleepPolicy(probes=1), news=lambda one: seen.append(one.WhichOneof("what") or "")
            )
        )
        eventually(lambda: asleep.client.memory(DEMO).memory.asleep.sleep)
        asleep.work()
        found = sleeping.result(PATIENCE)

    assert found.completed
    assert [one.stage for one in found.advanced] == [2]
    assert (seen[0], seen[-1]) == ("began", "ended")


def test_the_events_of_a_long_audit_are_read_in_messages_that_are_not_too_large(demo: Running) -> None:
    demo.client.add_facts(DEMO, [new_fact(f"Aria Number{n}", "lives in", "Lisbon") for n in range(200)])
    demo.work()
    demo.client.begin_nap(DEMO)
    demo.work()

    events = list(demo.client.events(DEMO))  # in pages of 1000
    assert [one.version for one in events] == list(range(1, demo.client.memory(DEMO).version + 1))
