"""The conversations of a memory: their turns, what was learned from each, and the erasure of their texts."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

from hypnogram.v1 import chat_pb2
from starlette.responses import Response

from core.ids import MemoryId
from service.rpc.conversation.messages import conversation_message
from service.web.page.visit import Visit, moved

CONVERSATIONS, TURNS = 50, 100  # on a page


async def listed(visit: Visit) -> Response:
    """Shows the conversations of a memory in the order begun."""
    request = chat_pb2.ListConversationsRequest(
        memory=visit.memory, page_size=CONVERSATIONS, page_token=visit.asked("after")
    )
    page = await visit.client.call(visit.client.stubs.chat.ListConversations, request)
    after = urlencode({"after": page.next_page_token}) if page.next_page_token else ""
    return visit.page("conversations.html", conversations=page.conversations, after=after)


async def shown(visit: Visit) -> Response:
    """Shows the turns of a conversation, and what was learned from each."""
    name, after = visit.asked("conversation"), visit.asked("after")
    request = chat_pb2.ListTurnsRequest(memory=visit.memory, conversation=name, page_size=TURNS, page_token=after)
    page = await visit.client.call(visit.client.stubs.chat.ListTurns, request)  # which checks what may be read
    here = {"conversation": name} | ({"after": after} if after else {})
    return visit.page(
        "conversation.html",
        known=await _known(visit, name, page.version),
        turns=page.turns,
        off=chat_pb2.REMEMBER_OFF,
        here=urlencode(here),
        after=urlencode(here | {"after": page.next_page_token}) if page.next_page_token else "",
    )


async def erasing(visit: Visit) -> Response:
    """Asks whether the texts of a conversation are to be erased."""
    visit.check_write()
    name = visit.form.get("conversation", "") or visit.asked("conversation")
    request = chat_pb2.ListTurnsRequest(memory=visit.memory, conversation=name, page_size=1)
    page = await visit.client.call(visit.client.stubs.chat.ListTurns, request)
    return visit.page("erase_texts.html", known=await _known(visit, name, page.version))


async def erase(visit: Visit) -> Response:
    name = visit.form.get("conversation", "")
    await visit.client.erase_conversation(visit.memory, name, facts=visit.form.get("facts") == "yes")
    return moved(f"/memories/{visit.memory}/turns?{urlencode({'conversation': name, 'done': 'closed'})}")


async def _known(visit: Visit, name: str, version: int) -> chat_pb2.Conversation:
    """Returns a conversation that the visitor may read, as of a version."""
    state = await asyncio.to_thread(visit.parts.states.at, MemoryId(visit.memory), version)
    return conversation_message(state, name)
