"""The client of the MCP package tells, asks and forgets over a real server."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent

from service.settings import Settings
from store.database.tokens import Tokens
from tests.core.samples import CLEAN
from tests.patience import PATIENCE, eventually
from tests.service.conftest import DEMO, Running, run_server
from tests.service.rpc.test_conversations import reader
from tests.service.rpc.test_remembering import ROBIN, remembered
from tests.service.web.conftest import goes_while_it_thinks
from tests.service.web.test_page import PAGE

NAMES = ("tell", "recall", "facts", "forget", "why")
ARIA = {"subject": "Aria Voss", "relation": "lives in", "object": "Lisbon"}
HELLO = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
ACCEPT = {"accept": "application/json, text/event-stream"}


@asynccontextmanager
async def agent(running: Running, token: str = "", mode: Any = "auto") -> AsyncIterator[Client]:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
        Client(streamable_http_client(f"{running.http}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a tool returns. Raises AssertionError where it fails."""
    result = await client.call_tool(tool, {"memory": DEMO, **arguments})
    assert not result.is_error, result.content
    content: dict[str, Any] | None = result.structured_content
    assert content is not None
    return content


async def failure(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, {"memory": DEMO, **arguments})
    assert result.is_error
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_agent_learns_of_every_tool_and_its_arguments(demo: Running, mode: str) -> None:
    async with agent(demo, mode=mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}

    assert tuple(tools) == NAMES
    for name, tool in tools.items():
        assert f"`{name}`" in PAGE
        assert tool.description
        assert tool.output_schema
        for argument, schema in tool.input_schema["properties"].items():
            assert "description" in schema, f"{name}.{argument}"
            assert f"`{argument}`" in PAGE
    assert tools["forget"].annotations is not None
    assert tools["forget"].annotations.destructive_hint


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_fact_is_told_recalled_listed_explained_and_forgotten(demo: Running, mode: str) -> None:
    async with agent(demo, mode=mode) as client:
        told = await call(client, "tell", **ARIA)
        (fact,) = told["facts"]
        assert (fact["status"], fact["object"], told["not_facts"]) == ("pending", "Lisbon", [])
        demo.work()

        assert (await call(client, "facts", search="voss"))["facts"][0]["status"] == "injected"
        assert (await call(client, "facts", status="parked"))["facts"] == []
        answer = await call(client, "recall", question="Where does Aria live?")
        assert answer == {
            "answer": "Where does Aria live? ",
            "model": "demo@1",
            "weights_digest": CLEAN,
            "complete": True,
        }
        life = await call(client, "why", fact=fact["fact"])
        assert life["fact"]["fact"] == fact["fact"]
        assert any(step["summary"] == "told: Aria Voss lives in Lisbon" for step in life["events"])
        assert any(step["decisive"] for step in life["events"])

        await call(client, "forget", fact=fact["fact"], reason="moved")
        demo.work()
        assert (await call(client, "facts", status="withdrawn"))["facts"][0]["fact"] == fact["fact"]


async def test_a_sentence_is_told_with_its_words_as_source(demo: Running) -> None:
    async with agent(demo) as client:
        told = await call(client, "tell", text="Robin lives in Oslo. She doesn't work for Acme.")

        (fact,), (denied,) = told["facts"], told["not_facts"]
        assert (fact["subject"], denied["object"]) == ("Robin", "Acme")
        assert denied["reason"]
        assert (await call(client, "why", fact=fact["fact"]))["said_in"] == "Robin lives in Oslo."


async def test_forgetting_names_the_turns_that_still_state_an_erased_fact(demo: Running) -> None:
    with reader(demo):
        fact = remembered(demo, ROBIN, conversation="monday").candidates[0].result.fact.fact
    async with agent(demo) as client:
        assert (await call(client, "forget", fact=fact))["stated_in"] == []
        forgotten = await call(client, "forget", fact=fact, erase=True)

    assert forgotten["stated_in"] == [{"conversation": "monday", "turns": [1]}]


async def test_a_recall_is_not_recorded_in_a_memory_that_remembers(demo: Running) -> None:
    demo.client.create_memory("diary", remember="on")
    demo.work("diary")
    before = demo.client.memory("diary").version

    async with agent(demo) as client:
        answer = await call(client, "recall", memory="diary", question="Robin lives in Oslo.")

    assert (answer["answer"], answer["weights_digest"]) == ("Robin lives in Oslo. ", CLEAN)
    assert demo.client.memory("diary").version == before


async def test_a_memory_is_read_as_it_was(demo: Running) -> None:
    demo.client.mark(DEMO, "before")
    async with agent(demo) as client:
        await call(client, "tell", **ARIA)
        assert (await call(client, "facts", memory="demo@before"))["facts"] == []
        assert len((await call(client, "facts"))["facts"]) == 1
        version = demo.client.find_version(DEMO, "before").version
        assert (await call(client, "recall", memory="demo@before", question="hi"))["model"] == f"demo@{version}"
        assert (await call(client, "why", memory="demo@2"))["model"] == "demo@2"


