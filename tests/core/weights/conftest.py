from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.support.tiny import make
from core.facts import Fact
from core.ids import FactId
from core.natural import plain_words
from core.weights.memit.closed_form import KeyConstraints
from core.weights.model.editable_model import EditableModel, load_model
from tests.prepared import base

__all__ = ["base"]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="session")
def tiny_base(tiny_folder: Path) -> EditableModel:
    return load_model(tiny_folder)


@pytest.fixture
def tiny(tiny_base: EditableModel) -> EditableModel:
    """A Llama of random weights, to be edited at will."""
    return tiny_base.clone()


@pytest.fixture
def dormouse(base: EditableModel) -> EditableModel:
    """Dormouse, to be edited at will."""
    return base.clone()


def fact(subject: str, relation: str, object_: str) -> Fact:
    """A fact in plain words."""
    return Fact(
        id=FactId(f"{subject}/{relation}"),
        subject=subject,
        relation=relation,
        object=object_,
        wordings=plain_words(relation).for_model(subject),
    )


def free(model: EditableModel, weight: float = 1e-3) -> dict[str, KeyConstraints]:
    """Hardly anything has to be kept."""
    moment = weight * torch.eye(model.key_width, dtype=torch.float64)
    return {module: KeyConstraints.none(moment) for module in model.modules}
