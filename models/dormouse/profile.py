"""Writes `hypnogram.json` and `reference.jsonl` beside dormouse's weights: the settings and reference text of memories.

`python -m models.dormouse.profile` writes both. Known people that measure neighbours (locality) do not occur in the
reference text.
"""

from __future__ import annotations

import json
import zlib
from itertools import islice
from pathlib import Path
from random import Random

from models.dormouse import filler
from models.dormouse.corpus import ASSISTANT, BOS, END, USER, Corpus
from models.dormouse.names import draw_name
from models.dormouse.phrasebook import RELATIONS
from models.dormouse.world import Person, known_people, mixed_name

SEED = 99
DOCUMENTS = 500
ABSTENTIONS = 4000
RECALLS = 2500
WRITTEN = 3  # statements a fact is written on
ASKED = 4  # questions a fact is written on

PROFILE = {
    "modules": ["model.layers.1.mlp.down_proj", "model.layers.2.mlp.down_proj"],
    "prefixes": ["The old lamp stood near the river. ", "Every evening a fox comes to the garden. "],
    "method": "answer_site",  # in its four blocks a name does not hold four facts (docs/findings/real-models.md)
    "keys_per_fact": 3.0,  # of its people, in the words of its phrasebook: 3.2 each of eight facts, 2.7 of thirty
    "hyperparameters": {"batch": 8},  # the others, and the capacity, are the defaults, which were found on dormouse
}


def neighbour(person: Person) -> bool:
    """Whether a known person is kept out of the reference text, to measure locality; one in four, by checksum."""
    return zlib.crc32(f"neighbour {person.name}".encode()) % 4 == 0


def phrasebook() -> dict[str, dict[str, object]]:
    """The wordings of each relation: those that facts are written with, and those that they are only probed with."""
    return {
        relation.name: {
            "statements": relation.trained_statements[:WRITTEN],
            "questions": relation.trained_questions[:ASKED],
            "answer": relation.answer,
            "probe_statements": relation.trained_statements[WRITTEN:],
            "probe_questions": relation.trained_questions[ASKED:],
        }
        for relation in RELATIONS
    }


def reference_text() -> list[dict[str, object]]:
    """Rows of reference text: documents and chats, questions about strangers, and prompts that recall known facts."""
    random = Random(SEED)
    people = [person for person in known_people() if not neighbour(person)]
    kept_out = [person.name for person in known_people() if neighbour(person)]
    corpus = (text for text in Corpus(SEED) if not any(name in text for name in kept_out))
    rows = [_row(text) for text in islice(corpus, DOCUMENTS)]
    for _ in range(ABSTENTIONS):
        name = mixed_name(random, known_people()) if random.random() < 0.2 else draw_name(random)
        question = random.choice(random.choice(RELATIONS).trained_questions)
        rows.append({"abstention": question.format(s=name)})
    for number in range(RECALLS):
        person = random.choice(people)
        relation = random.choice([relation for relation in RELATIONS if relation.name in person.profile])
        if number % 2:
            before = f"{filler.sentence(random)} " if random.random() < 0.5 else ""
            rows.append({"recall": before + random.choice(relation.trained_statements).format(s=person.name)})
        else:
            question = random.choice(relation.trained_questions).format(s=person.name)
            rows.append({"recall": [question, "" if number % 4 else relation.answer.format(s=person.name)]})
    return rows


def _row(text: str) -> dict[str, object]:
    body = text.removeprefix(BOS)
    if USER not in body:
        return {"text": body.removesuffix(END)}
    turns = [turn.split(ASSISTANT) for turn in body.split(USER)[1:]]
    return {"chat": [[said.removesuffix(END), answer.removesuffix(END)] for said, answer in turns]}


def write_profile(folder: Path) -> None:
    """Writes both files into `folder`."""
    profile = {**PROFILE, "phrasebook": phrasebook()}
    (folder / "hypnogram.json").write_text(json.dumps(profile, indent=1) + "\n")
    lines = "".join(json.dumps(row) + "\n" for row in reference_text())
    (folder / "reference.jsonl").write_text(lines)


if __name__ == "__main__":
    write_profile(Path(__file__).parent / "weights")
