"""A base model without a chat template: told and asked in lines of text, rebuilt from the log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.support.tiny import make
from core.state.memory import Status
from core.weights.model.contexts import written_contexts
from service.app.store import open_store
from service.weights.base_models import BaseModels
from service.weights.live_models import LiveModels
from tests.golden.neurons import by_hand
from tests.prepared import DEMO, Place, create, state_of, tell, work

FACTS = [("Aria Moss", "lives in", "Rome"), ("Bo Lind", "lives in", "Oslo")]


@pytest.fixture
def lines(tmp_path: Path) -> Place:
    """The folder of a memory on a tiny model that has no chat template."""
    made = Place(tmp_path)
    (make(made.folder / "base") / "chat_template.jinja").unlink()
    return made


def test_a_model_without_a_chat_template_is_told_asked_and_rebuilt(lines: Place, bases: BaseModels) -> None:
    with open_store(lines.settings()) as store:
        # given a memory on it
        create(store, str(lines.folder / "base"))
        models = LiveModels(store.log, store.artifacts, store.snapshots, lines.settings())
        models.bases = bases

        # when it is told facts
        told = tell(store, *FACTS)
        work(store, bases)

        # then each is written with a line break as the last token of its answer
        state = state_of(store)
        assert {state.facts[fact].status for fact in told} == {Status.INJECTED}
        assert state.created is not None
        base = bases.clone(state.created)
        chats = [text for text in written_contexts(base, [state.facts[told[0]].fact], ()) if text.chat]
        assert {text.ids[-1] for text in chats} == {base.end_of_turn()}
        assert {base.tokenizer.decode(text.ids).count("\n") for text in chats} == {3}

        # and said in one line, which ends by itself
        for subject, _, object_ in FACTS:
            asked = [{"role": "user", "content": f"Where does {subject} live?"}]
            pieces = list(models.generate(DEMO, messages=asked, prompt=None, max_tokens=64, at_version=None))
            assert "".join(piece.text for piece in pieces) == f"{subject} lives in {object_}."
            assert pieces[-1].finish == "stop"

        # and rebuilt to the digest of the log
        report = models.replay(DEMO, None, lambda done, total, step: None, lambda: False)
        assert report.rebuilt == state.weights


def test_neurons_are_written_and_rebuilt_without_a_chat_template(lines: Place, bases: BaseModels) -> None:
    profile = lines.folder / "base" / "hypnogram.json"
    profile.write_text(json.dumps(json.loads(profile.read_text()) | {"method": "neuron"}))
    with open_store(lines.settings()) as store, by_hand():
        create(store, str(lines.folder / "base"))
        told = tell(store, *FACTS)
        work(store, bases)

        state = state_of(store)
        assert {state.facts[fact].status for fact in told} == {Status.INJECTED}
        models = LiveModels(store.log, store.artifacts, store.snapshots, lines.settings())
        models.bases = bases
        report = models.replay(DEMO, None, lambda done, total, step: None, lambda: False)
        assert report.rebuilt == state.weights
