"""The stock `openai` package talks to memories: models, chats, continuations, streams, errors."""

from __future__ import annotations

import json
import threading
from typing import Any

import httpx
import openai as package
import pytest
from openai import OpenAI

from core.errors.base import ArtifactMissing
from hypnogram.client import new_fact
from service.app.ports import Sampling
from tests.core.samples import CLEAN
from tests.patience import PATIENCE, eventually
from tests.service.conftest import DEMO, Running
from tests.service.rpc.test_conversations import reader
from tests.service.web.conftest import goes_while_it_thinks, is_idle

SAY = [{"role": "user", "content": "say it again"}]
LONG = 1000


def ask(client: OpenAI, model: str = DEMO, **asked: Any) -> Any:
    return client.chat.completions.create(model=model, **{"messages": SAY, **asked})


def test_models_are_memories_their_newest_version_and_their_checkpoints(web: Running, openai: OpenAI) -> None:
    web.client.mark(DEMO, "monday", version=1)

    listed = {model.id: model for model in openai.models.list()}

    assert set(listed) == {"demo", f"demo@{web.client.memory(DEMO).version}", "demo@monday"}
    assert openai.models.retrieve("demo@monday") == listed["demo@monday"]
    assert openai.models.retrieve("demo@2").id == "demo@2"
    assert listed["demo"].owned_by == "hypnogram"
    assert listed["demo"].created > 1_700_000_000


def test_a_chat_is_answered_with_the_digest_of_its_weights_and_its_tokens(openai: OpenAI) -> None:
    answer = ask(openai)

    assert answer.choices[0].message.content == "say it again "
    assert (answer.choices[0].finish_reason, answer.choices[0].message.role) == ("stop", "assistant")
    assert (answer.model, answer.system_fingerprint, answer.object) == ("demo@1", CLEAN, "chat.completion")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (3, 3, 6)


def test_a_streamed_chat_has_the_same_text_and_its_usage_where_that_is_asked_for(openai: OpenAI) -> None:
    *chunks, last = ask(openai, stream=True, stream_options={"include_usage": True})

    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "say it again "
    assert [chunk.choices[0].finish_reason for chunk in chunks][-2:] == [None, "stop"]
    assert {(chunk.id, chunk.system_fingerprint) for chunk in chunks} == {(last.id, CLEAN)}
    assert (last.choices, last.usage.completion_tokens) == ([], 3)


def test_a_text_is_continued_streamed_or_not(openai: OpenAI) -> None:
    whole = openai.completions.create(model=DEMO, prompt="one two three four", max_tokens=2)
    pieces = list(openai.completions.create(model=DEMO, prompt="one two three four", max_tokens=2, stream=True))

    assert (whole.choices[0].text, whole.choices[0].finish_reason) == ("one two ", "length")
    assert "".join(piece.choices[0].text for piece in pieces) == "one two "
    assert pieces[-1].choices[0].finish_reason == "length"
    assert pieces[-1].system_fingerprint == whole.system_fingerprint == CLEAN


def test_a_memory_is_asked_as_it_was(web: Running, openai: OpenAI) -> None:
    web.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon")])
    web.client.mark(DEMO, "tuesday", version=2)

    assert ask(openai, "demo@2").model == "demo@2"
    assert ask(openai, "demo@tuesday").model == "demo@2"


def test_tokens_are_drawn_by_the_seed_that_was_given(web: Running, openai: OpenAI) -> None:
    ask(openai)
    greedy = web.parrot.sampling
    ask(openai, temperature=0.7, top_p=0.9, seed=-1)

    assert greedy is None
    assert web.parrot.sampling == Sampling(0.7, 0.9, 2**53 - 1)


def test_an_answer_ends_at_a_stop_and_at_the_most_tokens(openai: OpenAI) -> None:
    assert ask(openai, stop=" again").choices[0].message.content == "say it"
    assert ask(openai, stop=["x", "it"]).choices[0].finish_reason == "stop"
    assert ask(openai, max_tokens=1).choices[0].finish_reason == "length"
    assert ask(openai, max_completion_tokens=2).usage.completion_tokens == 2


def test_what_concerns_others_than_a_memory_is_ignored(openai: OpenAI) -> None:
    ignored: dict[str, Any] = {"user": "ann", "metadata": {"a": "b"}, "store": False}
    neutral = {"n": 1, "tools": [], "presence_penalty": 0.0, "logprobs": False, "response_format": {"type": "text"}}

    assert ask(openai, **ignored | neutral).choices


