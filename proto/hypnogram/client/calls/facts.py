"""The calls of Facts. A `request_id` that is not given is made up, so that every call is a request of its own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from hypnogram.v1 import facts_pb2

from hypnogram.client.connections import Connection, pages

LINKS = 500  # entries of a lineage in one response


def new_fact(subject: str, relation: str, object: str, **fields: Any) -> facts_pb2.NewFact:
    """A fact to add; `fields` are further fields of NewFact."""
    return facts_pb2.NewFact(subject=subject, relation=relation, object=object, **fields)


async def add_facts(
    connection: Connection,
    memory: str,
    facts: Sequence[facts_pb2.NewFact],
    *,
    request_id: str = "",
    expected_version: int | None = None,
    wait: bool = False,
    validate_only: bool = False,
    timeout: float | None = 600,
) -> facts_pb2.AddFactsResponse:
    """Adds facts. `wait`: until the weights have them, or they are parked; `validate_only`: records nothing."""
    request = facts_pb2.AddFactsRequest(
        memory=memory,
        request_id=request_id or str(uuid.uuid4()),
        facts=facts,
        expected_version=expected_version,
        wait=facts_pb2.WAIT_INJECTED if wait else facts_pb2.WAIT_NONE,
        validate_only=validate_only,
    )
    return await connection.call(connection.stubs.facts.AddFacts, request, timeout)


async def tell_text(
    connection: Connection,
    memory: str,
    text: str,
    *,
    source: facts_pb2.Source | None = None,
    request_id: str = "",
    expected_version: int | None = None,
    wait: bool = False,
    validate_only: bool = False,
    timeout: float | None = 600,
) -> facts_pb2.TellTextResponse:
    """Adds the facts in what a user says. `wait` and `validate_only` as in `add_facts`."""
    request = facts_pb2.TellTextRequest(
        memory=memory,
        request_id=request_id or str(uuid.uuid4()),
        text=text,
        source=source,
        expected_version=expected_version,
        wait=facts_pb2.WAIT_INJECTED if wait else facts_pb2.WAIT_NONE,
        validate_only=validate_only,
    )
    return await connection.call(connection.stubs.facts.TellText, request, timeout)


async def supersede_fact(
    connection: Connection,
    /,
    memory: str,
    fact: str,
    object: str,
    *,
    request_id: str = "",
    expected_version: int | None = None,
    wait: bool = False,
    timeout: float | None = 600,
    **fields: Any,
) -> facts_pb2.SupersedeFactResponse:
    """Replaces a fact by one with another object. `wait`: until the weights have the new fact, or it is parked.

    `fields` are further fields of the request.
    """
    request = facts_pb2.SupersedeFactRequest(
        memory=memory,
        request_id=request_id or str(uuid.uuid4()),
        fact=fact,
        object=object,
        expected_version=expected_version,
        wait=facts_pb2.WAIT_INJECTED if wait else facts_pb2.WAIT_NONE,
        **fields,
    )
    return await connection.call(connection.stubs.facts.SupersedeFact, request, timeout)


async def retract_fact(
    connection: Connection,
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
    """Retracts a fact; `erase` destroys its words as well. `wait`: until it is out of the weights, and erased."""
    request = facts_pb2.RetractFactRequest(
        memory=memory,
        request_id=request_id or str(uuid.uuid4()),
        fact=fact,
        reason=reason,
        erase=erase,
        expected_version=expected_version,
        wait=facts_pb2.WAIT_WITHDRAWN if wait else facts_pb2.WAIT_NONE,
    )
    return await connection.call(connection.stubs.facts.RetractFact, request, timeout)


async def retry_fact(
    connection: Connection,
    memory: str,
    fact: str = "",
    *,
    request_id: str = "",
    expected_version: int | None = None,
    wait: bool = False,
    timeout: float | None = 600,
) -> facts_pb2.RetryFactResponse:
    """Retries work that executors gave up, for one fact or, without `fact`, for all.

    `wait`: until each fact is written, withdrawn or given up again.
    """
    request = facts_pb2.RetryFactRequest(
        memory=memory,
        request_id=request_id or str(uuid.uuid4()),
        fact=fact,
        all=not fact,
        expected_version=expected_version,
        wait=facts_pb2.WAIT_INJECTED if wait else facts_pb2.WAIT_NONE,
    )
    return await connection.call(connection.stubs.facts.RetryFact, request, timeout)


async def fact(
    connection: Connection, memory: str, fact: str, at_version: int | None = None, timeout: float | None = 60
) -> facts_pb2.GetFactResponse:
    """Returns one fact and its status."""
    request = facts_pb2.GetFactRequest(memory=memory, fact=fact, at_version=at_version)
    return await connection.call(connection.stubs.facts.GetFact, request, timeout)


def facts(
    connection: Connection,
    memory: str,
    *,
    status: facts_pb2.Status.ValueType = facts_pb2.STATUS_UNSPECIFIED,
    subject: str = "",
    search: str = "",
    at_version: int | None = None,
    timeout: float | None = 60,
) -> AsyncGenerator[facts_pb2.Fact, None]:
    """Yields the facts of a memory; with `search` those in which all these words occur."""
    request = facts_pb2.ListFactsRequest(
        memory=memory, status=status, subject=subject, search=search, at_version=at_version
    )
    return pages(connection, connection.stubs.facts.ListFacts, request, timeout, lambda page: page.facts)


async def lineage(
    connection: Connection, memory: str, fact: str, at_version: int | None = None, timeout: float | None = 60
) -> facts_pb2.GetLineageResponse:
    """Returns the events about a fact, those of all pages in one response."""
    get = connection.stubs.facts.GetLineage
    request = facts_pb2.GetLineageRequest(memory=memory, fact=fact, at_version=at_version, page_size=LINKS)
    whole = page = await connection.call(get, request, timeout)
    while page.next_page_token:
        request.page_token = page.next_page_token
        page = await connection.call(get, request, timeout)
        whole.entries.extend(page.entries)
    whole.ClearField("next_page_token")
    return whole
