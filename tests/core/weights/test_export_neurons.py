"""Exports of versions that have memory neurons: what holds them, and what is refused with a next step."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from benchmarks.support.tiny import FAMILIES, make
from core.errors.archive import NotExportable
from core.weights.deltas.digest import weights_digest
from core.weights.deltas.fixed_point import Delta, parts_of
from core.weights.deltas.neurons import encode_neurons, rows_of
from core.weights.export import NOTE, export_adapter, export_merged
from core.weights.model.editable_model import EditableModel, load_model
from core.weights.model.generation import greedy
from core.weights.model.neurons import marks_at
from tests.core.weights import stock
from tests.core.weights.model.test_neurons import TOKEN, neuron, passed
from tests.core.weights.test_export import Columns, logits_of, origin_of
from tests.patience import PATIENCE

TEXT = "Aria Moss lives in Rome. The lamp stood near the river."
TOLERANCE = 1e-5  # of logits; 5e-7 was measured, but other machines add in other orders
pytestmark = pytest.mark.filterwarnings("ignore")  # stock tools remark on this and that


def two_neurons(model: EditableModel, block: int = 0) -> Columns:
    """The columns of two neurons at the MLP of a block."""
    chance = torch.Generator().manual_seed(0)
    w, u = (torch.randn(2, model.hidden_width, generator=chance) for _ in range(2))
    return [(Delta({list(model.neurons)[block]: encode_neurons(w, torch.zeros(2), u)}), slice(None), 1.0)]


def test_an_adapter_of_neurons_is_refused(tiny: EditableModel, tmp_path: Path) -> None:
    with pytest.raises(NotExportable, match=r"2 memory neurons.*threshold.*--as merged.*--as archive") as refused:
        export_adapter(tmp_path / "adapter", tiny, two_neurons(tiny), origin_of(tmp_path, tiny.live()))

    assert refused.value.metadata["neurons"] == "2"
    assert list(tmp_path.iterdir()) == []


def weights_with_neurons(model: EditableModel) -> dict[str, torch.Tensor]:
    """A neuron at the first MLP that responds at TOKEN of TEXT in full, and a mark that responds by three fifths."""
    x, _ = passed(model, 0)
    values = torch.randn(2, model.hidden_width, generator=torch.Generator().manual_seed(0))
    mlp = next(iter(model.neurons))
    return model.live() | {mlp: neuron(x, values[0], 1.5), marks_at(mlp): neuron(x, values[1], 0.6)}


def test_a_merged_llama_says_in_stock_transformers_what_the_memory_says(tiny: EditableModel, tmp_path: Path) -> None:
    # given a memory of two neurons, and what it says
    clean, ids = logits_of(tiny.network, tiny.raw_ids(TEXT)), tiny.raw_ids(TEXT)
    weights = weights_with_neurons(tiny)
    with tiny.with_weights(weights):
        ours = logits_of(tiny.network, ids)
        prompts = [TEXT[:end] for end in range(8, len(TEXT), 8)]
        said = greedy(tiny, [tiny.raw_ids(text) for text in prompts], sentence=False, max_new_tokens=12)
        ends = [logits_of(tiny.network, tiny.raw_ids(text))[-1] for text in prompts]

    # when it is exported and read by a process of stock libraries
    export_merged(tmp_path / "merged", tiny, weights, origin_of(tmp_path, weights))
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    reply = tmp_path / "reply.json"
    task = {
        "base": str(tmp_path / "merged"),
        "adapter": "",
        "dtype": "",
        "raw": prompts,
        "chat": [],
        "reply": str(reply),
    }
    (tmp_path / "task.json").write_text(json.dumps(task))
    command = [sys.executable, "-I", stock.__file__, str(tmp_path / "task.json")]
    subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=PATIENCE, check=True)

    # then every token has the same logits, before the neurons respond and after
    assert (ours[TOKEN:] - clean[TOKEN:]).abs().max() > 1000 * TOLERANCE
    assert (logits_of(loaded, ids) - ours).abs().max() < TOLERANCE
    answer = json.loads(reply.read_text())
    assert (answer["ours"], answer["dtype"]) == ([], "torch.float32")
    assert answer["said"] == said
    theirs = load_file(f"{reply}.safetensors")
    assert all((theirs[str(number)] - mine).abs().max() < TOLERANCE for number, mine in enumerate(ends))

    # and the folder says what it holds
    note = json.loads((tmp_path / "merged" / NOTE).read_text())
    assert (note["neurons"], note["weights"]) == (2, weights_digest(weights))
    assert "approximate" in note["thresholds"]
    assert "Memory neurons: 2; " in (tmp_path / "merged" / "README.md").read_text()
    assert (loaded.config.mlp_bias, loaded.config.intermediate_size) == (True, 64 + 4)


def test_exporting_neurons_changes_no_live_weight(tiny: EditableModel, tmp_path: Path) -> None:
    digest, weights = tiny.digest(), weights_with_neurons(tiny)

    export_merged(tmp_path / "merged", tiny, weights, origin_of(tmp_path, weights))

    assert tiny.digest() == digest
    assert tiny.network.config.mlp_bias is False


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"llama"}))
def test_a_merged_model_of_another_family_is_refused(family: str, tmp_path: Path) -> None:
    model = load_model(make(tmp_path / "base", family))
    columns, mlp = two_neurons(model), next(iter(model.neurons))
    weights = model.live() | {mlp: rows_of(parts_of(mlp, columns), model.hidden_width)}

    with pytest.raises(NotExportable, match=rf"2 memory neurons.*{model.family.name}.*--as archive"):
        export_merged(tmp_path / "merged", model, weights, origin_of(tmp_path, weights))

    assert [path.name for path in tmp_path.iterdir()] == ["base"]
