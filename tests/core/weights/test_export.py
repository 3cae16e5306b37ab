"""Exports: what stock tools load says what the memory says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from benchmarks.support.tiny import FAMILIES, make
from core.errors.archive import ExportExists
from core.errors.base import Damaged, DigestMismatch, ModelUnavailable
from core.events.memory import BaseModel
from core.ids import Digest, MemoryId
from core.weights.deltas.digest import weights_digest
from core.weights.deltas.fixed_point import Delta, encode, materialise, parts_of
from core.weights.export import NOTE, Origin, export_adapter, export_merged
from core.weights.model.contexts import contexts_of
from core.weights.model.editable_model import EditableModel, load_model
from tests.core.weights.conftest import fact

TOLERANCE = 2e-4  # of logits, in float32, on bases of random weights
pytestmark = pytest.mark.filterwarnings("ignore")  # stock tools remark on this and that

Columns = list[tuple[Delta, slice, float]]


def base_of(folder: Path, dtype: str = "float32") -> BaseModel:
    return BaseModel(name=str(folder), revision="", digest=Digest("b" * 64), dtype=dtype, quantization="none")


def origin_of(folder: Path, weights: dict[str, Tensor], dtype: str = "float32") -> Origin:
    return Origin(
        memory=MemoryId("demo"),
        version=7,
        base=base_of(folder, dtype),
        plan=Digest("c" * 64),
        weights=weights_digest(weights),
    )


def a_delta(model: EditableModel, columns: int, seed: int, size: float = 0.3, modules: int = 2) -> Delta:
    """Columns that change what the model says."""
    chance = torch.Generator().manual_seed(seed)
    return Delta(
        {
            module: (
                encode(size * torch.randn(model.hidden_width, columns, generator=chance)),
                encode(size * torch.randn(model.key_width, columns, generator=chance)),
            )
            for module in model.modules[:modules]
        }
    )


def some_columns(model: EditableModel) -> Columns:
    """Of three deltas, of which one touches the first module alone; at scales that round and that do not."""
    one, two, three = (a_delta(model, n, seed) for seed, n in enumerate((5, 3, 4)))
    first = a_delta(model, 2, 9, modules=1)
    return [(one, slice(1, 4), 1.0), (two, slice(0, 2), 0.1), (three, slice(None), 0.5), (first, slice(None), 1.0)]


def built(model: EditableModel, columns: Columns) -> dict[str, Tensor]:
    return {module: materialise(model.base_weights[module], parts_of(module, columns)) for module in model.modules}


def logits_of(model: Any, ids: list[int]) -> Tensor:
    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids])).logits[0].float()


class TestEveryFamily:
    @pytest.fixture(params=sorted(FAMILIES), scope="class")
    def folder(self, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return make(tmp_path_factory.mktemp(str(request.param)), str(request.param))

    @pytest.fixture
    def model(self, folder: Path) -> EditableModel:
        return load_model(folder)

    @pytest.fixture
    def ids(self, model: EditableModel) -> list[int]:
        return list(contexts_of(model, 0, fact("Aria Moss", "lives in", "Rome"), ())[0].ids)

    def test_stock_peft_computes_what_the_memory_computes(
        self, folder: Path, model: EditableModel, ids: list[int], tmp_path: Path
    ) -> None:
        from peft import PeftModel

        columns = some_columns(model)
        weights = built(model, columns)
        clean = logits_of(model.network, ids)

        rank = export_adapter(tmp_path / "adapter", model, columns, origin_of(folder, weights))
        loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), str(tmp_path / "adapter"))

        model.install(weights)
        ours = logits_of(model.network, ids)
        assert rank == 11
        assert (ours - clean).abs().max() > 100 * TOLERANCE
        assert (logits_of(loaded, ids) - ours).abs().max() < TOLERANCE
        merged = loaded.merge_and_unload()
        for module in model.modules:
            torch.testing.assert_close(merged.get_submodule(module).weight, model.network.get_submodule(module).weight)

    def test_a_merged_folder_holds_the_weights_bit_for_bit(self, folder: Path, ids: list[int], tmp_path: Path) -> None:
        model = load_model(folder, dtype="bfloat16")
        weights = built(model, some_columns(model))

        export_merged(tmp_path / "merged", model, weights, origin_of(folder, weights, "bfloat16"))

        assert model.digest() == weights_digest(model.base_weights)
        loaded = load_model(tmp_path / "merged", modules=model.modules, dtype="bfloat16")
        assert loaded.digest() == weights_digest(weights)
        stock_loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
        model.install(weights)
        assert stock_loaded.dtype == torch.bfloat16
        assert torch.equal(logits_of(stock_loaded, ids), logits_of(model.network, ids))


class TestAdapter:
    @pytest.fixture
    def weights(self, tiny: EditableModel) -> dict[str, Tensor]:
        return built(tiny, some_columns(tiny))

    def test_its_factors_are_the_columns_in_force_exactly(self, tiny: EditableModel, tmp_path: Path) -> None:
        columns = some_columns(tiny)
        export_adapter(tmp_path / "a", tiny, columns, origin_of(tmp_path, tiny.live()))
        tensors = load_file(tmp_path / "a" / "adapter_model.safetensors")

        for module in tiny.modules:
            a, b = (tensors[f"base_model.model.{module}.lora_{name}.weight"] for name in "AB")
            assert (a.dtype, b.dtype) == (torch.float32, torch.float32)
            zero = torch.zeros(tiny.base_weights[module].shape, dtype=torch.float64)
            assert torch.allclose(b.double() @ a.double(), materialise(zero, parts_of(module, columns)), rtol=1e-13)
        second = tensors[f"base_model.model.{tiny.modules[1]}.lora_B.weight"]
        assert not second[:, 9:].any()  # a delta of the first module alone

    def test_a_memory_with_nothing_in_force_has_an_adapter_that_changes_nothing(
        self, tiny: EditableModel, tiny_folder: Path, tmp_path: Path
    ) -> None:
        from peft import PeftModel

        rank = export_adapter(tmp_path / "a", tiny, [], origin_of(tiny_folder, tiny.live()))
        loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_folder), str(tmp_path / "a"))

        assert rank == 1
        assert torch.equal(logits_of(loaded, [1, 5, 7]), logits_of(tiny.network, [1, 5, 7]))

    def test_it_says_what_it_was_made_from(
        self, tiny: EditableModel, tiny_folder: Path, weights: dict[str, Tensor], tmp_path: Path
    ) -> None:
        origin = origin_of(tiny_folder, weights)
        export_adapter(tmp_path / "a", tiny, some_columns(tiny), origin)

        said = json.loads((tmp_path / "a" / NOTE).read_text())
        assert (said["kind"], said["memory"], said["version"]) == ("adapter", "demo", 7)
        assert (said["plan"], said["weights"]) == (origin.plan, origin.weights)
        configuration = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
        assert configuration["base_model_name_or_path"] == str(tiny_folder)
        assert configuration["lora_alpha"] == configuration["r"] == 11
        assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
            "adapter_config.json",
            "adapter_model.safetensors",
            NOTE,
        ]

    def test_equal_states_give_equal_bytes(self, tiny: EditableModel, tmp_path: Path) -> None:
        for name in "ab":
            export_adapter(tmp_path / name, tiny, some_columns(tiny), origin_of(tmp_path, tiny.live()))

        for path in (tmp_path / "a").iterdir():
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()

    def test_a_column_too_large_for_float32_is_refused(self, tiny: EditableModel, tmp_path: Path) -> None:
        delta = a_delta(tiny, 1, 0)
        huge = {module: (replace(u, exponent=u.exponent + 200), v) for module, (u, v) in delta.factors.items()}

        with pytest.raises(Damaged, match="float32"):
            export_adapter(tmp_path / "a", tiny, [(Delta(huge), slice(None), 1.0)], origin_of(tmp_path, tiny.live()))
        assert list(tmp_path.iterdir()) == []


class TestFolders:
    @pytest.mark.parametrize("kind", ["file", "folder", "link"])
    def test_nothing_is_replaced(self, tiny: EditableModel, tmp_path: Path, kind: str) -> None:
        target = tmp_path / "target"
        match kind:
            case "file":
                target.write_text("mine")
            case "folder":
                target.mkdir()
            case _:
                target.symlink_to(tmp_path / "nowhere")
        origin = origin_of(tmp_path, tiny.live())

        with pytest.raises(ExportExists, match="target"):
            export_adapter(target, tiny, [], origin)
        with pytest.raises(ExportExists, match="target"):
            export_merged(target, tiny, tiny.live(), origin)
        assert list(tmp_path.iterdir()) == [target]

    def test_a_failure_half_way_leaves_nothing(
        self, tiny: EditableModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise OSError("the disk is full")

        monkeypatch.setattr(tiny.tokenizer, "save_pretrained", fail)
        with pytest.raises(OSError, match="full"):
            export_merged(tmp_path / "merged", tiny, tiny.live(), origin_of(tmp_path, tiny.live()))
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_appears_meanwhile_is_left_alone(
        self, tiny: EditableModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def appear(*_: object) -> None:
            (tmp_path / "merged").mkdir()
            (tmp_path / "merged" / "mine").write_text("mine")

        monkeypatch.setattr(tiny.tokenizer, "save_pretrained", appear)
        with pytest.raises(ExportExists):
            export_merged(tmp_path / "merged", tiny, tiny.live(), origin_of(tmp_path, tiny.live()))
        assert [path.name for path in tmp_path.rglob("*")] == ["merged", "mine"]

    def test_weights_other_than_the_recorded_ones_are_not_exported(self, tiny: EditableModel, tmp_path: Path) -> None:
        origin = origin_of(tmp_path, tiny.live())
        with pytest.raises(DigestMismatch, match="version 7"):
            export_merged(tmp_path / "merged", tiny, built(tiny, some_columns(tiny)), origin)
        assert list(tmp_path.iterdir()) == []

    def test_a_quantized_model_is_not_merged(self, tiny: EditableModel, tmp_path: Path) -> None:
        tiny.network.hf_quantizer = object()
        with pytest.raises(ModelUnavailable, match="quantized"):
            export_merged(tmp_path / "merged", tiny, tiny.live(), origin_of(tmp_path, tiny.live()))
