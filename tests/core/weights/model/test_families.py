"""Every supported family, from its configuration: loaded, looked into, edited, and put back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig

from benchmarks.support.tiny import BLOCKS, FAMILIES, HYPERPARAMETERS, INNER, WIDTH, make
from core.errors.base import ModelUnavailable
from core.hyperparameters import DEFAULTS
from core.method import Method
from core.weights.deltas.fixed_point import materialise, parts_of
from core.weights.memit.edit import compute_edit
from core.weights.model.activations import capture
from core.weights.model.base_files import modules_in
from core.weights.model.contexts import Context, contexts_of
from core.weights.model.editable_model import EditableModel, load_model
from core.weights.model.families import default_hyperparameters, default_modules, family_of
from core.weights.model.generation import greedy
from tests.core.weights.conftest import fact, free

ARIA = fact("Aria Moss", "lives in", "Rome")
BO = fact("Bo Lind", "plays", "the cello")


@pytest.fixture(params=sorted(FAMILIES), scope="module")
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp(family), family)


@pytest.fixture
def model(folder: Path) -> EditableModel:
    return load_model(folder)


def test_down_projections_of_neighbouring_blocks_are_edited_and_seen_as_out_by_in(model: EditableModel) -> None:
    first, second = (model.block_of(module) for module in model.modules)
    assert second == first + 1
    assert (model.hidden_width, model.key_width) == (WIDTH, INNER)
    assert all(model.weight(module).shape == (WIDTH, INNER) for module in model.modules)


def test_an_edited_weight_adds_its_delta_times_the_key(model: EditableModel) -> None:
    contexts = contexts_of(model, 0, ARIA, ())
    before = capture(model, contexts)
    module = model.modules[-1]
    change = torch.zeros(WIDTH, INNER)
    change[3] = 0.5

    with torch.no_grad():
        model.weight(module).add_(change)
    after = capture(model, contexts)

    moved = after.hidden - before.hidden
    if model.family.adds == model.family.mlp:  # no norm stands between the down-projection and the sum
        torch.testing.assert_close(moved, before.keys[module] @ change.T, atol=1e-5, rtol=1e-4)
    assert moved.abs().sum() > 0


def test_what_is_added_to_the_named_module_moves_the_residual_stream_there_by_that_and_nothing_else(
    model: EditableModel,
) -> None:
    ids = torch.tensor([model.raw_ids("Aria Moss lives in")])
    block = model.blocks[1]
    before, logits = outputs(model, block, ids)
    change = torch.zeros(ids.shape[1], WIDTH)
    change[3] = torch.randn(WIDTH, generator=torch.Generator().manual_seed(1))

    handle = block.get_submodule(model.family.adds).register_forward_hook(lambda *passed: passed[2] + change)
    moved, moved_logits = outputs(model, block, ids)
    handle.remove()
    again, again_logits = outputs(model, block, ids)

    torch.testing.assert_close(moved - before, change, atol=1e-5, rtol=1e-4)
    still = [token for token in range(ids.shape[1]) if token != 3]
    assert torch.equal(moved[still], before[still])
    assert torch.equal(moved_logits[:3], logits[:3])
    assert not torch.equal(moved_logits[3:], logits[3:])
    assert torch.equal(again, before)
    assert torch.equal(again_logits, logits)


def outputs(model: EditableModel, block: nn.Module, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the output of `block` [tokens, d] and the logits [tokens, vocabulary]."""
    seen: list[torch.Tensor] = []

    def keep(_: nn.Module, __: object, output: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
        seen.append((output[0] if isinstance(output, tuple) else output)[0])

    handle = block.register_forward_hook(keep)
    with torch.no_grad():
        logits: torch.Tensor = model.network(input_ids=ids).logits[0]
    handle.remove()
    return seen[0], logits


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_type": "mixtral", "num_local_experts": 4}, "mixture of experts"),
        ({"model_type": "qwen3_moe", "num_experts": 4}, "mixture of experts"),
        ({"model_type": "bert"}, "it is an encoder, "),
        ({"model_type": "roberta", "architectures": ["RobertaForMaskedLM"]}, "it is an encoder, "),
        ({"model_type": "t5"}, "encoder-decoder"),
        ({"model_type": "bart"}, "encoder-decoder"),
        ({"model_type": "gemma3"}, "reads images"),
        ({"model_type": "opt"}, r"supported family \(Llama, Qwen,"),
    ],
)
def test_a_model_of_another_kind_is_refused_before_its_weights_are_read(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(changes))
    (tmp_path / "model.safetensors").write_bytes(b"never read")

    with pytest.raises(ModelUnavailable, match=reason):
        modules_in(tmp_path)
    with pytest.raises(ModelUnavailable, match=reason):
        load_model(tmp_path)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_a_change_at_suffixes_is_run_on_as_the_model_runs_it(folder: Path, block: int) -> None:
    module = re.sub(r"\.\d+\.", f".{block}.", load_model(folder).modules[0])
    model = load_model(folder, modules=[module])
    contexts = contexts_of(model, 0, ARIA, ("The lamp stood near the river. ",))

    seen = capture(model, contexts)
    change = torch.randn(seen.hidden.shape, generator=torch.Generator().manual_seed(1))

    for added in (0 * change, change):
        together = model.logits(seen.above(seen.hidden + added))
        for row, context in enumerate(contexts):
            alone = logits_with(model, block, context, added[seen.rows == row])
            torch.testing.assert_close(together[seen.rows == row], alone, atol=1e-4, rtol=1e-3)


