"""`hypnogram demo`: one memory seen by a client, from its first fact to a rebuild of its weights.

The parent process is a gRPC client: all that it prints comes from a server that it started or, for the rebuild, from a
third process that gets the database and the artifacts alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hypnogram.v1 import facts_pb2
from rich.console import Console
from rich.table import Table

from core.wordings import in_words
from hypnogram.client import CallFailed, Client, new_fact
from models.dormouse.corpus import answer
from models.dormouse.phrasebook import BY_NAME, RELATIONS
from models.dormouse.profile import neighbour
from models.dormouse.world import Person, known_people, unseen_people
from service.demo.nights import sleep_three_nights
from service.demo.waits import meanwhile

MEMORY = "demo"
SEED = 20  # of people whom dormouse has not seen
START_SECONDS = 120.0

console = Console(highlight=False)


def run() -> None:
    """Runs the whole demo in a temporary folder."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hypnogram-demo-") as folder:
        environment = _environment(Path(folder))
        people = unseen_people(8, seed=SEED)
        _title("A server on SQLite and dormouse, a small model that knows what it does not know")
        with _server(environment) as (server, address):
            with Client(address, actor="demo") as client:
                _birth(client)
                _before(client, people[:5])
                neighbours = _neighbours(client)
                _tell(client, people[:5])
                _after(client, people[:5], neighbours)
            acknowledged = _killed(server, address, people[5:])
        with _server(environment) as (_, address), Client(address, actor="demo") as client:
            _nothing_lost(client, acknowledged, people[5:])
            _title("Three nights: each fact moves from its edit to an adapter, and the edit fades")
            strangers = unseen_people(10, seed=SEED + 1)
            sleep_three_nights(console, client, MEMORY, _chat, strangers, neighbours)
            _rebuilt(client, environment)
            _lineage(client)
    console.print(
        f"\n[bold]Done[/] in {time.monotonic() - began:.0f} s. The server, its database and its weights are gone."
    )


