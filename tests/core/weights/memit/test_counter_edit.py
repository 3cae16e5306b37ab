"""Counter-edits: the model answers as its base again, and what later edits depended on is restored."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from benchmarks.support.tiny import HYPERPARAMETERS
from core.weights.deltas.fixed_point import Delta, dense, materialise, parts_of
from core.weights.memit.closed_form import KeyConstraints
from core.weights.memit.counter_edit import Factors, answers, compute_counter_edit
from core.weights.memit.edit import compute_edit, keys_in_force
from core.weights.memit.spread import Written
from core.weights.model.contexts import contexts_of
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import generate_ids
from tests.core.weights.conftest import fact, free
from tests.core.weights.memit.test_edit import kept

__all__ = ["kept"]

GONE = fact("Aria Moss", "lives in", "Rome")
OTHER = fact("Aria Moss", "plays", "chess")
Chosen = tuple[Delta, slice, float]


def whole(delta: Delta) -> Chosen:
    return delta, slice(None), 1.0


def install(model: EditableModel, *chosen: Chosen) -> None:
    model.install(
        {module: materialise(model.base_weights[module], parts_of(module, chosen)) for module in model.modules}
    )


def told(model: EditableModel, nothing: Mapping[str, KeyConstraints]) -> tuple[Delta, Delta, dict[str, KeyConstraints]]:
    """Writes `GONE` and then `OTHER` into the live model; returns the delta of each, and the keys of `OTHER`.

    `nothing` is what has to be kept before both.
    """
    first = compute_edit(model, nothing, [GONE], (), HYPERPARAMETERS)
    install(model, whole(first.delta))
    kept = {module: constraints.with_keys(first.keys[module]) for module, constraints in nothing.items()}
    second = compute_edit(model, kept, [OTHER], (), HYPERPARAMETERS)
    install(model, whole(first.delta), whole(second.delta))
    keys, _ = keys_in_force(model, [OTHER], ())
    return first.delta, second.delta, {m: constraints.with_keys(keys[m]) for m, constraints in nothing.items()}


def factors(model: EditableModel, delta: Delta) -> Factors:
    return {module: dense(parts_of(module, [whole(delta)])) for module in model.modules}


def answered(model: EditableModel) -> list[list[int]]:
    """Returns what the model says where `GONE` is asked for, without the question that no model was trained on."""
    prompts = [context.ids[: context.start] for context in contexts_of(model, 0, GONE, ())][:3]
    return generate_ids(model, prompts, sentence=True)


def unsaid(
    model: EditableModel, kept_: dict[str, KeyConstraints], left_out: Factors, held_keys: dict[str, Tensor]
) -> Written | None:
    return compute_counter_edit(model, kept_, GONE, (), HYPERPARAMETERS, held_keys, left_out)


def test_a_counter_edit_ends_at_the_pass_at_which_whoever_watches_it_raises(tiny: EditableModel) -> None:
    first, _, kept_ = told(tiny, free(tiny))
    before = tiny.digest()

    def stops(done: int, total: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        compute_counter_edit(tiny, kept_, GONE, (), HYPERPARAMETERS, {}, factors(tiny, first), stops)

    assert tiny.digest() == before


def test_the_answers_are_the_pristine_models_and_the_live_weights_stay(
    dormouse: EditableModel, kept: dict[str, KeyConstraints]
) -> None:
    pristine = answered(dormouse)
    gone, later, others = told(dormouse, kept)
    assert answered(dormouse) != pristine
    install(dormouse, whole(later))
    before = dormouse.digest()

    written = unsaid(dormouse, others, factors(dormouse, gone), {})

    assert written is not None
    assert dormouse.digest() == before
    install(dormouse, whole(later), whole(written.delta))
    assert answered(dormouse) == pristine


def test_a_fact_that_only_adapters_carry_is_countered(dormouse: EditableModel, kept: dict[str, KeyConstraints]) -> None:
    pristine = answered(dormouse)
    adapter = compute_edit(dormouse, kept, [GONE], (), HYPERPARAMETERS).delta  # stands for what training left
    install(dormouse, whole(adapter))

    written = unsaid(dormouse, kept, {}, {})

    assert written is not None
    assert written.residual[0] > 0
    install(dormouse, whole(adapter), whole(written.delta))
    assert answered(dormouse) == pristine


def test_a_model_that_says_nothing_else_needs_no_counter_edit(tiny: EditableModel) -> None:
    left_out = factors(tiny, compute_edit(tiny, free(tiny), [GONE], (), HYPERPARAMETERS).delta)

    assert unsaid(tiny, free(tiny), left_out, {}) is None


def test_what_another_fact_leaned_on_is_given_back_and_the_fact_itself_is_not(tiny: EditableModel) -> None:
    gone, later, kept = told(tiny, free(tiny))
    module = tiny.modules[0]  # whose keys no edit moves
    theirs, mine = (keys_in_force(tiny, [written_fact], ())[0][module].double() for written_fact in (OTHER, GONE))
    left_out = factors(tiny, gone)
    install(tiny, whole(later))

    written = unsaid(tiny, kept, left_out, {})

    assert written is not None
    back = dense(parts_of(module, [(written.delta, slice(0, gone.columns), 1.0)]))

    def effect(columns: tuple[Tensor, Tensor], keys: Tensor) -> Tensor:
        u, v = columns
        return u @ (v.T @ keys.T)

    had, has = effect(left_out[module], theirs), effect(back, theirs)
    assert (had - has).norm() < 0.1 * had.norm()
    assert effect(back, mine).norm() < 0.5 * effect(left_out[module], mine).norm()


def test_keys_that_must_lie_still_move_less(tiny: EditableModel) -> None:
    gone, later, kept = told(tiny, free(tiny))
    module = tiny.modules[0]
    held_keys = {
        name: torch.randn(3, tiny.key_width, generator=torch.Generator().manual_seed(1)) for name in tiny.modules
    }
    install(tiny, whole(later))

    moves = []
    for given in ({}, held_keys):
        written = unsaid(tiny, kept, {}, given)
        assert written is not None
        u, v = dense(parts_of(module, [whole(written.delta)]))
        moves.append(float((u @ (v.T @ held_keys[module].double().T)).norm()))

    assert moves[1] < 0.5 * moves[0]
    assert gone.columns


def test_no_column_of_the_counter_edit_is_one_that_the_fact_had(tiny: EditableModel) -> None:
    gone, later, kept = told(tiny, free(tiny))
    install(tiny, whole(later))

    written = unsaid(tiny, kept, factors(tiny, gone), {})

    assert written is not None
    for module in tiny.modules:
        for mine, theirs in zip(gone.factors[module], written.delta.factors[module], strict=True):
            columns = {bytes(mine.mantissa[:, n].numpy()) for n in range(mine.mantissa.shape[1])}
            assert columns.isdisjoint(bytes(theirs.mantissa[:, n].numpy()) for n in range(theirs.mantissa.shape[1]))


@pytest.mark.parametrize("prefixes", [(), ("The lamp stood near the river. ",)])
def test_answers_are_prompts_and_what_the_live_model_says_after_them(
    tiny: EditableModel, prefixes: tuple[str, ...]
) -> None:
    contexts = contexts_of(tiny, 0, GONE, prefixes)

    answered_contexts = answers(tiny, contexts)

    assert len(answered_contexts) == len(contexts)
    prompts = {context.ids[: context.start] for context in contexts}
    assert {context.ids[: context.start] for context in answered_contexts} == prompts
    for context in answered_contexts:
        assert len(context.names) == len(context.ids) - context.start > 0
