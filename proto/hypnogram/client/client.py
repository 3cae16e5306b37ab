"""A client for people who write Python: the calls of `hypnogram.v1`, one method each, pages and streams unrolled.

with Client("127.0.0.1:50051") as client:
    client.create_memory("demo")
    client.add_facts("demo", [told("Aria Voss", "lives in", "Lisbon")], wait=True)
    print("".join(piece.text for piece in client.chat("demo", "Where does Aria Voss live?")))
    print(client.sleep("demo").advanced)
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypnogram.v1 import (
    chat_pb2,
    chat_pb2_grpc,
    facts_pb2,
    facts_pb2_grpc,
    memories_pb2,
    memories_pb2_grpc,
)

from hypnogram.client import moments
from hypnogram.client.history import HistoryCalls
from hypnogram.client.moments import Moment

AsOf = int | None

LINKS = 500  # entries of a lineage in one answer


def new_fact(subject: str, relation: str, object: str, **more: Any) -> facts_pb2.NewFact:
    """A fact to add; `more` are further fields of NewFact."""
    return facts_pb2.NewFact(subject=subject, relation=relation, object=object, **more)


class Client(HistoryCalls):
    """A connection to a server. Every method may raise CallFailed; `timeout` is in seconds, None for no limit."""

    def __init__(self, address: str, *, actor: str = "client", max_message_bytes: int = 64 * 1024 * 1024) -> None:
        super().__init__(address, actor=actor, max_message_bytes=max_message_bytes)
        self.memories_stub = memories_pb2_grpc.MemoriesStub(self.channel)
        self.facts_stub = facts_pb2_grpc.FactsStub(self.channel)
        self.chat_stub = chat_pb2_grpc.ChatStub(self.channel)
        self.health_stub = health_pb2_grpc.HealthStub(self.channel)

    def create_memory(
        self,
        memory: str,
        base: memories_pb2.BaseModel | None = None,
        hyperparameters: memories_pb2.Hyperparameters | None = None,
        sleep: memories_pb2.SleepPolicy | None = None,
        capacity: float | None = None,
        timeout: float | None = 600,
    ) -> memories_pb2.CreateMemoryResponse:
        request = memories_pb2.CreateMemoryRequest(
            memory=memory, base=base, hyperparameters=hyperparameters, sleep=sleep, capacity=capacity
        )
        return self._call(self.memories_stub.CreateMemory, request, timeout)

    def memory(
        self, memory: str, at_version: AsOf = None, timeout: float | None = 60
    ) -> memories_pb2.GetMemoryResponse:
        request = memories_pb2.GetMemoryRequest(memory=memory, at_version=at_version)
        return self._call(self.memories_stub.GetMemory, request, timeout)

    def memories(self, timeout: float | None = 60) -> Iterator[memories_pb2.MemorySummary]:
        token = ""
        while True:
            request = memories_pb2.ListMemoriesRequest(page_token=token)
            page = self._call(self.memories_stub.ListMemories, request, timeout)
            yield from page.memories
            if not (token := page.next_page_token):
                return

    def rebase_memory(
        self, memory: str, name: str, revision: str = "", timeout: float | None = 60
    ) -> memories_pb2.RebaseMemoryResponse:
        """Says where the files of a memory's base are now."""
        request = memories_pb2.RebaseMemoryRequest(memory=memory, name=name, revision=revision)
        return self._call(self.memories_stub.RebaseMemory, request, timeout)

    def delete_memory(
        self, memory: str, expected_version: int | None = None, timeout: float | None = 60
    ) -> memories_pb2.DeleteMemoryResponse:
        """Deletes a memory, or says how far its deletion has come."""
        request = memories_pb2.DeleteMemoryRequest(memory=memory, expected_version=expected_version)
        return self._call(self.memories_stub.DeleteMemory, request, timeout)

    def fork(
        self, memory: str, parent: str, at: Moment = None, timeout: float | None = 60
    ) -> memories_pb2.ForkMemoryResponse:
        """A new memory `memory` that begins as `parent` was at a version, a checkpoint, a time, or is now."""
        request = memories_pb2.ForkMemoryRequest(memory=memory, parent=parent, **moments.at(at))
        return self._call(self.memories_stub.ForkMemory, request, timeout)

    def add_facts(
        self,
        memory: str,
        facts: Sequence[facts_pb2.NewFact],
        *,
        request_id: str = "",
        expected_version: int | None = None,
        wait: bool = False,
        timeout: float | None = 600,
    ) -> facts_pb2.AddFactsResponse:
        """`wait`: until the weights have the facts, or parked them. A `request_id` is made up when none is given."""
        request = facts_pb2.AddFactsRequest(
            memory=memory,
            request_id=request_id or str(uuid.uuid4()),
            facts=facts,
            expected_version=expected_version,
            wait=facts_pb2.WAIT_INJECTED if wait else facts_pb2.WAIT_NONE,
        )
        return self._call(self.facts_stub.AddFacts, request, timeout)

    def supersede_fact(
        self,
        memory: str,
        fact: str,
        object: str,
        *,
        request_id: str = "",
        expected_version: int | None = None,
        wait: bool = False,
        timeout: float | None = 600,
        **more: Any,
    ) -> facts_pb2.SupersedeFactResponse:
        """`wait`: until the weights have the new fact, or parked it. `more` are further fields of the request."""
        request = facts_pb2.SupersedeFactRequest(
            memory=memory,
            request_id=request_id or str(uuid.uuid4()),
            fact=fact,
            object=object,
            expected_version=expected_version,
            wait=facts_pb2.WAIT_INJECTED if wait else facts_pb2.WAIT_NONE,
            **more,
        )
        return self._call(self.facts_stub.SupersedeFact, request, timeout)

    def retract_fact(
        self,
        memory: str,
        fact: str,
        reason: str = "",
        *,
        erase: bool = False,
        request_id: str = "",
        expected_version: int | None = None,
        wait: bool = False,
        timeout: float | None = 600,
    ) -> facts_pb2.RetractFactResponse:
        """`erase` destroys its words as well. `wait`: until the weights have given it up and all that is done."""
        request = facts_pb2.RetractFactRequest(
            memory=memory,
            request_id=request_id or str(uuid.uuid4()),
            fact=fact,
            reason=reason,
            erase=erase,
            expected_version=expected_version,
            wait=facts_pb2.WAIT_WITHDRAWN if wait else facts_pb2.WAIT_NONE,
        )
        return self._call(self.facts_stub.RetractFact, request, timeout)

    def retry_fact(
        self,
        memory: str,
        fact: str = "",
        *,
        request_id: str = "",
        expected_version: int | None = None,
        wait: bool = False,
        timeout: float | None = 600,
    ) -> facts_pb2.RetryFactResponse:
        """Without a fact, all that were given up. `wait`: until each is written, withdrawn or given up again."""
        request = facts_pb2.RetryFactRequest(
            memory=memory,
            request_id=request_id or str(uuid.uuid4()),
            fact=fact,
            all=not fact,
            expected_version=expected_version,
            wait=facts_pb2.WAIT_INJECTED if wait else facts_pb2.WAIT_NONE,
        )
        return self._call(self.facts_stub.RetryFact, request, timeout)

    def fact(
        self, memory: str, fact: str, at_version: AsOf = None, timeout: float | None = 60
    ) -> facts_pb2.GetFactResponse:
        request = facts_pb2.GetFactRequest(memory=memory, fact=fact, at_version=at_version)
        return self._call(self.facts_stub.GetFact, request, timeout)

    def facts(
        self,
        memory: str,
        *,
        status: facts_pb2.Status.ValueType = facts_pb2.STATUS_UNSPECIFIED,
        subject: str = "",
        search: str = "",
        at_version: AsOf = None,
        timeout: float | None = 60,
    ) -> Iterator[facts_pb2.Fact]:
        """`search`: those in which all these words occur."""
        request = facts_pb2.ListFactsRequest(
            memory=memory, status=status, subject=subject, search=search, at_version=at_version
        )
        while True:
            page = self._call(self.facts_stub.ListFacts, request, timeout)
            yield from page.facts
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def lineage(
        self, memory: str, fact: str, at_version: AsOf = None, timeout: float | None = 60
    ) -> facts_pb2.GetLineageResponse:
        """The answer with the entries of all pages."""
        request = facts_pb2.GetLineageRequest(memory=memory, fact=fact, at_version=at_version, page_size=LINKS)
        whole = page = self._call(self.facts_stub.GetLineage, request, timeout)
        while page.next_page_token:
            request.page_token = page.next_page_token
            page = self._call(self.facts_stub.GetLineage, request, timeout)
            whole.entries.extend(page.entries)
        whole.ClearField("next_page_token")
        return whole

    def chat(
        self,
        memory: str,
        said: str | Sequence[Mapping[str, str]],
        *,
        max_tokens: int = 0,
        min_version: AsOf = None,
        at_version: AsOf = None,
        timeout: float | None = 600,
    ) -> Iterator[chat_pb2.ChatResponse]:
        """`said` is what the user says, or a conversation of {"role": ..., "content": ...}."""
        turns = [{"role": "user", "content": said}] if isinstance(said, str) else said
        messages = [chat_pb2.Message(role=turn["role"], content=turn["content"]) for turn in turns]
        request = chat_pb2.ChatRequest(
            memory=memory, messages=messages, max_tokens=max_tokens, min_version=min_version, at_version=at_version
        )
        return self._stream(self.chat_stub.Chat, request, timeout)

    def complete(
        self,
        memory: str,
        prompt: str,
        *,
        max_tokens: int = 0,
        min_version: AsOf = None,
        at_version: AsOf = None,
        timeout: float | None = 600,
    ) -> Iterator[chat_pb2.CompleteResponse]:
        request = chat_pb2.CompleteRequest(
            memory=memory, prompt=prompt, max_tokens=max_tokens, min_version=min_version, at_version=at_version
        )
        return self._stream(self.chat_stub.Complete, request, timeout)

    def serving(self, service: str = "", timeout: float | None = 5) -> bool:
        """Whether the server, or one of its services, is ready; False also when there is none."""
        try:
            answer = self.health_stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=timeout)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
