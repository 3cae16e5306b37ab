"""RetryFact and `hypnogram fact retry`, through a real channel."""

from __future__ import annotations

import pytest
from hypnogram.v1 import facts_pb2

from hypnogram.client import CallFailed, new_fact
from tests.service.cli.test_commands import Terminal, terminal
from tests.service.conftest import DEMO, Running

__all__ = ["terminal"]

ARIA, BO = new_fact("Aria Voss", "lives in", "Lisbon"), new_fact("Bo Lind", "lives in", "Lima")


def parked(server: Running, *facts: facts_pb2.NewFact) -> list[str]:
    """Tells `facts`, none of which can be written."""
    ids = [one.fact.fact for one in server.client.add_facts(DEMO, facts).results]
    server.work(fail=True)
    assert {server.client.fact(DEMO, one).fact.status for one in ids} == {facts_pb2.STATUS_PARKED}
    return ids


def status(server: Running, fact: str) -> str:
    return facts_pb2.Status.Name(server.client.fact(DEMO, fact).fact.status)


def test_a_parked_fact_is_tried_again_and_written(demo: Running) -> None:
    (fact,) = parked(demo, ARIA)

    (answered,) = demo.client.retry_fact(DEMO, fact).facts

    assert (answered.fact, answered.status, answered.failure) == (fact, facts_pb2.STATUS_PENDING, "")
    demo.work()
    assert status(demo, fact) == "STATUS_INJECTED"
    entries = demo.client.lineage(DEMO, fact).entries
    assert [one.event.type for one in entries if one.concerns][:3] == ["FactAdded", "WorkFailed", "FactRetried"]
    assert "a client asked" in next(one.summary for one in entries if one.event.type == "FactRetried")


def test_all_that_was_given_up_is_tried_again_once_for_each_request(demo: Running) -> None:
    facts = parked(demo, ARIA, BO)

    answer = demo.client.retry_fact(DEMO, request_id="once")
    assert [one.fact for one in answer.facts] == facts
    demo.work(fail=True)
    again = demo.client.retry_fact(DEMO, request_id="once")

    assert [(one.fact, one.status) for one in again.facts] == [(one, facts_pb2.STATUS_PARKED) for one in facts]
    assert len(demo.client.retry_fact(DEMO).facts) == 2
    assert not demo.client.retry_fact(DEMO).facts  # they are owed already


def test_telling_a_parked_fact_once_more_tries_it_again(demo: Running) -> None:
    (fact,) = parked(demo, ARIA)

    (answered,) = demo.client.add_facts(DEMO, [ARIA]).results

    assert (answered.fact.fact, answered.added) == (fact, False)
    assert answered.fact.status == facts_pb2.STATUS_PENDING
    demo.work()
    assert status(demo, fact) == "STATUS_INJECTED"


def test_an_erasure_that_was_given_up_is_tried_again(demo: Running) -> None:
    (fact,) = (one.fact.fact for one in demo.client.add_facts(DEMO, [ARIA]).results)
    demo.work()
    demo.client.retract_fact(DEMO, fact, erase=True)
    demo.work(fail=True)
    assert not demo.client.fact(DEMO, fact).fact.erased

    for _ in ("its withdrawal", "its erasure"):
        demo.client.retry_fact(DEMO, fact)
        demo.work()

    assert demo.client.fact(DEMO, fact).fact.erased


@pytest.mark.parametrize(
    ("request_", "code", "reason", "field"),
    [
        (facts_pb2.RetryFactRequest(memory=DEMO, request_id="r"), "INVALID_ARGUMENT", "INVALID_FIELD", "fact"),
        (
            facts_pb2.RetryFactRequest(memory=DEMO, request_id="r", fact="f", all=True),
            "INVALID_ARGUMENT", "INVALID_FIELD", "fact",
        ),
        (facts_pb2.RetryFactRequest(memory=DEMO, request_id="r", fact="f"), "NOT_FOUND", "FACT_UNKNOWN", ""),
        (facts_pb2.RetryFactRequest(memory="nobody", request_id="r", all=True), "NOT_FOUND", "MEMORY_UNKNOWN", ""),
        (facts_pb2.RetryFactRequest(memory=DEMO, all=True), "INVALID_ARGUMENT", "INVALID_FIELD", "request_id"),
    ],
)  # fmt: skip
def test_a_retry_of_nothing_or_of_nobody_is_refused(
    demo: Running, request_: facts_pb2.RetryFactRequest, code: str, reason: str, field: str
) -> None:
    with pytest.raises(CallFailed) as failure:
        demo.client.call(demo.client.stubs.facts.RetryFact, request_, 10)

    assert (failure.value.code, failure.value.reason) == (code, reason)
    assert list(failure.value.fields) == ([field] if field else [])


def test_the_command_tries_one_again_or_all(terminal: Terminal, demo: Running) -> None:
    assert "fact retry" not in terminal.out("status", "-m", DEMO)
    first, second = parked(demo, ARIA, BO)
    assert "fact retry --all" in terminal.out("status", "-m", DEMO)

    assert terminal.out("fact", "retry", first, "--no-wait", "-m", DEMO) == f"{first}  pending\n"
    assert terminal.out("fact", "retry", "--all", "--no-wait", "-m", DEMO) == f"{second}  pending\n"
    assert terminal.out("fact", "retry", "--all", "-m", DEMO) == "nothing was given up\n"
    demo.work(fail=True)
    (shown,) = terminal.json("fact", "retry", second, "--no-wait", "-m", DEMO)["facts"]
    assert shown["status"] == "STATUS_PENDING"


@pytest.mark.parametrize("as_json", [(), ("--json",)])
@pytest.mark.parametrize("command", ["add", "retry"])
def test_the_exit_status_is_1_where_facts_end_parked(
    terminal: Terminal, demo: Running, command: str, as_json: tuple[str, ...]
) -> None:
    told = ("fact", "add", "Aria Voss", "lives in", "Lisbon", "--request-id", "told", "-m", DEMO)
    assert terminal.run(*told, "--no-wait")[0] == 0
    (fact,) = (one.fact for one in demo.client.facts(DEMO))
    again = told if command == "add" else ("fact", "retry", fact, "--request-id", "again", "-m", DEMO)
    demo.work(fail=True)
    if command == "retry":
        assert terminal.run(*again, "--no-wait")[0] == 0
        demo.work(fail=True)

    code, out, said = terminal.run(*again, *as_json)

    assert code == 1
    assert fact in out
    assert demo.client.fact(DEMO, fact).fact.failure in out
    assert said.startswith("hypnogram: 1 of 1 facts are durable but parked: ")
    assert "hypnogram fact retry" in said


def test_the_exit_status_is_1_where_a_successor_ends_parked(terminal: Terminal, demo: Running) -> None:
    demo.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon")])
    demo.work()
    (fact,) = (one.fact for one in demo.client.facts(DEMO))
    moved = ("fact", "supersede", fact, "Porto", "--request-id", "moved", "-m", DEMO)
    assert terminal.run(*moved, "--no-wait")[0] == 0
    demo.work(fail=True)

    code, out, said = terminal.run(*moved)

    assert code == 1
    assert "Aria Voss lives in Porto: parked" in out
    assert "hypnogram fact retry" in said


@pytest.mark.parametrize("arguments", [(), ("some-fact", "--all")])
def test_the_command_wants_a_fact_or_all(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    code, _, said = terminal.run("fact", "retry", *arguments, "-m", DEMO)

    assert (code, "name a fact, or give --all" in said) == (2, True)
