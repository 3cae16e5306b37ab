"""The MCP server: tools by which agents tell a memory facts, ask it, and ask why it answers so."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from importlib.metadata import version as version_of_package
from typing import Annotated, Any

from hypnogram.v1 import chat_pb2, facts_pb2
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import Field, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from core.errors.base import InvalidField
from hypnogram.client.calls.facts import new_fact
from hypnogram.client.client import Calls
from hypnogram.client.connections import Asyncio
from service.rpc.interceptor import Attempt
from service.rpc.messages.requests import MAX_TOKENS
from service.rpc.server import Served
from service.web import models
from service.web.bodies import first_fault, read_body
from service.web.calls import FAILURES, begin, end_failed, refused_call, unless_gone
from service.web.inside import inside
from service.web.tool_results import STATUSES, Answer, Fact, Facts, Forgotten, Step, Told, Why, status_named
from store.clock import next_uuid

PATH = "/mcp"
MOST_SECONDS = 300  # that a tool waits for the weights
MOST_FACTS = 500  # in one answer
READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
REMOVES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)
INSTRUCTIONS = (
    "A memory is a language model with facts in its weights. `tell` adds facts, `recall` asks the model, `facts` lists "
    "what was added, `forget` retracts a fact, `why` shows where a fact or an answer comes from. A memory is named as "
    "in `demo`; to read it as it was, add a version, a checkpoint or a time: `demo@12`, `demo@monday`."
)

Memory = Annotated[str, Field(description="name of the memory, such as `demo`")]
Model = Annotated[
    str, Field(description="name of the memory; as it was: `demo@12`, `demo@monday`, `demo@2026-11-24T10:00`")
]
Seconds = Annotated[float, Field(ge=0, le=MOST_SECONDS, description="how long to wait until the weights have changed")]
Client = Calls[Asyncio]


class Tools:
    """Serves the tools under `/mcp` by streamable HTTP, each request on its own, without sessions."""

    def __init__(self, served: Served, max_bytes: int) -> None:
        self._served = served
        self._max_bytes = max_bytes
        hinted = (
            (self.tell, ADDS),
            (self.recall, READS),
            (self.facts, READS),
            (self.forget, REMOVES),
            (self.why, READS),
        )
        with _log_as_it_was():
            server = _Server(
                "hypnogram",
                version=version_of_package("hypnogram"),
                instructions=INSTRUCTIONS,
                log_level="WARNING",
                tools=[_strict(tool, hints) for tool, hints in hinted],
            )
        server.streamable_http_app(  # called because it makes the session manager; its routes are not used
            json_response=True,
            stateless_http=True,
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # see server.py
            max_request_body_size=max_bytes,
        )
        self._manager: StreamableHTTPSessionManager = server.session_manager

    def routes(self) -> list[Route]:
        return [Route(PATH, self, methods=["POST"])]

    def running(self) -> AbstractAsyncContextManager[None]:
        """Serves requests while the block lasts."""
        return self._manager.run()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, attempt = Request(scope, receive), Attempt(PATH, self._served.door)
        try:
            await begin(attempt, request)
            body = await read_body(request, self._max_bytes)
        except FAILURES as error:
            await refused_call(attempt, error)(scope, receive, send)
            return
        request.state.attempt = attempt
        try:
            await unless_gone(request, self._manager.handle_request(scope, _once(body), send))
        except ClientDisconnect as error:
            end_failed(attempt, error)
        except BaseException as error:
            end_failed(attempt, error)
            raise
        if not attempt.ended:
            attempt.end()

    async def tell(
        self,
        context: Context[Any, Any],
        memory: Memory,
        text: Annotated[str, Field(description="sentences that state facts: `Aria Voss lives in Lisbon.`")] = "",
        subject: Annotated[str, Field(description="instead of a text: `Aria Voss`")] = "",
        relation: Annotated[str, Field(description="instead of a text: `lives in`")] = "",
        object: Annotated[str, Field(description="instead of a text: `Lisbon`")] = "",
        wait_seconds: Seconds = 0,
    ) -> Told:
        """Adds facts to a memory, from sentences or as one subject, relation and object.

        They are recorded at once, and written into the weights in seconds to minutes: `status` says which it is.
        """
        async with _calling(context, self._served) as client:
            request = next_uuid()
            if text and not (subject or relation or object):
                told = Told.of_text(await client.tell_text(memory, text, request_id=request))
                if wait_seconds and told.facts:
                    with suppress(TimeoutError):
                        again = client.tell_text(memory, text, request_id=request, wait=True, timeout=wait_seconds)
                        told = Told.of_text(await again)
                return told
            if text or not (subject and relation and object):
                raise InvalidField("text", "give a text, or subject, relation and object, and not both")
            facts = [new_fact(subject, relation, object)]
            added = await client.add_facts(memory, facts, request_id=request)
            if wait_seconds:
                with suppress(TimeoutError):
                    added = await client.add_facts(memory, facts, request_id=request, wait=True, timeout=wait_seconds)
            return Told.of_facts(added)

    async def recall(
        self,
        context: Context[Any, Any],
        memory: Model,
        question: Annotated[str, Field(description="what to ask the model")],
        max_tokens: Annotated[
            int, Field(ge=0, le=MAX_TOKENS, description="tokens to generate, at most; 0 for the default")
        ] = 0,
    ) -> Answer:
        """Asks the model of a memory, which answers from its weights alone."""
        async with _calling(context, self._served) as client:
            if not question.strip():
                raise InvalidField("question", "is empty; say what to ask the model")
            name, version = await self._moment(context, memory)
            pieces = client.chat(name, question, max_tokens=max_tokens, remember="off", at_version=version)
            said = [piece async for piece in pieces]
            return Answer(
                answer="".join(piece.text for piece in said),
                model=f"{name}{models.AT}{said[-1].version}",
                weights_digest=said[-1].weights_digest,
                complete=said[-1].finish != chat_pb2.FINISH_LENGTH,
            )

    async def facts(
        self,
        context: Context[Any, Any],
        memory: Model,
        search: Annotated[str, Field(description="words that all occur in a fact; empty for all facts")] = "",
        status: Annotated[str, Field(description=f"{', '.join(STATUSES)}; empty for all")] = "",
        limit: Annotated[int, Field(ge=1, le=MOST_FACTS, description="facts to return, at most")] = 100,
    ) -> Facts:
        """Lists the facts that a memory was told, in the order added."""
        async with _calling(context, self._served) as client:
            wanted = status_named(status)
            name, version = await self._moment(context, memory)
            request = facts_pb2.ListFactsRequest(
                memory=name,
                status=wanted,
                search=search,
                page_size=limit,
                at_version=version,
            )
            page = await client.call(client.stubs.facts.ListFacts, request)
            listed = [Fact.of(fact) for fact in page.facts]
            return Facts(version=page.version, facts=listed, complete=not page.next_page_token)

    async def forget(
        self,
        context: Context[Any, Any],
        memory: Memory,
        fact: Annotated[str, Field(description="id of the fact, from `facts` or `tell`")],
        reason: Annotated[str, Field(description="reason to note in the log")] = "",
        erase: Annotated[bool, Field(description="whether to destroy the words of the fact in the log, too")] = False,
        wait_seconds: Seconds = 0,
    ) -> Forgotten:
        """Retracts a fact: it leaves the weights, and with `erase` its words leave the log. That cannot be undone."""
        async with _calling(context, self._served) as client:
            request = next_uuid()
            retracted = await client.retract_fact(memory, fact, reason, erase=erase, request_id=request)
            if wait_seconds:
                with suppress(TimeoutError):
                    retracted = await client.retract_fact(
                        memory, fact, reason, erase=erase, request_id=request, wait=True, timeout=wait_seconds
                    )
            return Forgotten.of(retracted)

    async def why(
        self,
        context: Context[Any, Any],
        memory: Model,
        fact: Annotated[str, Field(description="id of a fact; empty to learn which weights answer")] = "",
    ) -> Why:
        """Shows the life of a fact, event by event, and which weights answer for the memory."""
        async with _calling(context, self._served) as client:
            name, version = await self._moment(context, memory)
            known = await client.memory(name, at_version=version)
            shown = Why(
                model=f"{name}{models.AT}{known.version}",
                weights_digest=known.memory.weights_digest,
                base=known.memory.base.name,
                edits=known.memory.edits,
                adapters=known.memory.adapters,
            )
            if fact:
                lineage = await client.lineage(name, fact, at_version=known.version)
                shown.fact = Fact.of(lineage.fact)
                shown.said_in = lineage.fact.source.span
                shown.events = [Step.of(entry) for entry in lineage.entries]
            return shown

    async def _moment(self, context: Context[Any, Any], model: str) -> tuple[str, int | None]:
        """Returns the memory and the version that `model` names, None for the newest; its readers alone learn them."""
        memory = models.readable(_attempt(context), model)
        return memory, await asyncio.to_thread(models.version_of, self._served.parts, model)


class _Server(MCPServer):
    """A server that says which argument of a tool is not valid, and quotes none."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            if not isinstance(error.__cause__, ValidationError):
                raise
            invalid = first_fault(error.__cause__)
        if context is not None:
            end_failed(_attempt(context), invalid)
        raise ToolError(f"Error executing tool {name}: {invalid}")


