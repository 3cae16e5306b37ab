"""Chat templates are programs of others: what they make is what transformers makes, and none of them can hold us up."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jinja2 import TemplateError
from transformers import AutoTokenizer

from benchmarks.support.tiny import make
from core.errors.base import ModelUnavailable
from core.weights.model import templates
from core.weights.model.templates import fill_in

TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": 'Wer ist "Åsa"? <b>\n'},
    {"role": "assistant", "content": "🦜 Nobody."},
    {"role": "user", "content": "…"},
]
LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
LAST = "{{ messages[-1].content }}"
ENDLESS = {
    "loops in loops": LOOP,
    "a loop with output": "{% for a in range(99999) %}{% for b in range(99999) %}{{ a * b }}{% endfor %}{% endfor %}",
    "a large text": "{{ 'x' * 10**9 }}",
    "a wide format": "{{ '%1000000000d' % 1 }}",
    "a text that doubles": (
        "{% set n = namespace(s='x') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}"
    ),
    "more text than can be meant": "{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}",
    "deep recursion": "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
    "a mistake": "{{ [1] + 'a' }}",
}
SOUND = {
    "json": "{{ messages | tojson }}{{ {'b': 1, 'a': 2} | tojson(indent=2) }}",
    "loop controls": "{% for m in messages %}{% if loop.index > 2 %}{% break %}{% endif %}{{ m.content }}{% endfor %}",
    "special tokens": "{{ bos_token }}{{ messages[-1]['content'] }}{{ eos_token }}",
    "generation": "{% for m in messages %}{% generation %}{{ m.content | trim }}{% endgeneration %}{% endfor %}",
    "prompt": "{{ messages | length }}{% if add_generation_prompt %}<|assistant|>{% endif %}{{ tools }}",
    "time": "{{ strftime_now('%Y') }}",
}


@pytest.fixture
def tokenizer(tmp_path: Path) -> Any:
    make(tmp_path / "base")
    return AutoTokenizer.from_pretrained(tmp_path / "base")


@pytest.fixture(autouse=True, scope="module")
def processes() -> Iterator[templates._Templates]:
    """Of these tests' own, so that others do not wait for what is done to them."""
    mine = templates._Templates()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(templates, "_templates", mine)
        yield mine
    mine.close()


@pytest.mark.parametrize("template", [None, *SOUND.values()], ids=["the model's own", *SOUND])
def test_it_is_filled_in_as_transformers_does(tokenizer: Any, template: str | None) -> None:
    if template is not None:
        tokenizer.chat_template = template
    for turns in (TURNS[1:2], TURNS):
        for prompt in (True, False):
            theirs = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=prompt)
            assert fill_in(tokenizer, turns, prompt) == theirs


def test_what_a_template_objects_to_is_told_from_what_it_does_wrong(tokenizer: Any) -> None:
    tokenizer.chat_template = "{{ raise_exception('no system turns') }}"
    with pytest.raises(TemplateError, match="no system turns"):
        fill_in(tokenizer, TURNS)


@pytest.mark.parametrize("template", ENDLESS.values(), ids=ENDLESS)
def test_one_that_does_not_come_to_a_sound_end_is_cut_off(tokenizer: Any, template: str) -> None:
    sound, tokenizer.chat_template = tokenizer.chat_template, template
    with pytest.raises(ModelUnavailable, match=r"mend its chat_template\.jinja"):
        fill_in(tokenizer, TURNS)

    tokenizer.chat_template = sound
    assert "Be brief." in fill_in(tokenizer, TURNS)


def test_one_that_never_ended_waits_for_its_like_alone_from_then_on(
    tokenizer: Any, processes: templates._Templates
) -> None:
    sound, tokenizer.chat_template = tokenizer.chat_template, LOOP
    with pytest.raises(ModelUnavailable, match="did not come to an end"):
        fill_in(tokenizer, TURNS)

    with processes._bad._lock:  # as if it were at it again
        tokenizer.chat_template = sound
        assert "Be brief." in fill_in(tokenizer, TURNS)


def test_a_process_that_somebody_ended_is_started_again(tokenizer: Any, processes: templates._Templates) -> None:
    before = fill_in(tokenizer, TURNS)
    assert processes._good._process is not None
    os.kill(processes._good._process.pid, signal.SIGKILL)

    assert fill_in(tokenizer, TURNS) == before


def test_an_answer_left_by_a_killed_fork_is_passed_over(processes: templates._Templates) -> None:
    asked = {"template": LAST, "tokens": {}, "add_generation_prompt": True}
    processes.start()
    good = processes._good._process
    assert good is not None
    assert good.stdin is not None
    left = asked | {"messages": [{"role": "user", "content": "of the fork"}], "name": "another"}
    good.stdin.write(json.dumps(left).encode() + b"\n")
    good.stdin.flush()

    answer = processes.ask(asked | {"messages": [{"role": "user", "content": "mine"}]})

    assert answer == {"text": "mine"}
    assert processes._good._process is good
