"""The promises of the event log, each kept on SQLite and on PostgreSQL."""

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import select

from core.errors.base import Conflict, Damaged, EventReused, EventUnknown, InvalidField
from core.events import Cause
from core.ids import EventId, MemoryId
from store.database.schema import events as event_columns
from store.database.schema import head
from store.log.event_log import EventLog
from store.log.hash_chain import START
from store.log.listing import Listed
from store.log.rows import NewEvent, StoredRow
from tests.core.samples import ARIA, CREATED, LIFE, added
from tests.patience import PATIENCE
from tests.store.given import CAUSE, DEMO, OTHER, append_raw, new, told


class TestAppending:
    def test_an_empty_log_has_no_memories_and_stands_at_zero(self, log: EventLog) -> None:
        assert (log.position(), log.head(DEMO), log.memories(), log.read()) == (0, 0, [], [])

    def test_what_was_appended_is_read_back_as_it_was(self, log: EventLog) -> None:
        appended = log.append(DEMO, [new(event) for event in LIFE], expected=0)

        assert log.read() == list(appended)
        assert tuple(recorded.event for recorded in appended) == LIFE
        assert {recorded.cause for recorded in appended} == {CAUSE}
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", one.recorded_at) for one in appended)

    def test_positions_are_dense_over_all_memories_and_versions_in_each(self, log: EventLog) -> None:
        log.append(DEMO, [told(), told()], expected=0)
        log.append(OTHER, [told()], expected=0)
        log.append(DEMO, [told()], expected=2)

        places = [(recorded.position, recorded.memory, recorded.version) for recorded in log.read()]
        assert places == [(1, DEMO, 1), (2, DEMO, 2), (3, OTHER, 1), (4, DEMO, 3)]
        assert (log.position(), log.head(DEMO), log.head(OTHER)) == (4, 3, 1)
        assert log.memories() == [DEMO, OTHER]

    def test_each_event_carries_the_hash_of_the_one_before_it(self, log: EventLog) -> None:
        first, second = log.append(DEMO, [told(), told()], expected=0)
        (third,) = log.append(OTHER, [told()], expected=0)

        assert (first.previous_hash, second.previous_hash, third.previous_hash) == (START, first.hash, second.hash)

    def test_appending_nothing_changes_nothing(self, log: EventLog) -> None:
        assert log.append(DEMO, [], expected=7) == ()
        assert log.position() == 0

    def test_another_version_than_expected_is_a_conflict_that_says_which(self, log: EventLog) -> None:
        log.append(DEMO, [told()], expected=None)

        with pytest.raises(Conflict) as refusal:
            log.append(DEMO, [told()], expected=0)

        assert refusal.value.current == 1
        assert log.position() == 1

    def test_a_log_opened_again_goes_on_where_it_was(self, log: EventLog, url: str) -> None:
        (first,) = log.append(DEMO, [told()], expected=0)
        with EventLog.open(url) as again:
            (second,) = again.append(DEMO, [told()], expected=1)
        (third,) = log.append(DEMO, [told()], expected=2)

        assert log.read() == [first, second, third]
        assert third.previous_hash == second.hash

    @pytest.mark.parametrize("name", ["", "Demo", "1st", "a b", "a" * 64, "a\0"])
    def test_a_name_no_memory_can_have_is_refused(self, log: EventLog, name: str) -> None:
        with pytest.raises(InvalidField, match="memory"):
            log.append(MemoryId(name), [told()], expected=None)

    @pytest.mark.parametrize(
        "bad",
        [
            replace(told(), cause=Cause(actor="nul\0")),
            replace(told(), cause=Cause(actor="half \ud800")),
            replace(told(), id=EventId("seven")),
            new(added(replace(ARIA, subject="half \ud800"))),
        ],
    )
    def test_what_a_database_cannot_hold_is_refused_before_it_gets_there(self, log: EventLog, bad: NewEvent) -> None:
        with pytest.raises(InvalidField):
            log.append(DEMO, [bad], expected=None)

    def test_any_text_that_is_text_is_kept(self, log: EventLog) -> None:
        words = "Zoë 🦔 \u202e \n\t'\";--"
        log.append(DEMO, [NewEvent(id=told().id, event=added(ARIA), cause=Cause(actor=words))], expected=0)

        assert log.read()[0].cause.actor == words