def test_turns_may_come_in_parts_and_from_a_developer(web: Running, openai: OpenAI) -> None:
    said = [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": [{"type": "text", "text": "hi"}]}]

    assert ask(openai, messages=said).choices[0].message.content == "hi "


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o",
        "Not A Name",
        "demo@nosuch",
        "demo@99",
        "demo@",
        "demo@1999-01-01T00:00",
        "demo@" + "9" * 26,
        "demo@9999-12-31T23:59:59-23:59",
        "demo@2026-13-45T10:00",
    ],
)
def test_a_model_that_does_not_exist_is_not_found(openai: OpenAI, model: str) -> None:
    for call in (lambda: ask(openai, model), lambda: openai.models.retrieve(model)):
        with pytest.raises(package.NotFoundError) as refused:
            call()
        assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"temperature": 3}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 10**6}, "max_tokens"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": [""]}, "stop[0]"),
        ({"n": 2}, "n"),
        ({"logprobs": 0}, "logprobs"),
        ({"logit_bias": {"7": 1}}, "logit_bias"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].type"),
        ({"extra_body": {"top_k": 5}}, "top_k"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(openai: OpenAI, asked: dict[str, Any], param: str) -> None:
    for stream in (False, True):
        with pytest.raises(package.BadRequestError) as refused:
            ask(openai, **asked, stream=stream)
        assert (refused.value.param, refused.value.code) == (param, "invalid_field")
        assert refused.value.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({}, "model", "is missing"),
        ({"model": None}, "model", "is missing"),
        ({"model": 5}, "model", "should be a valid string"),
        ({"model": DEMO, "messages": ["hi"]}, "messages[0]", "is not a JSON object"),
        ({"model": DEMO, "messages": "hi"}, "messages", "should be a valid list"),
        ({"model": DEMO, "stream_options": 1}, "stream_options", "is not a JSON object"),
        ({"model": DEMO, "prompt": []}, "prompt", "at least 1 item, not 0"),
    ],
    ids=str,
)
def test_a_fault_of_a_body_names_its_field_and_no_class(
    web: Running, body: dict[str, Any], param: str, words: str
) -> None:
    kind = "completions" if "prompt" in body else "chat/completions"
    given = {"messages": [{"role": "user", "content": "hi"}]} if kind.startswith("chat") else {}
    answer = httpx.post(f"{web.http}/v1/{kind}", json=given | body)

    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, "invalid_field")
    assert words in error["message"]
    assert "_" not in error["message"].replace("stream_options", "")


def test_a_bug_tells_nothing_but_its_correlation(web: Running, openai: OpenAI) -> None:
    web.parrot.broken = ZeroDivisionError("secret of the house")
    with pytest.raises(package.InternalServerError) as failed:
        ask(openai)

    assert "secret" not in str(failed.value)
    assert failed.value.request_id
    assert failed.value.request_id in failed.value.message


def test_weights_that_cannot_be_trusted_are_an_error_of_the_server(web: Running, openai: OpenAI) -> None:
    web.parrot.broken = ArtifactMissing("d" * 64)
    with pytest.raises(package.InternalServerError) as failed:
        ask(openai, stream=True)

    assert failed.value.code == "artifact_missing"


def test_an_error_amid_a_stream_ends_it(web: Running, openai: OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = web.parrot.generate

    def generate(*asked: Any, **named: Any) -> Any:
        yield from list(whole(*asked, **named))[:2]
        raise ArtifactMissing("d" * 64)

    monkeypatch.setattr(web.parrot, "generate", generate)
    with pytest.raises(package.APIError, match="artifact") as failed:
        list(ask(openai, stream=True))

    assert failed.value.code == "artifact_missing"


def test_the_model_stops_when_the_client_goes_amid_a_stream(web: Running, openai: OpenAI) -> None:
    web.parrot.think_after = 1
    enough = web.parrot.think_until = threading.Event()
    said = [{"role": "user", "content": "word " * LONG}]
    with ask(openai, messages=said, stream=True) as chunks:
        next(iter(chunks))
    try:
        eventually(lambda: is_idle(web))
    finally:
        enough.set()

    assert web.parrot.closed.wait(PATIENCE)
    assert web.parrot.generated == 2


def test_the_model_stops_when_the_client_goes_before_the_answer(web: Running) -> None:
    body = {"model": DEMO, "messages": [{"role": "user", "content": "word " * LONG}]}

    goes_while_it_thinks(web, "/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"})

    assert web.parrot.generated == 1


@pytest.mark.parametrize("how", ["body", "headers"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_is_remembered_where_it_is_asked_to(web: Running, openai: OpenAI, how: str, stream: bool) -> None:
    name = f"{how}-{stream}"
    text = f"Robin {'Smith' if stream else 'Jones'}-{'Lee' if how == 'body' else 'Ray'} lives in Oslo."
    given: dict[str, Any] = {"extra_body": {"conversation": name, "remember": "on"}}
    if how == "headers":
        given = {"extra_headers": {"hypnogram-conversation": name, "hypnogram-remember": "on"}}
    with reader(web):
        answer = ask(openai, messages=[{"role": "user", "content": text}], stream=stream, **given)
        chunks = list(answer) if stream else [answer]

    assert (chunks[0].conversation, chunks[0].turn) == (name, 1)
    (candidate,) = chunks[-1].remembered["candidates"]
    assert candidate["result"]["fact"]["object"] == "Oslo"
    if not stream:
        assert answer.usage.completion_tokens == len(text.split())


def test_a_chat_is_not_recorded_without_being_asked(web: Running, openai: OpenAI) -> None:
    version = web.client.memory(DEMO).version
    ask(openai)

    assert web.client.memory(DEMO).version == version
