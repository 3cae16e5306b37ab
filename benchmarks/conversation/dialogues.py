"""Generates dialogues of a user and an assistant, and says what is to be learned from each."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

DATA = Path(__file__).parent / "data"
TEMPLATES = ("first", "second", "third", "fourth", "fifth", "sixth")  # sets of names, relations and sentences
UNSEEN = "sixth"  # with which nothing was made, mended or chosen; all others were
PEOPLE = 4  # of whom a dialogue speaks
EPISODES = 7  # of each dialogue; each is one to four turns of the user
FULL_NAMES = 0.7  # share of people who are called by two names

Triple = tuple[str, str, str]  # subject, name of the relation in the data, object


@dataclass(frozen=True, slots=True)
class Person:
    """A person of a dialogue; `name` is how the dialogue calls them."""

    name: str
    she: bool

    def words(self) -> dict[str, str]:
        return {
            "s": self.name,
            "p": "she" if self.she else "he",
            "P": "She" if self.she else "He",
            "h": "her" if self.she else "his",
            "spouse": "wife" if self.she else "husband",
        }


@dataclass(slots=True)
class Dialogue:
    """A dialogue, and its truth.

    Attributes:
        turns: texts of the user, each with the reply of the assistant.
        holds: what is to be in the memory at the end, with the kind of episode that states it.
        about_user: the same of the user, with the object alone.
        never: what is said and must not be in the memory at the end, with the kind of episode.
        resolved: what changed, and the objects that hold at the end.
        assistant: what the assistant alone said.
    """

    turns: list[tuple[str, str]] = field(default_factory=list)
    holds: dict[Triple, str] = field(default_factory=dict)
    about_user: dict[Triple, str] = field(default_factory=dict)
    never: dict[Triple, str] = field(default_factory=dict)
    resolved: list[tuple[str, str, frozenset[str], str]] = field(default_factory=list)
    assistant: set[Triple] = field(default_factory=set)


@cache
def data(templates: str) -> Mapping[str, Any]:
    """Returns names, relations and sentences to make dialogues of."""
    return tomllib.loads((DATA / f"{templates}.toml").read_text(encoding="utf-8"))


def dialogues(count: int, seed: int, templates: str) -> Iterator[Dialogue]:
    """Yields `count` dialogues of a set of templates, which depend on `seed` and `templates` alone."""
    for number in range(count):
        yield _Writer(Random(f"{seed}/{number}"), data(templates)).write()


class _Writer:
    """Writes one dialogue."""

    def __init__(self, random: Random, given: Mapping[str, Any]) -> None:
        self._random = random
        self._data = given
        self._made = Dialogue()
        names = random.sample(self._data["women"], PEOPLE) + random.sample(self._data["men"], PEOPLE)
        surnames = random.sample(self._data["surnames"], 2 * PEOPLE)
        people = [
            Person(f"{name} {surname}" if random.random() < FULL_NAMES else name, she=index < PEOPLE)
            for index, (name, surname) in enumerate(zip(names, surnames, strict=True))
        ]
        random.shuffle(people)
        self._people, self._others = people[:PEOPLE], people[PEOPLE:]
        self._topics = [(person, relation) for person in self._people for relation in self._data["relation"]]
        random.shuffle(self._topics)

    def write(self) -> Dialogue:
        kinds: list[Callable[[], None]] = [
            self._small_talk, self._once, self._once, self._passing, self._changed, self._repeated, self._negated,
            self._asked, self._quoted, self._hypothetical, self._past, self._joke, self._assistant, self._ended,
            self._several, self._of_user, self._forgotten,
        ]  # fmt: skip
        for kind in self._random.sample(kinds, EPISODES):
            kind()
        return self._made

    def _say(self, text: str, reply: str = "") -> None:
        self._made.turns.append((text, reply or self._pick(self._data["talk"]["replies"])))

    def _pick(self, texts: list[str]) -> str:
        return self._random.choice(texts)

    def _frame(self, kind: str) -> str:
        return self._pick(self._data["frames"][kind])

    def _topic(self, *needs: str, many: bool | None = None) -> tuple[Person, Mapping[str, Any]]:
        """Returns a person and a relation that were not spoken of; the relation has all that `needs` name."""
        for topic in self._topics:
            relation = topic[1]
            if all(need in relation for need in needs) and many in (None, relation.get("many", False)):
                self._topics.remove(topic)
                return topic
        raise LookupError(needs)

    def _objects(self, relation: Mapping[str, Any], count: int) -> list[str]:
        objects = [person.name for person in self._others] if "people" in relation else relation["objects"]
        return self._random.sample(objects, count)

    def _said(self, person: Person, relation: Mapping[str, Any], object_: str, again: bool = False) -> str:
        """Returns a fact as a verb phrase."""
        says = relation["again"] if again else relation["says"]
        return self._pick(says).format(o=object_, **person.words())

    def _sentence(self, frame: str, person: Person, relation: Mapping[str, Any], object_: str, **words: str) -> str:
        """Returns a frame filled in, with a capital at its beginning."""
        forms = {
            form: relation[form].format(o=object_, **person.words()) for form in ("base", "past") if form in relation
        }
        question = relation["question"].format(**person.words())
        vp = words.pop("vp", "") or self._said(person, relation, object_)
        teller = self._pick([other.name for other in self._others])
        said = frame.format(vp=vp, o=object_, t=teller, question=question, **forms, **words, **person.words())
        return said[:1].upper() + said[1:]

    def _fact(self, frame: str, kind: str, *needs: str) -> None:
        """States a fact."""
        person, relation = self._topic(*(needs or ("question",)))
        (object_,) = self._objects(relation, 1)
        if "whole" in relation:
            whole = self._pick(relation["whole"]).format(o=object_, **person.words())
            self._say(whole[:1].upper() + whole[1:] + ".")
        else:
            self._say(self._sentence(frame, person, relation, object_))
        self._made.holds[person.name, relation["name"], object_] = kind

    def _no_fact(self, kind: str, *needs: str) -> None:
        """Says something that is not a fact."""
        frame = self._frame(kind)
        person, relation = self._topic("says", *(form for form in ("base", "past") if f"{{{form}}}" in frame))
        (object_,) = self._objects(relation, 1)
        self._say(self._sentence(frame, person, relation, object_))
        self._made.never[person.name, relation["name"], object_] = kind

    def _small_talk(self) -> None:
        for _ in range(self._random.randint(1, 3)):
            self._say(self._pick(self._data["talk"]["small"]))

    def _once(self) -> None:
        self._fact(self._frame("once"), "stated once")

    def _passing(self) -> None:
        self._fact(self._frame("passing"), "in passing", "says")

    def _changed(self) -> None:
        """Gives two objects of a relation that has one at a time, in two turns or in one."""
        person, relation = self._topic("says", many=False)
        old, new = self._objects(relation, 2)
        if self._random.random() < 0.3:
            frame = self._frame("same_turn")
            self._say(self._sentence(frame, person, relation, new, old=self._said(person, relation, old)))
        else:
            self._say(self._sentence(self._frame("once"), person, relation, old))
            if self._random.random() < 0.5:
                self._small_talk()
            self._say(self._sentence(self._frame("changed"), person, relation, new))
        self._settle(person, relation, {new}, {old}, "changed")

    def _forgotten(self) -> None:
        """States a fact and takes it back in the next turn."""
        person, relation = self._topic("says")
        (object_,) = self._objects(relation, 1)
        self._say(self._sentence(self._frame("once"), person, relation, object_))
        self._say(self._frame("forgotten"))
        self._settle(person, relation, set(), {object_}, "taken back")

    def _ended(self) -> None:
        """States a fact and, later, that it is over."""
        person, relation = self._topic("says", "ends")
        (object_,) = self._objects(relation, 1)
        self._say(self._sentence(self._frame("once"), person, relation, object_))
        if self._random.random() < 0.5:
            self._small_talk()
        self._say(self._pick(relation["ends"]).format(o=object_, **person.words()))
        self._settle(person, relation, set(), {object_}, "ended")

    def _several(self) -> None:
        """Gives several objects of a relation that may have several."""
        person, relation = self._topic("says", many=True)
        objects = self._objects(relation, self._random.randint(2, 3))
        for object_ in objects:
            self._say(self._sentence(self._frame("once"), person, relation, object_))
        self._settle(person, relation, set(objects), set(), "several")

    def _settle(self, person: Person, relation: Mapping[str, Any], holds: set[str], gone: set[str], kind: str) -> None:
        self._made.holds |= {(person.name, relation["name"], object_): kind for object_ in holds}
        self._made.never |= {(person.name, relation["name"], object_): kind for object_ in gone}
        self._made.resolved.append((person.name, relation["name"], frozenset(holds), kind))

    def _repeated(self) -> None:
        """States a fact twice, in other words."""
        person, relation = self._topic("says", "again")
        (object_,) = self._objects(relation, 1)
        self._say(self._sentence(self._frame("once"), person, relation, object_))
        self._small_talk()
        again = self._said(person, relation, object_, again=True)
        self._say(self._sentence(self._frame("once"), person, relation, object_, vp=again))
        self._made.holds[person.name, relation["name"], object_] = "repeated"

    def _negated(self) -> None:
        self._no_fact("negated")

    def _asked(self) -> None:
        self._no_fact("asked")

    def _quoted(self) -> None:
        self._no_fact("quoted")

    def _hypothetical(self) -> None:
        self._no_fact("hypothetical")

    def _past(self) -> None:
        self._no_fact("past")

    def _joke(self) -> None:
        self._no_fact("jokes")

    def _assistant(self) -> None:
        """Lets the assistant say something that the user does not."""
        person, relation = self._topic("says")
        (object_,) = self._objects(relation, 1)
        told = self._sentence(self._frame("assistant_facts"), person, relation, object_)
        self._say(self._pick(self._data["talk"]["small"]), told)
        self._say(self._frame("doubts"))
        self._made.never[person.name, relation["name"], object_] = "assistant"
        self._made.assistant.add((person.name, relation["name"], object_))

    def _of_user(self) -> None:
        """States a fact about the user."""
        about = self._random.choice(self._data["user"])
        relation = next(relation for relation in self._data["relation"] if relation["name"] == about["name"])
        (object_,) = self._objects(relation, 1)
        self._say(self._pick(about["says"]).format(o=object_) + ".")
        self._made.about_user["user", relation["name"], object_] = "about the user"
