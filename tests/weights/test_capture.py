"""One padded pass sees what each context sees alone."""

from __future__ import annotations

import torch

from core.weights.capture import capture, last_keys, pad
from core.weights.contexts import contexts_of
from core.weights.subject import Subject
from tests.weights.conftest import fact

FACTS = (fact("Aria Moss", "lives in", "Rome"), fact("Bo", "plays", "the violoncello at night"))


def test_sequences_are_padded_on_the_right() -> None:
    ids, mask = pad([[5], [6, 7, 8]], 9, torch.device("cpu"))

    assert ids.tolist() == [[5, 9, 9], [6, 7, 8]]
    assert mask.tolist() == [[1, 0, 0], [1, 1, 1]]


def test_positions_are_those_before_each_target(tiny: Subject) -> None:
    contexts = [one for index, item in enumerate(FACTS) for one in contexts_of(tiny, index, item, ())]

    seen = capture(tiny, contexts)

    found = list(zip(seen.rows.tolist(), seen.columns.tolist(), seen.targets.tolist(), strict=True))
    assert found == [
        (row, at - 1, context.ids[at])
        for row, context in enumerate(contexts)
        for at in range(context.start, len(context.ids))
    ]


def test_a_batch_sees_what_each_context_sees_alone(dormouse: Subject) -> None:
    contexts = [one for index, item in enumerate(FACTS) for one in contexts_of(dormouse, index, item, ("Once. ",))]

    together = capture(dormouse, contexts)

    alone = [capture(dormouse, [context]) for context in contexts]
    for module in dormouse.modules:
        expected = torch.cat([one.keys[module] for one in alone])
        torch.testing.assert_close(together.keys[module], expected, atol=1e-4, rtol=1e-3)
    for row, one in enumerate(alone):
        width = len(contexts[row].ids)
        torch.testing.assert_close(together.hidden[row, :width], one.hidden[0], atol=1e-3, rtol=1e-3)
    assert together.predicted(dormouse).tolist() == [token for one in alone for token in one.predicted(dormouse)]


def test_keys_are_the_inputs_of_the_edited_modules(tiny: Subject) -> None:
    contexts = contexts_of(tiny, 0, FACTS[0], ())[:1]
    inputs: list[torch.Tensor] = []
    module = tiny.modules[0]
    handle = tiny.model.get_submodule(module).register_forward_hook(lambda _, given, __: inputs.append(given[0]))

    seen = capture(tiny, contexts)
    handle.remove()

    assert torch.equal(seen.keys[module], inputs[0][0, seen.columns])


def test_probabilities_and_predictions_are_those_of_the_model(tiny: Subject) -> None:
    contexts = contexts_of(tiny, 0, FACTS[1], ())
    seen = capture(tiny, contexts)

    logits = torch.cat(
        [tiny.model(input_ids=torch.tensor([one.ids])).logits[0, one.start - 1 : -1].float() for one in contexts]
    )

    assert seen.predicted(tiny).tolist() == logits.argmax(-1).tolist()
    expected = logits.softmax(-1)[range(len(logits)), seen.targets]
    torch.testing.assert_close(seen.probability(tiny), expected, atol=1e-5, rtol=1e-4)


def test_last_keys_are_those_of_each_sequence_alone(tiny: Subject) -> None:
    sequences = [tiny.raw_ids(text) for text in ("Aria", "Aria Moss lives in", "The lamp stood near the river.")]

    together = last_keys(tiny, sequences)

    for row, sequence in enumerate(sequences):
        for module, keys in last_keys(tiny, [sequence]).items():
            torch.testing.assert_close(together[module][row], keys[0], atol=1e-5, rtol=1e-4)


def test_no_hook_is_left_behind(tiny: Subject) -> None:
    capture(tiny, contexts_of(tiny, 0, FACTS[0], ()))
    last_keys(tiny, [tiny.raw_ids("Aria")])

    assert not any(module._forward_hooks or module._forward_pre_hooks for module in tiny.model.modules())
