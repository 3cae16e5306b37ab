"""One fact, and what can be done with facts: tell, supersede, retract, retry."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from core.errors.base import InvalidField
from core.ids import FactId, MemoryId
from hypnogram.client.calls.facts import new_fact
from service.app.lineage import lineage
from service.app.reading import turns_that_state
from service.report.lineage_graph import life
from service.report.timeline import fold_timeline
from service.web.page.visit import Visit, moved
from service.web.tool_results import Told


async def shown(visit: Visit) -> Response:
    """Shows the status of a fact, what it was taken from, and the events that made it what it is."""
    known = await visit.client.lineage(visit.memory, visit.fact)  # which checks what the visitor may read
    memory, fact, log = MemoryId(visit.memory), FactId(visit.fact), visit.parts.store.log

    def find() -> tuple[str, dict[str, list[int]], bool]:
        timeline = fold_timeline(log.iterate(memory, until_version=known.version))
        drawn = life(timeline, lineage(log, memory, fact, known.version))
        state = visit.parts.states.at(memory, known.version)
        stated_in = turns_that_state(log, memory, state, fact) if known.fact.retracted_version else {}
        return drawn, stated_in, known.fact.source.conversation in state.conversations

    drawn, stated_in, is_recorded = await asyncio.to_thread(find)
    return visit.page(
        "fact.html", known=known, fact=known.fact, life=drawn, stated_in=stated_in, is_recorded=is_recorded
    )


async def telling(visit: Visit, told: Told | None = None) -> Response:
    """Shows the form to tell facts; `told` is what would be recorded."""
    visit.check_write()
    await visit.client.memory(visit.memory)
    return visit.page("tell.html", told=told)


async def tell(visit: Visit) -> Response:
    """Records what was told, or first shows what would be."""
    form, sure = visit.form, visit.form.get("do") == "add"
    text = form.get("text", "").strip()
    parts = [form.get(name, "").strip() for name in ("subject", "relation", "object")]
    if bool(text) is any(parts):
        raise InvalidField("text", "write sentences, or subject, relation and object, and not both")
    request = visit.request_id
    if text:
        answer = await visit.client.tell_text(visit.memory, text, request_id=request, validate_only=not sure)
        told = Told.of_text(answer)
    else:
        facts = [new_fact(*parts)]
        added = await visit.client.add_facts(visit.memory, facts, request_id=request, validate_only=not sure)
        told = Told.of_facts(added)
    if not sure:
        return await telling(visit, told)
    return moved(f"/memories/{visit.memory}?done=told")


async def superseding(visit: Visit) -> Response:
    """Asks for the object that a fact has from now on."""
    visit.check_write()
    return visit.page("supersede.html", fact=(await visit.client.fact(visit.memory, visit.fact)).fact)


async def supersede(visit: Visit) -> Response:
    new = visit.form.get("object", "").strip()
    answer = await visit.client.supersede_fact(visit.memory, visit.fact, new, request_id=visit.request_id)
    return moved(f"/memories/{visit.memory}/facts/{answer.fact.fact}?done=superseded")


async def retracting(visit: Visit) -> Response:
    """Asks whether a fact is to be retracted."""
    visit.check_write()
    return visit.page("retract.html", fact=(await visit.client.fact(visit.memory, visit.fact)).fact)


async def retract(visit: Visit) -> Response:
    reason, erase = visit.form.get("reason", ""), visit.form.get("erase") == "yes"
    await visit.client.retract_fact(visit.memory, visit.fact, reason, erase=erase, request_id=visit.request_id)
    done = "erased" if erase else "retracted"
    return moved(f"/memories/{visit.memory}/facts/{visit.fact}?done={done}")


async def retrying(visit: Visit) -> Response:
    """Asks whether executors should try again what they gave up."""
    visit.check_write()
    return visit.page("retry.html", fact=(await visit.client.fact(visit.memory, visit.fact)).fact)


async def retry(visit: Visit) -> Response:
    await visit.client.retry_fact(visit.memory, visit.fact, request_id=visit.request_id)
    return moved(f"/memories/{visit.memory}/facts/{visit.fact}?done=retried")