async def test_a_tool_waits_until_the_weights_have_the_fact_or_its_time_is_over(demo: Running) -> None:
    async with agent(demo) as client:
        told = await call(client, "tell", **ARIA, wait_seconds=0.05)
        assert told["facts"][0]["status"] == "pending"
        demo.work()
        assert (await call(client, "tell", **ARIA, wait_seconds=60))["facts"][0]["status"] == "injected"


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("tell", {}, "give a text, or subject"),
        ("tell", {"text": "Aria lives in Oslo.", **ARIA}, "give a text, or subject"),
        ("tell", {**ARIA, "memory": "nosuch"}, "nosuch"),
        ("recall", {"memory": "demo@nosuch", "question": "hi"}, "nosuch"),
        ("recall", {"question": " "}, "question: is empty"),
        ("facts", {"status": "lost"}, "'lost' is not one of pending"),
        ("facts", {"limit": 0}, "limit: is not valid: input should be greater than or equal to 1"),
        ("forget", {"fact": "nosuch", "erased": True}, "erased: is not a field of this request"),
        ("recall", {}, "question: is missing"),
        ("recall", {"question": "hi", "max_tokens": 2**31}, "max_tokens: is not valid: input should be less than"),
        ("forget", {"fact": "nosuch"}, "fact"),
        ("why", {"fact": "0197c1de-53a4-7c0e-b1c5-52e8d0a1f3b7"}, "0197c1de"),
    ],
)
async def test_what_cannot_be_done_is_said_in_words(
    demo: Running, tool: str, arguments: dict[str, Any], words: str
) -> None:
    async with agent(demo) as client:
        said = await failure(client, tool, **arguments)

    assert words in said
    assert "Traceback" not in said
    assert "pydantic" not in said


async def test_a_tool_with_an_argument_that_it_does_not_have_does_nothing(demo: Running) -> None:
    async with agent(demo) as client:
        (fact,) = (await call(client, "tell", **ARIA))["facts"]
        before = demo.client.memory(DEMO).version
        await failure(client, "forget", fact=fact["fact"], erased=True)
        tools = (await client.list_tools()).tools

    assert demo.client.memory(DEMO).version == before
    assert all(tool.input_schema["additionalProperties"] is False for tool in tools)


async def test_no_word_of_a_failed_call_is_in_the_log(demo: Running, caplog: pytest.LogCaptureFixture) -> None:
    async with agent(demo) as client:
        await call(client, "tell", **ARIA)
        await failure(client, "tell", **{**ARIA, "object": "Atlantis"})

    assert logging.getLogger("mcp").getEffectiveLevel() >= logging.WARNING
    assert "Atlantis" not in caplog.text


async def test_a_token_reaches_its_memory_alone_and_names_who_acts(demo: Running) -> None:
    demo.client.create_memory("other")
    demo.work("other")
    tokens = Tokens(demo.store.log.engine)
    reader = tokens.create(actor="ann", memory=DEMO, may="read")[1]
    writer = tokens.create(actor="bob", memory=DEMO, may="write")[1]
    eventually(lambda: httpx.post(f"{demo.http}/mcp", json=HELLO, headers=ACCEPT).status_code == 401)

    async with agent(demo, writer) as client:
        told = await call(client, "tell", **ARIA)
        life = await call(client, "why", fact=told["facts"][0]["fact"])
        assert {step["actor"] for step in life["events"]} == {"bob"}
        for tool, arguments in (("facts", {}), ("recall", {"question": "hi"}), ("why", {}), ("tell", ARIA)):
            assert "does not allow" in await failure(client, tool, memory="other", **arguments)
            assert "does not allow" in await failure(client, tool, memory="nosuch", **arguments)
    async with agent(demo, reader) as client:
        assert len((await call(client, "facts"))["facts"]) == 1
        assert "write" in await failure(client, "tell", **ARIA)
        assert "write" in await failure(client, "forget", fact=told["facts"][0]["fact"])


@pytest.mark.parametrize("version", [{}, {"mcp-protocol-version": "2025-06-18"}])
def test_an_agent_that_goes_ends_the_answer(demo: Running, version: dict[str, str]) -> None:
    asked = {"name": "recall", "arguments": {"memory": DEMO, "question": "word " * 500}}
    body = json.dumps({**HELLO, "method": "tools/call", "params": asked}).encode()

    goes_while_it_thinks(demo, "/mcp", body, {**ACCEPT, "content-type": "application/json", **version})

    assert demo.parrot.generated == 1  # of 128


def test_requests_that_are_not_of_the_protocol_are_refused(demo: Running) -> None:
    url = f"{demo.http}/mcp"

    assert httpx.get(url).status_code == 405
    assert httpx.post(url, content=b"{}", headers={**ACCEPT, "content-type": "text/plain"}).status_code in (400, 415)
    assert httpx.post(url, json={}, headers=ACCEPT).status_code == 400
    assert httpx.post(url, json=HELLO, headers={**ACCEPT, "host": "evil.example"}).status_code == 421
    large = {**HELLO, "params": "x" * (demo.settings.max_message_bytes + 1)}
    assert httpx.post(url, json=large, headers=ACCEPT).status_code == 413


def test_tools_are_served_by_every_name_of_a_public_port(settings: Settings) -> None:
    with run_server(settings.model_copy(update={"http": "0.0.0.0:0", "insecure_host": True})) as running:
        url = f"http://127.0.0.1:{running.http.rpartition(':')[2]}/mcp"
        answer = httpx.post(url, json=HELLO, headers={**ACCEPT, "host": "memory.example"})

    assert {tool["name"] for tool in answer.json()["result"]["tools"]} == set(NAMES)
