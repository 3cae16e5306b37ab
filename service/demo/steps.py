"""Steps that every demo has: a server of its own, questions, kill -9, the rebuild in another process, lineage.

The parent process is a gRPC client: all that it prints comes from a server that it started or, for the rebuild, from a
third process that gets the database and the artifacts alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hypnogram.v1 import facts_pb2, memories_pb2
from rich.console import Console
from rich.markup import escape

from core.wordings import in_words
from hypnogram.client import CallFailed, Client
from service.demo.waits import meanwhile
from service.settings import Settings
from service.terminal.reasons import for_memory

MEMORY = "demo"
START_SECONDS = 120.0
ANSWER_TOKENS = 40

console = Console(highlight=False)


def environment_in(folder: Path) -> dict[str, str]:
    """Returns the environment of a server that keeps everything in `folder`, except for pulled models."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HYPNOGRAM_")}
    return {
        **inherited,
        "HYPNOGRAM_CONFIG": os.devnull,
        "HYPNOGRAM_DATABASE_URL": f"sqlite:///{folder / 'log.db'}",
        "HYPNOGRAM_ARTIFACT_FOLDER": str(folder / "artifacts"),
        "HYPNOGRAM_SNAPSHOT_FOLDER": str(folder / "snapshots"),
        "HYPNOGRAM_MODEL_FOLDER": str(Settings().model_folder.absolute()),
        "HYPNOGRAM_PORT": "0",
        "HYPNOGRAM_LOG_LEVEL": "error",
    }


@contextmanager
def server_in(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Starts a server in a process of its own; yields the process and the address."""
    command = [sys.executable, "-m", "service.cli.main", "serve"]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert server.stdout is not None
        with meanwhile(console, "starting the server"):
            line = server.stdout.readline()
        if not line.startswith("listening on "):
            raise SystemExit("hypnogram: the server did not start; run `hypnogram serve` to see why")
        yield server, line.removeprefix("listening on ").strip()
    except BaseException:
        server.kill()  # without a clean end, because its folder is deleted as well
        raise
    finally:
        if server.poll() is None:
            with meanwhile(console, "stopping the server"):
                server.terminate()
                server.wait(START_SECONDS)


def create(client: Client, model: str = "") -> None:
    """Creates the memory on `model`, by default on dormouse, and waits until it is prepared."""
    began = time.monotonic()
    with meanwhile(console, "loading the base model"):
        client.create_memory(MEMORY, memories_pb2.BaseModel(name=model) if model else None)
    with meanwhile(console, waiting_for(client)):
        while not (memory := client.memory(MEMORY).memory).statistics_prepared:
            if memory.statistics_failure:
                raise SystemExit(f"hypnogram: the memory was not prepared: {memory.statistics_failure}")
            time.sleep(0.2)
    say(f"memory [bold]{MEMORY}[/] is born in {time.monotonic() - began:.0f} s, weights {short(memory.weights_digest)}")


def kill_while_adding(server: subprocess.Popen[str], address: str, facts: Sequence[facts_pb2.NewFact]) -> list[str]:
    """Adds facts one by one and kills the server once half are acknowledged; returns the ids that it acknowledged."""
    acknowledged: list[str] = []
    enough = threading.Event()

    def add_all() -> None:
        with Client(address, actor="demo") as client:
            for fact in facts:
                try:
                    reply = client.add_facts(MEMORY, [fact], timeout=5)
                except CallFailed:
                    return
                acknowledged.append(reply.results[0].fact.fact)
                if len(acknowledged) == (len(facts) + 1) // 2:
                    enough.set()
                time.sleep(0.02)

    adding = threading.Thread(target=add_all)
    adding.start()
    with meanwhile(console, "adding"):
        enough.wait(30)
        server.send_signal(signal.SIGKILL)
        server.wait()
        adding.join()
    say(f"killed after {len(acknowledged)} of {len(facts)} were acknowledged; starting it again")
    return acknowledged


def nothing_lost(client: Client, acknowledged: Sequence[str]) -> facts_pb2.Fact:
    """Waits until what was acknowledged is written, prints what was lost; returns the last fact acknowledged."""
    kept = {fact.fact for fact in client.facts(MEMORY)}
    lost = [fact for fact in acknowledged if fact not in kept]
    with meanwhile(console, waiting_for(client)):
        while any(fact.status == facts_pb2.STATUS_PENDING for fact in client.facts(MEMORY)):
            time.sleep(0.2)
    facts = {fact.fact: fact for fact in client.facts(MEMORY)}
    written = sum(fact.status == facts_pb2.STATUS_INJECTED for fact in facts.values())
    say(f"{len(kept)} facts in the log, {len(lost)} of the acknowledged lost, {written} written by now")
    return facts[acknowledged[-1]]


def rebuild(client: Client, environment: dict[str, str]) -> None:
    """Lets another process rebuild the weights from the log, and prints both digests."""
    title("Rebuild the weights in another process, from the log alone")
    with meanwhile(console, "replaying every event"):
        command = [sys.executable, "-m", "service.demo.rebuild"]
        output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    rebuilt = json.loads(output.splitlines()[-1])
    live = client.memory(MEMORY).memory.weights_digest
    say(f"the server's weights  {live}")
    say(f"rebuilt from the log  {rebuilt['rebuilt']}")
    say(f"{equal(live, rebuilt['rebuilt'])}; {rebuilt['checked']} recorded digests met on the way")
    before, after = rebuilt["perplexity_before"], rebuilt["perplexity_after"]
    say(f"perplexity of everyday text: {before:.3f} before, {after:.3f} after ({after / before - 1:+.2%})")


def lineage(client: Client, fact: facts_pb2.Fact) -> None:
    """Prints every event about a fact."""
    title(f"How does it know? The lineage of: {in_words(fact)}")
    for entry in client.lineage(MEMORY, fact.fact).entries:
        console.print(f"  version {entry.event.version:>3}  {entry.event.type:<18} {entry.summary}", soft_wrap=True)


def chat(client: Client, question: str, at_version: int | None = None) -> str:
    """Returns the model's answer, as it is or as it was at a version."""
    pieces = client.chat(MEMORY, question, max_tokens=ANSWER_TOKENS, at_version=at_version)
    return "".join(piece.text for piece in pieces)


def show(question: str, answer: str, who: str) -> None:
    """Prints a question and its answer."""
    say(f"[dim]{'you':<{len(who)}}[/]  {question}")
    reply(who, answer)


def reply(who: str, answer: str) -> None:
    """Prints an answer on one line."""
    say(f"[bold]{who}[/]  {escape(' '.join(answer.split()))}")


def title(text: str) -> None:
    """Prints the title of a step."""
    console.print(f"\n[bold cyan]{text}[/]", soft_wrap=True)


def say(text: str) -> None:
    """Prints a line of a step."""
    console.print(f"  {text}", soft_wrap=True)


def waiting_for(client: Client) -> Callable[[], str]:
    """Returns a function that says what the memory waits for."""
    look = for_memory(client, MEMORY)
    return lambda: f"waiting for {look()}"


def equal(left: str, right: str) -> str:
    """Returns whether two digests are equal, in words."""
    return "[green]equal, bit for bit[/]" if left == right else "[red]they differ[/]"


def yes(outcome: bool) -> str:
    """Returns an outcome in words."""
    return "[green]yes[/]" if outcome else "[red]no[/]"


def short(digest: str) -> str:
    """Returns the first letters of a digest."""
    return digest[:12]
