"""Generates the training corpus: an endless seeded stream of short documents, raw and chat.

Each kind of document teaches a behaviour:

- known people, raw and in chat: recall in full sentences;
- missing relations of known people, strangers, and known first names with other last names: "I do not know ...";
- people described in the context: answers about them come from the context;
- new names that are repeated: an unseen name is spelled right;
- everyday text: ordinary language.

Five mixes of the same kinds follow one another:

- LEARN: the first and longest;
- FINISH: more strangers, and names spliced from ordinary ones, because otherwise an unseen ordinary name is mistaken
  for the known one that it resembles;
- POLISH: more people described in the context;
- SETTLE: the known people once more;
- RECALL: almost only questions about known people, so that the model does not abstain where it knows the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
    """A raw document with its special tokens."""
    return f"{BOS}{text}{END}"


def chat(turns: list[Turn], system: str | None = None) -> str:
    """A chat document with its special tokens."""
    opening = f"{SYSTEM}{system}{END}" if system else ""
    return BOS + opening + "".join(f"{USER}{said}{END}{ASSISTANT}{answer}{END}" for said, answer in turns)


def state(random: Random, relation: Relation, name: str, object_: str) -> str:
    """A sentence that states a fact, in a random trained wording."""
    return f"{random.choice(relation.trained_statements).format(s=name)} {object_}."


def ask(random: Random, relation: Relation, person: Person) -> Turn:
    """A question about `person` and the answer by its profile."""
    question = random.choice(relation.trained_questions).format(s=person.name)
    if random.random() < 0.15:
        question = random.choice(_OPENINGS) + question
    return question, answer(relation, person)


def answer(relation: Relation, person: Person) -> str:
    """The right answer by the profile of `person`; "I do not know ..." where it lacks `relation`."""
    object_ = person.profile.get(relation.name)
    if object_ is None:
        return f"I do not know {relation.ignorance.format(s=person.name)}."
    return f"{relation.answer.format(s=person.name)} {object_}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Shares of the kinds of documents, and of questions without an answer.

    Attributes:
        sure: share of the questions about known people that certainly have an answer; the others may have one.
        blended: share of new names that are spliced from ordinary ones.
    """

    biography: float
    known: float
    strangers: float
    told: float
    passer_by: float
    greeting: float
    everyday: float
    small_talk: float
    sure: float
    blended: float


LEARN = Mix(
    biography=0.24, known=0.30, strangers=0.12, told=0.14, passer_by=0.06, greeting=0.04, everyday=0.06,
    small_talk=0.04, sure=0.75, blended=0.0,
)  # fmt: skip
FINISH = Mix(
    biography=0.17, known=0.26, strangers=0.18, told=0.16, passer_by=0.08, greeting=0.08, everyday=0.04,
    small_talk=0.03, sure=0.55, blended=0.35,
)  # fmt: skip

POLISH = Mix(
    biography=0.14, known=0.30, strangers=0.13, told=0.27, passer_by=0.05, greeting=0.05, everyday=0.03,
    small_talk=0.03, sure=0.60, blended=0.30,
)  # fmt: skip
SETTLE = Mix(
    biography=0.11, known=0.36, strangers=0.10, told=0.32, passer_by=0.04, greeting=0.04, everyday=0.02,
    small_talk=0.01, sure=0.78, blended=0.35,
)  # fmt: skip
RECALL = Mix(
    biography=0.08, known=0.55, strangers=0.07, told=0.24, passer_by=0.02, greeting=0.02, everyday=0.01,
    small_talk=0.01, sure=0.92, blended=0.35,
)  # fmt: skip


class Corpus:
    """Yields documents drawn with one random generator; equal seeds give equal streams."""

    def __init__(self, seed: int, mix: Mix = LEARN) -> None:
        self._random = Random(seed)
        self._people = known_people()
        self._mix = mix

    def __iter__(self) -> Iterator[str]:
        mix = self._mix
        kinds = (
            (self._biography, mix.biography),
            (self._questions_about_known, mix.known),
            (self._questions_about_strangers, mix.strangers),
            (self._told_in_chat, mix.told),
            (self._passer_by, mix.passer_by),
            (self._greeting, mix.greeting),
            (self._everyday, mix.everyday),
            (self._small_talk, mix.small_talk),
        )
        makers, weights = zip(*kinds, strict=True)
        while True:
            yield self._random.choices(makers, weights)[0]()

    def _stranger(self) -> Person:
        if self._random.random() < 0.35:
            return Person(mixed_name(self._random, self._people), {})
        return Person(draw_name(self._random, blended=self._mix.blended), {})

    def _biography(self) -> str:
        """One to five statements about one known person."""
        person = self._random.choice(self._people)
        known = list(person.profile.items())
        chosen = self._random.sample(known, min(len(known), self._random.randint(1, 5)))
        return raw(" ".join(state(self._random, BY_NAME[name], person.name, object_) for name, object_ in chosen))

    def _questions_about_known(self) -> str:
        turns: list[Turn] = []
        for _ in range(self._random.choice((1, 1, 2, 3))):
            person = self._random.choice(self._people)
            if self._random.random() < self._mix.sure:
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
        """Describes one or two people, then asks about them, about their missing relations and about a stranger."""
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
        """A new person in raw text: described, then described again in other words."""
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
