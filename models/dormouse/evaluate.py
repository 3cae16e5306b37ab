"""Measures dormouse: `python -m models.dormouse.evaluate` prints one JSON document.

No prompt occurs in training: known facts are asked for after a sentence or a turn of small talk that is not in the
corpus, and all strangers, copied names and described people have held-out names.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from core.weights.evaluation.perplexity import perplexity
from core.weights.model.editable_model import EditableModel, load_model
from core.weights.model.generation import greedy
from models.dormouse import filler
from models.dormouse.corpus import answer, state
from models.dormouse.names import draw_name
from models.dormouse.phrasebook import BY_NAME, RELATIONS, Relation
from models.dormouse.world import Person, known_people, mixed_name, unseen_people

PROBES = 400
Turns = list[tuple[str, str]]


def evaluate(model: EditableModel, seed: int = 5) -> dict[str, float]:
    """Shares of right answers by greedy free generation, each over 400 probes, and two perplexities."""
    random = Random(seed)
    known = [(person, BY_NAME[name]) for person in known_people() for name in person.profile]
    raw, chat = random.sample(known, PROBES), random.sample(known, PROBES)
    gaps = [(person, words) for person in known_people() for words in RELATIONS if words.name not in person.profile]
    strangers = [Person(draw_name(random, unseen=True), {}) for _ in range(PROBES)]
    mixed = [Person(mixed_name(random, known_people(), unseen=True), {}) for _ in range(PROBES)]
    described = unseen_people(PROBES, seed=seed, relations=2)
    biographies = [" ".join(state(random, BY_NAME[n], p.name, o) for n, o in p.profile.items()) for p in known_people()]
    return {
        "own facts, raw": _raw(model, random, raw),
        "own facts, chat": _asked(model, random, chat, turn=True),
        "own facts, raw, unseen wording": _raw(model, random, raw, unseen=True),
        "own facts, chat, unseen wording": _asked(model, random, chat, unseen=True),
        "strangers, unseen names": _abstained(model, random, strangers),
        "strangers, new pairs of known names": _abstained(model, random, mixed),
        "strangers, whole sentence right": _asked(model, random, [(p, random.choice(RELATIONS)) for p in strangers]),
        "gaps of known people": _asked(model, random, random.sample(gaps, PROBES)),
        "unseen names copied": _copied(model, random),
        "from context": _from_context(model, random, described),
        "perplexity, held-out everyday text": perplexity(model, [filler.paragraph(random) for _ in range(200)]),
        "perplexity, biographies": perplexity(model, biographies),
    }


def _raw(model: EditableModel, random: Random, facts: list[tuple[Person, Relation]], unseen: bool = False) -> float:
    prompts = []
    for person, words in facts:
        statement = words.statements[-1] if unseen else random.choice(words.trained_statements)
        before = "" if unseen else f"{filler.sentence(random)} "
        prompts.append(model.raw_ids(before + statement.format(s=person.name)))
    outputs = greedy(model, prompts, sentence=True)
    return _share([o.strip() == f"{p.profile[w.name]}." for o, (p, w) in zip(outputs, facts, strict=True)])


def _asked(
    model: EditableModel,
    random: Random,
    asked: list[tuple[Person, Relation]],
    *,
    turn: bool = False,
    unseen: bool = False,
) -> float:
    prompts = []
    for person, words in asked:
        question = (words.questions[-1] if unseen else random.choice(words.trained_questions)).format(s=person.name)
        before = [filler.small_talk(random)] if turn else []
        prompts.append(model.chat_ids(before, question))
    outputs = greedy(model, prompts, sentence=False)
    return _share([o.strip() == answer(words, p) for o, (p, words) in zip(outputs, asked, strict=True)])


def _abstained(model: EditableModel, random: Random, strangers: list[Person]) -> float:
    prompts = []
    for person in strangers:
        words = random.choice(RELATIONS)
        prompts.append(model.chat_ids([], random.choice(words.trained_questions).format(s=person.name)))
    return _share([o.strip().startswith("I do not know") for o in greedy(model, prompts, sentence=False)])


def _copied(model: EditableModel, random: Random) -> float:
    names = [draw_name(random, unseen=True) for _ in range(PROBES)]
    forms = (
        ("I am {n}. What is my name?", "Your name is {n}."),
        ("Please greet {n}.", "Hello, {n}."),
        ("My name is {n}.", "Nice to meet you, {n}."),
    )
    chosen = [random.choice(forms) for _ in names]
    prompts = [model.chat_ids([], said.format(n=name)) for name, (said, _) in zip(names, chosen, strict=True)]
    outputs = greedy(model, prompts, sentence=False)
    return _share([o.strip() == f.format(n=n) for o, n, (_, f) in zip(outputs, names, chosen, strict=True)])


def _from_context(model: EditableModel, random: Random, described: tuple[Person, ...]) -> float:
    prompts, expected = [], []
    for person in described:
        words = BY_NAME[random.choice(list(person.profile))]
        told = " ".join(state(random, BY_NAME[n], person.name, o) for n, o in person.profile.items())
        question = random.choice(words.trained_questions).format(s=person.name)
        turns: Turns = [(told, "I see.")] if random.random() < 0.5 else []
        prompts.append(model.chat_ids(turns, question if turns else f"{told} {question}"))
        expected.append(answer(words, person))
    outputs = greedy(model, prompts, sentence=False)
    return _share([o.strip() == e for o, e in zip(outputs, expected, strict=True)])


def _share(outcomes: list[bool]) -> float:
    return sum(outcomes) / len(outcomes)


if __name__ == "__main__":
    print(json.dumps(evaluate(load_model(Path(__file__).parent / "weights")), indent=1))