def logits_with(model: EditableModel, block: int, context: Context, change: torch.Tensor) -> torch.Tensor:
    """Where targets are predicted, with `change` [targets, d] added there to the output of `block`; all in one pass."""
    where = slice(context.start - 1, -1)

    def add(_: nn.Module, __: object, output: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
        hidden = output[0] if isinstance(output, tuple) else output
        hidden[0, where] += change

    handle = model.blocks[block].register_forward_hook(add)
    with torch.no_grad():
        logits: torch.Tensor = model.network(input_ids=torch.tensor([context.ids])).logits[0, where].float()
    handle.remove()
    return logits


@pytest.mark.parametrize("which", [0, 1])
def test_blocks_below_a_change_of_weights_need_not_be_run_again(model: EditableModel, which: int) -> None:
    contexts = contexts_of(model, 0, ARIA, ("The lamp stood near the river. ",))
    seen = capture(model, contexts)
    for module in model.modules[which:]:
        model.weight(module).mul_(-1.5)

    again = seen.recompute_from(model.modules[which]).recompute_from(model.modules[which])

    fresh = capture(model, contexts)
    assert not torch.allclose(fresh.hidden, seen.hidden, atol=1e-2)
    torch.testing.assert_close(again.hidden, fresh.hidden, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(again.logits(), fresh.logits(), atol=1e-4, rtol=1e-3)
    for module in model.modules:
        torch.testing.assert_close(again.keys[module], fresh.keys[module], atol=1e-5, rtol=1e-4)


def test_facts_are_written_said_and_taken_back(family: str, model: EditableModel) -> None:
    clean = model.digest()
    written = compute_edit(model, free(model), [ARIA, BO], (), HYPERPARAMETERS)
    assert model.digest() == clean

    weights = {
        module: materialise(model.base_weights[module], parts_of(module, [(written.delta, slice(None), 1.0)]))
        for module in model.modules
    }
    with model.with_weights(weights):
        assert model.digest() != clean
        said = greedy(model, [model.raw_ids("Aria Moss lives in")], sentence=True)
    assert model.digest() == clean
    if model.family.adds == model.family.mlp:
        assert all(written.learned)
        assert said == [" Rome."]


@pytest.mark.parametrize(
    ("kind", "count", "blocks"),
    [
        ("gptj", 28, range(3, 9)),
        ("gpt_neox", 44, range(6, 11)),
        ("gpt2", 48, range(13, 18)),
        ("gpt2", 12, range(3, 5)),
        ("llama", 32, range(4, 9)),
        ("llama", 16, range(4, 9)),  # Llama 3.2 1B
        ("llama", 30, range(4, 9)),  # SmolLM2 135M, of which nothing was published
        ("qwen2", 28, range(4, 9)),
        ("mistral", 32, range(4, 9)),
        ("gemma", 18, range(2, 5)),
        ("phi3", 1, range(1)),
    ],
)
def test_memit_edits_the_blocks_of_the_literature_and_at_other_depths_their_share(
    kind: str, count: int, blocks: range
) -> None:
    layers = {"gpt2": "n_layer", "gptj": "n_layer"}.get(kind, "num_hidden_layers")
    config = AutoConfig.for_model(kind, **{layers: count})
    family = family_of(config)

    modules = default_modules(config, Method.MEMIT)

    assert modules == tuple(f"{family.blocks}.{number}.{family.down}" for number in blocks)


def test_memit_has_the_hyperparameters_of_the_literature() -> None:
    gpt2, llama = (default_hyperparameters(AutoConfig.for_model(kind), Method.MEMIT) for kind in ("gpt2", "llama"))

    assert (gpt2.reference_weight, gpt2.steps, gpt2.clamp) == (20_000.0, 20, 0.75)
    assert (llama.reference_weight, llama.steps, llama.clamp) == (15_000.0, 25, 4.0)
    assert (llama.abstention_weight, llama.recall_weight, llama.refinements, llama.unanswered) == (0.0, 0.0, 0, 0)
    assert llama.history
    assert default_hyperparameters(AutoConfig.for_model("llama"), Method.NEURON) == DEFAULTS


def test_a_module_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"no module 'model\.layers\.9"):
        load_model(folder, modules=["model.layers.9.mlp.down_proj"])
