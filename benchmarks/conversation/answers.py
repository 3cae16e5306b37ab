"""Measures whether a model knows what was said in dialogues that are over, and what remembering costs a chat.

Dialogues are held with a server, whose executor reads turns and writes facts. Then this process builds the weights from
the log and asks them with an empty context, beside the base model with the dialogue or with retrieved turns before the
question. A run that is killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from statistics import mean
from typing import Any

from benchmarks.conversation.asking import Weights, WithContext, in_prompt, retrieved
from benchmarks.conversation.holding import TOLD, Holding
from benchmarks.conversation.questions import Question, Session, general_questions, session
from benchmarks.real.answers import BaseReplies
from benchmarks.real.state import Unfinished, cache
from benchmarks.serve.hosts import hosting
from benchmarks.support.place import Place, state_of
from benchmarks.support.provenance import commit, machine
from core.state.memory import Memory, Status
from hypnogram.client import Client
from service.app.repository import MemoryRepository
from service.app.store import Store, open_store
from service.parsing.phrase_model import PACKAGE, PhraseModel
from service.settings import Settings
from service.weights.base_models import BaseModels
from service.weights.delta_store import DeltaStore
from service.weights.projection import build_verified
from service.weights.torch_setup import prepare_torch

SHIPPED = "dormouse"
CODE = ("benchmarks/conversation", "benchmarks/serve", "service/app", "service/parsing", "service/rpc")
SERVICE, WEIGHTS, PROMPT, RETRIEVAL, BASE = "service", "weights", "prompt", "retrieval", "base"
OTHERS, OTHERS_LEARNED, OWN, OWN_LEARNED, GENERAL = (
    "others answered", "others answered, of learned", "own answered", "own answered, of learned", "general unchanged",
)  # fmt: skip
SPEED, DELAY = "tokens a second, remember on of off", "seconds from a turn's end to an answer"
BARS = (
    (WEIGHTS, OTHERS, 0.95),
    (WEIGHTS, OTHERS_LEARNED, 0.95),
    (WEIGHTS, OWN, 0.9),
    (WEIGHTS, OWN_LEARNED, 0.9),
    (WEIGHTS, GENERAL, 0.98),
    (SERVICE, SPEED, 0.97),
)

Progress = Callable[[float, float, str], None]
Arm = Weights | WithContext


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    Attributes:
        dialogues, about_user, general: numbers of dialogues, of facts about the user, of general questions.
        pairs, tokens: of replies with and without `remember`, and their most tokens.
    """

    dialogues: int = 3
    about_user: int = 2
    general: int = 100
    pairs: int = 8
    tokens: int = 48


def run(model: str, seed: int, templates: str, sizes: Sizes, progress: Progress) -> Iterator[dict[str, Any]]:
    """Yields the rows so far, and the verdicts of their bars, under `answers` and `bars`."""
    prepare_torch(Settings(torch_threads=1))
    settings = {"model": model, "seed": seed, "templates": templates, **asdict(sizes)}
    kept = Unfinished("conversation", settings, CODE)
    spoken = session(sizes.dialogues, seed, templates, sizes.about_user)
    place = Place(kept.memory("held"))
    for _ in _held(place, spoken, "" if model == SHIPPED else model, sizes, kept, progress):
        yield _document(kept.rows)
    with open_store(place.settings()) as store:
        for _ in _asked(store, spoken, sizes, kept, progress):
            yield _document(kept.rows)
    kept.end()


def _held(
    place: Place, spoken: Session, model: str, sizes: Sizes, kept: Unfinished, progress: Progress
) -> Iterator[None]:
    """Holds the dialogues; yields after each row."""
    if kept.row(measure="facts written") is not None:
        return
    steps = len(spoken.dialogues) + 2
    with (
        hosting(place, threads=1, executor=True) as host,
        Client(host.address, actor="bench") as client,
        open_store(place.settings()) as store,
    ):
        holding = Holding(client, MemoryRepository(store.log, store.snapshots))
        progress(0, steps, "preparing")
        holding.create(model)
        if kept.row(measure=SPEED) is None:
            progress(1, steps, "replies with and without remember")
            for row in _rates(holding, sizes):
                kept.add(row)
            yield
        for number, known in holding.hold(spoken):
            progress(number + 2, steps, "holding dialogues")
            if known is not None:
                kept.add(_row(SERVICE, DELAY, 1, known.answered, dialogue=number, said=known.said))
                kept.add(_row(SERVICE, "seconds of it until the fact was written", 1, known.written, dialogue=number))
                yield
        for row in _written(state_of(store, TOLD)):
            kept.add(row)
        yield


