"""Memory neurons in the forward pass of every family: the wanted change where they respond, none elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.support.tiny import FAMILIES, WIDTH, make
from core.weights.model.editable_model import EditableModel, load_model

TEXT = "Aria Moss lives in Rome. The lamp stood near the river."
TOKEN = 4  # at which the neuron of these tests responds


@pytest.fixture(params=sorted(FAMILIES), scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    family = str(request.param)
    return make(tmp_path_factory.mktemp(family), family)


@pytest.fixture
def model(folder: Path) -> EditableModel:
    return load_model(folder)


def passed(model: EditableModel, block: int) -> tuple[Tensor, Tensor]:
    """Returns the inputs of the MLP of a block and the outputs of the block, [tokens, d] each."""
    seen: dict[str, Tensor] = {}

    def read(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        seen["x"] = inputs[0][0]

    def leave(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        seen["out"] = (output[0] if isinstance(output, tuple) else output)[0]

    layer = model.blocks[block]
    handles = [
        layer.get_submodule(model.family.mlp).register_forward_pre_hook(read),
        layer.register_forward_hook(leave),
    ]
    with torch.no_grad():
        model.network(input_ids=torch.tensor([model.raw_ids(TEXT)]))
    for handle in handles:
        handle.remove()
    return seen["x"], seen["out"]


def neuron(x: Tensor, value: Tensor, response: float = 1.0) -> Tensor:
    """A row that responds at TOKEN of `x` and at no other token."""
    others = x[torch.arange(len(x)) != TOKEN]
    direction = torch.linalg.lstsq(x[TOKEN][None].double(), torch.ones(1, 1).double()).solution[:, 0].float()
    low = (1 + float((others @ direction).max())) / 2
    assert low < 1 - 1e-4
    return torch.cat([direction * response / (1 - low), torch.tensor([-low * response / (1 - low)]), value])[None]


@pytest.mark.parametrize("block", [0, 1])
def test_a_block_gives_the_value_more_at_the_token_and_the_same_bits_elsewhere(
    model: EditableModel, block: int
) -> None:
    value = torch.linspace(-1, 1, WIDTH)
    x, before = passed(model, block)

    model.install({list(model.neurons)[block]: neuron(x, value)})
    _, after = passed(model, block)

    torch.testing.assert_close(after[TOKEN] - before[TOKEN], value, atol=1e-4, rtol=1e-3)
    untouched = torch.arange(len(before)) < TOKEN  # later tokens of a block do not see this one's output
    assert torch.equal(after[untouched], before[untouched])
    assert torch.equal(after[TOKEN + 1 :], before[TOKEN + 1 :])


def test_half_a_response_adds_half_the_value(model: EditableModel) -> None:
    value = torch.linspace(-1, 1, WIDTH)
    x, before = passed(model, 0)

    model.install({next(iter(model.neurons)): neuron(x, value, response=0.5)})

    torch.testing.assert_close(passed(model, 0)[1][TOKEN] - before[TOKEN], value / 2, atol=1e-4, rtol=1e-3)


def test_a_clone_has_neurons_of_its_own(model: EditableModel) -> None:
    x, before = passed(model, 0)
    clone = model.clone()

    clone.install({next(iter(clone.neurons)): neuron(x, torch.ones(WIDTH))})

    assert torch.equal(passed(model, 0)[1], before)
    assert not torch.equal(passed(clone, 0)[1], before)
    assert clone.digest() != model.digest()


def test_the_base_weights_silence_all_neurons(model: EditableModel) -> None:
    digest, (x, before) = model.digest(), passed(model, 0)
    model.install({next(iter(model.neurons)): neuron(x, torch.ones(WIDTH))})
    assert model.digest() != digest

    with model.with_weights(model.base_weights):
        assert torch.equal(passed(model, 0)[1], before)
        assert model.digest() == digest

    assert not torch.equal(passed(model, 0)[1], before)