class TestAppendingAgain:
    def test_the_same_events_answer_with_the_first_result(self, log: EventLog) -> None:
        twice = [new(event) for event in LIFE]
        first = log.append(DEMO, twice, expected=0)
        log.append(DEMO, [told()], expected=None)

        assert log.append(DEMO, twice, expected=0) == first
        assert log.append(DEMO, twice[:2], expected=None) == first[:2]
        assert log.position() == len(LIFE) + 1

    @pytest.mark.parametrize(
        "changed",
        [
            lambda event: replace(event, event=added(replace(ARIA, object="Salem"))),
            lambda event: replace(event, event=CREATED),
            lambda event: replace(event, cause=Cause(actor="somebody else")),
        ],
    )
    def test_the_same_id_with_other_content_is_refused(
        self, log: EventLog, changed: Callable[[NewEvent], NewEvent]
    ) -> None:
        event = new(added(ARIA))
        log.append(DEMO, [event], expected=0)

        with pytest.raises(EventReused, match=event.id):
            log.append(DEMO, [changed(event)], expected=None)
        with pytest.raises(EventReused):
            log.append(OTHER, [event], expected=None)
        with pytest.raises(EventReused):
            log.append(DEMO, [told(), event], expected=None)
        assert log.position() == 1

    def test_one_id_twice_in_one_append_is_refused(self, log: EventLog) -> None:
        event = told()
        with pytest.raises(EventReused):
            log.append(DEMO, [event, event], expected=None)


class TestGroups:
    """What threads append at the same time is written together, yet each by itself."""

    def test_one_failure_in_a_group_leaves_the_others_alone(self, log: EventLog) -> None:
        kept = told()
        (first,) = log.append(DEMO, [kept], expected=0)
        reused = replace(kept, event=CREATED)
        attempts: list[tuple[MemoryId, NewEvent, int | None]] = [
            *((DEMO, told(number), None) for number in range(20)),
            *((OTHER, told(number), None) for number in range(20)),
            *((DEMO, told(number), 0) for number in range(20)),  # conflicts
            *((DEMO, reused, None) for _ in range(20)),
            *((DEMO, kept, 0) for _ in range(20)),  # retries
        ]

        def attempt(one: tuple[MemoryId, NewEvent, int | None]) -> str:
            memory, event, expected = one
            try:
                (recorded,) = log.append(memory, [event], expected)
            except (Conflict, EventReused) as refusal:
                return type(refusal).__name__
            return "first" if recorded == first else "appended"

        held = self._hold(log)
        with ThreadPoolExecutor(len(attempts)) as threads:
            outcomes = list(threads.map(attempt, attempts))
        held.join()

        expected = ["appended"] * 40 + ["Conflict"] * 20 + ["EventReused"] * 20 + ["first"] * 20
        assert outcomes == expected
        assert [one.position for one in log.read()] == list(range(1, 42))

    def test_of_threads_that_expect_the_same_version_one_wins(self, log: EventLog) -> None:
        def attempt(number: int) -> bool:
            try:
                return bool(log.append(DEMO, [told(number)], expected=0))
            except Conflict:
                return False

        held = self._hold(log)
        with ThreadPoolExecutor(16) as threads:
            assert sum(threads.map(attempt, range(16))) == 1
        held.join()

    def _hold(self, log: EventLog) -> threading.Thread:
        """Keeps the writer from writing for a moment, so that a group gathers."""
        locked = threading.Event()

        def hold() -> None:
            with log.engine.begin() as connection:
                connection.execute(select(head).with_for_update())
                locked.set()
                time.sleep(0.3)

        thread = threading.Thread(target=hold)
        thread.start()
        locked.wait()
        return thread