def _rates(holding: Holding, sizes: Sizes) -> Iterator[dict[str, Any]]:
    """Yields how fast replies are, with and without `remember`, in turns that state nothing, one after the other."""
    for remember in ("on", "off"):  # loads the parser and the model
        holding.rate(0, sizes.tokens, remember)
    rates: dict[str, list[float]] = {"on": [], "off": []}
    for number in range(sizes.pairs):
        for remember in ("on", "off") if number % 2 else ("off", "on"):
            rates[remember].append(holding.rate(number, sizes.tokens, remember))
    for remember, measured in rates.items():
        yield _row(SERVICE, f"tokens a second, remember {remember}", len(measured), mean(measured))
    yield _row(SERVICE, SPEED, sizes.pairs, mean(rates["on"]) / mean(rates["off"]))


def _written(state: Memory) -> Iterator[dict[str, Any]]:
    live = [fact for fact in state.facts.values() if not fact.retracted]
    yield _row(SERVICE, "facts written", len(live), sum(fact.status is Status.INJECTED for fact in live))
    yield _row(SERVICE, "facts parked", len(live), sum(fact.status is Status.PARKED for fact in live))


def _asked(store: Store, spoken: Session, sizes: Sizes, kept: Unfinished, progress: Progress) -> Iterator[None]:
    """Asks the weights and what they are compared with; yields after each of them."""
    state = state_of(store, TOLD)
    assert state.created is not None
    bases = BaseModels("cpu")
    base, live = bases.clone(state.created), bases.clone(state.created)
    live.install(build_verified(live, DeltaStore(store.artifacts, store.log.keyring), state))
    replies = BaseReplies(base, cache(), state.created.base.digest)
    arms: dict[str, Arm] = {
        WEIGHTS: Weights(live, replies), BASE: Weights(base, replies), PROMPT: WithContext(base, in_prompt(spoken)),
    }  # fmt: skip
    if find_spec(PACKAGE) is not None:
        arms[RETRIEVAL] = WithContext(base, retrieved(spoken, PhraseModel()))
    general = list(enumerate(general_questions(sizes.general)))
    before = Weights(base, replies).whole(general)
    for number, (name, arm) in enumerate(arms.items()):
        if kept.row(method=name, measure=GENERAL) is None:
            progress(number, len(arms), f"asking: {name}")
            rows = list(_answered(name, arm, spoken.questions, state))
            same = [now == then for now, then in zip(arm.whole(general), before, strict=True)]
            for row in (*rows, _row(name, GENERAL, len(same), mean(same) if same else 1.0)):
                kept.add(row)
            yield


def _answered(name: str, arm: Arm, questions: Sequence[Question], state: Memory) -> Iterator[dict[str, Any]]:
    """Yields the shares of questions that are answered: of all that was said, and of what the memory holds of it."""
    answers = arm.answers([(question.dialogue, question.prompt) for question in questions])
    right = [question.is_right(answer) for question, answer in zip(questions, answers, strict=True)]
    known = [question.is_learned(state) for question in questions]
    for about_user, (said, of_learned) in ((False, (OTHERS, OTHERS_LEARNED)), (True, (OWN, OWN_LEARNED))):
        places = [place for place, question in enumerate(questions) if question.about_user is about_user]
        for measure, chosen in ((said, places), (of_learned, [place for place in places if known[place]])):
            if chosen:
                yield _row(name, measure, len(chosen), mean(right[place] for place in chosen))


def _row(method: str, measure: str, asked: int, value: float, **beside: Any) -> dict[str, Any]:
    return {"method": method, "measure": measure, "asked": asked, "value": float(value), **beside} | {
        "commit": commit(), "machine": machine(),
    }  # fmt: skip


def _document(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"answers": list(rows), "bars": list(verdicts(rows))}


def verdicts(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yields the verdicts of the bars whose rows are there."""
    for method, measure, limit in BARS:
        for row in rows:
            if (row["method"], row["measure"]) == (method, measure):
                result = "PASS" if row["value"] >= limit else "MISS"
                yield {"bar": f"{method}: {measure} >= {limit}", "value": row["value"], "result": result}
