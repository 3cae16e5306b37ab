"""The demo on dormouse: twenty facts about five people, kill -9, three nights, a rebuild and a lineage."""

from __future__ import annotations

import time
from collections.abc import Sequence

from hypnogram.v1 import facts_pb2
from rich.table import Table

from hypnogram.client import Client, new_fact
from models.dormouse.corpus import answer
from models.dormouse.phrasebook import BY_NAME, RELATIONS
from models.dormouse.profile import neighbour
from models.dormouse.world import Person, known_people, unseen_people
from service.demo import steps
from service.demo.nights import sleep_three_nights
from service.demo.steps import MEMORY, chat, console, say, short, title, yes
from service.demo.waits import meanwhile

SEED = 20  # of people whom dormouse has not seen


def tell(environment: dict[str, str]) -> None:
    """Shows the life of a memory on a server with that environment."""
    people = unseen_people(8, seed=SEED)
    title("A server on SQLite and dormouse, a small model that knows what it does not know")
    with steps.server_in(environment) as (server, address):
        with Client(address, actor="demo") as client:
            steps.create(client)
            _before(client, people[:5])
            neighbours = _neighbours(client)
            _tell(client, people[:5])
            _after(client, people[:5], neighbours)
        facts = _facts(people[5:])
        title(f"Add {len(facts)} more, and kill -9 the server in the middle")
        acknowledged = steps.kill_while_adding(server, address, facts)
    with steps.server_in(environment) as (_, address), Client(address, actor="demo") as client:
        last = steps.nothing_lost(client, acknowledged)
        _ask(client, BY_NAME[last.relation].trained_questions[0].format(s=last.subject))
        title("Three nights: each fact moves from its edit to an adapter, and the edit fades")
        strangers = unseen_people(10, seed=SEED + 1)
        sleep_three_nights(console, client, MEMORY, chat, strangers, neighbours)
        steps.rebuild(client, environment)
        steps.lineage(client, next(iter(client.facts(MEMORY))))


def _facts(people: Sequence[Person]) -> list[facts_pb2.NewFact]:
    return [
        new_fact(person.name, relation, object_) for person in people for relation, object_ in person.profile.items()
    ]


def _before(client: Client, people: Sequence[Person]) -> None:
    title("It has no fact about these people yet")
    for person in people:
        relation = BY_NAME[next(iter(person.profile))]
        _ask(client, relation.trained_questions[0].format(s=person.name))


def _tell(client: Client, people: Sequence[Person]) -> None:
    facts = _facts(people)
    title(f"Add {len(facts)} facts about {len(people)} of them")
    began = time.monotonic()
    with meanwhile(console, "writing them into the weights"):
        client.add_facts(MEMORY, facts, wait=True)
    seconds = time.monotonic() - began
    memory = client.memory(MEMORY).memory
    say(
        f"in the weights after {seconds:.1f} s, {seconds / len(facts):.2f} s a fact; key occupancy "
        f"{memory.key_occupancy:.3f} of {memory.capacity:.2f}, weights {short(memory.weights_digest)}"
    )


def _after(client: Client, people: Sequence[Person], neighbours: Sequence[tuple[str, str]]) -> None:
    title("Ask again: raw, in chat, and in words never used for writing")
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
                chat(client, relation.trained_questions[0].format(s=person.name)) == sentence,
                chat(client, relation.trained_questions[-1].format(s=person.name)) == sentence,
            )
            right = [count + outcome for count, outcome in zip(right, outcomes, strict=True)]
            table.add_row(sentence, *map(yes, outcomes))
    table.add_row("[bold]right[/]", *(f"[bold]{count} of {asked}[/]" for count in right))
    console.print(table)
    first = people[0]
    _ask(client, BY_NAME[next(iter(first.profile))].trained_questions[-1].format(s=first.name))
    title("Locality: answers about other people")
    with meanwhile(console, "asking about people it knew before"):
        same = sum(chat(client, question) == before for question, before in neighbours)
    say(f"people it knew before: {same} of {len(neighbours)} answers unchanged")
    strangers = unseen_people(10, seed=SEED + 1)
    with meanwhile(console, "asking about strangers"):
        unknown = [
            chat(client, RELATIONS[number % len(RELATIONS)].trained_questions[0].format(s=person.name))
            for number, person in enumerate(strangers)
        ]
    abstained = sum(said.startswith("I do not know") for said in unknown)
    say(f"strangers: {abstained} of {len(strangers)} are still unknown to it, as in: {unknown[0]}")


def _neighbours(client: Client) -> list[tuple[str, str]]:
    """Returns questions about people dormouse knows, with its answers before any fact is added."""
    people = [person for person in known_people() if neighbour(person)][:10]
    questions = [BY_NAME[next(iter(person.profile))].trained_questions[0].format(s=person.name) for person in people]
    with meanwhile(console, "asking about people it knows"):
        return [(question, chat(client, question)) for question in questions]


def _complete(client: Client, prompt: str) -> str:
    said = "".join(piece.text for piece in client.complete(MEMORY, prompt, max_tokens=12))
    return said.split(".")[0].strip() + "."


def _ask(client: Client, question: str) -> None:
    steps.show(question, chat(client, question), "dormouse")
