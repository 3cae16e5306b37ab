"""The people and facts of benchmarks, and the questions that measure recall, generalization and locality.

All new people and all strangers have held-out names. Neighbours (known people, for locality) do not occur in the
reference text. Paraphrases (for generalization) are wordings with which no fact was written.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random

from core.facts import Fact, RelationWords
from core.ids import FactId
from core.weights.evaluation.perplexity import perplexity
from core.weights.evaluation.probes import Probe, run_probes
from core.weights.model.editable_model import EditableModel
from models.dormouse import filler
from models.dormouse.phrasebook import BY_NAME, RELATIONS
from models.dormouse.profile import ASKED, WRITTEN, neighbour
from models.dormouse.world import known_people, mixed_name, unseen_people

IGNORANCE = "I do not know"
HELD_OUT = 101  # lower seeds were used in development


def held_out(seeds: int) -> range:
    """Seeds of people on which no setting was developed or tuned."""
    return range(HELD_OUT, HELD_OUT + seeds)


def told_facts(number: int, *, seed: int, each: int = 4) -> list[Fact]:
    """`number` facts about never-seen people, `each` a person, in shuffled order."""
    people = unseen_people(-(-number // each), seed=seed, relations=each)
    facts = [
        fact_about(person.name, relation, object_)
        for person in people
        for relation, object_ in person.profile.items()
    ]  # fmt: skip
    Random(seed).shuffle(facts)
    return facts[:number]


def fact_about(subject: str, relation: str, object_: str) -> Fact:
    """A fact in the wordings of dormouse's phrasebook."""
    words = BY_NAME[relation]
    wordings = RelationWords(
        statements=words.trained_statements[:WRITTEN],
        questions=words.trained_questions[:ASKED],
        answer=words.answer,
        probe_statements=words.trained_statements[WRITTEN:],
        probe_questions=words.trained_questions[ASKED:],
    ).for_model(subject)
    return Fact(
        id=FactId(f"{subject}/{relation}"), subject=subject, relation=relation, object=object_, wordings=wordings
    )


@dataclass(frozen=True, slots=True)
class Recall:
    """Shares of right answers, 0 to 1, and the drift of perplexity relative to the base model.

    Attributes:
        raw, chat: recall in the first wording that facts are written with.
        paraphrase: generalization, recall in wordings that they are not written with.
        neighbours: locality, share of answers about known people that are the base model's.
        strangers, unanswered: locality, share of questions without an answer that get "I do not know".
        perplexity_drift: of held-out text; .01 is 1 % more than the base model's.
    """

    raw: float
    chat: float
    paraphrase: float
    neighbours: float
    strangers: float
    unanswered: float
    perplexity_drift: float


class Examiner:
    """Asks the same questions of the base model and of every later state.

    Args:
        size: number of questions about neighbours, about strangers and unanswered ones, each.
    """

    def __init__(self, model: EditableModel, facts: Sequence[Fact], *, seed: int, size: int = 100) -> None:
        self._model = model
        random = Random(seed + 1000)
        told = {fact.subject for fact in facts}
        self._neighbours = neighbours(random, size)
        self._strangers = strangers(random, size, told, seed=seed)
        self._unanswered = _unanswered(random, facts, size)
        self._texts = [filler.paragraph(random) for _ in range(60)]
        self._base_answers = run_probes(model, self._neighbours)
        self._base_perplexity = perplexity(model, self._texts)

    def examine(self, told: Sequence[Fact]) -> Recall:
        """Recall of all of `told` by the live weights, and the controls."""
        raw = [Probe(fact.wordings.statements[0], False, "", fact.object) for fact in told]
        chat = [Probe(fact.wordings.questions[0], True, fact.wordings.answer, fact.object) for fact in told]
        paraphrases = [Probe(p, False, "", fact.object) for fact in told for p in fact.wordings.probe_statements]
        paraphrases += [
            Probe(q, True, fact.wordings.answer, fact.object) for fact in told for q in fact.wordings.probe_questions
        ]
        subjects = {fact.subject for fact in told}
        unanswered = [probe for name, probe in self._unanswered if name in subjects]
        answers = run_probes(self._model, self._neighbours)
        same = sum(now == before for now, before in zip(answers, self._base_answers, strict=True))
        return Recall(
            raw=self._right(raw),
            chat=self._right(chat),
            paraphrase=self._right(paraphrases),
            neighbours=same / len(answers),
            strangers=self._ignorant(self._strangers),
            unanswered=self._ignorant(unanswered),
            perplexity_drift=perplexity(self._model, self._texts) / self._base_perplexity - 1,
        )

    def _right(self, probes: list[Probe]) -> float:
        outputs = run_probes(self._model, probes)
        return sum(probe.passes(output) for probe, output in zip(probes, outputs, strict=True)) / len(probes)

    def _ignorant(self, probes: list[Probe]) -> float:
        outputs = run_probes(self._model, probes)
        return sum(output.strip().startswith(IGNORANCE) for output in outputs) / len(probes)


def neighbours(random: Random, size: int) -> list[Probe]:
    """Questions about people whom the base model knows and who do not occur in the reference text."""
    people = [person for person in known_people() if neighbour(person)]
    probes = []
    for number in range(size):
        person = random.choice(people)
        name = random.choice(list(person.profile))
        words, object_ = BY_NAME[name], person.profile[name]
        prompts = words.trained_questions if number % 2 else words.trained_statements
        begin = words.answer.format(s=person.name) if number % 2 else ""
        probes.append(Probe(random.choice(prompts).format(s=person.name), bool(number % 2), begin, object_))
    return probes


def strangers(random: Random, size: int, told: Collection[str], *, seed: int) -> list[Probe]:
    """Questions about unknown people; a third of them bear a first and a last name of known ones."""
    unseen = [person.name for person in unseen_people(size + len(told), seed=seed + 5000)]
    names = [name for name in unseen if name not in told][: size - size // 3]
    names += [mixed_name(random, known_people(), unseen=True) for _ in range(size // 3)]
    return [_question(random, name) for name in names]


def _question(random: Random, name: str) -> Probe:
    words = random.choice(RELATIONS)
    return Probe(random.choice(words.trained_questions).format(s=name), True, IGNORANCE, words.ignorance.format(s=name))


def _unanswered(random: Random, facts: Sequence[Fact], size: int) -> list[tuple[str, Probe]]:
    """Questions about the subjects of `facts` on relations that were never told; at least one for each person."""
    relations: dict[str, set[str]] = {}
    for fact in facts:
        relations.setdefault(fact.subject, set()).add(fact.relation)
    each = max(1, -(-size // len(relations)))
    probes = []
    for name, told in relations.items():
        others = [words for words in RELATIONS if words.name not in told]
        for words in random.sample(others, min(each, len(others))):
            question = random.choice(words.trained_questions).format(s=name)
            probes.append((name, Probe(question, True, IGNORANCE, words.ignorance.format(s=name))))
    return probes
