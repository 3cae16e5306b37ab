"""The list of memories, and one memory with its facts."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

from hypnogram.v1 import facts_pb2, memories_pb2
from starlette.responses import Response

from core.errors.base import MemoryGone, MemoryUnknown
from core.ids import MemoryId
from core.state.work import next_work
from service.web.page.visit import Visit
from service.web.tool_results import STATUSES, status_named

MEMORIES, FACTS = 25, 50  # on a page


async def listed(visit: Visit) -> Response:
    """Shows the memories that the visitor may read."""
    request = memories_pb2.ListMemoriesRequest(page_size=MEMORIES, page_token=visit.asked("after"))
    page = await visit.client.call(visit.client.stubs.memories.ListMemories, request)
    memories = []
    for summary in page.memories:
        try:
            memories.append(await visit.client.memory(summary.memory))
        except (MemoryGone, MemoryUnknown):  # since it was listed
            continue
    after = urlencode({"after": page.next_page_token}) if page.next_page_token else ""
    return visit.page("memories.html", memories=memories, after=after)


async def shown(visit: Visit) -> Response:
    """Shows a memory and those of its facts that the visitor looks for."""
    known = await visit.client.memory(visit.memory)
    filters = {name: visit.asked(name).strip() for name in ("search", "status")}
    page = await visit.client.call(
        visit.client.stubs.facts.ListFacts,
        facts_pb2.ListFactsRequest(
            memory=visit.memory,
            search=filters["search"],
            status=status_named(filters["status"]),
            page_size=FACTS,
            page_token=visit.asked("after"),
        ),
    )
    kept = {name: value for name, value in filters.items() if value}
    here = kept | ({"after": after} if (after := visit.asked("after")) else {})
    return visit.page(
        "memory.html",
        known=known,
        counts={name: getattr(known.memory.facts, name) for name in STATUSES},
        changing=await asyncio.to_thread(is_changing, visit, known.version),
        facts=page.facts,
        filters=filters,
        here=urlencode(here),
        after=urlencode(kept | {"after": page.next_page_token}) if page.next_page_token else "",
    )


def is_changing(visit: Visit, version: int) -> bool:
    """Whether executors have work to do for the memory, so that the page should look again. Blocking."""
    return next_work(visit.parts.states.at(MemoryId(visit.memory), version)) is not None
