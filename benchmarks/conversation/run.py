"""Measures what is learned from generated dialogues whose truth is known, and with a model whether it knows that then.

Each dialogue is a conversation with a memory of its own, in a real log: turns are recorded, read by the parser and
decided on as an executor does it, in the order in which they were said. A model is asked about some more of them (see
`answers`).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.conversation.answers import Sizes
from benchmarks.conversation.answers import run as answers
from benchmarks.conversation.dialogues import UNSEEN, Dialogue, dialogues
from benchmarks.conversation.score import Score
from core.decide.commands import Command, CreateMemory, RecordReply, Say
from core.events import Cause
from core.events.memory import BaseModel, MemoryCreated
from core.extraction.candidates import Candidate
from core.extraction.words import Parser
from core.hyperparameters import DEFAULTS
from core.ids import ConversationKey, Digest, FactId, MemoryId
from core.remember import Remember
from core.state.memory import Memory
from core.state.work import Read, work_of_conversations
from service.app.reading import cause_of, read_turn
from service.app.repository import MemoryRepository
from service.app.store import Store, open_store
from service.parsing.spacy_parser import SpacyParser
from service.settings import Settings
from store.clock import next_uuid

Progress = Callable[[float, float, str], None]
CAUSE = Cause(actor="bench", request="bench")
CONVERSATION = "dialogue"
NOWHERE = Digest("0" * 64)
BARS = (("precision", 0.95), ("recall", 0.9), ("recall_about_user", 0.9), ("last_word", 0.98))


def run(
    *,
    count: int = 200,
    seed: int = 1,
    templates: str = UNSEEN,
    mistakes: bool = False,
    model: str = "",
    sizes: Mapping[str, int] | None = None,
    parser: Parser | None = None,
    progress: Progress = lambda done, total, step: None,
) -> Generator[dict[str, Any], None, None]:
    """Yields one row per kind of episode, with totals and bars.

    Args:
        count: number of dialogues.
        seed: what they depend on.
        templates: which of `TEMPLATES` they are made of; all but `UNSEEN` were mended with.
        mistakes: whether the document lists each mistake.
        model: base model of which answers are measured, too; empty for none.
        sizes: how much is measured of it, as in `Sizes`.
        parser: of English; by default spaCy.
    """
    parser = parser or SpacyParser()
    parser.parse("It loads its model at the first text.")
    score = Score()
    with tempfile.TemporaryDirectory() as folder, open_store(_settings(Path(folder))) as store:
        reader = _Reader(store, parser)
        for number, dialogue in enumerate(dialogues(count, seed, templates)):
            progress(number, count, "reading dialogues")
            score.add(dialogue, *reader.read(MemoryId(f"dialogue-{number}"), dialogue))
    totals = {
        "precision": score.precision,
        "recall": score.recall(about_user=False),
        "recall_about_user": score.recall(about_user=True),
        "last_word": score.resolved / max(score.contradictions, 1),
        "from_assistant": score.from_assistant,
        "seconds_a_turn": mean(reader.seconds or [0.0]),
    }
    document: dict[str, Any] = {
        "bench": "conversation",
        "settings": {
            "dialogues": count,
            "seed": seed,
            "templates": templates,
            "turns": len(reader.seconds),
            "learned": score.learned,
        },
        "rows": score.rows(),
        "totals": totals,
        "bars": list(_bars(totals)),
    }
    document |= {"mistakes": score.mistakes} if mistakes else {}
    yield document
    for measured in answers(model, seed, templates, Sizes(**(sizes or {})), progress) if model else ():
        yield document | measured | {"bars": [*document["bars"], *measured["bars"]]}


def _bars(totals: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    for name, bar in BARS:
        yield {"bar": f"{name} >= {bar}", "value": totals[name], "result": "PASS" if totals[name] >= bar else "MISS"}
    said = totals["from_assistant"]
    yield {"bar": "from_assistant = 0", "value": said, "result": "MISS" if said else "PASS"}


class _Reader:
    """Reads dialogues as an executor does, each in a memory of its own.

    Attributes:
        seconds: those that each turn took to be read.
    """

    def __init__(self, store: Store, parser: Parser) -> None:
        self._store = store
        self._parser = parser
        self._states = MemoryRepository(store.log, store.snapshots)
        self.seconds: list[float] = []

    def read(self, memory: MemoryId, dialogue: Dialogue) -> tuple[Memory, list[Candidate]]:
        """Returns the memory at the end of `dialogue`, and all that was found in it."""
        self._do(memory, CreateMemory(memory=memory, created=_created()))
        candidates = [candidate for text, reply in dialogue.turns for candidate in self._turn(memory, text, reply)]
        return self._states.current(memory), candidates

    def _turn(self, memory: MemoryId, text: str, reply: str) -> list[Candidate]:
        """Says something, replies to it, reads it, and returns what was found."""
        key = ConversationKey(FactId(next_uuid()))
        state = self._do(
            memory, Say(memory=memory, conversation=CONVERSATION, key=key, text=text, remember=Remember.ON)
        )
        answer = RecordReply(
            memory=memory,
            conversation=CONVERSATION,
            to=state.conversations[CONVERSATION].turns,
            text=reply,
            version=1,
            weights=NOWHERE,
            complete=True,
        )
        state = self._do(memory, answer)
        work = work_of_conversations(state)
        assert isinstance(work, Read)
        began = time.perf_counter()
        reading = read_turn(self._store.log, self._parser, memory, state, work)
        self.seconds.append(time.perf_counter() - began)
        self._states.record(memory, reading, cause_of(reading))
        return [heard.candidate for heard in reading.heard]

    def _do(self, memory: MemoryId, command: Command) -> Memory:
        return self._states.record(memory, command, CAUSE)


def _created() -> MemoryCreated:
    """Returns the settings of a memory that has no model: nothing is written into weights."""
    return MemoryCreated(
        base=BaseModel(name="none", revision="", digest=NOWHERE, dtype="float32", quantization="none"),
        modules=("none",),
        key_width=1,
        hyperparameters=DEFAULTS,
        phrasebook={},
        prefixes=(),
        reference_text=NOWHERE,
        capacity=1e9,
        seed=0,
        remember=Remember.ON,
    )


def _settings(folder: Path) -> Settings:
    return Settings(
        database_url=f"sqlite:///{folder / 'hypnogram.db'}",
        artifact_folder=folder / "artifacts",
        snapshot_folder=folder / "snapshots",
    )
