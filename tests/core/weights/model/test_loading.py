"""A model folder loads whole, from the files that its digest covers, or is refused with what to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from core.errors.base import ModelUnavailable
from core.weights.model.base_files import content_digest
from core.weights.model.editable_model import load_model
from core.weights.model.loading import POINTER

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "base"))


def pointer(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(POINTER + b".github.com/spec/v1\n")


def half(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


def empty(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"")


def without_a_tensor(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    del tensors["model.layers.2.mlp.up_proj.weight"]
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})


def without_a_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def with_a_tokenizer_without_offsets(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "ByT5Tokenizer"}))


def without_an_end(folder: Path) -> None:
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        said = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**said, "eos_token_id": None, "eos_token": None}))


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (pointer, "pointer of Git LFS.*git lfs pull"),
        (half, "no model loads.*fetch them again"),
        (empty, "no model loads.*fetch them again"),
        (without_a_tensor, r"not whole: model\.layers\.2\.mlp\.up_proj\.weight is missing"),
        (without_a_tokenizer, "no model loads|tokenizer"),
        (with_a_tokenizer_without_offsets, r"tokens stand; put a tokenizer\.json"),
        (without_an_end, "no token that ends an answer"),
    ],
)
def test_a_folder_that_lacks_something_is_refused_with_what_to_do(
    folder: Path, spoil: Callable[[Path], None], problem: str
) -> None:
    spoil(folder)

    with pytest.raises(ModelUnavailable, match=problem) as refusal:
        load_model(folder)

    assert str(folder) in str(refusal.value)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_a_model_too_large_for_the_machine_is_said_to_be(
    folder: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", load)

    with pytest.raises(ModelUnavailable, match="does not fit into the memory of cpu"):
        load_model(folder)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of peft
def test_adapters_beside_a_model_are_neither_loaded_nor_part_of_what_it_is(folder: Path) -> None:
    before, digest = load_model(folder), content_digest(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    get_peft_model(
        model, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    ).save_pretrained(folder)  # fmt: skip
    assert (folder / "adapter_config.json").exists()

    after = load_model(folder)

    assert [name for name, _ in after.network.named_parameters() if "lora" in name] == []
    ids = torch.tensor([before.raw_ids("Ann Lee lives in")])
    assert torch.equal(after.network(ids).logits, before.network(ids).logits)
    assert content_digest(folder) == digest


@pytest.mark.parametrize(
    ("modules", "problem"),
    [
        (["model.layers.9.mlp.down_proj"], "no module 'model.layers.9.mlp.down_proj'"),
        (["lm_head"], "'lm_head' is in no block"),
        (["model.layers.0.input_layernorm"], "projections of one shape"),
        (["model.layers.0.mlp"], "projections of one shape"),
        (["model.layers.0.mlp.down_proj", "model.layers.1.mlp.up_proj"], "projections of one shape"),
    ],
)
def test_modules_that_cannot_be_edited_are_refused(tiny_folder: Path, modules: list[str], problem: str) -> None:
    with pytest.raises(ModelUnavailable, match=problem):
        load_model(tiny_folder, modules=modules)
