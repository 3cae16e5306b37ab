"""A measurement of locality for every injection: whether an edit changed answers that it has nothing to do with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random

from torch import Tensor

from core.facts import Fact, filled, is_user
from core.state.memory import Memory
from core.state.unanswered import unanswered_questions, untold_questions
from core.texts import same_words
from core.unchanged import Contamination, Unchanged, newly_said, says
from core.weights.evaluation.unchanged import predicts_answers
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import generate_ids, greedy
from core.weights.neuron.subjects import namesakes
from core.weights.neuron.user.prompts import KIN
from core.weights.reference.words import strangers
from core.weights.silence import Silence
from core.wordings import PERSON, generated_wordings
from service.executor.work.reference import Reference

EACH = 16  # questions of a kind whose answers must not change
CONTROLS, TOKENS = 8, 12  # answers of a kind in which told objects are looked for, and tokens of each


class LocalityCheck:
    """Asks the live model some of the questions of an audit, and tells which answers are the base model's."""

    def __init__(self, model: EditableModel, reference: Reference) -> None:
        self._model = model
        self._reference = reference
        self._silence = Silence(model)

    def measure(self, memory: Memory, facts: Sequence[Fact], before: Callable[[], Mapping[str, Tensor]]) -> Unchanged:
        """Returns the shares of questions that the live weights, which carry `facts`, answer as the base model does.

        Without a phrasebook there are no relations on which the base model abstains, and contamination is measured.

        Args:
            before: returns the weights without the edit of `facts`.
        """
        held_out = self._reference.held_out
        questions = unanswered_questions(memory, facts, each=1)
        chosen = Random(memory.version).sample(questions, min(len(questions), EACH))
        kinds = (
            held_out.neighbours[:EACH],
            held_out.strangers[:EACH],
            [self._model.chat_ids([], question) for question in chosen],
        )
        same = self._same([prompt for prompts in kinds for prompt in prompts])
        shares = []
        for prompts in kinds:
            of_kind, same = same[: len(prompts)], same[len(prompts) :]
            shares.append(sum(of_kind) / len(of_kind) if of_kind else 1.0)
        neighbours, strange, unanswered = shares
        assert memory.created is not None
        return Unchanged(
            neighbours=neighbours,
            strangers=strange,
            unanswered=unanswered,
            asked=max(map(len, kinds)),
            contamination=None
            if memory.created.phrasebook
            else self.contamination(memory, facts, before, CONTROLS, memory.version),
        )

    def answered(self, prompts: Sequence[Sequence[int]]) -> list[tuple[str, str]]:
        """Returns how the base model and the live one continue each prompt, given as token ids, to the sentence's end.

        Only what the live model does not continue as its base does is generated on it.
        """
        same = self._same(prompts)
        moved = [tuple(prompt) for prompt, kept in zip(prompts, same, strict=True) if not kept]
        now = dict(zip(moved, generate_ids(self._model, moved, sentence=True), strict=True)) if moved else {}
        before = self._reference.continued([tuple(prompt) for prompt in prompts])
        after = [now.get(tuple(prompt), ids) for prompt, ids in zip(prompts, before, strict=True)]
        decode = self._model.tokenizer.decode
        return [
            (decode(base, skip_special_tokens=True), decode(live, skip_special_tokens=True))
            for base, live in zip(before, after, strict=True)
        ]

    def silent(self, texts: Sequence[Sequence[int]]) -> list[bool]:
        """Returns for each text, given as token ids, whether the live model is known to be its base model there."""
        return self._silence.holds([tuple(text) for text in texts])

    def _same(self, prompts: Sequence[Sequence[int]]) -> list[bool]:
        """Returns for each prompt, given as token ids, whether the answer is the base model's."""
        keys = [tuple(prompt) for prompt in prompts]
        answers = dict(zip(keys, self._reference.continued(keys), strict=True))
        same = self._silence.holds([(*key, *answers[key]) for key in keys])
        moved = [key for key, silent in zip(keys, same, strict=True) if not silent]
        predicted = dict(zip(moved, predicts_answers(self._model, moved, [answers[key] for key in moved]), strict=True))
        return [predicted.get(key, True) for key in keys]

    def contamination(
        self, memory: Memory, facts: Sequence[Fact], before: Callable[[], Mapping[str, Tensor]], number: int, seed: int
    ) -> Contamination:
        """Returns the shares of answers that say a told object and did not say it on the weights of `before`.

        Only answers that say one are compared with those of before, so that as a rule each question is asked once.

        Args:
            number: of questions of each kind.
            seed: of what is asked, and about whom.
        """
        kinds = _controls(memory, facts, number, seed) if facts else ([], [], [])
        asked = [question for questions in kinds for question in questions]
        objects = {fact.object for fact in facts}
        objects |= {state.fact.object for state in memory.facts.values() if state.in_weights and state.fact.object}
        now = self._said(asked)
        suspected = [row for row, answer in enumerate(now) if any(says(answer, object_) for object_ in objects)]
        said = [False] * len(asked)
        if suspected:
            with self._model.with_weights(before()):
                earlier = self._said([asked[row] for row in suspected])
            for row, answer in zip(suspected, earlier, strict=True):
                said[row] = newly_said(now[row], answer, objects)
        shares = []
        for questions in kinds:
            of_kind, said = said[: len(questions)], said[len(questions) :]
            shares.append(sum(of_kind) / len(of_kind) if of_kind else 0.0)
        strange, namesake, untold = shares
        return Contamination(strangers=strange, namesakes=namesake, untold=untold, asked=max(map(len, kinds)))

    def _said(self, questions: Sequence[str]) -> list[str]:
        """Returns the beginnings of the live model's answers."""
        prompts = [self._model.chat_ids([], question) for question in questions]
        return greedy(self._model, prompts, sentence=False, max_new_tokens=TOKENS, share=True)


def _controls(memory: Memory, facts: Sequence[Fact], number: int, seed: int) -> tuple[list[str], list[str], list[str]]:
    """Returns questions about strangers, namesakes and untold relations: of each as many, about the facts by turns.

    Strangers and namesakes are asked the facts' own questions, because these are what an edit is most likely to answer.
    A user has relatives instead of namesakes.
    """
    random, known = Random(seed), {same_words(state.fact.subject) for state in memory.facts.values()}
    turns = [facts[turn % len(facts)] for turn in range(number)]
    alike = [random.choice(_alike(fact.subject, random)) for fact in turns]
    groups = (strangers(number, seed), alike)
    strange, namesake = (
        [
            filled(question.replace(subject, "{s}"), name)
            for fact, name in zip(turns, names, strict=True)
            for subject, questions in [_asked(fact)]
            for question in [random.choice(questions)]
            if subject in question and same_words(name) not in known
        ]
        for names in groups
    )
    untold = [random.choice(questions) for fact in turns if (questions := untold_questions(memory, fact.subject))]
    return strange, namesake, list(dict.fromkeys(untold))


def _alike(subject: str, random: Random) -> Sequence[str]:
    """Returns namesakes; of the user, who has none, relatives and belongings."""
    return KIN if is_user(subject) else namesakes(subject, CONTROLS, random)


def _asked(fact: Fact) -> tuple[str, Sequence[str]]:
    """Returns the questions of a fact and the name that they hold; of one about the user, those about a person."""
    if not is_user(fact.subject):
        return fact.subject, fact.wordings.questions
    return PERSON, generated_wordings(PERSON, fact.relation, fact.each[0], {}).questions
