"""Exports of a memory on dormouse, read by processes that know nothing of this project."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoTokenizer

from core.state.plan import plan
from core.weights.deltas.digest import weights_digest
from core.weights.deltas.fixed_point import Delta
from core.weights.export import Origin, export_adapter, export_merged
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import greedy
from service.app.store import open_store
from service.settings import DORMOUSE
from service.weights.base_models import BaseModels
from service.weights.delta_store import DeltaStore
from service.weights.projection import build_verified, columns_of
from tests.core.weights import stock
from tests.patience import PATIENCE
from tests.prepared import DEMO, Place, bases, place, prepared, state_of

__all__ = ["bases", "place", "prepared"]

TOLERANCE = 1e-4  # of logits; 4e-6 was measured, but other machines add in other orders
pytestmark = pytest.mark.filterwarnings("ignore")  # stock tools remark on this and that


@dataclass
class Told:
    """A memory on dormouse, and what it says."""

    subject: EditableModel
    columns: list[tuple[Delta, slice, float]]
    weights: dict[str, Tensor]
    origin: Origin
    raw: list[str]
    chat: list[str]

    def say(self) -> tuple[list[str], list[Tensor]]:
        prompts = [self.subject.raw_ids(text) for text in self.raw]
        prompts += [self.subject.chat_ids([], question) for question in self.chat]
        with self.subject.with_weights(self.weights):
            said = greedy(self.subject, prompts, sentence=False, max_new_tokens=12)
            return said, [last_logits(self.subject, ids) for ids in prompts]


@torch.inference_mode()
def last_logits(model: EditableModel, ids: list[int]) -> Tensor:
    logits: Tensor = model.network(input_ids=torch.tensor([ids])).logits[0, -1].float()
    return logits


@pytest.fixture
def told(place: Place, bases: BaseModels) -> Iterator[Told]:
    with open_store(place.settings()) as store:
        state, deltas = state_of(store), DeltaStore(store.artifacts, store.log.keyring)
        assert state.created is not None
        model = bases.clone(state.created)
        wanted = plan(state)
        columns = columns_of(deltas, wanted)
        weights = build_verified(model, deltas, state)
        origin = Origin(
            memory=DEMO,
            version=state.version,
            base=state.created.base,
            plan=wanted.digest,
            weights=weights_digest(weights),
        )
        words = [one.fact.wordings for one in state.facts.values()]
        yield Told(
            model,
            columns,
            weights,
            origin,
            raw=[text for one in words for text in (*one.statements, *one.probe_statements)],
            chat=[text for one in words for text in (*one.questions, *one.probe_questions)],
        )


def ask(told: Told, folder: Path, base: Path, adapter: Path | None, dtype: str) -> tuple[Any, list[Tensor]]:
    """What a process of stock libraries says."""
    reply = folder / "reply.json"
    task = {
        "base": str(base),
        "adapter": str(adapter) if adapter else "",
        "dtype": dtype,
        "raw": told.raw,
        "chat": told.chat,
        "reply": str(reply),
    }
    (folder / "task.json").write_text(json.dumps(task))
    # -I: neither this folder nor the environment add to what can be imported
    command = [sys.executable, "-I", stock.__file__, str(folder / "task.json")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    logits = load_file(f"{reply}.safetensors")
    return json.loads(reply.read_text()), [logits[str(number)] for number in range(len(logits))]


def test_stock_peft_in_another_process_says_what_the_memory_says(told: Told, tmp_path: Path) -> None:
    said, logits = told.say()
    export_adapter(tmp_path / "adapter", told.subject, told.columns, told.origin)

    reply, theirs = ask(told, tmp_path, DORMOUSE, tmp_path / "adapter", "float32")

    assert reply["ours"] == []
    assert reply["said"] == said
    assert any("Lisbon" in one for one in said)
    difference = max((mine - one).abs().max().item() for mine, one in zip(logits, theirs, strict=True))
    assert difference < TOLERANCE


def test_stock_transformers_in_another_process_says_what_the_memory_says(told: Told, tmp_path: Path) -> None:
    said, logits = told.say()
    export_merged(tmp_path / "merged", told.subject, told.weights, told.origin)

    reply, theirs = ask(told, tmp_path, tmp_path / "merged", None, "")

    assert reply["ours"] == []
    assert reply["dtype"] == "torch.float32"  # the memory's; dormouse itself is kept in float16
    assert reply["said"] == said
    assert all(torch.equal(mine, one) for mine, one in zip(logits, theirs, strict=True))
    with safe_open(tmp_path / "merged" / "model.safetensors", "pt") as file:
        live = {module: file.get_tensor(f"{module}.weight") for module in told.subject.modules}
    assert weights_digest(live) == told.origin.weights
    assert AutoTokenizer.from_pretrained(tmp_path / "merged").chat_template
