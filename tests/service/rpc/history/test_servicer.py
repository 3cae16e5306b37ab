"""The log read and followed over the wire, and replays."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest
from google.longrunning import operations_pb2
from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from hypnogram.v1 import history_pb2

from hypnogram.client import CallFailed, new_fact
from tests.patience import PATIENCE, eventually
from tests.service.conftest import DEMO, Running, run_server


def tell(server: Running, number: int) -> int:
    return server.client.add_facts(DEMO, [new_fact(f"Aria Number{number}", "lives in", "Lisbon")]).version


def test_events_are_read_in_pages_in_order_without_holes(demo: Running) -> None:
    for number in range(5):
        tell(demo, number)
    pages = list(
        demo.client.stubs.history.ReadEvents(history_pb2.ReadEventsRequest(memory=DEMO, after_version=1, page_size=2))
    )

    assert [[event.version for event in page.events] for page in pages] == [[2, 3], [4, 5], [6, 7]]
    assert {page.version for page in pages} == {7}


def test_a_range_without_events_is_one_empty_page(demo: Running) -> None:
    request = history_pb2.ReadEventsRequest(memory=DEMO, after_version=2)

    assert [len(page.events) for page in demo.client.stubs.history.ReadEvents(request)] == [0]


def test_an_event_on_the_wire_has_its_metadata_and_its_values(demo: Running) -> None:
    demo.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon")], request_id="once")
    created, prepared, added = demo.client.events(DEMO)

    assert (added.type, added.actor, added.request_id, added.version) == ("FactAdded", "tester", "once", 3)
    assert json_format.MessageToDict(added.payload)["statement"]["object"] == "Lisbon"
    assert added.previous_hash == prepared.hash != created.hash
    assert added.recorded_at.seconds > 1_700_000_000
    assert prepared.actor == "executor"


def test_a_watcher_sees_what_was_then_a_marker_then_what_happens(demo: Running) -> None:
    tell(demo, 0)
    watch = demo.client.watch(DEMO, after_version=1)
    past = list(islice(watch, 3))
    tell(demo, 1)
    (present,) = islice(watch, 1)

    assert [(one.WhichOneof("what"), one.version) for one in past] == [("event", 2), ("event", 3), ("caught_up", 3)]
    assert (present.event.type, present.version) == ("FactAdded", 4)


def test_no_watcher_misses_or_doubles_an_event_of_many_writers(demo: Running) -> None:
    writers, each = 8, 25

    def watched() -> list[int]:
        versions: list[int] = []
        for one in demo.client.watch(DEMO, timeout=PATIENCE):
            if one.HasField("event"):
                versions.append(one.version)
            if len(versions) == writers * each + 2:
                break
        return versions

    with ThreadPoolExecutor(writers + 3) as threads:
        watchers = [threads.submit(watched) for _ in range(3)]
        list(threads.map(lambda number: tell(demo, number), range(writers * each)))
        for watcher in watchers:
            assert watcher.result(PATIENCE) == list(range(1, writers * each + 3))


def test_a_watcher_sees_what_another_server_appends(demo: Running) -> None:
    watch = demo.client.watch(DEMO, after_version=2)
    assert next(watch).WhichOneof("what") == "caught_up"
    with run_server(demo.settings) as other:
        tell(other, 0)

    assert next(watch).event.type == "FactAdded"


def test_a_stopping_server_ends_watches_and_says_so(demo: Running) -> None:
    with run_server(demo.settings) as other:
        watch = other.client.watch(DEMO, after_version=2)
        next(watch)
        with ThreadPoolExecutor() as threads:
            waiting = threads.submit(next, watch)
            time.sleep(0.1)
            other.stop()
            with pytest.raises(CallFailed) as failure:
                waiting.result(PATIENCE)

    assert (failure.value.code, failure.value.reason) == ("UNAVAILABLE", "SHUTTING_DOWN")


def test_a_replay_is_an_operation_that_answers_with_equal_digests(demo: Running) -> None:
    version = tell(demo, 0)
    demo.work()
    told_progress: list[history_pb2.ReplayMetadata] = []
    newest = demo.client.replay(DEMO, progress=told_progress.append)
    older = demo.client.replay(DEMO, version)

    assert newest.recorded_weights == newest.rebuilt_weights == demo.client.memory(DEMO).memory.weights_digest
    assert (newest.edits_checked, older.edits_checked, older.version) == (1, 0, version)
    assert told_progress[0].memory == DEMO


def test_a_replay_that_differs_fails_with_data_loss(demo: Running) -> None:
    demo.parrot.mismatch = True
    with pytest.raises(CallFailed) as failure:
        demo.client.replay(DEMO)

    assert (failure.value.code, failure.value.reason) == ("DATA_LOSS", "DIGEST_MISMATCH")


def test_a_running_replay_is_listed_waited_for_and_cancelled(demo: Running) -> None:
    demo.parrot.replay_until = threading.Event()
    operations = demo.client.stubs.operations
    started = demo.client.stubs.history.Replay(history_pb2.ReplayRequest(memory=DEMO))
    assert not started.done

    listed = operations.ListOperations(operations_pb2.ListOperationsRequest())
    assert [one.name for one in listed.operations] == [started.name]
    wait = operations_pb2.WaitOperationRequest(name=started.name, timeout=Duration(nanos=50_000_000))
    metadata = history_pb2.ReplayMetadata()
    eventually(lambda: operations.WaitOperation(wait).metadata.Unpack(metadata) and metadata.step)
    assert not operations.WaitOperation(wait).done
    assert (metadata.step, metadata.done, metadata.total) == ("waiting", 1, 2)

    operations.CancelOperation(operations_pb2.CancelOperationRequest(name=started.name))
    ended = operations.WaitOperation(operations_pb2.WaitOperationRequest(name=started.name))
    assert (ended.done, ended.error.code) == (True, 1)  # CANCELLED
    assert operations.GetOperation(operations_pb2.GetOperationRequest(name=started.name)) == ended


def test_more_replays_than_allowed_are_refused(demo: Running) -> None:
    demo.parrot.replay_until = threading.Event()
    try:
        for _ in range(demo.settings.max_operations):
            demo.client.stubs.history.Replay(history_pb2.ReplayRequest(memory=DEMO))
        with pytest.raises(CallFailed) as failure:
            demo.client.replay(DEMO)
    finally:
        demo.parrot.replay_until.set()

    assert (failure.value.code, failure.value.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_OPERATIONS")