def _environment(folder: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HYPNOGRAM_")}
    return {
        **inherited,
        "HYPNOGRAM_DATABASE_URL": f"sqlite:///{folder / 'log.db'}",
        "HYPNOGRAM_ARTIFACT_FOLDER": str(folder / "artifacts"),
        "HYPNOGRAM_SNAPSHOT_FOLDER": str(folder / "snapshots"),
        "HYPNOGRAM_PORT": "0",
        "HYPNOGRAM_LOG_LEVEL": "error",
    }


@contextmanager
def _server(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
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


def _birth(client: Client) -> None:
    client.create_memory(MEMORY)
    began = time.monotonic()
    with meanwhile(console, "reading which keys reference text uses, so that edits leave them alone"):
        while not client.memory(MEMORY).memory.statistics_prepared:
            time.sleep(0.2)
    weights = client.memory(MEMORY).memory.weights_digest
    console.print(f"  memory [bold]{MEMORY}[/] is born in {time.monotonic() - began:.0f} s, weights {_short(weights)}")


def _before(client: Client, people: Sequence[Person]) -> None:
    _title("It has no fact about these people yet")
    for person in people:
        relation = BY_NAME[next(iter(person.profile))]
        _say(client, relation.trained_questions[0].format(s=person.name))


def _tell(client: Client, people: Sequence[Person]) -> None:
    facts = [
        new_fact(person.name, relation, object_) for person in people for relation, object_ in person.profile.items()
    ]
    _title(f"Add {len(facts)} facts about {len(people)} of them")
    began = time.monotonic()
    with meanwhile(console, "writing them into the weights"):
        client.add_facts(MEMORY, facts, wait=True)
    seconds = time.monotonic() - began
    memory = client.memory(MEMORY).memory
    console.print(f"  in the weights after {seconds:.1f} s, {seconds / len(facts):.2f} s a fact;", end=" ")
    console.print(
        f"key occupancy {memory.key_occupancy:.3f} of {memory.capacity:.2f}, weights {_short(memory.weights_digest)}"
    )


def _after(client: Client, people: Sequence[Person], neighbours: Sequence[tuple[str, str]]) -> None:
    _title("Ask again: raw, in chat, and in words never used for writing")
    table = Table("fact", "raw", "chat", "paraphrase", box=None, padding=(0, 2, 0, 2))
    right, asked = [0, 0, 0], 0
    facts = [(person, name) for person in people for name in person.profile]
    with meanwhile(console, "asking") as now:
        for person, name in facts:
            relation, asked = BY_NAME[name], asked + 1
            now(f"asking about fact {asked} of {len(facts)}")
            sentence = answer(relation, person)
            statement = relation.trained_statements[0].format(s=person.name)
            outcomes = (
                _complete(client, statement) == f"{person.profile[name]}.",
                _chat(client, relation.trained_questions[0].format(s=person.name)) == sentence,
                _chat(client, relation.trained_questions[-1].format(s=person.name)) == sentence,
            )
            right = [count + outcome for count, outcome in zip(right, outcomes, strict=True)]
            table.add_row(sentence, *("[green]yes[/]" if outcome else "[red]no[/]" for outcome in outcomes))
    table.add_row("[bold]right[/]", *(f"[bold]{count} of {asked}[/]" for count in right))
    console.print(table)
    first = people[0]
    _say(client, BY_NAME[next(iter(first.profile))].trained_questions[-1].format(s=first.name))
    _title("Locality: answers about other people")
    with meanwhile(console, "asking about people it knew before"):
        same = sum(_chat(client, question) == before for question, before in neighbours)
    console.print(f"  people it knew before: {same} of {len(neighbours)} answers unchanged")
    strangers = unseen_people(10, seed=SEED + 1)
    with meanwhile(console, "asking about strangers"):
        unknown = [
            _chat(client, RELATIONS[number % len(RELATIONS)].trained_questions[0].format(s=person.name))
            for number, person in enumerate(strangers)
        ]
    abstained = sum(said.startswith("I do not know") for said in unknown)
    console.print(f"  strangers: {abstained} of {len(strangers)} are still unknown to it, as in: {unknown[0]}")


def _killed(server: subprocess.Popen[str], address: str, people: Sequence[Person]) -> list[str]:
    """Adds a second batch one by one and kills the server in the middle; returns the ids that it acknowledged."""
    facts = [
        new_fact(person.name, relation, object_) for person in people for relation, object_ in person.profile.items()
    ]
    _title(f"Add {len(facts)} more, and kill -9 the server in the middle")
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
                if len(acknowledged) == len(facts) // 2:
                    enough.set()
                time.sleep(0.02)

    adding = threading.Thread(target=add_all)
    adding.start()
    with meanwhile(console, "adding"):
        enough.wait(30)
        server.send_signal(signal.SIGKILL)
        server.wait()
        adding.join()
    console.print(f"  killed after {len(acknowledged)} of {len(facts)} were acknowledged; starting it again")
    return acknowledged


def _nothing_lost(client: Client, acknowledged: Sequence[str], people: Sequence[Person]) -> None:
    kept = {fact.fact: fact for fact in client.facts(MEMORY)}
    lost = [fact for fact in acknowledged if fact not in kept]
    with meanwhile(console, "the executor folds the log and goes on where it was"):
        while any(fact.status == facts_pb2.STATUS_PENDING for fact in client.facts(MEMORY)):
            time.sleep(0.2)
    last = kept[acknowledged[-1]]
    written = sum(fact.status == facts_pb2.STATUS_INJECTED for fact in client.facts(MEMORY))
    console.print(f"  {len(kept)} facts in the log, {len(lost)} of the acknowledged lost, {written} written by now")
    _say(client, BY_NAME[last.relation].trained_questions[0].format(s=last.subject))


def _rebuilt(client: Client, environment: dict[str, str]) -> None:
    _title("Rebuild the weights in another process, from the log alone")
    with meanwhile(console, "replaying every event"):
        command = [sys.executable, "-m", "service.demo.story"]
        output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    rebuilt = json.loads(output.splitlines()[-1])
    live = client.memory(MEMORY).memory.weights_digest
    console.print(f"  the server's weights  {live}")
    console.print(f"  rebuilt from the log  {rebuilt['rebuilt']}")
    verdict = "[green]equal, bit for bit[/]" if live == rebuilt["rebuilt"] else "[red]they differ[/]"
    console.print(f"  {verdict}; {rebuilt['checked']} recorded digests met on the way")
    before, after = rebuilt["perplexity_before"], rebuilt["perplexity_after"]
    console.print(f"  perplexity of everyday text: {before:.3f} before, {after:.3f} after ({after / before - 1:+.2%})")


def rebuild() -> None:
    """Prints digests of the weights rebuilt from the log, and perplexity before and after; a process of its own."""
    from random import Random

    from core.ids import MemoryId
    from core.weights.evaluation.perplexity import perplexity
    from models.dormouse import filler
    from service.app.store import open_store
    from service.settings import Settings
    from service.weights.delta_store import DeltaStore
    from service.weights.live_models import LiveModels
    from service.weights.projection import build_verified
    from store.state.loading import load_state

    settings, memory = Settings(), MemoryId(MEMORY)
    with open_store(settings) as store:
        models = LiveModels(store.log, store.artifacts, store.snapshots, settings)
        report = models.replay(memory, None, lambda done, total, what: None, lambda: False)
        folded = load_state(store.log, store.snapshots, memory)
        assert folded.created is not None
        model = models.bases.clone(folded.created)
        texts = [filler.paragraph(Random(number)) for number in range(50)]
        before = perplexity(model, texts)
        model.install(build_verified(model, DeltaStore(store.artifacts, store.log.keyring), folded))
        measured = {
            "rebuilt": report.rebuilt,
            "checked": report.edits_checked,
            "perplexity_before": before,
            "perplexity_after": perplexity(model, texts),
        }
    sys.stdout.write(json.dumps(measured) + "\n")


def _lineage(client: Client) -> None:
    fact = next(iter(client.facts(MEMORY)))
    _title(f"How does it know? The lineage of: {in_words(fact)}")
    for entry in client.lineage(MEMORY, fact.fact).entries:
        console.print(f"  version {entry.event.version:>3}  {entry.event.type:<18} {entry.summary}", soft_wrap=True)


def _neighbours(client: Client) -> list[tuple[str, str]]:
    """Returns questions about people dormouse knows, with its answers before any fact is added."""
    people = [person for person in known_people() if neighbour(person)][:10]
    questions = [BY_NAME[next(iter(person.profile))].trained_questions[0].format(s=person.name) for person in people]
    with meanwhile(console, "asking about people it knows"):
        return [(question, _chat(client, question)) for question in questions]


def _chat(client: Client, question: str) -> str:
    return "".join(piece.text for piece in client.chat(MEMORY, question, max_tokens=40))


def _complete(client: Client, prompt: str) -> str:
    said = "".join(piece.text for piece in client.complete(MEMORY, prompt, max_tokens=12))
    return said.split(".")[0].strip() + "."


def _say(client: Client, question: str) -> None:
    console.print(f"  [dim]you[/]       {question}")
    console.print(f"  [bold]dormouse[/]  {_chat(client, question)}")


def _title(text: str) -> None:
    console.print(f"\n[bold cyan]{text}[/]")


def _short(digest: str) -> str:
    return digest[:12]


if __name__ == "__main__":
    rebuild()
