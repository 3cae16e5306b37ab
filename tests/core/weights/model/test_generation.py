"""Greedy generation: a batch gives what each prompt gets alone and what `generate` of transformers gives."""

from __future__ import annotations

import pytest
import torch

from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import decode, generate_and_read, generate_ids, greedy
from core.weights.neuron.inputs import mlp_inputs

TEXTS = (
    "Clara",
    "The old lamp stood near the river and the cousin said that",
    "Every evening a fox",
    "Theitron Nolan lives in",
    "",
)


def generated(model: EditableModel, ids: list[int], tokens: int) -> list[int]:
    """Returns what `generate` of transformers gives."""
    prompt = torch.tensor([ids])
    out = model.network.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=tokens, do_sample=False)
    tokens_out: list[int] = out[0, len(ids) :].tolist()
    return tokens_out


@pytest.fixture(params=["tiny", "dormouse"])
def model(request: pytest.FixtureRequest) -> EditableModel:
    chosen: EditableModel = request.getfixturevalue(request.param)
    return chosen


def test_decoding_step_by_step_is_greedy_generation(model: EditableModel) -> None:
    ids = model.raw_ids("Every evening a fox")

    with torch.inference_mode():
        steps = [tokens[0] for tokens in decode(model, [ids], 12)]

    expected = generated(model, ids, 12)
    assert steps[: len(expected)] == expected


def test_a_batch_says_what_each_prompt_gets_alone_and_what_generate_gives(model: EditableModel) -> None:
    prompts = [model.raw_ids(text) for text in TEXTS]

    together = greedy(model, prompts, sentence=False, max_new_tokens=12)

    assert together == [greedy(model, [prompt], sentence=False, max_new_tokens=12)[0] for prompt in prompts]
    assert together == [
        model.tokenizer.decode(generated(model, prompt, 12), skip_special_tokens=True) for prompt in prompts
    ]


@pytest.mark.parametrize("sentence", [False, True])
def test_what_an_mlp_reads_is_kept_while_a_batch_is_generated(model: EditableModel, sentence: bool) -> None:
    # given prompts that begin alike, of different lengths, some of which end before others
    prompts = [model.raw_ids(f"The old lamp {rest}") for rest in ("stood near", "was", "and the fox that said")]
    ids = generate_ids(model, prompts, sentence=sentence, max_new_tokens=20, share=True)

    pairs = generate_and_read(model, 1, prompts, sentence=sentence, max_new_tokens=20)

    assert [said for said, _ in pairs] == ids
    for prompt, (said, rows) in zip(prompts, pairs, strict=True):
        assert len(prompt) + len(said) - len(rows) in (0, 1)
        whole = mlp_inputs(model, 1, [[*prompt, *said], [model.pad_token]])[0]
        torch.testing.assert_close(rows, whole[: len(rows)], rtol=1e-4, atol=1e-4)


def test_a_beginning_that_all_prompts_share_may_be_run_once(model: EditableModel) -> None:
    prompts = [
        model.raw_ids(f"The old lamp stood near the {thing}") for thing in ("river and", "door", "fox that said")
    ]

    shared = greedy(model, prompts, sentence=False, max_new_tokens=12, share=True)

    assert shared == greedy(model, prompts, sentence=False, max_new_tokens=12)
    assert greedy(model, prompts[:1] * 2, sentence=False, max_new_tokens=12, share=True) == shared[:1] * 2


def test_rows_that_have_ended_are_not_run_any_more(model: EditableModel) -> None:
    prompts, limits = [model.raw_ids(text) for text in TEXTS[:4]], [12, 2, 3, 12]
    alone = [
        greedy(model, [prompt], sentence=False, max_new_tokens=limit)[0]
        for prompt, limit in zip(prompts, limits, strict=True)
    ]
    ran = list[int]()
    watched = model.network.register_forward_pre_hook(
        lambda _, __, named: ran.append(len(named["input_ids"])), with_kwargs=True
    )

    together = greedy(model, prompts, sentence=False, max_new_tokens=limits)

    watched.remove()
    assert together == alone
    assert ran[:3] == [4, 4, 4]
    assert set(ran[3:]) <= {2, 1}
