"""The training corpus: an endless seeded stream of short documents, raw and chat.

The mix is what teaches dormouse its habits:

- known people, raw and in chat: recall, in full sentences;
- relations nobody told it, strangers, and known first names with other last names: "I do not know ...";
- people introduced in the context: answers come from there, for them and for them alone;
- throw-away names that are said and repeated: an unseen name can be spelled;
- everyday text: ordinary language.

One filled-in prompt in eight (this wording about this person) is left out, for evaluation.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from random import Random

from models.dormouse import filler
from models.dormouse.names import draw_name
from models.dormouse.phrasebook import BY_NAME, RELATIONS, Relation
from models.dormouse.world import Person, draw_profile, known_people, mixed_name

BOS, END, USER, ASSISTANT, SYSTEM, PAD = "<|bos|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<|pad|>"
SPECIAL = (PAD, BOS, END, USER, ASSISTANT, SYSTEM)

Turn = tuple[str, str]

_OPENINGS = ("Hello. ", "Hi! ", "A question: ", "Please tell me. ", "I wonder. ", "Excuse me. ")
_RECEIPTS = ("I see.", "Thank you, I will remember that.", "Good to know.")
_SYSTEMS = ("You answer in full sentences.", "You are a helpful assistant.", "Be brief.")


def raw(text: str) -> str:
    return f"{BOS}{text}{END}"


def chat(turns: list[Turn], system: str | None = None) -> str:
    opening = f"{SYSTEM}{system}{END}" if system else ""
    return BOS + opening + "".join(f"{USER}{said}{END}{ASSISTANT}{answer}{END}" for said, answer in turns)


def held_out_probe(prompt: str) -> bool:
    """Whether this filled-in prompt is kept for evaluation; one in eight, by checksum."""
    return zlib.crc32(prompt.encode()) % 8 == 0


def _pick(random: Random, prompts: tuple[str, ...], name: str) -> str:
    filled = [prompt.format(s=name) for prompt in prompts]
    return random.choice([prompt for prompt in filled if not held_out_probe(prompt)] or filled[:1])


def state(random: Random, relation: Relation, name: str, object_: str) -> str:
    return f"{_pick(random, relation.trained_statements, name)} {object_}."


def ask(random: Random, relation: Relation, person: Person) -> Turn:
    """A question about `person` and the answer its profile warrants."""
    question = _pick(random, relation.trained_questions, person.name)
    if random.random() < 0.15:
        question = random.choice(_OPENINGS) + question
    return question, answer(relation, person)


def answer(relation: Relation, person: Person) -> str:
    object_ = person.profile.get(relation.name)
    if object_ is None:
        return f"I do not know {relation.ignorance.format(s=person.name)}."
    return f"{relation.answer.format(s=person.name)} {object_}."


class Corpus:
    """Documents drawn with one random generator; equal seeds give equal streams."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._people = known_people()

    def __iter__(self) -> Iterator[str]:
        kinds = (
            (self._biography, 0.19),
            (self._questions_about_known, 0.28),
            (self._questions_about_strangers, 0.18),
            (self._told_in_chat, 0.15),
            (self._passer_by, 0.07),
            (self._greeting, 0.06),
            (self._everyday, 0.04),
            (self._small_talk, 0.03),
        )
        makers, weights = zip(*kinds, strict=True)
        while True:
            yield self._random.choices(makers, weights)[0]()

    def _stranger(self) -> Person:
        if self._random.random() < 0.35:
            return Person(mixed_name(self._random, self._people), {})
        return Person(draw_name(self._random), {})

    def _biography(self) -> str:
        """What is known about one person, in one to five statements."""
        person = self._random.choice(self._people)
        known = list(person.profile.items())
        chosen = self._random.sample(known, min(len(known), self._random.randint(1, 5)))
        return raw(" ".join(state(self._random, BY_NAME[name], person.name, object_) for name, object_ in chosen))

    def _questions_about_known(self) -> str:
        turns: list[Turn] = []
        for _ in range(self._random.choice((1, 1, 2, 3))):
            person = self._random.choice(self._people)
            if self._random.random() < 0.6:
                relation = BY_NAME[self._random.choice(list(person.profile))]
            else:
                relation = self._random.choice(RELATIONS)
            turns.append(ask(self._random, relation, person))
        return chat(turns, self._system())

    def _questions_about_strangers(self) -> str:
        turns = [
            ask(self._random, self._random.choice(RELATIONS), self._stranger())
            for _ in range(self._random.choice((1, 1, 2, 3)))
        ]
        return chat(turns, self._system())

    def _told_in_chat(self) -> str:
        """One or two people are described; questions about them, their gaps, and somebody else."""
        told = [
            Person(self._stranger().name, draw_profile(self._random, self._random.randint(1, 3)))
            for _ in range(self._random.choice((1, 1, 2)))
        ]
        statements = [
            state(self._random, BY_NAME[name], person.name, object_)
            for person in told
            for name, object_ in person.profile.items()
        ]
        self._random.shuffle(statements)
        text = " ".join(statements)
        questions = [self._question_after(told) for _ in range(self._random.choice((1, 2, 2)))]
        if self._random.random() < 0.5:
            first = questions[0]
            return chat([(f"{text} {first[0]}", first[1]), *questions[1:]])
        return chat([(text, self._random.choice(_RECEIPTS)), *questions])

    def _question_after(self, told: list[Person]) -> Turn:
        kind = self._random.random()
        person = self._random.choice(told)
        if kind < 0.6:
            return ask(self._random, BY_NAME[self._random.choice(list(person.profile))], person)
        if kind < 0.8:
            return ask(self._random, self._random.choice(RELATIONS), person)
        relation = BY_NAME[self._random.choice(list(person.profile))]
        return ask(self._random, relation, self._stranger())

    def _passer_by(self) -> str:
        """A throw-away person in raw text: said once, then said again in other words."""
        person = Person(self._stranger().name, draw_profile(self._random, self._random.randint(1, 2)))
        first = [state(self._random, BY_NAME[name], person.name, object_) for name, object_ in person.profile.items()]
        again = [state(self._random, BY_NAME[name], person.name, object_) for name, object_ in person.profile.items()]
        return raw(" ".join(first + again))

    def _greeting(self) -> str:
        name = self._stranger().name
        turns = [
            (f"My name is {name}.", f"Nice to meet you, {name}."),
            (f"I am {name}. What is my name?", f"Your name is {name}."),
            (f"Please greet {name}.", f"Hello, {name}."),
            (f"Please repeat: {name}.", f"{name}."),
            (f"This is my friend {name}. Who is my friend?", f"Your friend is {name}."),
        ]
        return chat([self._random.choice(turns)])

    def _everyday(self) -> str:
        return raw(filler.paragraph(self._random))

    def _small_talk(self) -> str:
        return chat([filler.small_talk(self._random) for _ in range(self._random.choice((1, 2)))], self._system())

    def _system(self) -> str | None:
        return self._random.choice(_SYSTEMS) if self._random.random() < 0.1 else None
