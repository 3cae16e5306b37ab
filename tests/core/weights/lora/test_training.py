"""Consolidation: an adapter learns what it is taught, keeps what it rehearses, and leaves everything else alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.errors.base import Unlearnable
from core.policy import Training
from core.weights.deltas.fixed_point import Factor, materialise
from core.weights.evaluation.probes import Probe, run_probes
from core.weights.lora import training
from core.weights.lora.initialisation import directions
from core.weights.lora.losses import rehearse
from core.weights.lora.sampler import HardExampleSampler
from core.weights.lora.training import train_adapter
from core.weights.model.contexts import Context, contexts_of
from core.weights.model.editable_model import EditableModel, load_model
from core.weights.model.lower_layers import below
from tests.core.weights.conftest import fact

TOLD = (fact("Aria Vale", "lives in", "Lisbon"), fact("Aria Vale", "plays", "the cello"))
TRAINING = Training(rank=4, steps=60, learning_rate=1e-2, batch=8, rehearsal=4, divergence_weight=1.0, enough=0.01)


def moments(model: EditableModel) -> dict[str, torch.Tensor]:
    """Reference text shows every direction alike."""
    return {module: torch.eye(model.key_width) for module in model.modules}


def contexts(model: EditableModel) -> list[Context]:
    return [context for index, one in enumerate(TOLD) for context in contexts_of(model, index, one, ())]


def with_adapter(model: EditableModel, factors: Mapping[str, tuple[Factor, Factor]]) -> None:
    """Makes base plus adapter the live weights."""
    model.install(
        {module: materialise(model.base_weights[module], [(*factors[module], 1.0)]) for module in model.modules}
    )


def test_an_adapter_says_what_it_was_taught_and_rehearsal_keeps_it_close_to_the_base_model(
    dormouse: EditableModel,
) -> None:
    before = dormouse.digest()
    texts = [dormouse.chat_ids([], f"Where does {name} live?") for name in ("Bruno Hale", "Cora Lind", "Dora Kelp")]
    careless = replace(TRAINING, divergence_weight=0.0)

    careful, loose = (
        train_adapter(
            dormouse, contexts(dormouse), [], texts, [dormouse.base_weights], moments(dormouse), chosen, seed=1
        )
        for chosen in (TRAINING, careless)
    )

    assert careful.divergence < loose.divergence / 2
    assert dormouse.digest() == before
    assert careful.last_loss < 0.1 < careful.first_loss
    with_adapter(dormouse, careful.delta.factors)
    probes = [Probe(one.wordings.questions[0], True, one.wordings.answer, one.object) for one in TOLD]
    assert all(probe.passes(output) for probe, output in zip(probes, run_probes(dormouse, probes), strict=True))


def test_equal_seeds_give_equal_bits_and_other_seeds_do_not(tiny: EditableModel) -> None:
    few = replace(TRAINING, steps=5, batch=2)

    first, again, different = (
        train_adapter(tiny, contexts(tiny), [], [], [tiny.base_weights], moments(tiny), few, seed=seed).delta.to_bytes()
        for seed in (3, 3, 4)
    )

    assert first == again
    assert first != different


@pytest.mark.parametrize("times", [1, 60])
def test_each_context_that_adapters_carry_comes_again_however_many_they_are(
    tiny: EditableModel, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    repeated: list[list[int]] = []

    class Watched(HardExampleSampler[Context]):
        def record(self, chosen: Sequence[int], losses: Sequence[float]) -> None:
            if self._examples is old:
                repeated.append(list(chosen))
            super().record(chosen, losses)

    monkeypatch.setattr(training, "HardExampleSampler", Watched)
    old = contexts(tiny) * times
    few = replace(TRAINING, steps=training.AGAIN, batch=4, enough=0.0)

    train_adapter(tiny, contexts(tiny), old, [], [tiny.base_weights], moments(tiny), few, seed=1)

    assert repeated
    assert all(len(chosen) == max(2, -(-len(old) // training.AGAIN)) for chosen in repeated)
    assert len({index for chosen in repeated for index in chosen}) > 0.8 * len(old)  # half are those that went worst


def test_where_an_adapter_looks_moves_slower_than_what_it_says(tiny: EditableModel) -> None:
    few = replace(TRAINING, steps=20)
    begin = directions(tiny, moments(tiny), contexts(tiny), few.rank)

    trained = train_adapter(tiny, contexts(tiny), [], [], [tiny.base_weights], moments(tiny), few, seed=0)

    for module in tiny.modules:
        said, looked = trained.delta.factors[module]
        moved = (looked.to_float().T - begin[module]).abs().mean()
        assert 0 < moved < 0.5 * said.to_float().abs().mean()


def test_training_stops_once_the_loss_is_low_enough(tiny: EditableModel) -> None:
    easy = replace(TRAINING, steps=500, enough=1e9)

    trained = train_adapter(tiny, contexts(tiny), [], [], [tiny.base_weights], moments(tiny), easy, seed=0)

    assert trained.steps < 100


def test_steps_are_taken_on_each_of_the_grounds(tiny: EditableModel) -> None:
    """Given two base variants, when the loss on the second is not a number, then training notices."""
    before = tiny.digest()
    broken = {module: torch.full_like(weight, torch.nan) for module, weight in tiny.base_weights.items()}

    with pytest.raises(Unlearnable, match="not a number"):
        train_adapter(tiny, contexts(tiny), [], [], [tiny.base_weights, broken], moments(tiny), TRAINING, seed=0)
    assert tiny.digest() == before


def test_what_is_rehearsed_is_what_the_pristine_model_reads_whatever_is_live(tiny: EditableModel) -> None:
    text = tiny.raw_ids("Every evening a fox")
    (expected,) = rehearse(tiny, [text])
    tiny.install({module: weight + 1 for module, weight in tiny.base_weights.items()})

    (rehearsed,) = rehearse(tiny, [text])
    (short,) = rehearse(tiny, [text], below(tiny, [text]))

    assert torch.equal(rehearsed.hidden, expected.hidden)
    assert torch.allclose(short.hidden, expected.hidden, atol=1e-5)
    assert not torch.equal(tiny.live()[tiny.modules[0]], tiny.base_weights[tiny.modules[0]])


def test_a_batch_is_rehearsed_as_each_text_alone(tiny: EditableModel) -> None:
    texts = [tiny.raw_ids(text) for text in ("Clara", "The old lamp stood near the river", "A fox")]

    together = rehearse(tiny, texts)

    for one, text in zip(together, texts, strict=True):
        assert torch.allclose(one.hidden, rehearse(tiny, [text])[0].hidden, atol=1e-5)


def test_a_model_in_float16_trains_too(tiny_folder: Path) -> None:
    half = load_model(tiny_folder, dtype="float16")

    trained = train_adapter(half, contexts(half), [], [], [half.base_weights], moments(half), TRAINING, seed=1)

    assert trained.last_loss < trained.first_loss
