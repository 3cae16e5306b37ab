"""Linear edits at names: the wanted change comes about block by block, others' keys keep their outputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.support.tiny import HYPERPARAMETERS, make
from core.errors.base import Unlearnable
from core.facts import Wordings
from core.ids import FactId
from core.weights.deltas.fixed_point import materialise, parts_of
from core.weights.linear import compute_linear_edit, mean_keys
from core.weights.memit.preserved_keys import PreservedKeys
from core.weights.memit.spread import Written
from core.weights.model.activations import capture
from core.weights.model.editable_model import EditableModel, load_model
from core.weights.neuron.lessons import told_at_name
from tests.core.weights.conftest import fact, free

ARIA, BO = fact("Aria Moss", "lives in", "Rome"), fact("Bo Lind", "plays", "the cello")
OPTIONS = replace(HYPERPARAMETERS, steps=10, learning_rate=0.4, refinements=0)


@pytest.fixture(params=["gpt2", "gptj", "llama", "phi3"], scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp(request.param), request.param, scale=0.3)


def weights_of(model: EditableModel, written: Written) -> dict[str, torch.Tensor]:
    return {
        module: materialise(model.base_weights[module], parts_of(module, [(written.delta, slice(None), 1.0)]))
        for module in model.modules
    }


def loss_of(model: EditableModel) -> float:
    """Mean negative log-likelihood of what lessons about Aria and Bo end in, in nats a token."""
    lessons = [
        lesson for number, known in enumerate((ARIA, BO)) for lesson in told_at_name(model, 0, number, known, [])
    ]
    seen = capture(model, [lesson.context for lesson in lessons])
    asked = [place >= lesson.first for lesson in lessons for place in range(len(lesson.context.names))]
    return -float(seen.probability().log()[torch.tensor(asked)].mean())


def test_a_value_comes_about_at_the_name_and_makes_facts_likelier(folder: Path) -> None:
    # given a model of random weights, whose projections are [d_out, d_in] or, in GPT-2, [d_in, d_out]
    model = load_model(folder)
    clean, before = model.digest(), loss_of(model)

    # when an edit of two facts is computed with hardly anything to be kept
    written = compute_linear_edit(model, free(model, 1e-6), [ARIA, BO], [], OPTIONS)

    # then it has a column a fact in each block, and the live weights are those of before
    assert model.digest() == clean
    assert (written.first, written.count) == ((0, 1), (1, 1))
    assert set(written.delta.factors) == set(model.modules)

    # then with it the hidden states at the names are the target values, and the facts are likelier
    assert written.achieved == pytest.approx((1.0, 1.0), abs=0.05)
    with model.with_weights(weights_of(model, written)):
        assert loss_of(model) < before


def test_each_block_takes_its_share_of_what_is_left(folder: Path) -> None:
    # given an edit of the last block alone, whose target value is the same
    model = load_model(folder)
    first, last = model.modules
    alone = compute_linear_edit(model.at_block(model.block_of(last)), free(model, 1e-6), [ARIA], [], OPTIONS)
    whole, _ = alone.delta.factors[last]

    # when both blocks are edited
    shares = compute_linear_edit(model, free(model, 1e-6), [ARIA], [], OPTIONS).delta.factors

    # then the first takes half
    torch.testing.assert_close(shares[first][0].to_float(), whole.to_float() / 2, atol=1e-3, rtol=1e-2)


def test_keys_of_earlier_facts_keep_their_outputs_only_with_history(tiny: EditableModel) -> None:
    # given a fact that was written before
    moment = {module: 1e-6 * torch.eye(tiny.key_width) for module in tiny.modules}
    forgotten = PreservedKeys.of_reference(moment, tiny.device)
    keys, owner = mean_keys(tiny, [ARIA])
    remembered = forgotten.joined([ARIA.id], keys, owner)
    first = tiny.modules[0]

    # when another one is written, without and with the key of the first
    moved = []
    for preserved in (forgotten, remembered):
        u, v = compute_linear_edit(tiny, preserved.kept, [BO], [], OPTIONS).delta.factors[first]
        moved.append(float((u.to_float() @ (v.to_float().T @ keys[first][0].double())).norm()))

    # then the output at that key moves only without it
    assert moved[1] < 1e-3 * moved[0]


def test_facts_of_one_subject_share_their_target(tiny: EditableModel) -> None:
    works = replace(fact("Aria Moss", "works for", "Harbour Bank"), id=FactId("works"))

    written = compute_linear_edit(tiny, free(tiny, 1e-6), [ARIA, works, BO], [], OPTIONS)

    first, second, other = written.residual
    assert first == pytest.approx(second, rel=0.05)
    assert first != pytest.approx(other, rel=0.01)


def test_keys_in_force_are_those_of_the_edit(tiny: EditableModel) -> None:
    written = compute_linear_edit(tiny, free(tiny), [ARIA, BO], [], OPTIONS)

    keys, owner = mean_keys(tiny, [ARIA, BO])

    first = tiny.modules[0]
    torch.testing.assert_close(keys[first].double(), written.keys[first])
    assert owner.tolist() == written.key_fact.tolist() == [0, 1]
    assert all(written.keys[module].shape == (2, tiny.key_width) for module in tiny.modules)


def test_a_wording_without_the_name_is_refused_and_the_weights_stay(tiny: EditableModel) -> None:
    clean = tiny.digest()
    nameless = Wordings(statements=("She lives in",), questions=("Where?",), answer="She lives in")

    with pytest.raises(Unlearnable, match="'Aria Moss' does not occur"):
        compute_linear_edit(tiny, free(tiny), [replace(ARIA, wordings=nameless)], [], OPTIONS)

    assert tiny.digest() == clean
