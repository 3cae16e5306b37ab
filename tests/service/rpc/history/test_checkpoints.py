"""Versions by name and by time, over the wire and from the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypnogram.v1 import history_pb2

from core.errors.base import InvalidField
from core.moments import Moment, parsed_moment
from hypnogram.client import CallFailed, moments, new_fact
from tests.service.cli.test_commands import Terminal
from tests.service.conftest import DEMO, Running

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


def tell(server: Running, name: str) -> int:
    return server.client.add_facts(DEMO, [new_fact(name, "lives in", "Lisbon")]).version


def recorded_at(server: Running, version: int) -> datetime:
    (event,) = server.client.events(DEMO, version - 1, version)
    return event.recorded_at.ToDatetime(tzinfo=UTC)


@pytest.fixture
def marked(demo: Running) -> Running:
    """A fact, `monday` after it, and another fact."""
    tell(demo, "Aria Voss")
    demo.client.mark(DEMO, "monday")
    tell(demo, "Bo Lind")
    return demo


@pytest.fixture
def terminal(marked: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(marked, capsys, monkeypatch)


def test_a_checkpoint_stands_for_its_version_and_the_digest_there(demo: Running) -> None:
    version = tell(demo, "Aria Voss")
    before = demo.client.memory(DEMO).memory.weights_digest
    answer = demo.client.mark(DEMO, "monday")
    demo.work()
    (listed,) = demo.client.checkpoints(DEMO)

    assert (listed.name, listed.version, listed.weights_digest) == ("monday", version, before)
    assert (answer.checkpoint, answer.version, listed.marked_version) == (listed, version + 1, version + 1)
    assert demo.client.memory(DEMO).memory.checkpoints == 1
    assert demo.client.find_version(DEMO, "monday").version == version


def test_an_older_version_is_marked_with_its_own_digest(demo: Running) -> None:
    checkpoint = demo.client.mark(DEMO, "bare", 1).checkpoint

    assert (checkpoint.version, checkpoint.weights_digest) == (1, "")


@pytest.mark.parametrize("version", [None, 3])
def test_marking_twice_changes_nothing(demo: Running, version: int | None) -> None:
    tell(demo, "Aria Voss")
    once = demo.client.mark(DEMO, "monday", version)
    twice = demo.client.mark(DEMO, "monday", version)

    assert twice == once


def test_checkpoints_are_listed_in_pages_as_they_were(marked: Running) -> None:
    for name in ("tuesday", "wednesday"):
        marked.client.mark(DEMO, name)
    request = history_pb2.ListCheckpointsRequest(memory=DEMO, page_size=2)
    first = marked.client.stubs.history.ListCheckpoints(request)
    marked.client.mark(DEMO, "thursday")
    request.page_token = first.next_page_token
    second = marked.client.stubs.history.ListCheckpoints(request)

    assert [[one.name for one in page.checkpoints] for page in (first, second)] == [
        ["monday", "tuesday"],
        ["wednesday"],
    ]
    assert first.version == second.version
    assert [one.name for one in marked.client.checkpoints(DEMO, 4)] == ["monday"]


def test_a_moment_is_a_version_a_checkpoint_a_time_or_now(marked: Running) -> None:
    head = marked.client.memory(DEMO).version
    second = recorded_at(marked, 2)
    elsewhere = second.astimezone(timezone(timedelta(hours=3)))

    for moment, version in ((None, head), (2, 2), ("monday", 3), (second, 2), (elsewhere, 2)):
        found = marked.client.find_version(DEMO, moment)
        assert (found.version, found.recorded_at.ToDatetime(tzinfo=UTC)) == (version, recorded_at(marked, version))
    assert marked.client.find_version(DEMO, second - timedelta(microseconds=1)).version == 1
    assert marked.client.find_version(DEMO, datetime.now(UTC) + timedelta(days=1)).version == head


@pytest.mark.parametrize(
    ("moment", "code", "reason"),
    [
        (99, "NOT_FOUND", "VERSION_UNKNOWN"),
        (0, "NOT_FOUND", "VERSION_UNKNOWN"),
        (-1, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ("friday", "NOT_FOUND", "CHECKPOINT_UNKNOWN"),
        ("", "NOT_FOUND", "CHECKPOINT_UNKNOWN"),
        (LONG_AGO, "NOT_FOUND", "MOMENT_UNKNOWN"),
    ],
)
def test_a_moment_that_never_was_is_refused(marked: Running, moment: Moment, code: str, reason: str) -> None:
    with pytest.raises(CallFailed) as failure:
        marked.client.find_version(DEMO, moment)
    assert (failure.value.code, failure.value.reason) == (code, reason)


def test_a_time_before_the_first_event_says_when_that_was(marked: Running) -> None:
    with pytest.raises(CallFailed) as failure:
        marked.client.find_version(DEMO, LONG_AGO)
    first = moments.at(recorded_at(marked, 1))["time"].ToJsonString()
    assert failure.value.metadata["first"].startswith(first.rstrip("Z").rstrip("0"))


def test_a_time_of_no_calendar_is_refused(marked: Running) -> None:
    request = history_pb2.FindVersionRequest(memory=DEMO, time=Timestamp(seconds=10**15))
    with pytest.raises(Exception, match="time: is out of range"):
        marked.client.stubs.history.FindVersion(request)


@pytest.mark.parametrize(
    ("name", "version", "code", "reason"),
    [
        ("monday", 1, "ALREADY_EXISTS", "CHECKPOINT_TAKEN"),
        ("tuesday", 99, "NOT_FOUND", "VERSION_UNKNOWN"),
        ("tuesday", 0, "NOT_FOUND", "VERSION_UNKNOWN"),
        ("", None, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ("12", None, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ("-monday", None, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ("mon:day", None, "INVALID_ARGUMENT", "INVALID_FIELD"),
    ],
)
def test_a_mark_that_cannot_be_is_refused_and_writes_nothing(
    marked: Running, name: str, version: int | None, code: str, reason: str
) -> None:
    before = marked.client.memory(DEMO).version
    with pytest.raises(CallFailed) as failure:
        marked.client.mark(DEMO, name, version)

    assert (failure.value.code, failure.value.reason) == (code, reason)
    assert marked.client.memory(DEMO).version == before


def test_a_memory_that_is_not_there_is_not_marked(server: Running) -> None:
    with pytest.raises(CallFailed) as failure:
        server.client.mark("nobody", "monday")
    assert failure.value.reason == "MEMORY_UNKNOWN"
    assert list(server.client.memories()) == []


def test_what_people_write_is_read_as_what_they_mean() -> None:
    ten = datetime(2026, 11, 24, 10, tzinfo=UTC)

    assert parsed_moment("12") == 12
    assert parsed_moment("monday") == "monday"
    assert parsed_moment("2026-11-24") == "2026-11-24"
    assert parsed_moment("2026-11-24T10:00") == parsed_moment("2026-11-24 12:00+02:00") == ten
    with pytest.raises(InvalidField, match="is not a time"):
        parsed_moment("10:00 o'clock")


def test_commands_that_read_take_any_moment(terminal: Terminal, marked: Running) -> None:
    then = recorded_at(marked, 2).isoformat()

    for moment, facts in (("monday", 1), ("3", 1), (then, 0)):
        assert len(terminal.json("fact", "list", "--at", moment)) == facts
        assert terminal.json("memory", "show", "--at", moment)["memory"]["facts"]["pending"] == facts
        assert terminal.json("status", "--at", moment)["memory"]["facts"]["pending"] == facts
    fact = terminal.json("fact", "list", "--at", "monday")[0]["fact"]
    assert terminal.json("fact", "show", fact, "--at", "monday")["version"] == 3
    assert terminal.json("lineage", fact, "--at", "monday")["version"] == 3


def test_checkpoints_are_marked_and_listed_from_the_command_line(terminal: Terminal) -> None:
    assert terminal.json("checkpoint", "mark", "bare", "--at", "1")["checkpoint"]["version"] == 1
    assert "tuesday is version 3" in terminal.out("checkpoint", "mark", "tuesday", "--at", "monday")
    assert [one["name"] for one in terminal.json("checkpoint", "list")] == ["monday", "bare", "tuesday"]
    assert "not measured yet" in terminal.out("checkpoint", "list")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("fact", "list", "--at", "friday"), 1, "see `hypnogram checkpoint list`"),
        (("fact", "list", "--at", "2001-01-01T00:00"), 1, "had no version at 2001-01-01"),
        (("fact", "list", "--at", "25:00"), 2, "is not a time"),
        (("fact", "list", "--at", "3", "--at-version", "3"), 2, "give one of them"),
        (("checkpoint", "mark", "monday"), 1, "stands for version 3"),
    ],
)
def test_a_moment_that_makes_no_sense_is_one_line_on_the_terminal(
    terminal: Terminal, arguments: tuple[str, ...], status: int, words: str
) -> None:
    found, out, err = terminal.run(*arguments)

    assert (found, out) == (status, "")
    assert words in err
    assert len(err.splitlines()) == 1