class TestReading:
    def test_pages_follow_each_other_without_a_gap(self, log: EventLog) -> None:
        log.append(DEMO, [told(number) for number in range(5)], expected=0)
        log.append(OTHER, [told(number) for number in range(5)], expected=0)

        assert [one.position for one in log.read(after_position=3, limit=4)] == [4, 5, 6, 7]
        assert [one.version for one in log.read(memory=OTHER, after_version=3)] == [4, 5]
        assert [one.position for one in log.read(memory=OTHER, after_position=8)] == [9, 10]
        assert log.read(memory=MemoryId("nobody")) == []

    def test_an_event_of_a_later_version_is_named(self, log: EventLog) -> None:
        append_raw(log, type="FactDreamt", schema=1)

        with pytest.raises(EventUnknown, match="FactDreamt"):
            log.read()

    def test_an_event_that_cannot_be_read_is_named(self, log: EventLog) -> None:
        append_raw(log, payload="{")

        with pytest.raises(Damaged, match="event 1"):
            log.read()


class TestWaiting:
    def test_it_returns_at_once_for_what_is_there(self, log: EventLog) -> None:
        log.append(DEMO, [told()], expected=0)

        assert log.wait(0, timeout=PATIENCE) == 1

    def test_it_gives_up_after_its_time(self, log: EventLog) -> None:
        begin = time.monotonic()
        assert log.wait(0, timeout=0.2) == 0
        assert time.monotonic() - begin >= 0.2

    def test_it_ends_once_it_is_told_to_stop(self, log: EventLog) -> None:
        stop = threading.Event()
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(log.wait, 0, 2 * PATIENCE, stop)
            stop.set()
            log.wake()
            assert waiting.result(PATIENCE) == 0

    def test_it_wakes_for_an_append_of_this_process(self, log: EventLog) -> None:
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(log.wait, 0, PATIENCE)
            time.sleep(0.1)
            log.append(DEMO, [told()], expected=0)
            assert waiting.result() == 1

    def test_it_sees_what_another_process_appends(self, log: EventLog, url: str) -> None:
        with EventLog.open(url) as other, ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(log.wait, 0, PATIENCE)
            time.sleep(0.1)
            other.append(DEMO, [told()], expected=0)
            assert waiting.result() == 1


def test_memories_to_which_something_happened_come_the_most_recent_first(log: EventLog) -> None:
    for memory in (DEMO, OTHER, DEMO, MemoryId("last")):
        log.append(memory, [told(log.position())], None)
    log.append(OTHER, [told(9)], None)

    other, last, demo = log.moved(0)
    assert (other, last, demo) == (
        Listed(OTHER, 2, 5, False),
        Listed(MemoryId("last"), 1, 4, False),
        Listed(DEMO, 2, 3, False),
    )
    assert log.moved(3) == [other, last]
    assert log.moved(5) == []


class TestIterating:
    def test_a_memory_is_read_in_pages_without_a_gap(self, log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("store.log.event_log.PAGE", 2)
        appended = [log.append(memory, [told(), told(), told()], expected=None) for memory in (DEMO, OTHER, DEMO)]
        events = [*appended[0], *appended[2]]

        assert list(log.iterate(DEMO)) == events
        assert list(log.iterate(DEMO, after_version=1, until_version=4)) == events[1:4]
        assert list(log.iterate(DEMO, until_version=9)) == events
        assert list(log.iterate(DEMO, after_version=6)) == []
        assert [recorded.position for recorded in log.iterate()] == list(range(1, 10))


def test_a_stored_row_has_the_columns_of_the_table_in_their_order() -> None:
    assert StoredRow._fields == (*event_columns.c.keys(), "key_fact", "key")