def _strict(tool: Callable[..., Any], hints: ToolAnnotations) -> Tool:
    """Returns a tool that takes no other arguments than its own; else a misspelt `erase` would retract."""
    described = Tool.from_function(tool, description=inspect.getdoc(tool), annotations=hints)
    arguments = described.fn_metadata.arg_model
    arguments.model_config["extra"] = "forbid"
    arguments.model_rebuild(force=True)
    described.parameters = arguments.model_json_schema()
    return described


def _once(body: bytes) -> Receive:
    """Returns what receives a request whose body has been read, and then nothing more."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop()

    return receive


@contextmanager
def _log_as_it_was() -> Iterator[None]:
    """Takes back that the block sets up the log of the whole process."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers


def _attempt(context: Context[Any, Any]) -> Attempt:
    request: Any = context.request_context.request
    attempt: Attempt = request.state.attempt
    return attempt


@asynccontextmanager
async def _calling(context: Context[Any, Any], served: Served) -> AsyncIterator[Client]:
    """Yields a client for the caller of a tool, who is told in words how a call failed. Raises ToolError."""
    attempt = _attempt(context)
    try:
        yield inside(attempt, served.servicers)
    except Exception as error:
        status = end_failed(attempt, error)
        raise ToolError(status.message if status else "the call was cancelled") from None
