"""Exports of versions that have memory neurons: what holds them, and what is refused with a next step."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.support.tiny import FAMILIES, make
from core.errors.archive import NotExportable
from core.weights.deltas.digest import weights_digest
from core.weights.deltas.fixed_point import Delta, parts_of
from core.weights.deltas.neurons import encode_neurons, rows_of
from core.weights.export import export_adapter, export_merged
from core.weights.model.editable_model import EditableModel, load_model
from tests.core.weights.test_export import Columns, origin_of

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


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_merged_model_of_neurons_is_refused(family: str, tmp_path: Path) -> None:
    model = load_model(make(tmp_path / "base", family))
    columns = two_neurons(model)
    mlp = next(iter(model.neurons))
    weights = model.live() | {mlp: rows_of(parts_of(mlp, columns), model.hidden_width)}
    assert weights_digest(weights) != model.digest()

    with pytest.raises(NotExportable, match=r"2 memory neurons.*--as archive"):
        export_merged(tmp_path / "merged", model, weights, origin_of(tmp_path, weights))

    assert [path.name for path in tmp_path.iterdir()] == ["base"]
