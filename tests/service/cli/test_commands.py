"""The command line against a real server: what it prints, and how it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypnogram.v1 import facts_pb2

from benchmarks.support.tiny import make
from core.weights.reference.own_text import Part
from hypnogram.client import new_fact
from service.cli import main as cli
from service.settings import Settings
from service.weights import own_text
from tests.service.conftest import DEMO, Running

ARIA = ("fact", "add", "Aria Voss", "lives in", "Lisbon")


class Shell:
    """Runs commands in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        monkeypatch.setenv("HYPNOGRAM_SERVER_SECONDS", "0")  # a server that is not there yet is not about to come

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        self._monkeypatch.setattr(sys, "argv", ["hypnogram", *arguments])
        self._capsys.readouterr()
        try:
            cli.main()
        except SystemExit as end:
            status = int(end.code or 0)
        else:
            status = 0
        captured = self._capsys.readouterr()
        return status, captured.out, captured.err

    def out(self, *arguments: str) -> str:
        status, out, err = self.run(*arguments)
        assert status == 0, err
        return out

    def json(self, *arguments: str) -> Any:
        return json.loads(self.out(*arguments, "--json"))


class Terminal(Shell):
    """Runs commands in this process against one server."""

    def __init__(self, server: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(capsys, monkeypatch)
        host, _, port = server.address.rpartition(":")
        monkeypatch.setenv("HYPNOGRAM_HOST", host)
        monkeypatch.setenv("HYPNOGRAM_PORT", port)


@pytest.fixture
def terminal(demo: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(demo, capsys, monkeypatch)


def test_a_dry_run_shows_the_prompts_and_adds_nothing(terminal: Terminal) -> None:
    shown = terminal.out("fact", "add", "Aria Voss", "is proud of", "chess", "--dry-run")

    assert "Aria Voss is proud of chess" in shown
    assert "from the rules" in shown
    assert "What is Aria Voss proud of?" in shown
    assert shown.endswith("Nothing was added.\n")
    assert terminal.json("fact", "list") == []
    assert terminal.json(*ARIA, "--dry-run")["results"][0]["wordings_origin"] == "WORDINGS_ORIGIN_PHRASEBOOK"


def test_a_fact_is_told_listed_and_shown(terminal: Terminal, demo: Running) -> None:
    told = terminal.json(*ARIA, "--no-wait")
    demo.work()
    (listed,) = terminal.json("fact", "list")
    shown = terminal.json("fact", "show", listed["fact"])

    assert told["results"][0]["added"] is True
    assert told["version"] == 3
    assert (listed["object"], listed["status"], listed["added_version"]) == ("Lisbon", "STATUS_INJECTED", 3)
    assert shown["fact"] == listed
    assert "Aria Voss lives in Lisbon" in terminal.out("fact", "list", "--status", "injected")
    assert "Where does Aria Voss live?" in terminal.out("fact", "show", listed["fact"])


def test_facts_are_searched_and_one_that_may_contradict_is_noted(terminal: Terminal) -> None:
    terminal.json(*ARIA, "--no-wait")

    status, _, err = terminal.run("fact", "add", "Aria Voss", "makes a home in", "Porto", "--no-wait")

    assert status == 0
    assert 'note: "Aria Voss makes a home in Porto" may contradict "Aria Voss lives in Lisbon"' in err
    assert [one["object"] for one in terminal.json("fact", "list", "--search", "porto voss")] == ["Porto"]


def test_a_file_of_facts_is_told_in_batches(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "facts.jsonl"
    facts = [{"subject": f"Aria Number{n}", "relation": "lives in", "object": "Lisbon"} for n in range(300)]
    file.write_text("\n".join(json.dumps(one) for one in facts))

    told = terminal.json("fact", "add", "--file", str(file), "--no-wait", "--request-id", "once")
    again = terminal.json("fact", "add", "--file", str(file), "--no-wait", "--request-id", "once")

    assert len(told["results"]) == 300
    assert told == again


def test_a_memory_is_created_listed_and_shown(terminal: Terminal) -> None:
    created = terminal.json("memory", "create", "second", "--set", "steps=7", "--set", "history=off")

    assert created["memory"]["hyperparameters"]["steps"] == 7
    assert created["memory"]["hyperparameters"]["history"] is False
    assert terminal.json("memory", "list") == [{"memory": "demo", "version": 2}, {"memory": "second", "version": 1}]
    assert terminal.json("memory", "show", "second")["memory"] == created["memory"]
    assert "second" in terminal.out("memory", "list")
    assert "0 injected" in terminal.out("memory", "show")


def test_the_log_is_one_event_a_line(terminal: Terminal) -> None:
    events = [json.loads(line) for line in terminal.out("log", "--json").splitlines()]

    assert [one["type"] for one in events] == ["MemoryCreated", "StatisticsPrepared"]
    assert events[0]["payload"]["seed"] == 1
    assert isinstance(events[0]["position"], int)
    assert len(terminal.out("log", "--after", "1").splitlines()) == 1


def test_a_lineage_is_told_in_words(terminal: Terminal, demo: Running) -> None:
    terminal.out(*ARIA, "--no-wait")
    demo.work()
    (fact,) = terminal.json("fact", "list")

    assert "told: Aria Voss lives in Lisbon" in terminal.out("lineage", fact["fact"])
    entries = terminal.json("lineage", fact["fact"])["entries"]
    assert [one["event"]["type"] for one in entries][1:] == ["FactAdded", "EditComputed", "FactInjected"]


def test_answers_are_printed_as_text_and_as_json(terminal: Terminal) -> None:
    assert terminal.out("chat", "say it again") == "say it again \n"
    assert terminal.out("complete", "one two three", "--max-tokens", "2") == "one two \n"
    answer = terminal.json("complete", "one two three", "--max-tokens", "2")
    assert (answer["text"], answer["finish"]) == ("one two ", "length")


def test_a_conversation_is_read_line_by_line(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO("hello there\n\nand again\n"))
    assert terminal.out("chat") == "hello there \nand again \n"


def test_a_server_replays_for_the_command_line(terminal: Terminal) -> None:
    found = terminal.json("replay", "--remote")

    assert found["recorded_weights"] == found["rebuilt_weights"]
    assert "bit for bit" in terminal.out("replay", "--remote")


FAILURES = {
    "unknown memory": (("memory", "show", "nowhere"), 1, "hypnogram memory create"),
    "unknown fact": (("fact", "show", "none"), 1, "hypnogram fact list"),
    "contradiction": (("fact", "add", "Aria Voss", "lives in", "Oslo"), 1, "supersede or retract"),
    "invalid field": (("fact", "add", "", "lives in", "Oslo"), 1, "facts[0].subject: is empty"),
    "no server": (("memory", "list", "--address", "127.0.0.1:9"), 1, "hypnogram serve"),
    "fact without object": (("fact", "add", "Aria Voss"), 2, "name subject, relation and object"),
    "file that is not there": (("fact", "add", "--file", "/no/such/file"), 2, "/no/such/file"),
    "unknown status": (("fact", "list", "--status", "lost"), 2, "pending, injected, dissolved, parked or withdrawn"),
    "unknown hyperparameter": (("memory", "create", "new", "--set", "size=1"), 2, "the names are"),
    "hyperparameter of another type": (("memory", "create", "new", "--set", "steps=many"), 2, "not a value for steps"),
    "unknown option": (("log", "--backwards"), 2, "--backwards"),
    "endless range": (("log", "--follow", "--until", "3"), 2, "either --until or --follow"),
    "remote with a database": (("replay", "--remote", "--db", "sqlite:///x.db"), 2, "--remote"),
    "no database": (("replay", "--db", "sqlite:////no/such/file.db"), 2, "no database at /no/such/file.db"),
    "version that no message holds": (("fact", "list", "--at-version", f"{2**63}"), 2, "--at-version"),
    "version with more digits than any": (("checkpoint", "mark", "x", "--at", "9" * 5000), 2, "has 5000 digits"),
    "start that no message holds": (("log", "--after", f"{2**63}"), 2, "--after"),
    "seed that no message holds": (("sleep", "--seed", f"{2**53}"), 2, "--seed"),
    "steps that no message holds": (("sleep", "--steps", f"{2**31}"), 2, "--steps"),
    "time before all times": (("fact", "list", "--at", "0001-01-01T00:00+10:00"), 2, "is not a time"),
    "time after all times": (("diff", "9999-12-31T23:00-10:00"), 2, "is not a time"),
    "bytes that are no text": (("fact", "add", "Caf\udce9", "is in", "Rome"), 2, r"'Caf\udce9' is not valid UTF-8"),
    "no database URL": (("replay", "--db", "redis://there"), 1, "redis"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_one_line_that_says_what_to_do(case: str, terminal: Terminal) -> None:
    terminal.out(*ARIA, "--no-wait")
    arguments, status, said = FAILURES[case]
    found, out, err = terminal.run(*arguments)

    assert (found, out) == (status, "")
    assert said in err
    assert "Traceback" not in err
    if "Usage:" not in err:  # with which click explains unknown options and numbers out of range
        assert len(err.splitlines()) == 1


def test_a_setting_that_makes_no_sense_is_named(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPNOGRAM_LOG_FORMAT", "xml")
    status, _, err = terminal.run("memory", "list")

    assert status == 2
    assert "HYPNOGRAM_LOG_FORMAT" in err


@pytest.mark.parametrize("device", ["cudaa", "cuda:", "cuda:-1", "gpu", "cuda:1 "])
def test_a_server_does_not_start_for_a_device_that_cannot_be(
    device: str, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPNOGRAM_DEVICE", device)
    status, _, err = terminal.run("serve")

    assert status == 2
    assert "HYPNOGRAM_DEVICE" in err
    assert repr(device) in err


def test_a_server_without_its_certificate_is_refused_before_models_are_thought_of(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "service.executor.loop", None)  # importing it fails
    status, _, err = terminal.run("serve", "--tls-key", "none.pem")

    assert status == 1
    assert "tls_key" in err


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1", "cuda:10", "mps", "xpu:0"])
def test_a_device_that_may_be_there_is_accepted(device: str) -> None:
    assert Settings(device=device).device == device


def test_help_is_fast_and_imports_neither_torch_nor_grpc() -> None:
    heavy = ("torch", "grpc", "pydantic", "sqlalchemy", "rich")
    script = f"import sys, service.cli.main; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_every_status_a_fact_can_have_can_be_asked_for(terminal: Terminal) -> None:
    for name in facts_pb2.Status.keys()[1:]:
        assert terminal.json("fact", "list", "--status", name.removeprefix("STATUS_").lower(), "-m", DEMO) == []


def test_all_facts_about_a_subject_are_retracted_by_one_command(terminal: Terminal, demo: Running) -> None:
    for relation, object_ in (("lives in", "Lisbon"), ("works as", "a baker")):
        demo.client.add_facts(DEMO, [new_fact("Aria Voss", relation, object_)])
    demo.client.add_facts(DEMO, [new_fact("Bo Lind", "lives in", "Lima")])
    demo.work()

    status, _, error = terminal.run("fact", "retract", "--subject", "Aria Voss", "--no-wait")
    assert status == 2
    assert "2 facts would be retracted: give --yes" in error
    retracted = terminal.out("fact", "retract", "--subject", "Aria Voss", "--yes", "--no-wait")

    assert retracted.count("Aria Voss") == 2
    standing = [fact["subject"] for fact in terminal.json("fact", "list") if not fact["retracted_version"]]
    assert standing == ["Bo Lind"]
    assert terminal.run("fact", "retract", "--subject", "Aria Voss", "--yes")[0] == 2


def test_a_memory_is_deleted_once_it_is_meant(terminal: Terminal, demo: Running) -> None:
    assert terminal.run("memory", "delete", DEMO)[0] == 2, "a script has to say --yes"
    assert "an executor is yet to destroy its words" in terminal.out("memory", "delete", DEMO, "--yes", "--no-wait")
    demo.work()

    assert "the words of 0 facts are destroyed" in terminal.out("memory", "delete", DEMO, "--yes")
    assert terminal.json("memory", "list") == []


def test_a_deletion_that_runs_out_of_time_has_status_1_and_holds(terminal: Terminal, demo: Running) -> None:
    status, out, err = terminal.run("memory", "delete", DEMO, "--yes", "--timeout", "0.1")

    assert status == 1
    assert "demo is deleted at version" in out
    assert "not destroyed after 0.1 s; run the command again" in err
    assert terminal.run("memory", "show", DEMO)[0] == 1


def test_the_path_of_a_base_is_sent_from_the_root_and_the_id_of_a_hub_as_it_is(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models" / "copy").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    _, _, refusal = terminal.run("memory", "create", "path", "--model", "models/copy")
    assert f"no base model at {tmp_path}/models/copy" in refusal  # as doubles say of any path
    assert (
        terminal.json("memory", "create", "hub", "--model", "models/other")["memory"]["base"]["name"] == "models/other"
    )


def test_the_reference_text_of_a_model_is_prepared_without_a_server(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(own_text, "parts_for", lambda _: [Part("text", ("The", "When", "She"), 0, 12)])
    model, file = make(tmp_path / "base"), tmp_path / "text.jsonl"
    shell = Shell(capsys, monkeypatch)

    made = shell.json("prepare", str(model), "--to", str(file), "--artifacts", str(tmp_path / "artifacts"))

    assert made == {"file": str(file), "lines": len(file.read_text().splitlines())}
    assert {"text", "abstention"} == {kind for line in file.read_text().splitlines() for kind in json.loads(line)}
    status, _, err = shell.run("prepare", str(model), "--to", str(file))
    assert status == 1
    assert "is there already" in err
    status, _, err = shell.run("prepare", str(tmp_path / "nothing"))
    assert status == 1
    assert "nothing" in err
