"""Finds the last token of a subject's name in texts, and writes the texts that a detector of the subject is made from.

The last token of the name is the site of ROME and MEMIT (Meng et al. 2022, 2023): there a causal model has read the
name, and not yet what is asked about it. So any sentence with the name may train the detector, also of other relations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

from core.errors.base import Unlearnable
from core.facts import Fact, RelationWords
from core.library import library
from core.texts import same_words
from core.weights.model.editable_model import EditableModel
from core.weights.reference.words import lines

SENTENCES = (
    "{s} went to the market this morning.",
    "I talked to {s} yesterday.",
    "Have you seen {s} lately?",
    "{s} is waiting outside.",
    "We invited {s} to dinner.",
    "My neighbour {s} is very kind.",
    "A letter for {s} has arrived.",
    "Tell me about {s}.",
    "{s} laughed and left the room.",
    "Please call {s} tomorrow.",
    "Did {s} write back?",
    "The report was written by {s}.",
)  # of everyday, about no relation


def by_subject(facts: Sequence[Fact]) -> Mapping[str, list[int]]:
    """Returns normalized subject -> indices of its facts."""
    groups: dict[str, list[int]] = {}
    for number, fact in enumerate(facts):
        groups.setdefault(same_words(fact.subject), []).append(number)
    return groups


@dataclass(frozen=True, slots=True)
class Text:
    """A text that holds a name.

    Attributes:
        ids: its tokens.
        ends: index of the last token of each occurrence of the name.
        begin: index of the first token of the last occurrence.
    """

    ids: tuple[int, ...]
    ends: tuple[int, ...]
    begin: int = 0

    def until_name(self) -> Text:
        """Returns the text up to its last name; a causal model computes the same at the tokens that are left."""
        return Text(self.ids[: self.ends[-1] + 1], self.ends, self.begin)


def text_of(model: EditableModel, text: str, name: str, *, chat: bool) -> Text:
    """Returns the tokens of `text` with the occurrences of `name`.

    Args:
        chat: whether `text` is a rendered chat, to which the tokenizer adds nothing.

    Raises:
        Unlearnable: the name does not occur, or not at the end of a token.
    """
    encoding = model.tokenizer(text, add_special_tokens=not chat, return_offsets_mapping=True)
    ids = list(encoding.input_ids)
    ids = ids if chat else model.unended(ids)
    spans = list(encoding.offset_mapping)[: len(ids)]
    matches = list(_pattern(name).finditer(text))
    ends = [max(token for token, (start, end) in enumerate(spans) if start < match.end() <= end) for match in matches]
    if not ends:
        raise Unlearnable(f"the name {name!r} does not occur in {text!r}: give wordings that contain it")
    begin = min(token for token, (_, end) in enumerate(spans) if end > matches[-1].start())
    return Text(tuple(ids), tuple(ends), begin)


@cache
def _pattern(name: str) -> re.Pattern[str]:
    """Returns a pattern of the name as a whole word; its first letter may be small or a capital, as in "my dog Rex"."""
    first, rest = name[0], re.escape(name[1:])
    either = "|".join(map(re.escape, (first, first.lower(), first.upper())))
    return re.compile(rf"(?<!\w)(?:{either}){rest}(?!\w)")


def renamed(text: str, name: str, other_name: str) -> str:
    """Returns `text` with `other_name` wherever `name` occurs."""
    return _pattern(name).sub(lambda _: other_name, text)


@dataclass(frozen=True, slots=True)
class OwnTexts:
    """Texts with a subject's name.

    Attributes:
        trained: what the detector is computed from.
        held_out: texts of other relations, on which it is certified.
    """

    trained: tuple[Text, ...]
    held_out: tuple[Text, ...]


TRAINED, CERTIFIED = 200, 60  # texts of the library at most, because each costs time
HELD_OUT = 5  # one relation of the library in so many is held out


def own_texts(model: EditableModel, subject: str, most: int = TRAINED) -> OwnTexts:
    """Returns statements, questions and answers of the library that hold the name of `subject`, each different up to
    the name once; of no fact, so that a detector does not depend on what is told about its subject. At most `most` are
    there to train on, besides a few of everyday."""
    entries = [entry.words for entry in library()]
    trained = [words for number, words in enumerate(entries) if number % HELD_OUT]
    held_out = [words for number, words in enumerate(entries) if not number % HELD_OUT]
    sentences = RelationWords(statements=SENTENCES, questions=SENTENCES, answer="")
    known = _written(subject, [sentences])
    known |= _spread(_written(subject, trained), most)
    unseen = {begun: text for begun, text in _written(subject, held_out).items() if begun not in known}
    return OwnTexts(
        tuple(text.read(model, subject) for text in known.values()),
        tuple(text.read(model, subject) for text in _spread(unseen, min(most, CERTIFIED)).values()),
    )


@dataclass(frozen=True, slots=True)
class _Written:
    """A statement, or a question and the answer that begins behind it, before they are tokens."""

    text: str
    chat: bool = False
    answer: str = ""

    def until(self, name: str) -> _Written:
        """Returns it up to the last name, by which it is told from others."""
        answer, text = (part[: ends[-1]] if (ends := _ends(part, name)) else "" for part in (self.answer, self.text))
        return _Written(self.text, self.chat, answer) if answer else _Written(text, self.chat)

    def read(self, model: EditableModel, name: str) -> Text:
        """Returns its tokens up to the last name."""
        text = f"{model.chat_text([], self.text)}{self.answer}" if self.chat else self.text
        return text_of(model, text, name, chat=self.chat).until_name()


def _ends(text: str, name: str) -> list[int]:
    return [match.end() for match in _pattern(name).finditer(text)]


def _written(subject: str, relations: Sequence[RelationWords]) -> dict[_Written, _Written]:
    """Returns texts that differ up to the name, by what they are up to there: few of them need become tokens."""
    texts: dict[_Written, _Written] = {}
    for template in relations:
        words = template.for_model(subject)
        every = [*map(_Written, words.statements), *(_Written(text, True) for text in words.questions)]
        if words.answer and words.questions:
            every.append(_Written(words.questions[0], True, words.answer))
        for text in every:
            texts.setdefault(text.until(subject), text)
    return texts


def _spread(texts: Mapping[_Written, _Written], count: int) -> dict[_Written, _Written]:
    """Returns at most `count` of the texts, evenly spread."""
    pairs = list(texts.items())
    return dict([pairs[place * len(pairs) // count] for place in range(count)] if len(pairs) > count else pairs)


def namesakes(name: str, count: int, random: Random) -> list[str]:
    """Returns names that share all words but one with `name`: other first names, other last names, by turns."""
    words = name.split()
    pools = lines("first_names.txt"), lines("last_names.txt")
    made: dict[str, None] = {}
    for number in range(8 * count):
        place = len(words) - 1 - number % len(words)
        word = random.choice(pools[0] if place == 0 else pools[1])
        namesake = " ".join([*words[:place], word, *words[place + 1 :]])
        if namesake != name:
            made[namesake] = None
        if len(made) == count:
            break
    return list(made)


def asked_about(model: EditableModel, names: Sequence[str], random: Random, most: int | None = None) -> list[Text]:
    """Returns texts about each of `names`, up to the name: a statement and a question of any relation.

    Args:
        most: wordings of each kind of a relation that are drawn from.
    """
    entries = library()
    texts = []
    for name in names:
        words = random.choice(entries).words.for_model(name)
        texts.append(text_of(model, random.choice(words.statements[:most]), name, chat=False))
        head = model.chat_text([], random.choice(words.questions[:most]))
        texts.append(text_of(model, head, name, chat=True))
    return [text.until_name() for text in texts]
