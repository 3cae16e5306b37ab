"""The conversation on a terminal: replies, what was remembered, and its commands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prompt_toolkit import PromptSession
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from service.cli.facts.repl import HELP, Repl
from service.cli.facts.talk import Talk
from tests.service.conftest import DEMO, Running
from tests.service.rpc.test_conversations import reader
from tests.service.rpc.test_remembering import facts

LEFT, END, INTERRUPT = "\x1b[D", "\x04", "\x03"


@pytest.fixture
def talking(demo: Running) -> Iterator[Running]:
    with reader(demo):
        yield demo


def repl(server: Running, remember: str = "on") -> Repl:
    return Repl(Talk(server.client, DEMO, remember=remember))


def shown(made: Repl, capsys: pytest.CaptureFixture[str], *lines: str) -> str:
    """What is printed once `lines` were typed."""
    for line in lines:
        made.handle(line)
        made.settle()
    return capsys.readouterr().out


def test_a_reply_is_printed_and_then_what_was_remembered(talking: Running, capsys: pytest.CaptureFixture[str]) -> None:
    made = repl(talking)
    out = shown(made, capsys, "Robin Smith lives in Oslo.", "Robin Smith lives in Bergen.")

    assert "Robin Smith lives in Oslo. \n[remembered: Robin Smith lives in Oslo" in out
    assert "in place of: Robin Smith lives in Oslo" in out
    (conversation,) = talking.client.conversations(DEMO)
    assert conversation.turns == 4  # both in one conversation


def test_the_last_change_is_undone(talking: Running, capsys: pytest.CaptureFixture[str]) -> None:
    made = repl(talking)
    out = shown(made, capsys, "Robin Smith lives in Oslo.", "Robin Smith lives in Bergen.", "/undo", "/undo")

    assert facts(talking) == {("Robin Smith", "lives in", "Oslo")}
    assert "undone: Robin Smith lives in Bergen" in out
    assert "Nothing to undo." in out


def test_what_was_taken_back_comes_again_when_that_is_undone(
    talking: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    made = repl(talking)
    out = shown(made, capsys, "Robin Smith lives in Oslo.", "Robin Smith no longer lives in Oslo.", "/undo")

    assert "[no longer: Robin Smith lives in Oslo" in out
    assert "added again: Robin Smith lives in Oslo" in out
    assert facts(talking) == {("Robin Smith", "lives in", "Oslo")}


def test_facts_are_listed_explained_and_forgotten(talking: Running, capsys: pytest.CaptureFixture[str]) -> None:
    made = repl(talking)
    shown(made, capsys, "Robin Smith lives in Oslo.", "Ann Lind plays the harp.")

    assert "Ann Lind plays harp" in shown(made, capsys, "/facts harp")
    assert 'in the words: "Robin Smith lives in Oslo."' in shown(made, capsys, "/why robin oslo")
    assert "2 facts have these words" in shown(made, capsys, "/forget n")
    assert "no longer: Ann Lind plays harp" in shown(made, capsys, "/forget")
    assert facts(talking) == {("Robin Smith", "lives in", "Oslo")}


def test_where_the_memory_asks_a_user_agrees(talking: Running, capsys: pytest.CaptureFixture[str]) -> None:
    made = repl(talking, remember="ask")
    out = shown(made, capsys, "Robin Smith lives in Oslo.")
    assert "[found: Robin Smith lives in Oslo]\n[/yes adds it]" in out
    assert facts(talking) == set()

    out = shown(made, capsys, "/yes", "Robin Smith lives in Bergen.", "/yes", "/yes")

    assert facts(talking) == {("Robin Smith", "lives in", "Bergen")}
    assert "Nothing was found to add." in out
    (fact,) = (one for one in talking.client.facts(DEMO) if not one.retracted_version)
    assert (fact.source.turn, fact.source.span) == (3, "Robin Smith lives in Bergen.")


def test_the_past_can_be_asked_and_is_told_nothing(talking: Running, capsys: pytest.CaptureFixture[str]) -> None:
    made = repl(talking)
    out = shown(made, capsys, "/at 1", "Robin Smith lives in Oslo.", "/at", "/at nowhere", "/status")

    assert "replies come from version 1; nothing is remembered" in out
    assert "replies come from the newest version" in out
    assert "hypnogram: " in out
    assert "memory demo, version" in out
    assert facts(talking) == set()


def test_a_failure_or_a_wrong_command_does_not_end_it(talking: Running, capsys: pytest.CaptureFixture[str]) -> None:
    talking.parrot.broken = RuntimeError("gone")
    out = shown(repl(talking), capsys, "hello", "/dance", "/sleep", "/help", "/undo", "/forget")

    assert "something went wrong in the server" in out
    assert "/dance is not a command" in out
    assert all(name.split()[0] in out for name, _ in HELP)
    assert "Nothing was remembered yet" in out


def test_lines_are_edited_and_kept(talking: Running, capsys: pytest.CaptureFixture[str]) -> None:
    made = repl(talking, remember="off")
    with create_pipe_input() as keys:
        keys.send_text(f"helo{LEFT}l\r/quit\r")
        made.run(keys, DummyOutput())

    assert "hello \n" in capsys.readouterr().out
    assert made.typed.get_strings() == ["hello", "/quit"]


def test_it_ends_with_its_input(talking: Running) -> None:
    with create_pipe_input() as keys:
        keys.send_text(END)
        ended = repl(talking)
        ended.run(keys, DummyOutput())

    assert ended.typed.get_strings() == []


def test_an_interrupt_just_before_the_next_prompt_leaves(talking: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt, prompts = PromptSession.prompt, list[str]()

    def interrupted(session: PromptSession[str], message: str) -> str:
        prompts.append(message)
        if len(prompts) == 2:
            raise KeyboardInterrupt
        return prompt(session, message)

    monkeypatch.setattr(PromptSession, "prompt", interrupted)
    with create_pipe_input() as keys:
        keys.send_text(f"abandoned{INTERRUPT}/status\r/quit\r")
        repl(talking).run(keys, DummyOutput())

    assert len(prompts) == 2
