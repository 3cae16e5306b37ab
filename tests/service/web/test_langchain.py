"""LangChain's stock client talks to memories as to OpenAI."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from tests.core.samples import CLEAN
from tests.service.conftest import DEMO, Running


@pytest.fixture
def chat(web: Running, monkeypatch: pytest.MonkeyPatch) -> ChatOpenAI:
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    return ChatOpenAI(base_url=f"{web.http}/v1", api_key=SecretStr("unused"), model=DEMO, max_retries=0)


def test_langchain_asks_and_is_told_tokens_and_weights(chat: ChatOpenAI) -> None:
    said = [SystemMessage("Be kind."), HumanMessage("hi"), AIMessage("hello"), HumanMessage("say it again")]

    answer = chat.invoke(said, stop=["again"])

    assert answer.content == "say it "
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["input_tokens"] == 3
    assert answer.response_metadata["system_fingerprint"] == CLEAN


def test_langchain_streams(chat: ChatOpenAI) -> None:
    chunks = list(chat.stream("say it again", stream_usage=True))

    assert "".join(str(chunk.content) for chunk in chunks) == "say it again "
    assert sum(chunk.usage_metadata["output_tokens"] for chunk in chunks if chunk.usage_metadata) == 3


def test_langchain_samples_and_continues_as_it_was(web: Running, chat: ChatOpenAI) -> None:
    chat.bind(temperature=0.5, seed=7).invoke("hello")
    sampling = web.parrot.sampling
    then = ChatOpenAI(base_url=f"{web.http}/v1", api_key=SecretStr("unused"), model=f"{DEMO}@2", max_retries=0)

    assert sampling is not None
    assert (sampling.temperature, sampling.seed) == (0.5, 7)
    assert then.invoke("hello").response_metadata["model_name"] == "demo@2"
