"""Contexts run together, as prefixes and suffixes, are seen as the model sees each of them alone and whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.support.tiny import make
from core.weights.model import suffix_forward
from core.weights.model.activations import SPARE, alike, capture, last_keys, pad
from core.weights.model.contexts import Context, contexts_of
from core.weights.model.editable_model import EditableModel, load_model
from core.weights.neuron.inputs import mlp_inputs
from tests.core.weights.conftest import fact

FACTS = (fact("Aria Moss", "lives in", "Rome"), fact("Bo", "plays", "the violoncello at night"))


def test_sequences_are_padded_on_the_right() -> None:
    ids, mask = pad([[5], [6, 7, 8]], 9, torch.device("cpu"))

    assert ids.tolist() == [[5, 9, 9], [6, 7, 8]]
    assert mask.tolist() == [[1, 0, 0], [1, 1, 1]]


def test_lengths_that_are_alike_go_together() -> None:
    many = SPARE // 2

    assert alike([3, 9, 8, 3]) == [[1, 2, 0, 3]]
    assert alike([3] * many + [9]) == [[many], [*range(many)]]
    assert alike([9, *[8] * (SPARE + 1)]) == [[0], [*range(1, SPARE + 2)]]


def test_few_shorter_ones_do_not_add_up_to_much_padding() -> None:
    lengths = list(range(40))

    groups = alike(lengths)

    assert sorted(row for group in groups for row in group) == lengths
    for group in groups:
        longest = max(lengths[row] for row in group)
        assert sum(longest - lengths[row] for row in group) <= SPARE


def test_positions_are_those_before_each_target(tiny: EditableModel) -> None:
    contexts = [context for index, item in enumerate(FACTS) for context in contexts_of(tiny, index, item, ())]

    seen = capture(tiny, contexts)

    positions = list(zip(seen.rows.tolist(), seen.targets.tolist(), strict=True))
    assert positions == [
        (row, context.ids[at]) for row, context in enumerate(contexts) for at in range(context.start, len(context.ids))
    ]
    assert len(seen.hidden) == len(positions)


def test_what_was_captured_apart_is_put_together_and_contexts_are_left_out(tiny: EditableModel) -> None:
    view = tiny.at_block(1)
    first, second = ([*contexts_of(view, index, item, ("Once. ",))] for index, item in enumerate(FACTS))
    contexts, keep = [*first, *second], torch.arange(len(first) + len(second)) % 3 != 1

    apart = capture(view, first, share=True).beside(capture(view, second, share=True)).only(keep)

    whole = capture(view, [context for context, kept in zip(contexts, keep.tolist(), strict=True) if kept])
    assert apart.rows.tolist() == whole.rows.tolist()
    assert apart.targets.tolist() == whole.targets.tolist()
    for part in ("hidden", "top", "read"):
        torch.testing.assert_close(getattr(apart, part), getattr(whole, part), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(apart.above(apart.hidden), whole.above(whole.hidden), rtol=1e-4, atol=1e-4)


def test_what_the_mlp_reads_is_captured(tiny: EditableModel) -> None:
    contexts = contexts_of(tiny, 0, FACTS[0], ())
    begin = [context.start - 1 for context in contexts]

    read = capture(tiny.at_block(1), contexts).read

    whole = [mlp_inputs(tiny, 1, [context.ids[:-1], (tiny.pad_token,)])[0] for context in contexts]
    expected = torch.cat([rows[place:] for rows, place in zip(whole, begin, strict=True)])
    torch.testing.assert_close(read, expected, rtol=1e-4, atol=1e-4)


def test_a_batch_sees_what_each_context_sees_alone(dormouse: EditableModel) -> None:
    contexts = [
        context for index, item in enumerate(FACTS) for context in contexts_of(dormouse, index, item, ("Once. ",))
    ]

    together = capture(dormouse, contexts)

    alone = [capture(dormouse, [context]) for context in contexts]
    for module in dormouse.modules:
        expected = torch.cat([single.keys[module] for single in alone])
        torch.testing.assert_close(together.keys[module], expected, atol=1e-4, rtol=1e-3)
    hidden = torch.cat([single.hidden for single in alone])
    torch.testing.assert_close(together.hidden, hidden, atol=1e-3, rtol=1e-3)
    assert together.predicted().tolist() == [token for single in alone for token in single.predicted()]


def test_keys_are_the_inputs_of_the_edited_modules(tiny: EditableModel) -> None:
    context = contexts_of(tiny, 0, FACTS[0], ())[0]
    inputs: list[torch.Tensor] = []
    module = tiny.modules[0]

    seen = capture(tiny, [context])

    handle = tiny.network.get_submodule(module).register_forward_hook(lambda _, given, __: inputs.append(given[0]))
    tiny.network(input_ids=torch.tensor([context.ids]))
    handle.remove()
    torch.testing.assert_close(seen.keys[module], inputs[0][0, context.start - 1 : -1], atol=1e-5, rtol=1e-4)


def test_probabilities_and_predictions_are_those_of_the_model(tiny: EditableModel) -> None:
    contexts = contexts_of(tiny, 0, FACTS[1], ())
    seen = capture(tiny, contexts)

    logits = torch.cat(
        [
            tiny.network(input_ids=torch.tensor([context.ids])).logits[0, context.start - 1 : -1].float()
            for context in contexts
        ]
    )

    assert seen.predicted().tolist() == logits.argmax(-1).tolist()
    expected = logits.softmax(-1)[range(len(logits)), seen.targets]
    torch.testing.assert_close(seen.probability(), expected, atol=1e-5, rtol=1e-4)


def test_a_context_may_have_no_prefix(tiny: EditableModel) -> None:
    ids = tuple(tiny.raw_ids("Aria lives in Rome."))
    whole = Context(fact=0, ids=ids, start=1, names=tuple(f"object:{number}" for number in range(len(ids) - 1)))
    longer = contexts_of(tiny, 1, FACTS[1], ())[0]

    for contexts in ([whole], [whole, longer]):
        seen = capture(tiny, contexts)

        logits = tiny.network(input_ids=torch.tensor([ids])).logits[0, :-1].float()
        torch.testing.assert_close(seen.logits()[: len(ids) - 1], logits, atol=1e-4, rtol=1e-3)


def test_only_some_contexts_are_run_on_as_all_are(tiny: EditableModel) -> None:
    contexts = [
        context for index, item in enumerate(FACTS * 4) for context in contexts_of(tiny, index, item, ("Once. ",))
    ]
    seen = capture(tiny, contexts)
    assert len(seen.above.parts) > 1

    all_ = seen.above(seen.hidden)
    for rows in ([2], [0, 5, 6], [*range(1, len(contexts))]):
        keep = torch.isin(seen.rows, torch.tensor(rows))
        twice = torch.isin(seen.rows[keep], torch.tensor(rows[:2]))

        chosen = seen.above.only(keep)

        assert sum(part.count for part in chosen.parts) == len(rows)
        torch.testing.assert_close(chosen(seen.hidden[keep]), all_[keep], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(
            chosen.only(twice)(seen.hidden[keep][twice]), all_[keep][twice], atol=1e-5, rtol=1e-4
        )


def test_running_on_leaves_nothing_behind(tiny: EditableModel) -> None:
    """Neither tokens nor graphs pile up in what was kept of prefixes."""
    seen = capture(tiny, contexts_of(tiny, 0, FACTS[0], ()))
    hidden = seen.hidden.clone().requires_grad_()
    layers = seen.above.parts[0].past.layers
    before = [layer.keys for layer in layers]

    outputs = [seen.above(hidden) for _ in range(3)]

    assert all(torch.equal(outputs[0], output) and output.requires_grad for output in outputs)
    assert all(layer.keys is kept and not kept.requires_grad for layer, kept in zip(layers, before, strict=True))


def test_last_keys_are_those_of_each_sequence_alone(tiny: EditableModel) -> None:
    sequences = [tiny.raw_ids(text) for text in ("Aria", "Aria Moss lives in", "The lamp stood near the river.")]

    together = last_keys(tiny, sequences)

    for row, sequence in enumerate(sequences):
        for module, keys in last_keys(tiny, [sequence]).items():
            torch.testing.assert_close(together[module][row], keys[0], atol=1e-5, rtol=1e-4)


def test_no_hook_is_left_behind(tiny: EditableModel) -> None:
    def hooks() -> list[int]:
        return [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in tiny.network.modules()]

    before = hooks()

    capture(tiny, contexts_of(tiny, 0, FACTS[0], ()))
    last_keys(tiny, [tiny.raw_ids("Aria")])

    assert hooks() == before


def test_prefixes_that_begin_alike_are_run_once_and_give_the_same(tiny: EditableModel) -> None:
    contexts = [context for fact in FACTS for context in contexts_of(tiny, 0, fact, ())]

    alone, shared = capture(tiny, contexts), capture(tiny, contexts, share=True)

    assert any(group.part.past.get_seq_length() for group in shared.groups)
    torch.testing.assert_close(shared.hidden, alone.hidden, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(shared.logits(), alone.logits(), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_packed_suffixes_are_computed_as_padded_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attention: str
) -> None:
    # given contexts of several lengths, in several padded tensors, of a model whose tokens heed earlier ones
    model = load_model(make(tmp_path / "base", scale=0.3))
    model.network.set_attn_implementation(attention)
    contexts = [context for index, item in enumerate(FACTS) for context in contexts_of(model, index, item, ("Once. ",))]
    seen = capture(model.at_block(0), contexts, share=True)
    above = seen.above.only(seen.rows % 3 != 1)
    hidden = seen.hidden[seen.rows % 3 != 1].requires_grad_()
    assert len(above.parts) > 1

    # when they are packed into one
    packed = above.packed()

    # then outputs and gradients are the same, and a change of one context moves no other
    assert [(part.count, part.width) for part in packed.parts] == [(1, len(hidden))]
    weight = torch.randn(len(hidden), model.hidden_width)
    gradients = [torch.autograd.grad((way(hidden) * weight).sum(), hidden)[0] for way in (above, packed)]
    torch.testing.assert_close(packed(hidden), above(hidden), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3)
    first = seen.rows[seen.rows % 3 != 1] == 0
    with torch.no_grad():
        moved = packed(hidden + first[:, None]) - packed(hidden)
    assert float(moved[~first].abs().max()) < 1e-5 < float(moved[first].abs().amax(1).min())

    # and many contexts are not
    monkeypatch.setattr(suffix_forward, "PACKED", 1)
    assert above.packed() is above
